"""Which files may be removed: every query that leads to an unlink.

Undelivered is never among them: a file may go when each clip that was cut of it is acknowledged
by the API, or was discarded by a person or by a setting a person chose; or when nobody made an
effort in it.  The UPDATE that begins a clearing asks for that once more.
"""

from collections.abc import Mapping

from agent.outbox.database import OutboxDatabase
from agent.outbox.files import ALL_DELIVERED
from agent.outbox.models import Capture, Entry
from agent.outbox.states import FileState


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
        return [int(str(row["id"])) for row in rows]

    def clips(self, *, delivered_before: float, most: int) -> list[int]:
        """Return the entries whose clips may go, oldest first."""
        rows = self._db.rows(CLIPS, {"delivered": delivered_before, "most": most})
        return [int(str(row["id"])) for row in rows]

    def begin_original(self, capture_id: int, *, now_s: float) -> Capture | None:
        """present -> clearing; None where the file may not go (any more)."""
        row = self._db.row(BEGIN_ORIGINAL, {"id": capture_id, "now": now_s})
        return None if row is None else Capture.from_row(row)

    def begin_clip(self, entry_id: int, *, now_s: float) -> Entry | None:
        """present -> clearing; None where the clip may not go (any more)."""
        row = self._db.row(BEGIN_CLIP, {"id": entry_id, "now": now_s})
        return None if row is None else Entry.from_row(row)

    def end_original(self, capture: Capture, *, now_s: float) -> None:
        """clearing -> cleared."""
        self._db.change(END_ORIGINAL, (FileState.CLEARED, now_s, capture.id))

    def end_clip(self, entry: Entry, *, now_s: float) -> None:
        """clearing -> cleared."""
        self._db.change(END_CLIP, (FileState.CLEARED, now_s, entry.id))

    def unfinished_originals(self) -> list[Capture]:
        """Return the captures whose clearing was begun and not finished."""
        rows = self._db.rows("SELECT * FROM capture WHERE file_state = 'clearing' ORDER BY id")
        return [Capture.from_row(row) for row in rows]

    def unfinished_clips(self) -> list[Entry]:
        """Return the entries whose clip's clearing was begun and not finished."""
        rows = self._db.rows("SELECT * FROM entry WHERE file_state = 'clearing' ORDER BY id")
        return [Entry.from_row(row) for row in rows]


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

CLIPS = """
SELECT id FROM entry
 WHERE file_state = 'present' AND state IN ('uploaded', 'completed', 'discarded')
   AND coalesce(sent_at, changed_at) < :delivered
 ORDER BY id LIMIT :most
"""  # index: entry_on_disk

# The fence rises, so that nobody who read the row before lets the analysis look again.
BEGIN_ORIGINAL = f"""
UPDATE capture SET file_state = 'clearing', fence = fence + 1, changed_at = :now
 WHERE id = :id AND file_state = 'present' AND state IN ('analysed', 'discarded', 'skipped')
   AND {ALL_DELIVERED}
RETURNING *
"""  # noqa: S608  # our own words

BEGIN_CLIP = """
UPDATE entry SET file_state = 'clearing', changed_at = :now
 WHERE id = :id AND file_state = 'present' AND state IN ('uploaded', 'completed', 'discarded')
RETURNING *
"""

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
        return [int(str(row["entry_id"])) for row in rows]

    def begin(self, entry_id: int) -> str | None:
        """present -> clearing, and return the clip code; None where there is nothing to clear."""
        if not self._db.change(BEGIN, (entry_id,)):
            return None
        row = self._db.row("SELECT clip_code FROM entry WHERE id = ?", (entry_id,))
        assert row is not None  # rows are never deleted
        return str(row["clip_code"])

    def end(self, entry_id: int) -> None:
        """clearing -> cleared; nobody fetches it again by itself."""
        with self._db.transaction():
            self._db.change(FETCH_NO_MORE, (entry_id,))
            self._db.change(END, (entry_id,))

    def unfinished(self) -> Mapping[int, str]:
        """Return what was begun and not finished: clip codes by entry id."""
        return {int(str(row["id"])): str(row["clip_code"]) for row in self._db.rows(UNFINISHED)}

    def weight_bytes(self) -> int:
        """Return what the files of results take."""
        rows = [self._db.row(query) for query in (DOCUMENT_WEIGHT, VIDEO_WEIGHT)]
        return sum(int(str(row["bytes"])) for row in rows if row is not None)


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
