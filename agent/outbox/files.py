"""Rows and their files: what should be on the disk, what is damaged, what was repaired."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.outbox.database import OutboxDatabase
from agent.outbox.models import SMALLER, Capture, ClipFile, ClipSource, Entry
from agent.outbox.states import UNSETTLED_ENTRIES, EntryState, FileState, Reason
from agent.text import plain_name


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a row stands for."""

    id: int
    stored_name: str
    size_bytes: int
    state: str


class Files:
    """The files behind the rows."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def captures(self) -> Iterator[StoredFile]:
        """Yield the captures whose originals should be there."""
        yield from self._on_disk(CAPTURES)

    def clips(self) -> Iterator[StoredFile]:
        """Yield the clips that should be there."""
        yield from self._on_disk(CLIPS)

    def _on_disk(self, query: str) -> Iterator[StoredFile]:
        for row in self._db.rows(query):
            named = {**row, "stored_name": plain_name(row["stored_name"])}
            yield StoredFile(*named.values())  # type: ignore[arg-type]  # STRICT tables keep the types

    def known(self, stored_name: str) -> bool:
        """Tell whether a clip file has a row."""
        return self._db.row(KNOWN_CLIP, (stored_name.partition(".")[0],)) is not None

    def known_capture(self, sha256: str) -> bool:
        """Tell whether a capture with this content has a row."""
        return self._db.row(KNOWN_CAPTURE, (sha256,)) is not None

    def note_gone(self, kind: str, row_id: int, *, now_s: float) -> None:
        """Record that a file, of which nothing undelivered needs it, is not there any more."""
        self._db.change(
            f"UPDATE {kind} SET file_state = 'cleared', changed_at = ? WHERE id = ?",  # noqa: S608  # capture or entry
            (now_s, row_id),
        )

    def note_damage(self, entry_id: int, *, now_s: float) -> Entry | None:
        """Record that an undelivered clip's file is missing or torn: it is not sent like that.

        What was ready is held, until it is cut again; what waits anyway goes on waiting.
        """
        row = self._db.row(NOTE_DAMAGE, {"id": entry_id, "now": now_s})
        return None if row is None else Entry.from_row(row)

    def forget_settled_damage(self) -> None:
        """Let damaged clips that nobody waits for any more be cleared away like others."""
        self._db.change(SETTLED_DAMAGE)

    def damaged(self) -> list[Entry]:
        """Return the undelivered clips whose file is damaged, oldest first."""
        rows = {row["id"]: row for query in DAMAGED for row in self._db.rows(query)}
        entries = [Entry.from_row(row) for row in rows.values()]
        return sorted(
            (entry for entry in entries if entry.state in UNSETTLED_ENTRIES),
            key=lambda entry: entry.id,
        )

    def sources(self, entry_id: int) -> list[tuple[ClipSource, Capture]]:
        """Return what a clip was cut from, in order."""
        return [
            (
                ClipSource(
                    capture_id=capture.id,
                    take_number=int(str(row["take_number"])),
                    start_s=float(str(row["start_s"])),
                    end_s=float(str(row["end_s"])),
                ),
                capture,
            )
            for row in self._db.rows(SOURCES, (entry_id,))
            for capture in [Capture.from_row(row)]
        ]

    def mend(self, entry: Entry, clip: ClipFile, *, now_s: float) -> Entry | None:
        """Record that a clip was cut again; what was held for its damage alone is ready again."""
        remarks = tuple(remark for remark in entry.remarks if remark != SMALLER)
        return self._cut_again(entry, clip, remarks, heals=Reason.CLIP_DAMAGED, now_s=now_s)

    def make_smaller(self, entry: Entry, clip: ClipFile, *, now_s: float) -> Entry | None:
        """Record that a clip was made smaller; what was held for its size is ready again."""
        remarks = (*entry.remarks, SMALLER)
        return self._cut_again(entry, clip, remarks, heals=Reason.TOO_LARGE, now_s=now_s)

    def _cut_again(
        self, entry: Entry, clip: ClipFile, remarks: Sequence[str], *, heals: Reason, now_s: float
    ) -> Entry | None:
        was_held_for_it = entry.state is EntryState.HELD and entry.reason == heals
        # It may have waited for the next recording, which its damage took the place of.
        healed = Reason.NEXT_RECORDING if entry.due_at > now_s else None
        row = self._db.row(
            MEND,
            {
                "id": entry.id,
                "fence": entry.fence,
                "state": EntryState.READY if was_held_for_it else entry.state,
                "reason": healed if was_held_for_it else entry.reason,
                "name": clip.stored_name,
                "sha256": clip.sha256,
                "bytes": clip.size_bytes,
                "seconds": clip.seconds,
                "method": clip.cut_method,
                "why": clip.cut_why,
                "remarks": json.dumps(remarks),
                "file_state": FileState.PRESENT,
                "now": now_s,
            },
        )
        return None if row is None else Entry.from_row(row)


CAPTURES = "SELECT id, stored_name, bytes, state FROM capture WHERE file_state = 'present'"
CLIPS = "SELECT id, stored_name, clip_bytes, state FROM entry WHERE file_state = 'present'"
KNOWN_CLIP = "SELECT 1 AS one FROM entry WHERE clip_code = ?"
KNOWN_CAPTURE = "SELECT 1 AS one FROM capture WHERE sha256 = ?"

NOTE_DAMAGE = """
UPDATE entry SET file_state = 'damaged', fence = fence + 1, changed_at = :now,
       reason = CASE state WHEN 'ready' THEN 'clip_damaged' ELSE reason END,
       state = CASE state WHEN 'ready' THEN 'held' ELSE state END
 WHERE id = :id AND state IN ('ready', 'held', 'uncertain', 'dead') RETURNING *
"""

DAMAGED = (
    "SELECT * FROM entry WHERE file_state = 'damaged'",
    "SELECT * FROM entry WHERE state = 'held' AND reason = 'clip_damaged'",
)

SETTLED_DAMAGE = """
UPDATE entry SET file_state = 'present'
 WHERE file_state = 'damaged' AND state IN ('uploaded', 'completed', 'discarded')
"""

SOURCES = """
SELECT capture.*, entry_capture.take_number, entry_capture.start_s, entry_capture.end_s
  FROM entry_capture JOIN capture ON capture.id = entry_capture.capture_id
 WHERE entry_capture.entry_id = ? ORDER BY entry_capture.position
"""

MEND = """
UPDATE entry SET file_state = :file_state, stored_name = :name, clip_sha256 = :sha256,
       clip_bytes = :bytes, clip_seconds = :seconds, cut_method = :method, cut_why = :why,
       remarks = :remarks,
       state = :state, reason = :reason, fence = fence + 1, changed_at = :now
 WHERE id = :id AND fence = :fence RETURNING *
"""


# Beside the clips of a capture that was looked into, none may wait; a capture that is looked into
# again is `captured`, and one that cannot be read waits for a person.
ALL_DELIVERED = """
NOT EXISTS (SELECT 1 FROM entry_capture JOIN entry ON entry.id = entry_capture.entry_id
             WHERE entry_capture.capture_id = capture.id
               AND entry.state NOT IN ('uploaded', 'completed', 'discarded'))
"""
