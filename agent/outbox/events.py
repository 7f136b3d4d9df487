"""Events: every change of a capture or an entry, in order; written by triggers."""

from dataclasses import dataclass
from enum import StrEnum

from agent.outbox.database import OutboxDatabase, Row


class EventKind(StrEnum):
    """What changed."""

    STATE = "state"
    FILE = "file"  # whether it is still on the disk
    ATHLETE = "athlete"
    ATTEMPT = "attempt"  # begun; its own row says how it ended
    FOLLOW_UP = "follow_up"  # what is known of its session's analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change, as its row stands."""

    id: int  # in the order in which they happened, whatever the clock said
    at: float  # Unix time
    what: EventKind
    word: str | None  # the new state, file state or user_id; an attempt's id
    reason: str | None
    detail: str | None

    @classmethod
    def from_row(cls, row: Row) -> "Event":
        """Build an event from a row of its table."""
        plain = {name: row[name] for name in ("id", "at", "word", "reason", "detail")}
        return cls(what=EventKind(str(row["what"])), **plain)  # type: ignore[arg-type]  # STRICT tables keep the types


class Events:
    """The table of events."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def of_capture(self, capture_id: int) -> list[Event]:
        """Return what happened to a capture, oldest first."""
        return self._of("SELECT * FROM event WHERE capture_id = ? ORDER BY id", capture_id)

    def of_entry(self, entry_id: int) -> list[Event]:
        """Return what happened to an entry, oldest first."""
        return self._of("SELECT * FROM event WHERE entry_id = ? ORDER BY id", entry_id)

    def recent(self, *, most: int) -> list[tuple[str, Event]]:
        """Return what last happened to anything, oldest first, each with its name (c12, e7)."""
        rows = self._db.rows(RECENT, (most,))
        return [(_subject(row), Event.from_row(row)) for row in reversed(rows)]

    def _of(self, query: str, row_id: int) -> list[Event]:
        return [Event.from_row(row) for row in self._db.rows(query, (row_id,))]


def _subject(row: Row) -> str:
    entry, capture = row["entry_id"], row["capture_id"]
    return f"c{capture}" if entry is None else f"e{entry}"


RECENT = """
SELECT * FROM event WHERE id > (SELECT max(id) FROM event) - ? ORDER BY id DESC
"""
