"""Which results may go, and that they are going: they can be had from the API again.

Of all that is kept they go first where space is short.  The key numbers stay in their row.
"""

from collections.abc import Mapping

from agent.outbox.database import OutboxDatabase


class ResultClearing:
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
