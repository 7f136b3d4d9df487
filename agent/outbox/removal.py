"""Removes cleared files: mark the row, unlink, sync the folder, update the row."""

from collections.abc import Callable, Collection, Iterator
from functools import partial

import structlog

from agent.clock import Now
from agent.disk.state_folder import StateFolder, fsync_folder, note_of, part_of
from agent.failpoints import crash_point
from agent.outbox.models import Capture, Entry
from agent.outbox.outbox import Outbox
from agent.stage import StageName

log = structlog.get_logger(stage=StageName.RETENTION)


class FileRemover:
    """Removes clips and originals, each separately."""

    def __init__(self, outbox: Outbox, folder: StateFolder, *, now: Now) -> None:
        self._outbox = outbox
        self._folder = folder
        self._now = now

    def finish(self) -> None:
        """Finish what was begun and cut off.

        Raises:
            OSError: a file cannot be removed; all others were.
        """
        refused: OSError | None = None
        for remove in self._unfinished():
            try:
                remove()
            except OSError as error:
                refused = refused or error
        if refused is not None:
            raise refused

    def _unfinished(self) -> Iterator[Callable[[], None]]:
        for capture in self._outbox.clearing.unfinished_originals():
            yield partial(self._unlink_original, capture)
        for entry in self._outbox.clearing.unfinished_clips():
            yield partial(self._unlink_clip, entry)
        for entry_id, clip_code in self._outbox.result_clearing.unfinished().items():
            yield partial(self._unlink_results, entry_id, clip_code)

    def clear_results(self, entry_id: int) -> None:
        """Remove the files of what came back of a clip."""
        clip_code = self._outbox.result_clearing.begin(entry_id)
        if clip_code is not None:
            crash_point("results-clearing")
            self._unlink_results(entry_id, clip_code)

    def forget_results(self, clip_codes: Collection[str]) -> None:
        """Remove the files of clips of whose results nothing is on record any more."""
        for clip_code in clip_codes:
            video = self._folder.analysed_video(clip_code)
            parts = (note_of(video), part_of(video))
            for path in (*parts, *self._folder.result_files(clip_code)):
                path.unlink(missing_ok=True)
        fsync_folder(self._folder.results)

    def clear_original(self, capture_id: int) -> None:
        """Remove a capture's original, unless it may not go any more."""
        capture = self._outbox.clearing.begin_original(capture_id, now_s=self._now().utc_s)
        if capture is not None:
            crash_point("clearing")
            self._unlink_original(capture)

    def clear_clip(self, entry_id: int) -> None:
        """Remove a clip and its pictures, unless it may not go any more."""
        entry = self._outbox.clearing.begin_clip(entry_id, now_s=self._now().utc_s)
        if entry is not None:
            crash_point("clip-clearing")
            self._unlink_clip(entry)

    def _unlink_original(self, capture: Capture) -> None:
        original = self._folder.captures / capture.stored_name
        original.unlink(missing_ok=True)
        original.with_suffix(".json").unlink(missing_ok=True)
        (self._folder.pictures / original.name).with_suffix(".svg").unlink(missing_ok=True)
        self._folder.skeleton_of_recording(original.name).unlink(missing_ok=True)
        fsync_folder(self._folder.captures)
        crash_point("cleared")
        self._outbox.clearing.end_original(capture, now_s=self._now().utc_s)
        log.info("original cleared", capture=capture.name, bytes=capture.facts.size_bytes)

    def _unlink_results(self, entry_id: int, clip_code: str) -> None:
        self.forget_results([clip_code])
        crash_point("results-cleared")
        self._outbox.result_clearing.end(entry_id)
        log.info("results cleared", entry=f"e{entry_id}", clip=clip_code)

    def _unlink_clip(self, entry: Entry) -> None:
        (self._folder.clips / entry.stored_name).unlink(missing_ok=True)
        for path in self._folder.beside_clip(entry.clip_code):
            path.unlink(missing_ok=True)
        fsync_folder(self._folder.clips)
        crash_point("clip-cleared")
        self._outbox.clearing.end_clip(entry, now_s=self._now().utc_s)
        log.info("clip cleared", entry=entry.name, clip=entry.clip_code, bytes=entry.clip_bytes)
