"""The check before every upload: is the clip still the file that was recorded in the outbox?

Each clip is hashed once in the life of this process, before it is first sent by it: what a power
cut damaged is not sent, and a start need not read everything that waits.  A damaged clip is held,
and cut again.

A file renamed while its writer has it open may still change.  If a capture grew after it was
taken in, its clips are void: the file goes back into the capture folder and settles again.  If it
is the same in another place on the disk, it was copied back, from a backup perhaps: then its clips
are looked up first, for of what was sent since the backup nothing is on record.
"""

import hashlib
from enum import Enum, auto
from pathlib import Path

import structlog

from agent.clock import Now
from agent.disk.state_folder import StateFolder, move_durably, open_plain
from agent.heartbeat import during_io
from agent.outbox.models import Capture, Entry, FileFacts
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, FileState, Reason
from agent.stage import StageName

_PIECE_BYTES = 1 << 20
_MOST_STEM = 60  # characters of the old name: any file system can hold them

log = structlog.get_logger(stage=StageName.DELIVERY)


class _Original(Enum):
    """What a capture's file is by now."""

    AS_IT_WAS = auto()
    GROWN = auto()
    COPIED = auto()
    OVERWRITTEN = auto()  # longer, and from its beginning on another: its writer's work, or damage


class PreflightCheck:
    """Holds or voids what must not be sent."""

    def __init__(
        self, outbox: Outbox, folder: StateFolder, *, capture_folder: Path, now: Now
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._capture_folder = capture_folder
        self._now = now
        self._to_go_back: dict[Path, Path] = {}  # files of void captures, and their places
        self._whole: set[int] = set()  # clips that were found to be what they were cut as

    def __call__(self, entry: Entry) -> bool:
        """Tell whether a clip may go; one that may not has been moved out of the way.

        Or it was changed, and may go at its next turn.
        """
        self._bring_back()
        for capture_id in self._outbox.entries.captures_of(entry.id):
            capture = self._outbox.captures.by_id(capture_id)
            original = _Original.AS_IT_WAS if capture is None else self._look_at(capture)
            if capture is None or original is _Original.AS_IT_WAS:
                continue
            if original is _Original.COPIED:
                return False
            if original is _Original.OVERWRITTEN:
                self._hold(capture)
                return False
            if not entry.attempts:
                self._void(capture)
                return False
        if self._is_whole(entry):
            return True
        log.error("clip file damaged", entry=entry.name, clip=entry.clip_code)
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

    def _look_at(self, capture: Capture) -> _Original:
        if capture.file_state is not FileState.PRESENT:
            return _Original.AS_IT_WAS
        path = self._folder.captures / capture.stored_name
        try:
            found = FileFacts.of(path.stat())
        except FileNotFoundError:
            return _Original.AS_IT_WAS  # somebody took it away; the clip is whole all the same
        if found == capture.facts or found.size_bytes < capture.facts.size_bytes:
            return _Original.AS_IT_WAS  # or torn, not grown: the clip was cut when it was whole
        begins_as_before = _sha256_of_beginning(path, capture.facts.size_bytes) == capture.sha256
        if found.size_bytes > capture.facts.size_bytes:
            return _Original.GROWN if begins_as_before else _Original.OVERWRITTEN
        return self._copied(capture, found) if begins_as_before else self._damaged(capture)

    def _damaged(self, capture: Capture) -> _Original:
        log.warning("capture file changed", capture=capture.name)
        return _Original.AS_IT_WAS

    def _copied(self, capture: Capture, found: FileFacts) -> _Original:
        log.warning("capture copy detected", capture=capture.name)
        with self._outbox.transaction():
            self._outbox.captures.restore_file(capture, found, now_s=self._now().utc_s)
            self._outbox.outcomes.doubt(capture.id)
        return _Original.COPIED

    def _hold(self, capture: Capture) -> None:
        """Let a person look at clips whose original is another one; its clips may be intact."""
        log.warning("capture file overwritten", capture=capture.name)
        found = FileFacts.of((self._folder.captures / capture.stored_name).stat())
        now_s, reason = self._now().utc_s, Reason.GREW_AFTER_ADMISSION
        with self._outbox.transaction():
            for entry in self._outbox.entries.of_capture(capture.id):
                if entry.state is EntryState.READY:
                    self._outbox.entries.move(entry, EntryState.HELD, now_s=now_s, reason=reason)
            self._outbox.captures.restore_file(capture, found, now_s=now_s)

    def _void(self, capture: Capture) -> None:
        """End a capture's clips and let its file be admitted again."""
        now_s = self._now().utc_s
        log.warning("grown capture returned", capture=capture.name)
        with self._outbox.transaction():
            for entry in self._outbox.entries.of_capture(capture.id):
                if entry.state in {EntryState.READY, EntryState.HELD}:
                    self._outbox.entries.move(
                        entry,
                        EntryState.DISCARDED,
                        now_s=now_s,
                        reason=Reason.GREW_AFTER_ADMISSION,
                    )
                    self._recut_elsewhere(entry, capture)
            self._outbox.captures.move(
                capture, CaptureState.DISCARDED, now_s=now_s, reason=Reason.GREW_AFTER_ADMISSION
            )
            self._outbox.captures.set_file_state(capture.id, FileState.CLEARED, now_s=now_s)
        name = Path(capture.file_name)
        target = self._capture_folder / f"{capture.name}-{name.stem[:_MOST_STEM]}{name.suffix}"
        self._to_go_back[self._folder.captures / capture.stored_name] = target
        self._bring_back()

    def _bring_back(self) -> None:
        """Give files back to the capture folder, as soon as it takes them."""
        for source, target in list(self._to_go_back.items()):
            try:
                if source.exists():
                    move_durably(source, target)
            except OSError as error:
                log.warning("capture return failed", file=target.name, error=str(error))
            else:
                del self._to_go_back[source]

    def _recut_elsewhere(self, entry: Entry, grown: Capture) -> None:
        """Let the other recording of a clip over two be looked into again: its part is whole."""
        for capture_id in self._outbox.entries.captures_of(entry.id):
            other = self._outbox.captures.by_id(capture_id)
            if other is not None and other.id != grown.id and other.state is CaptureState.ANALYSED:
                now_s = self._now().utc_s
                self._outbox.takes.reset(other, now_s=now_s)
                self._outbox.captures.move(other, CaptureState.CAPTURED, now_s=now_s)


def _sha256(path: Path) -> str:
    with during_io(path.stat().st_size), open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_of_beginning(path: Path, size_bytes: int) -> str:
    digest, left_bytes = hashlib.sha256(), size_bytes
    with during_io(size_bytes), open_plain(path) as file:
        while left_bytes > 0 and (piece := file.read(min(left_bytes, _PIECE_BYTES))):
            digest.update(piece)
            left_bytes -= len(piece)
    return digest.hexdigest()
