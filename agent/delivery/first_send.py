"""The last look before a clip goes out: is it still the file that we know?

Each clip is hashed once in the life of this process, before it is first sent by it: what a power
cut tore is not sent, and a start need not read everything that waits.  A damaged clip is held,
and cut again.

A file renamed while its writer has it open goes on changing.  If a capture grew after it was
taken in, its clips are void: the file goes back into the capture folder and settles again.
"""

import hashlib
from pathlib import Path

import structlog

from agent.clock import Now
from agent.outbox.capture import Capture, FileFacts
from agent.outbox.disk.folders import StateFolder, move_durably
from agent.outbox.entry import Entry
from agent.outbox.states import CaptureState, EntryState, FileState, Reason
from agent.outbox.store import Outbox
from agent.pulse import moving

_MOST_STEM = 60  # characters of the old name: any file system can hold them

log = structlog.get_logger(stage="delivery")


class FirstSendCheck:
    """Holds or voids what must not be sent."""

    def __init__(
        self, outbox: Outbox, folder: StateFolder, *, capture_folder: Path, now: Now
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._capture_folder = capture_folder
        self._now = now
        self._whole: set[int] = set()  # clips that were found to be what they were cut as

    def __call__(self, entry: Entry) -> bool:
        """Tell whether a clip may go; one that may not has been moved out of the way."""
        for capture_id in self._outbox.entries.captures_of(entry.id):
            capture = self._outbox.captures.by_id(capture_id)
            if capture is not None and not entry.attempts and self._has_grown(capture):
                self._void(capture)
                return False
        if self._is_whole(entry):
            return True
        log.error("clip is damaged", entry=entry.name, clip=entry.clip_code)
        self._outbox.files.note_damage(entry.id, now_s=self._now().utc_s)
        return False

    def _is_whole(self, entry: Entry) -> bool:
        """Tell whether a clip's file is there with all that was cut."""
        clip = self._folder.clips / entry.stored_name
        if not clip.is_file() or clip.stat().st_size != entry.clip_bytes:
            return False
        if entry.id not in self._whole:
            if _sha256(clip) != entry.clip_sha256:
                return False
            self._whole.add(entry.id)
        return True

    def _has_grown(self, capture: Capture) -> bool:
        if capture.file_state is not FileState.PRESENT:
            return False
        path = self._folder.captures / capture.stored_name
        try:
            found = FileFacts.of(path.stat())
        except FileNotFoundError:
            return False  # somebody took the original away; the clip is whole all the same
        if found.size_bytes < capture.facts.size_bytes:
            return False  # torn, not grown: the clip was cut when it was whole
        if found == capture.facts:
            return False
        if found.size_bytes > capture.facts.size_bytes or _sha256(path) != capture.sha256:
            return True
        now_s = self._now().utc_s  # the same content as another file: it was copied back
        self._outbox.captures.restore_file(capture, found, now_s=now_s)
        return False

    def _void(self, capture: Capture) -> None:
        """End a capture's clips and let its file be taken in anew."""
        now_s = self._now().utc_s
        log.warning("grew after it was taken in: taken in anew", capture=capture.name)
        with self._outbox.transaction():
            for entry in self._outbox.entries.of_capture(capture.id):
                if entry.state in {EntryState.READY, EntryState.HELD}:
                    self._outbox.entries.move(
                        entry,
                        EntryState.DISCARDED,
                        now_s=now_s,
                        reason=Reason.GREW_AFTER_ADMISSION,
                    )
                    self._cut_anew_elsewhere(entry, capture)
            self._outbox.captures.move(
                capture, CaptureState.DISCARDED, now_s=now_s, reason=Reason.GREW_AFTER_ADMISSION
            )
            self._outbox.captures.set_file_state(capture.id, FileState.CLEARED, now_s=now_s)
        name = Path(capture.file_name)
        target = self._capture_folder / f"{capture.name}-{name.stem[:_MOST_STEM]}{name.suffix}"
        move_durably(self._folder.captures / capture.stored_name, target)

    def _cut_anew_elsewhere(self, entry: Entry, grown: Capture) -> None:
        """Let the other recording of a clip over two be looked into again: its part is whole."""
        for capture_id in self._outbox.entries.captures_of(entry.id):
            other = self._outbox.captures.by_id(capture_id)
            if other is not None and other.id != grown.id and other.state is CaptureState.ANALYSED:
                now_s = self._now().utc_s
                self._outbox.takes.begin_anew(other, now_s=now_s)
                self._outbox.captures.move(other, CaptureState.CAPTURED, now_s=now_s)


def _sha256(path: Path) -> str:
    with moving(path.stat().st_size), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
