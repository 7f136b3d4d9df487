"""Follow-ups: one per session, from the upload until its analysis has ended.

waiting -> completed | failed | gone | not_seen.  The last three may still become completed: by a
later look, while there is a `due_at`, or by a person's.  Rows are made and ended by triggers on
the entries too, so that whatever gave an entry its session, it is followed.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from agent.outbox.database import OutboxDatabase, Row, count_by_state
from agent.outbox.models import Entry


class FollowUpState(StrEnum):
    """What is known of a session's analysis."""

    WAITING = "waiting"  # not there yet
    COMPLETED = "completed"  # there
    FAILED = "failed"  # the API says that it failed
    GONE = "gone"  # the API does not know the session, or its clip was discarded
    NOT_SEEN = "not_seen"  # did not come in time: looked for no more


FOLLOW_UP_WORDS: dict[FollowUpState, str] = {
    FollowUpState.WAITING: "its analysis is pending",
    FollowUpState.COMPLETED: "its analysis is complete",
    FollowUpState.FAILED: "its analysis failed at the API",
    FollowUpState.GONE: "the session no longer exists at the API",
    FollowUpState.NOT_SEEN: "its analysis was not completed in time: check again with --look",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """One session that is asked about, as it stood when it was read."""

    entry_id: int
    session_id: str
    state: FollowUpState
    detail: str | None  # the reason in words
    fence: int  # raised by every change; who holds an older one changes nothing
    polls: int  # looks that were answered
    failures: int  # looks in a row that the API failed on
    absences: int  # looks in a row that did not find the session
    due_at: float | None  # Unix time of the next look; None: nobody looks any more
    began_at: float
    first_asked_at: float | None
    last_asked_at: float | None
    changed_at: float
    clip_code: str  # the entry's
    activity: str  # the entry's
    filmed_at: float | None  # the entry's

    @property
    def words(self) -> str:
        """What is known of the analysis, for a person."""
        told = FOLLOW_UP_WORDS[self.state]
        return f"{told}: {self.detail}" if self.detail else told

    @classmethod
    def from_row(cls, row: Row) -> "FollowUp":
        """Build a follow-up from a row of its table, joined with its entry."""
        plain = {name: row[name] for name in cls.__slots__ if name != "state"}
        return cls(state=FollowUpState(str(row["state"])), **plain)  # type: ignore[arg-type]  # STRICT tables keep the types


class FollowUps:
    """The table of follow-ups."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def of_entry(self, entry_id: int) -> FollowUp | None:
        """Return what is known of a clip's session; None where it has none."""
        row = self._db.row(f"{_JOINED} WHERE follow_up.entry_id = ?", (entry_id,))
        return None if row is None else FollowUp.from_row(row)

    def of_entries(self, entry_ids: Collection[int]) -> dict[int, FollowUp]:
        """Return what is known of some clips' sessions, by the clip's id."""
        rows = self._db.rows(OF_ENTRIES, (json.dumps(list(entry_ids)),))
        return {found.entry_id: found for found in map(FollowUp.from_row, rows)}

    def due(
        self, now_s: float, *, first_look_s: float, most: int, farthest_s: float
    ) -> list[FollowUp]:
        """Return the sessions that are due to be asked about, the longest due first.

        Those that are completed come last: all that is missing of them is the whole document.

        Args:
            now_s: Unix time.
            first_look_s: how long after its upload a session is first due.
            most: no more than so many.
            farthest_s: no look is planned further off: one that is means that the clock jumped.
        """
        limits = {"now": now_s, "first": first_look_s, "most": most, "farthest": farthest_s}
        return [FollowUp.from_row(row) for row in self._db.rows(DUE, limits)]

    def open(self, *, most: int) -> list[FollowUp]:
        """Return the sessions that are still looked for, due or not, the longest waiting first."""
        return [FollowUp.from_row(row) for row in self._db.rows(OPEN, (most,))]

    def next_due_at(self, *, first_look_s: float) -> float | None:
        """Return when the next session is due, or None."""
        row = self._db.row(NEXT_DUE, {"first": first_look_s})
        assert row is not None  # an aggregate gives one row
        return None if row["at"] is None else float(str(row["at"]))

    def note(
        self, follow_up: FollowUp, changes: Mapping[str, object], *, now_s: float
    ) -> FollowUp | None:
        """Set columns of one that is as the caller knows it; None where somebody was first.

        Args:
            follow_up: as it was read; its fence guards the change.
            changes: the columns and their new values.
            now_s: Unix time.
        """
        values = {**changes, "changed_at": now_s}
        settings = ", ".join(f"{column} = ?" for column in values)
        changed = self._db.change(
            f"UPDATE follow_up SET {settings}, fence = fence + 1 WHERE entry_id = ? AND fence = ?",  # noqa: S608  # column names are ours
            (*values.values(), follow_up.entry_id, follow_up.fence),
        )
        return self.of_entry(follow_up.entry_id) if changed else None

    def resume(self, entry_id: int, *, now_s: float) -> bool:
        """Look for an analysis again, as on the first day; False where there is nothing to do."""
        return bool(self._db.change(RESUME, {"id": entry_id, "now": now_s}))

    def counts(self) -> dict[str, int]:
        """Return how many sessions are in each state."""
        return count_by_state(self._db, "follow_up", FollowUpState)

    def oldest_waiting_at(self) -> float | None:
        """Return since when the longest waiting session waits for its analysis, or None."""
        row = self._db.row("SELECT min(began_at) AS at FROM follow_up WHERE state = 'waiting'")
        return None if row is None or row["at"] is None else float(str(row["at"]))


_JOINED = """
SELECT follow_up.*, entry.clip_code, entry.activity, entry.filmed_at
  FROM follow_up JOIN entry ON entry.id = follow_up.entry_id
"""
OF_ENTRIES = f"""
{_JOINED} WHERE follow_up.entry_id IN (SELECT value FROM json_each(?))
"""  # noqa: S608  # our own words
# The few that are still looked for, whatever their number of looks: a partial index holds them.
_FIRST = "iif(follow_up.last_asked_at IS NULL, :first, 0.0)"
DUE = f"""
{_JOINED}
 WHERE follow_up.due_at >= 0
   AND (follow_up.due_at + {_FIRST} <= :now OR follow_up.due_at > :now + :farthest)
 ORDER BY follow_up.state = 'completed', follow_up.due_at LIMIT :most
"""  # our own words; index: follow_up_due
OPEN = f"""
{_JOINED}
 WHERE follow_up.due_at >= 0 AND follow_up.state != 'completed'
 ORDER BY follow_up.due_at LIMIT ?
"""  # our own words; index: follow_up_due
NEXT_DUE = f"""
SELECT min(due_at + {_FIRST}) AS at FROM follow_up WHERE due_at >= 0
"""  # noqa: S608  # our own words; index: follow_up_due
RESUME = """
UPDATE follow_up
   SET state = 'waiting', detail = NULL, polls = 0, failures = 0, absences = 0,
       due_at = :now, began_at = :now, last_asked_at = :now, changed_at = :now, fence = fence + 1
 WHERE entry_id = :id AND state != 'completed'
   AND EXISTS (SELECT 1 FROM entry WHERE id = :id AND state = 'uploaded'
                  AND NOT (user_id IS NULL AND recipient = 'unknown'))
"""


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
