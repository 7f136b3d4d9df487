"""Clips of neighbouring captures: what a take may be a part of, and what waits for the next one."""

from dataclasses import dataclass

from agent.outbox.capture import Capture, Take
from agent.outbox.captures import Captures
from agent.outbox.database import OutboxDatabase
from agent.outbox.entries import Entries
from agent.outbox.entry import Entry, Source
from agent.outbox.states import EntryState, FileState, Reason
from agent.outbox.takes import Takes

RECENT = 8  # captures; one station's recordings come one after the other

# Ended because another clip took its place, or because a setting says so of whatever is like it.
_NOT_SHOWN = frozenset(
    {
        Reason.JOINED,
        Reason.LOOKED_AGAIN,
        Reason.GREW_AFTER_ADMISSION,
        Reason.SENT_ANEW,
        Reason.UNASSIGNED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A clip, and what it was cut from, in order."""

    entry: Entry
    sources: tuple[Source, ...]
    captures: tuple[Capture, ...]
    takes: tuple[Take, ...]

    @property
    def is_open(self) -> bool:
        """Whether it may still become a part of a longer clip: nobody tried or decided on it."""
        return (
            self.entry.state in {EntryState.READY, EntryState.HELD}
            and self.entry.fence == 0
            and self.entry.reason != Reason.SAME_MOMENT
            and self.entry.cut_method != "whole"
            and all(capture.file_state is FileState.PRESENT for capture in self.captures)
        )


class Joins:
    """Which clips hold what is close to a capture."""

    def __init__(
        self, database: OutboxDatabase, captures: Captures, takes: Takes, entries: Entries
    ) -> None:
        self._db = database
        self._captures = captures
        self._takes = takes
        self._entries = entries

    def near(self, capture: Capture) -> list[Neighbour]:
        """Return the clips of captures taken in shortly before or after, the closest first."""
        rows = self._db.rows(NEAR, {"capture": capture.id, "most": RECENT})
        entry_ids = dict.fromkeys(int(str(row["entry_id"])) for row in rows)
        found = (self._neighbour(entry_id) for entry_id in entry_ids)
        return [neighbour for neighbour in found if neighbour is not None]

    def waiting(self) -> list[tuple[Entry, list[Capture]]]:
        """Return the clips that wait for the next recording, with what they were cut from."""
        rows = self._db.rows(WAITING, {"reason": Reason.NEXT_RECORDING})
        entries = [Entry.from_row(row) for row in rows]
        return [(entry, [c for _, c in self._cut_from(entry.id)]) for entry in entries]

    def behind(self, capture: Capture) -> list[Capture]:
        """Return the captures that were taken in behind one, the oldest first."""
        rows = self._db.rows(
            "SELECT * FROM capture WHERE id > ? AND id <= ? ORDER BY id",
            (capture.id, capture.id + 8 * RECENT),
        )
        return [Capture.from_row(row) for row in rows]

    def let_go(self, entry: Entry, *, due_at: float) -> None:
        """Let a clip that waited for the next recording be sent as it is."""
        self._db.change(
            """
            UPDATE entry SET due_at = ?, reason = NULL
             WHERE id = ? AND state = 'ready' AND reason = ? AND fence = ?
            """,
            (due_at, entry.id, Reason.NEXT_RECORDING, entry.fence),
        )

    def _neighbour(self, entry_id: int) -> Neighbour | None:
        entry = self._entries.by_id(entry_id)
        assert entry is not None  # it was found by its id
        if entry.state is EntryState.DISCARDED and entry.reason in _NOT_SHOWN:
            return None
        cut_from = self._cut_from(entry_id)
        takes = [
            take
            for source, capture in cut_from
            for take in self._takes.of(capture)
            if take.number == source.take_number
        ]
        if not takes or len(takes) != len(cut_from):
            return None
        return Neighbour(
            entry=entry,
            sources=tuple(source for source, _ in cut_from),
            captures=tuple(capture for _, capture in cut_from),
            takes=tuple(takes),
        )

    def _cut_from(self, entry_id: int) -> list[tuple[Source, Capture]]:
        rows = self._db.rows(
            """
            SELECT capture_id, take_number, start_s, end_s FROM entry_capture
             WHERE entry_id = ? ORDER BY position
            """,
            (entry_id,),
        )
        sources = [Source(**row) for row in rows]  # type: ignore[arg-type]  # SQLite's STRICT tables keep the types
        found = [(source, self._captures.by_id(source.capture_id)) for source in sources]
        return [(source, capture) for source, capture in found if capture is not None]


NEAR = """
SELECT entry_id FROM entry_capture
 WHERE capture_id BETWEEN :capture - :most AND :capture + :most AND capture_id != :capture
 ORDER BY abs(capture_id - :capture), entry_id
"""  # index: entry_capture_by_capture

WAITING = """
SELECT * FROM entry WHERE state = 'ready' AND reason = :reason ORDER BY id
"""  # index: entry_by_state_and_due
