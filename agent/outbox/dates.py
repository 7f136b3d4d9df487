"""Which sessions carry the time of filming at the API, and which are still to be given it."""

from agent.outbox.database import OutboxDatabase
from agent.outbox.entry import Entry

LEAST_LAG_S = 60.0  # an upload sooner after filming than this has the right time by itself


class Dates:
    """The table of sessions' dates."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def next_due(self, now_s: float, *, since_s: float, farthest_s: float) -> Entry | None:
        """Return a delivered clip whose session is to be dated now, or None.

        Args:
            now_s: Unix time.
            since_s: what was delivered before is left as it is.
            farthest_s: what is due later than in so many seconds is due: the clock jumped.
        """
        values = {"now": now_s, "since": since_s, "lag": LEAST_LAG_S, "latest": now_s + farthest_s}
        row = self._db.row(NEXT_DATED, values)
        return None if row is None else Entry.from_row(row)

    def failures(self, entry_id: int) -> int:
        """Return how often in a row a session could not be dated."""
        row = self._db.row("SELECT failures FROM session_date WHERE entry_id = ?", (entry_id,))
        return 0 if row is None else int(str(row["failures"]))

    def note(
        self, entry_id: int, state: str, *, due_at: float, failures: int, detail: str | None
    ) -> None:
        """Record what came of it: waiting, dated, or refused for good."""
        self._db.change(
            """
            INSERT INTO session_date (entry_id, state, due_at, failures, detail)
            VALUES (:entry, :state, :due, :failures, :detail)
            ON CONFLICT (entry_id) DO UPDATE SET
                state = :state, due_at = :due, failures = :failures, detail = :detail
            """,
            {
                "entry": entry_id,
                "state": state,
                "due": due_at,
                "failures": failures,
                "detail": detail,
            },
        )


NEXT_DATED = """
SELECT entry.* FROM entry LEFT JOIN session_date AS d ON d.entry_id = entry.id
 WHERE entry.sent_at >= :since AND entry.state IN ('uploaded', 'completed')
   AND entry.session_id IS NOT NULL AND entry.filmed_at IS NOT NULL
   AND entry.sent_at - entry.filmed_at > :lag
   AND (d.entry_id IS NULL
        OR (d.state = 'waiting' AND (d.due_at <= :now OR d.due_at > :latest)))
 ORDER BY entry.sent_at LIMIT 1
"""  # index: entry_by_sending
