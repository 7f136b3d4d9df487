"""The files of a recorder: hidden while they grow, whole and durable before they get their name.

Order of the steps at the end of a file; after a crash between any two, the next start continues:

1. the file is closed and made durable under its hidden name;
2. its sidecar gets its place in the capture folder, durably;
3. the file is renamed into the capture folder, and the folder made durable.

Whoever sees the file finds its sidecar beside it.  What a crash, or a disk that refused, leaves in
the hidden folder was filmed while armed, too: it gets its place, without a sidecar, at the next
start or before the next file begins.
"""

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import av.error
import structlog
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from agent.camera_link import RecorderTrouble
from agent.clock import Instant, Now
from agent.disk.space import measure
from agent.disk.state_folder import fsync_file, fsync_folder
from agent.errors import AgentError, kind_words
from agent.failpoints import crash_point
from agent.recorder.cutting import BeginFile, EndReason
from agent.recorder.packets import MOST_REORDERED, DecodeTimes, StreamPacket
from agent.recorder.source import CameraFormat
from agent.stage import StageName
from agent.text import printable_file_name

SCHEMA = 1
_MILLISECOND = Fraction(1, 1000)
_OPTIONS = {
    "cluster_time_limit": "1000",  # a power cut costs no more than that
    "flush_packets": "1",
    "avoid_negative_ts": "disabled",
}
_LOOK_EVERY_S = 1.0  # at the free space, while a file grows
_MOST_ALIKE = 1000  # files of one second
_SUFFIX = ".mkv"
_CLUSTER = b"\x1f\x43\xb6\x75"  # begins pictures in Matroska
_MOST_HEAD_BYTES = 1 << 16  # what stands before them is smaller

log = structlog.get_logger(stage=StageName.RECORDER)


class StorageError(AgentError):
    """Nothing can be stored now; it is tried again."""

    def __init__(self, message: str, *, hint: str, trouble: RecorderTrouble) -> None:
        super().__init__(message, hint=hint)
        self.trouble = trouble


class CaptureWriter:
    """Writes one file after the other into a capture folder."""

    def __init__(self, capture: Path, camera: str, *, min_free_bytes: float, now: Now) -> None:
        self._capture = capture
        self._camera = camera
        self._hidden = capture / f".recorder-{camera}"
        self._min_free_bytes = min_free_bytes
        self._now = now
        self._file: _GrowingFile | None = None
        self._last: str | None = None  # the name of the file placed last
        self._before: str | None = None  # the same, unless another one ended since, and was not
        self._looked_s = 0.0
        self._has_left = False  # in the hidden folder, since the disk refused
        self._claimed: int | None = None  # the hidden folder, open and locked
        self.placed = 0

    def look_after(self) -> None:
        """Give what a crash left its place, and see whether a file could begin; none may grow now.

        Raises:
            StorageError: the folder is missing or full, or refuses.
        """
        try:
            self._prepare()
            self._place_left()
            self._look_at_room()
        except OSError as error:
            raise self._refused(error) from None

    def _place_left(self) -> None:
        """Give what was left in the hidden folder its place.

        Raises:
            OSError: the disk refuses.
        """
        for left in sorted(self._hidden.iterdir()):
            is_recording = left.suffix == _SUFFIX and stat.S_ISREG(left.lstat().st_mode)
            if not is_recording or _holds_no_picture(left):
                left.unlink()
                continue
            fsync_file(left)
            place = self._capture / left.name  # where its sidecar may be already
            if place.exists():
                place = self._free_place(left.stem)
            left.rename(place)
            fsync_folder(self._capture)
            log.warning("interrupted file placed", file=place.name)
        self._has_left = False

    def begin(self, begun: BeginFile, camera: CameraFormat) -> None:
        """Begin a file.

        Raises:
            StorageError: the folder is missing or full.
        """
        assert self._file is None  # the plan ends one before it begins another
        try:
            self._prepare()
            self._look_at_room()
            if self._has_left:
                # Not before the next file ends: in some modes, one follows the other for months.
                with contextlib.suppress(OSError):
                    self._place_left()
            first = min(begun.packets, key=lambda packet: packet.pts_s)
            began = self._moment(first.filmed_s)
            stem = time.strftime(f"{self._camera}-%Y%m%d-%H%M%S", time.localtime(began.utc_s))
            place = self._free_place(stem)
            self._file = _GrowingFile(
                self._hidden / place.name,
                camera,
                armed_by=begun.armed_by,
                continues=self._before if begun.continues else None,
            )
        except (OSError, av.error.FFmpegError) as error:
            raise self._refused(error) from None
        for packet in begun.packets:
            self.append(packet)

    def append(self, packet: StreamPacket) -> None:
        """Let the file grow; one that the disk refuses to let grow is ended by whoever hears of it.

        Raises:
            StorageError: the disk is full, or refuses.
        """
        if self._file is None:
            return
        try:
            self._file.append(packet)
            if packet.filmed_s - self._looked_s >= _LOOK_EVERY_S:
                self._looked_s = packet.filmed_s
                self._look_at_room()
        except (OSError, av.error.FFmpegError) as error:
            raise self._refused(error) from None

    def end(self, reason: EndReason, *, delay_s: float | None, lost: int) -> Path | None:
        """End the file and give it its place; None where there is none.

        Args:
            reason: why it ends.
            delay_s: by how much packets came late, by the camera's own clock; None: unknown.
            lost: packets that were lost on the way to the file.

        Raises:
            StorageError: the disk refuses; the file stays hidden until the next one begins.
        """
        file, self._file = self._file, None
        if file is None:
            return None
        self._before = None
        try:
            file.close()
            crash_point("recorder-closed")
            fsync_file(file.path)
            crash_point("recorder-synced")
            place = self._capture / file.path.name
            self._write_sidecar(file, place, reason, delay_s=delay_s, lost=lost)
            crash_point("recorder-sidecar-placed")
            file.path.rename(place)
            fsync_folder(self._capture)
        except (OSError, av.error.FFmpegError) as error:
            self._has_left = True
            raise self._refused(error) from None
        self._last = self._before = place.name
        self.placed += 1
        log.info(
            "file recorded",
            file=printable_file_name(place.name),
            seconds=round(file.length_s, 1),
            ended_by=str(reason),
        )
        return place

    def _write_sidecar(
        self,
        file: "_GrowingFile",
        place: Path,
        reason: EndReason,
        *,
        delay_s: float | None,
        lost: int,
    ) -> None:
        late_s = delay_s or 0.0
        sidecar = {
            "schema": SCHEMA,
            "camera": self._camera,
            "start": asdict(self._moment(file.start_s - late_s)),
            "end": asdict(self._moment(file.end_s - late_s)),
            "uncertainty_ms": 400 if delay_s is None else 60,
            "armed_by": file.armed_by,
            "continues": file.continues,
            "ended_by": str(reason),
            "lost_packets": lost,
            "size_bytes": file.path.stat().st_size,
        }
        hidden = self._hidden / f"{place.name}.json"
        with contextlib.suppress(OSError):  # without a sidecar, intake weighs what it sees itself
            with hidden.open("w", encoding="utf-8") as target:
                json.dump(sidecar, target, indent=1)
                target.flush()
                os.fsync(target.fileno())
            hidden.rename(place.with_name(hidden.name))
            fsync_folder(self._capture)

    def _prepare(self) -> None:
        with contextlib.suppress(FileExistsError):
            self._hidden.mkdir(mode=0o770)
        if not stat.S_ISDIR(self._hidden.lstat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(self._hidden))
        self._claim()

    def _claim(self) -> None:
        """Keep every other recorder of this camera's name out of the hidden folder, until the end.

        Two of them would write into the same files, and give each other's their places.
        """
        if self._claimed is not None:
            if os.path.samestat(os.fstat(self._claimed), self._hidden.lstat()):
                return
            os.close(self._claimed)  # of a folder that is no longer there
            self._claimed = None
        claimed = os.open(self._hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(claimed, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(claimed)
            raise
        except OSError:
            pass  # a network's file system without such locks
        self._claimed = claimed

    def _free_place(self, stem: str) -> Path:
        for number in range(1, _MOST_ALIKE):
            name = f"{stem}{_SUFFIX}" if number == 1 else f"{stem}-{number}{_SUFFIX}"
            place = self._capture / name
            is_free = not place.exists() and not place.with_name(f"{name}.json").exists()
            if is_free and name != self._last:
                return place
        raise FileExistsError(
            errno.EEXIST, "has a thousand files of this second", str(self._capture)
        )

    def _look_at_room(self) -> None:
        free = measure(self._capture).free_bytes
        if free < self._min_free_bytes:
            raise OSError(errno.ENOSPC, f"has only {free // 1_000_000} MB free")

    def _refused(self, error: Exception) -> StorageError:
        number = getattr(error, "errno", None)
        words = getattr(error, "strerror", None) or kind_words(error)
        hint, trouble = "check the disk, and who may write", RecorderTrouble.NOT_WRITABLE
        if number == errno.ENOENT:
            words, hint = "is missing", "create it, or mount its disk"
            trouble = RecorderTrouble.FOLDER_MISSING
        elif number == errno.EWOULDBLOCK:
            words = f"is in use by another recorder named {self._camera}"
            hint = "end it, or give each recorder a camera.name of its own"
        elif number in (errno.ENOSPC, errno.EDQUOT):
            words = words if words.endswith("MB free") else "is full"
            hint, trouble = "free space on its disk", RecorderTrouble.DISK_FULL
        return StorageError(
            f"the capture folder {self._capture} {words}",
            hint=f"{hint}: recording resumes automatically",
            trouble=trouble,
        )

    def _moment(self, boot_s: float) -> Instant:
        now = self._now()
        assert now.boot_s is not None  # the clock of this process
        return now.shifted(boot_s - now.boot_s)


def _holds_no_picture(left: Path) -> bool:
    """Tell whether a file was left before its first picture was written whole; in doubt it is kept.

    Raises:
        OSError: it cannot be read.
    """
    if left.stat().st_size > _MOST_HEAD_BYTES:
        return False
    if _CLUSTER not in left.read_bytes():
        return True
    try:
        with av.open(str(left)) as video:
            return not any(packet.size for packet in video.demux(video=0))
    except av.error.FFmpegError:
        return False


class _GrowingFile:
    """One Matroska file under its hidden name."""

    def __init__(
        self, path: Path, camera: CameraFormat, *, armed_by: str, continues: str | None
    ) -> None:
        self.path = path
        self.armed_by = armed_by
        self.continues = continues
        self._container: OutputContainer = av.open(
            str(path), "w", format="matroska", options=_OPTIONS
        )
        self._stream: VideoStream = self._container.add_stream_from_template(
            camera.template, opaque=True
        )
        self._decode_times = DecodeTimes()
        self._waiting: list[StreamPacket] | None = []  # until the earliest time is known
        self._zero_s = 0.0
        self._count = 0
        self._shown_s = (float("inf"), float("-inf"))  # the first and the last time of all
        self.start_s, self._last_s = float("inf"), float("-inf")

    def append(self, packet: StreamPacket) -> None:
        """Take the next packet."""
        self._count += 1
        first_s, last_s = self._shown_s
        self._shown_s = (min(first_s, packet.pts_s), max(last_s, packet.pts_s))
        self.start_s = min(self.start_s, packet.filmed_s)
        self._last_s = max(self._last_s, packet.filmed_s)
        if self._waiting is None:
            self._write(packet)
            return
        # Pictures that are shown before the first keyframe come after it.
        self._waiting.append(packet)
        if len(self._waiting) > MOST_REORDERED:
            self._write_waiting()

    def close(self) -> None:
        """Write what is left, and the index."""
        try:
            self._write_waiting()
        finally:
            self._container.close()

    @property
    def length_s(self) -> float:
        """How long what it shows takes."""
        first_s, last_s = self._shown_s
        return last_s - first_s + self._step_s

    @property
    def end_s(self) -> float:
        """When the last picture was over, in seconds since boot."""
        return self._last_s + self._step_s

    @property
    def _step_s(self) -> float:
        first_s, last_s = self._shown_s
        return (last_s - first_s) / (self._count - 1) if self._count > 1 else 0.0

    def _write_waiting(self) -> None:
        waiting: Sequence[StreamPacket] = self._waiting or ()
        self._waiting = None
        self._zero_s = self._shown_s[0] if waiting else self._zero_s
        for packet in waiting:
            self._write(packet)

    def _write(self, packet: StreamPacket) -> None:
        written = Packet(packet.payload)
        written.stream = self._stream
        written.time_base = _MILLISECOND
        written.pts = round((packet.pts_s - self._zero_s) * 1000)
        written.dts = self._decode_times.next(written.pts)
        written.duration = round(packet.duration_s * 1000)
        written.is_keyframe = packet.is_keyframe
        self._container.mux_one(written)
