"""Files of rows: what should be on the disk, what is damaged, and which files may be removed.

Undelivered is never among the removable: a file may go when each clip that was cut of it is
acknowledged by the API, or was discarded by a person or by a setting a person chose; or when no
take was found in it.  The UPDATE that begins a removal asks for that once more.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.outbox.database import OutboxDatabase
from agent.outbox.models import SMALLER, Capture, ClipFile, Entry
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
            yield StoredFile(*named.values())

    def known(self, stored_name: str) -> bool:
        """Tell whether a clip file has a row."""
        return self._db.has(KNOWN_CLIP, (stored_name.partition(".")[0],))

    def known_capture(self, sha256: str) -> bool:
        """Tell whether a capture with this content has a row."""
        return self._db.has(KNOWN_CAPTURE, (sha256,))

    def note_gone(self, kind: str, row_id: int, *, now_s: float) -> None:
        """Record that a file, of which nothing undelivered needs it, is not there any more."""
        self._db.change(
            f"UPDATE {kind} SET file_state = 'cleared', changed_at = ? WHERE id = ?",  # noqa: S608  # capture or entry
            (now_s, row_id),
        )

    def note_damage(self, entry_id: int, *, now_s: float) -> Entry | None:
        """Record that an undelivered clip's file is missing or torn: it is not sent like that.

        What was ready is held, until it is cut again; what waits anyway keeps waiting.
        """
        return self._db.one(Entry.from_row, NOTE_DAMAGE, {"id": entry_id, "now": now_s})

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
        return self._db.one(
            Entry.from_row,
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


CAPTURES = "SELECT id, stored_name, bytes, state FROM capture WHERE file_state = 'present'"
CLIPS = "SELECT id, stored_name, clip_bytes, state FROM entry WHERE file_state = 'present'"
KNOWN_CLIP = "SELECT 1 FROM entry WHERE clip_code = ?"
KNOWN_CAPTURE = "SELECT 1 FROM capture WHERE sha256 = ?"

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

MEND = """
UPDATE entry SET file_state = :file_state, stored_name = :name, clip_sha256 = :sha256,
       clip_bytes = :bytes, clip_seconds = :seconds, cut_method = :method, cut_why = :why,
       remarks = :remarks,
       state = :state, reason = :reason, fence = fence + 1, changed_at = :now
 WHERE id = :id AND fence = :fence RETURNING *
"""


# Beside the clips of a capture that was analysed, none may wait; a capture that is analysed
# again is `captured`, and one that cannot be read waits for a person.
ALL_DELIVERED = """
NOT EXISTS (SELECT 1 FROM entry_capture JOIN entry ON entry.id = entry_capture.entry_id
             WHERE entry_capture.capture_id = capture.id
               AND entry.state NOT IN ('uploaded', 'completed', 'discarded'))
"""


class CleanupQueries:
    """Files on their way off the disk."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def originals(self, *, delivered_before: float, skipped_before: float, most: int) -> list[int]:
        """Return the captures whose originals may go, oldest first.

        Args:
            delivered_before: those whose last clip was delivered before that Unix time.
            skipped_before: those without a take, from before that.
            most: no more than so many.
        """
        rows = self._db.rows(
            ORIGINALS,
            {"delivered": delivered_before, "skipped": skipped_before, "most": most},
        )
        return [int(row["id"]) for row in rows]

    def clips(self, *, delivered_before: float, most: int) -> list[int]:
        """Return the entries whose clips may go, oldest first."""
        rows = self._db.rows(REMOVABLE_CLIPS, {"delivered": delivered_before, "most": most})
        return [int(row["id"]) for row in rows]

    def begin_original(self, capture_id: int, *, now_s: float) -> Capture | None:
        """present -> clearing; None where the file may not go (any more)."""
        return self._db.one(Capture.from_row, BEGIN_ORIGINAL, {"id": capture_id, "now": now_s})

    def begin_clip(self, entry_id: int, *, now_s: float) -> Entry | None:
        """present -> clearing; None where the clip may not go (any more)."""
        return self._db.one(Entry.from_row, BEGIN_CLIP, {"id": entry_id, "now": now_s})

    def end_original(self, capture: Capture, *, now_s: float) -> None:
        """clearing -> cleared."""
        self._db.change(END_ORIGINAL, (FileState.CLEARED, now_s, capture.id))

    def end_clip(self, entry: Entry, *, now_s: float) -> None:
        """clearing -> cleared."""
        self._db.change(END_CLIP, (FileState.CLEARED, now_s, entry.id))

    def unfinished_originals(self) -> list[Capture]:
        """Return the captures whose clearing was begun and not finished."""
        return self._db.all(
            Capture.from_row, "SELECT * FROM capture WHERE file_state = 'clearing' ORDER BY id"
        )

    def unfinished_clips(self) -> list[Entry]:
        """Return the entries whose clip's clearing was begun and not finished."""
        return self._db.all(
            Entry.from_row, "SELECT * FROM entry WHERE file_state = 'clearing' ORDER BY id"
        )


_LAST_DELIVERED_BEFORE = """
NOT EXISTS (SELECT 1 FROM entry_capture JOIN entry ON entry.id = entry_capture.entry_id
             WHERE entry_capture.capture_id = capture.id
               AND coalesce(entry.sent_at, entry.changed_at) >= :delivered)
"""

ORIGINALS = f"""
SELECT id FROM capture
 WHERE file_state = 'present' AND state IN ('analysed', 'discarded', 'skipped')
   AND ((state = 'skipped' AND changed_at < :skipped)
        OR (state != 'skipped' AND changed_at < :delivered AND {_LAST_DELIVERED_BEFORE}))
   AND {ALL_DELIVERED}
 ORDER BY id LIMIT :most
"""  # noqa: S608  # our own words; index: capture_weight

# What a person wants sent once more is needed for that, until it has begun.
_NOT_ASKED_FOR = """
NOT EXISTS (SELECT 1 FROM resend WHERE resend.entry_id = entry.id AND resend.state = 'asked')
"""

REMOVABLE_CLIPS = f"""
SELECT id FROM entry
 WHERE file_state = 'present' AND state IN ('uploaded', 'completed', 'discarded')
   AND coalesce(sent_at, changed_at) < :delivered AND {_NOT_ASKED_FOR}
 ORDER BY id LIMIT :most
"""  # noqa: S608  # our own words; index: entry_on_disk

# The fence rises, so that nobody who read the row before lets the analysis run again.
BEGIN_ORIGINAL = f"""
UPDATE capture SET file_state = 'clearing', fence = fence + 1, changed_at = :now
 WHERE id = :id AND file_state = 'present' AND state IN ('analysed', 'discarded', 'skipped')
   AND {ALL_DELIVERED}
RETURNING *
"""  # noqa: S608  # our own words

BEGIN_CLIP = f"""
UPDATE entry SET file_state = 'clearing', changed_at = :now
 WHERE id = :id AND file_state = 'present' AND state IN ('uploaded', 'completed', 'discarded')
   AND {_NOT_ASKED_FOR}
RETURNING *
"""  # noqa: S608  # our own words

END_ORIGINAL = """
UPDATE capture SET file_state = ?, changed_at = ? WHERE id = ? AND file_state = 'clearing'
"""
END_CLIP = """
UPDATE entry SET file_state = ?, changed_at = ? WHERE id = ? AND file_state = 'clearing'
"""


class ResultCleanup:
    """The files of results on their way off the disk."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def may_go(self, *, got_before: float, most: int) -> list[int]:
        """Return the entries whose results' files may go, oldest first."""
        rows = self._db.rows(MAY_GO, {"before": got_before, "most": most})
        return [int(row["entry_id"]) for row in rows]

    def begin(self, entry_id: int) -> str | None:
        """present -> clearing, and return the clip code; None where there is nothing to clear."""
        if not self._db.change(BEGIN, (entry_id,)):
            return None
        return self._db.value(str, "SELECT clip_code FROM entry WHERE id = ?", (entry_id,))

    def end(self, entry_id: int) -> None:
        """clearing -> cleared; nobody fetches it again automatically."""
        with self._db.transaction():
            self._db.change(FETCH_NO_MORE, (entry_id,))
            self._db.change(END, (entry_id,))

    def unfinished(self) -> Mapping[int, str]:
        """Return what was begun and not finished: clip codes by entry id."""
        return {int(row["id"]): str(row["clip_code"]) for row in self._db.rows(UNFINISHED)}

    def weight_bytes(self) -> int:
        """Return what the files of results take."""
        return sum(map(self._db.number, (DOCUMENT_WEIGHT, VIDEO_WEIGHT)))


# What is being fetched at this moment is none of them: it has no whole file yet.  Age counts from
# the day on which somebody wanted to see it last.
MAY_GO = """
SELECT entry_id FROM (
    SELECT entry_id, max(got_at, coalesce(video_at, got_at)) AS at FROM result
     WHERE document_state IN ('partial', 'present')
    UNION
    SELECT entry_id, max(got_at, coalesce(video_at, got_at)) AS at FROM result
     WHERE video_state = 'present'
) WHERE at < :before ORDER BY at LIMIT :most
"""  # index: result_on_disk, result_by_video
BEGIN = """
UPDATE result SET document_state = 'clearing'
 WHERE entry_id = ? AND (document_state IN ('partial', 'present') OR video_state = 'present')
"""
END = """
UPDATE result SET document_state = 'cleared', document_bytes = 0,
       video_state = iif(video_state = 'present', 'cleared', video_state),
       video_bytes = iif(video_state = 'present', 0, video_bytes)
 WHERE entry_id = ? AND document_state = 'clearing'
"""
FETCH_NO_MORE = """
UPDATE follow_up SET due_at = NULL, fence = fence + 1
 WHERE entry_id = ? AND state = 'completed' AND due_at IS NOT NULL
"""
UNFINISHED = """
SELECT entry.id, entry.clip_code FROM result JOIN entry ON entry.id = result.entry_id
 WHERE result.document_state = 'clearing'
"""  # index: result_on_disk
DOCUMENT_WEIGHT = """
SELECT coalesce(sum(document_bytes), 0) AS bytes FROM result
 WHERE document_state IN ('partial', 'present')
"""  # index: result_on_disk
VIDEO_WEIGHT = """
SELECT coalesce(sum(video_bytes), 0) AS bytes FROM result WHERE video_state = 'present'
"""  # index: result_by_video
