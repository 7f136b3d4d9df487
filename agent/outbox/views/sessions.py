"""Sessions as people look at them: each clip that became one, and what came of it."""

from dataclasses import dataclass

from agent.outbox.database import OutboxDatabase
from agent.outbox.entry import Entry
from agent.outbox.results.follow_ups import FollowUp, FollowUps
from agent.outbox.results.record import Result, Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A clip that became a session."""

    entry: Entry
    follow_up: FollowUp
    result: Result | None  # None: nothing came back yet

    @property
    def at(self) -> float:
        """When the take was filmed, or else when it was delivered."""
        sent_at = self.entry.sent_at or self.follow_up.began_at
        return self.entry.filmed_at or sent_at


class SessionList:
    """A read-only view over entries, follow-ups and results."""

    def __init__(self, database: OutboxDatabase, follow_ups: FollowUps, results: Results) -> None:
        self._db = database
        self._follow_ups = follow_ups
        self._results = results

    def of(self, entry: Entry) -> Followed | None:
        """Return what came of one clip; None where it is no session."""
        follow_up = self._follow_ups.of_entry(entry.id)
        if follow_up is None:
            return None
        result = self._results.of_entry(entry.id)
        return Followed(entry=entry, follow_up=follow_up, result=result)

    def latest(
        self,
        *,
        since: float = 0.0,
        user_id: str | None = None,
        state: str | None = None,
        most: int = 1_000_000,
    ) -> list[Followed]:
        """Return the clips that became sessions, the latest first; no discarded ones.

        Args:
            since: only takes that were filmed (or else delivered) from that Unix time on.
            user_id: only this athlete's.
            state: only with a follow-up in this state.
            most: no more than so many.
        """
        wanted = {"since": since, "user": user_id, "state": state, "most": most}
        entries = [Entry.from_row(row) for row in self._db.rows(LATEST, wanted)]
        ids = [entry.id for entry in entries]
        follow_ups, results = self._follow_ups.of_entries(ids), self._results.of_entries(ids)
        return [
            Followed(entry=entry, follow_up=follow_ups[entry.id], result=results.get(entry.id))
            for entry in entries
            if entry.id in follow_ups
        ]


# A take is filmed before it is sent: what was sent earlier need not be looked at.  A camera's clock
# may run ahead, so the time of filming alone would not do.
LATEST = """
SELECT entry.* FROM entry JOIN follow_up ON follow_up.entry_id = entry.id
 WHERE entry.state IN ('uploaded', 'completed')
   AND entry.sent_at >= :since AND coalesce(entry.filmed_at, entry.sent_at) >= :since
   AND (:user IS NULL OR entry.user_id = :user)
   AND (:state IS NULL OR follow_up.state = :state)
 ORDER BY entry.sent_at DESC LIMIT :most
"""  # index: entry_by_sending
