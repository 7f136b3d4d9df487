"""Analysed videos: which are wished for, which are here.  Each can be had from the API again.

none | cleared | failed -> wanted -> fetching -> present | wanted | failed; present -> cleared.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from agent.outbox.database import OutboxDatabase, Row


class VideoState(StrEnum):
    """What there is of an analysed video."""

    NONE = "none"
    WANTED = "wanted"
    FETCHING = "fetching"  # in the hands of the one living daemon
    PRESENT = "present"
    CLEARED = "cleared"  # was here, and went for its age or for space
    FAILED = "failed"  # not fetched, and why is on record


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An analysed video that is wished for."""

    entry_id: int
    clip_code: str
    activity: str
    session_id: str
    link: str | None = field(repr=False)  # signed: as it was told the last time

    @classmethod
    def from_row(cls, row: Row) -> "Wanted":
        """Build it from a row of its query."""
        return cls(**{name: row[name] for name in cls.__slots__})  # type: ignore[arg-type]  # STRICT tables keep the types


class Videos:
    """The columns about videos in the table of results."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def want(self, entry_id: int, *, now_s: float) -> VideoState | None:
        """Wish for a clip's analysed video; return what there is of it, None for no result."""
        self._db.change(WANT, {"id": entry_id, "now": now_s})
        return self.state(entry_id)

    def want_all(self, *, got_after: float, now_s: float) -> int:
        """Wish for every video that was never wished for, of results from then on."""
        return self._db.change(WANT_ALL, {"after": got_after, "now": now_s})

    def state(self, entry_id: int) -> VideoState | None:
        """Return what there is of a clip's analysed video; None where there is no result."""
        row = self._db.row("SELECT video_state FROM result WHERE entry_id = ?", (entry_id,))
        return None if row is None else VideoState(str(row["video_state"]))

    def wanted(self, *, most: int) -> list[Wanted]:
        """Return what is wished for, the latest takes first."""
        return [Wanted.from_row(row) for row in self._db.rows(WANTED, (most,))]

    def of_entry(self, entry_id: int) -> Wanted | None:
        """Return what is needed to fetch a clip's analysed video, wished for or not."""
        row = self._db.row(f"{_JOINED} WHERE result.entry_id = ?", (entry_id,))
        return None if row is None else Wanted.from_row(row)

    def begin(self, entry_id: int) -> bool:
        """wanted -> fetching."""
        return self._move(entry_id, VideoState.WANTED, VideoState.FETCHING)

    def put_back(self, entry_id: int, detail: str | None) -> bool:
        """fetching -> wanted: it comes another time, from where it broke off."""
        return self._move(entry_id, VideoState.FETCHING, VideoState.WANTED, detail)

    def fail(self, entry_id: int, detail: str) -> bool:
        """fetching -> failed, until somebody wishes for it again."""
        return self._move(entry_id, VideoState.FETCHING, VideoState.FAILED, detail)

    def place(self, entry_id: int, size_bytes: int, *, now_s: float) -> bool:
        """fetching | wanted | none -> present; False where it is not wished for any more."""
        return bool(self._db.change(PLACE, {"id": entry_id, "bytes": size_bytes, "now": now_s}))

    def lose(self, entry_id: int) -> None:
        """present -> none: its file is not there, or torn."""
        self._db.change(LOSE, (entry_id,))

    def oldest_present(self, *, but: int, older_than: int | None = None) -> int | None:
        """Return the entry of the oldest take whose video is here, or None.

        Args:
            but: not this one.
            older_than: only of entries before this one.
        """
        row = self._db.row(OLDEST, {"but": but, "before": older_than or _ANY})
        return None if row is None else int(str(row["entry_id"]))

    def resume_interrupted(self) -> int:
        """Put back what the last run, or a step that failed, held in its hands."""
        return self._db.change(RESUME)

    def present(self) -> dict[str, tuple[int, int]]:
        """Return entry id and size of every video that should be here, by its clip code."""
        return {
            str(row["clip_code"]): (int(str(row["id"])), int(str(row["video_bytes"])))
            for row in self._db.rows(PRESENT)
        }

    def _move(
        self, entry_id: int, leaves: VideoState, to: VideoState, detail: str | None = None
    ) -> bool:
        return bool(self._db.change(MOVE, (to, detail, entry_id, leaves)))


_ANY = 1 << 62  # more than any id
_JOINED = """
SELECT result.entry_id, entry.clip_code, entry.activity, result.session_id,
       result.analysed_video_url AS link
  FROM result JOIN entry ON entry.id = result.entry_id
"""
WANTED = f"""
{_JOINED} WHERE result.video_state = 'wanted' ORDER BY result.entry_id DESC LIMIT ?
"""  # index: result_by_video
PRESENT = """
SELECT entry.id, entry.clip_code, result.video_bytes
  FROM result JOIN entry ON entry.id = result.entry_id WHERE result.video_state = 'present'
"""  # index: result_by_video
OLDEST = """
SELECT entry_id FROM result
 WHERE video_state = 'present' AND entry_id != :but AND entry_id < :before
 ORDER BY entry_id LIMIT 1
"""  # index: result_by_video
WANT = """
UPDATE result SET video_state = 'wanted', video_detail = NULL, video_at = :now
 WHERE entry_id = :id AND video_state IN ('none', 'cleared', 'failed')
"""
WANT_ALL = """
UPDATE result SET video_state = 'wanted', video_detail = NULL, video_at = :now
 WHERE video_state = 'none' AND got_at > :after
"""  # index: result_by_video
MOVE = """
UPDATE result SET video_state = ?, video_detail = ? WHERE entry_id = ? AND video_state = ?
"""
PLACE = """
UPDATE result SET video_state = 'present', video_detail = NULL, video_bytes = :bytes,
                  video_at = :now
 WHERE entry_id = :id AND video_state IN ('fetching', 'wanted', 'none')
"""
LOSE = """
UPDATE result SET video_state = 'none', video_bytes = 0
 WHERE entry_id = ? AND video_state = 'present'
"""
RESUME = "UPDATE result SET video_state = 'wanted' WHERE video_state = 'fetching'"
