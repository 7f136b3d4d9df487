"""What a start sets right about analysed videos: all of them can be fetched again.

So what has no place goes, but for files that nobody here knows: those are set aside.
"""

from pathlib import Path

import structlog

from agent.clock import Now
from agent.outbox.disk.folders import StateFolder, fsync_folder, quarantine, remove
from agent.outbox.results.videos import VideoState
from agent.outbox.states import EntryState
from agent.outbox.store import Outbox
from agent.stage import StageName

_OF_RESULTS = frozenset({EntryState.UPLOADED, EntryState.COMPLETED})

log = structlog.get_logger(stage=StageName.START)


class VideoRepair:
    """Brings videos and their rows together again."""

    def __init__(self, outbox: Outbox, folder: StateFolder, *, now: Now) -> None:
        self._outbox = outbox
        self._folder = folder
        self._now = now

    def run(self) -> None:
        """Look at everything once."""
        videos = self._outbox.videos
        videos.resume_interrupted()
        due = videos.present()
        for path in self._folder.files_in(self._folder.results):
            code, _, kind = path.name.partition(".")
            if kind == "mp4" and code in due and path.stat().st_size == due[code][1]:
                del due[code]
            elif kind == "mp4":
                self._place(code, path)
            elif kind in {"mp4.part", "mp4.note"} and self._state(code) is not VideoState.WANTED:
                remove(path)
        for code, (entry_id, _) in due.items():
            log.warning("analysed video lost", clip=code)
            videos.lose(entry_id)
        fsync_folder(self._folder.results)

    def _place(self, code: str, path: Path) -> None:
        """Adopt a file whose row was not written yet; it got its name when it was whole."""
        entry = self._outbox.entries.by_code(code)
        if entry is None:
            quarantine(path, self._folder, why="no clip has this name")
            return
        size = path.stat().st_size
        is_ours = entry.state in _OF_RESULTS and size > 0
        if not (is_ours and self._outbox.videos.place(entry.id, size, now_s=self._now().utc_s)):
            remove(path)

    def _state(self, code: str) -> VideoState | None:
        entry = self._outbox.entries.by_code(code)
        return None if entry is None else self._outbox.videos.state(entry.id)
