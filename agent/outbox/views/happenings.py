"""What happened to clips and their sessions, in order: the feed from which notices are made."""

from dataclasses import dataclass

from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.entry import Entry
from agent.outbox.events import EventKind

# What may be worth a notice; `before` tells a clip's arrival from its return.
AFTER = """
SELECT entry.*, event.id AS event_id, event.at AS event_at, event.what, event.word,
       event.reason AS event_reason,
       (SELECT earlier.word FROM event AS earlier
         WHERE earlier.entry_id = event.entry_id AND earlier.id < event.id
           AND earlier.what = 'state'
         ORDER BY earlier.id DESC LIMIT 1) AS before
  FROM event CROSS JOIN entry ON entry.id = event.entry_id
 WHERE event.id > ?
   AND ((event.what = 'state' AND event.word IN ('ready', 'held', 'dead', 'uploaded', 'completed'))
        OR (event.what = 'follow_up' AND event.word IN ('failed', 'gone', 'not_seen')))
 ORDER BY event.id LIMIT ?
"""  # index: the event's own number


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One change of a clip's state or its session's, and the clip as it stands now."""

    event_id: int  # in the order in which they happened
    at: float  # Unix time
    state: str  # the new one
    before: str | None  # the state that it left; None: the clip was made
    reason: str | None
    entry: Entry
    what: EventKind = EventKind.STATE

    @classmethod
    def from_row(cls, row: Row) -> "Happening":
        """Build it from a row of the feed."""
        return cls(
            event_id=int(str(row["event_id"])),
            at=float(str(row["event_at"])),
            state=str(row["word"]),
            before=None if row["before"] is None else str(row["before"]),
            reason=None if row["event_reason"] is None else str(row["event_reason"]),
            entry=Entry.from_row(row),
            what=EventKind(str(row["what"])),
        )


class Happenings:
    """Read-only: the feed."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def after(self, event_id: int, *, most: int) -> list[Happening]:
        """Return what happened after an event, oldest first."""
        return [Happening.from_row(row) for row in self._db.rows(AFTER, (event_id, most))]

    def latest(self) -> int:
        """Return the number of the last event of all; 0 where there is none."""
        row = self._db.row("SELECT max(id) AS id FROM event")
        return 0 if row is None or row["id"] is None else int(str(row["id"]))
