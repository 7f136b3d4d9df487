"""What a start sets right: every row's file is looked at, every file without a row is placed.

Sizes are compared at once; whole clips are hashed when they are about to be sent, so that a start
with a thousand of them takes no longer than one with ten.  Nothing that may be the only copy of
something is deleted: what has no place goes into the folder `set-aside`.
"""

import glob
import stat
from pathlib import Path

import structlog

from agent.clock import Now
from agent.outbox.clip_code import derive_clip_code
from agent.outbox.disk.folders import StateFolder, quarantine, remove
from agent.outbox.files import OnDisk
from agent.outbox.journal.sidecars import SIDECAR_SUFFIX, is_unfinished_sidecar
from agent.outbox.repair.results import ResultRepair
from agent.outbox.repair.videos import VideoRepair
from agent.outbox.states import UNSETTLED_ENTRIES, CaptureState, Reason
from agent.outbox.store import Outbox
from agent.stage import StageName

_STRIP = "-strip"

log = structlog.get_logger(stage=StageName.START)


class Repair:
    """Brings rows and files of a state folder together again."""

    def __init__(self, outbox: Outbox, folder: StateFolder, *, now: Now) -> None:
        self._outbox = outbox
        self._folder = folder
        self._now = now

    def run(self) -> None:
        """Look at everything once."""
        for capture in self._outbox.files.captures():
            path = self._folder.captures / capture.stored_name
            if _size(path) < capture.size_bytes:  # one that grew is dealt with when it is sent
                self._capture_is_damaged(capture, path)
        self._outbox.files.forget_settled_damage()
        for clip in self._outbox.files.clips():
            path = self._folder.clips / clip.stored_name
            if _size(path) != clip.size_bytes:
                self._clip_is_damaged(clip, path)
        self._place_strays(self._codes_to_come())
        ResultRepair(self._outbox, self._folder, now=self._now).run()
        VideoRepair(self._outbox, self._folder, now=self._now).run()

    def _capture_is_damaged(self, capture: OnDisk, path: Path) -> None:
        """Keep what is left of it; one that was not looked into yet waits for a person."""
        exists = path.exists()
        log.error("capture file damaged", capture=f"c{capture.id}", missing=not exists)
        if capture.state != CaptureState.CAPTURED:
            if exists:
                quarantine(path, self._folder, why="it is shorter than it was")
            self._outbox.files.note_gone("capture", capture.id, now_s=self._now().utc_s)
            return
        found = self._outbox.captures.by_id(capture.id)
        assert found is not None  # rows are never deleted
        reason = Reason.CAPTURE_DAMAGED if exists else Reason.CAPTURE_MISSING
        self._outbox.captures.move(
            found, CaptureState.QUARANTINED, now_s=self._now().utc_s, reason=reason
        )

    def _clip_is_damaged(self, clip: OnDisk, path: Path) -> None:
        now_s = self._now().utc_s
        if clip.state in UNSETTLED_ENTRIES:
            log.error("clip file damaged", entry=f"e{clip.id}", missing=not path.exists())
            self._outbox.files.note_damage(clip.id, now_s=now_s)
        elif not path.exists():
            log.warning("clip file lost", entry=f"e{clip.id}", state=clip.state)
            self._outbox.files.note_gone("entry", clip.id, now_s=now_s)

    def _place_strays(self, to_come: set[str]) -> None:
        """Quarantine clips and pictures that belong to nothing; leave those that are to come."""
        files = self._outbox.files
        for path in self._folder.files_in(self._folder.clips):
            code = path.name.partition(".")[0]
            if is_unfinished_sidecar(path):
                remove(path)
            elif path.suffix == SIDECAR_SUFFIX and not _has_video(path):
                if not files.known(code):
                    self._put_aside(path)
            elif code not in to_come and not files.known(path.name):
                self._put_aside(path)
        for path in self._folder.files_in(self._folder.pictures):
            code = path.stem.removesuffix(_STRIP)
            known = files.known_capture(code) if path.suffix == ".svg" else files.known(code)
            if not known and code not in to_come:
                self._put_aside(path)

    def _put_aside(self, path: Path) -> None:
        quarantine(path, self._folder, why="nothing on record has this name")

    def _codes_to_come(self) -> set[str]:
        """Return the codes of clips that may have been cut already and get their rows later."""
        waiting = self._outbox.captures.in_state(CaptureState.CAPTURED, CaptureState.ANALYSING)
        return {
            derive_clip_code(capture.sha256, take.number)
            for capture in waiting
            for take in self._outbox.takes.waiting(capture)
        }


def _size(path: Path) -> int:
    """Return a file's size, less than any where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def _has_video(sidecar: Path) -> bool:
    others = sidecar.parent.glob(f"{glob.escape(sidecar.stem)}.*")
    return any(path.suffix != SIDECAR_SUFFIX for path in others)
