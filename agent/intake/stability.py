"""Decides when a file is complete: unchanged for a while, and closed by its writer.

Time comes in, file facts come in; nothing here touches a disk or a clock.
"""

import errno
import fcntl
import heapq
import os
import signal
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO

from agent.clock import Instant
from agent.outbox.models import CaptureEvidence, FileFacts

_NS = 1e-9
_RECENT_S = 120.0  # a modification time this close before now is taken for the last growth
_MOST_SAMPLES = 24  # of a file's growth


Growth = tuple[tuple[Instant, int], ...]


class WriterState(Enum):
    """What is known of whoever writes a file."""

    OPEN = auto()  # a writer has it open
    CLOSED = auto()  # no writer has it open, or its index covers it
    UNKNOWN = auto()  # the file system does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEvent:
    """What was noticed of one file since it was last checked."""

    appeared: Instant | None = None  # its name came into the folder
    born: bool = False  # ... by being created there, not by being moved in
    changed: Instant | None = None  # its last change
    closed: bool = False  # closed by a writer, or moved in, after that change
    grown: Growth = ()  # when it had how many bytes

    def then(self, later: "FileEvent") -> "FileEvent":
        """Return both hints as one."""
        return FileEvent(
            appeared=self.appeared or later.appeared,
            born=self.born or later.born,
            changed=later.changed or self.changed,
            closed=later.closed or (self.closed and later.changed is None),
            grown=thin_out((*self.grown, *later.grown)),
        )


NOTHING = FileEvent()


def thin_out(growth: Growth) -> Growth:
    """Return a growth in few samples, the first and the last among them."""
    while len(growth) > _MOST_SAMPLES:
        growth = (*growth[:-1:2], growth[-1])
    return growth


@dataclass(slots=True)
class _Tracked:
    """A file that is not settled yet."""

    facts: FileFacts
    unchanged_since_s: float  # monotonic
    appeared: Instant
    grew_until: Instant | None
    growth: Growth
    closed: bool
    look_again_s: float  # monotonic: not before then
    vouched: bool = False  # by its recorder, which says so once a file is whole


class StabilityTracker:
    """The files of the capture folder on their way to being complete."""

    def __init__(self, *, settle_s: float, settle_unseen_s: float, rescan_s: float) -> None:
        self.rescan_s = rescan_s  # between two scans of the whole folder
        self._settle_s = settle_s
        self._settle_unseen_s = settle_unseen_s
        self._files: dict[Path, _Tracked] = {}

    def __len__(self) -> int:
        return len(self._files)

    def observe(
        self, path: Path, facts: FileFacts, hint: FileEvent, *, now: Instant, monotonic_s: float
    ) -> None:
        """Take note of how a file is now and of what was noticed since the last time."""
        known = self._files.get(path)
        if known is None or known.facts.inode != facts.inode:
            self._files[path] = self._first_sight(facts, hint, now, monotonic_s)
            return
        if facts != known.facts:
            if facts.size_bytes > known.facts.size_bytes:
                known.grew_until = hint.changed or _last_write(facts, now)
                grown = (*hint.grown, (known.grew_until, facts.size_bytes))
                known.growth = _rising((*known.growth, *grown))
            known.facts = facts
            known.unchanged_since_s = monotonic_s
            known.look_again_s = monotonic_s + self._settle_s
            known.closed = known.vouched = False
        if hint.closed:
            known.closed = True
        elif hint.changed is not None:
            known.closed = False

    def vouch(self, path: Path, *, monotonic_s: float) -> None:
        """Take a recorder's word that a file is whole: it need not be quiet for a while."""
        tracked = self._files[path]
        if not tracked.vouched:
            tracked.vouched, tracked.look_again_s = True, monotonic_s

    def forget(self, path: Path) -> None:
        """Drop a file that is gone or was ingested."""
        self._files.pop(path, None)

    def keep_only(self, present: Iterable[Path]) -> None:
        """Drop every file that a scan no longer found."""
        there = set(present)
        for path in [path for path in self._files if path not in there]:
            self.forget(path)

    def due(self, monotonic_s: float, *, most: int | None = None) -> list[Path]:
        """Return the files that are quiet long enough to be asked about their writer.

        The oldest come first; at most `most` of them, where that is given.
        """
        found = (path for path, t in self._files.items() if monotonic_s >= t.look_again_s)
        limit = len(self._files) if most is None else most
        return heapq.nsmallest(limit, found, key=lambda p: (self._files[p].facts.mtime_ns, p))

    def is_settled(self, path: Path, writer: WriterState, *, monotonic_s: float) -> bool:
        """Tell whether a due file is complete; if not, it becomes due again later."""
        tracked = self._files[path]
        quiet_s = monotonic_s - tracked.unchanged_since_s
        if tracked.vouched and writer is WriterState.CLOSED:
            return True
        closed = tracked.closed or writer is WriterState.CLOSED
        wait_s = self._settle_s if closed and tracked.facts.size_bytes else self._settle_unseen_s
        if quiet_s >= wait_s and writer is not WriterState.OPEN:
            return True
        self.look_again(path, after_s=max(self._settle_s, 1.0), monotonic_s=monotonic_s)
        return False

    def look_again(self, path: Path, *, after_s: float, monotonic_s: float) -> None:
        """Make a file due again after a while."""
        if path in self._files:
            self._files[path].look_again_s = monotonic_s + after_s

    def next_look_s(self) -> float | None:
        """Return the monotonic time at which the next file becomes due, or None."""
        return min((tracked.look_again_s for tracked in self._files.values()), default=None)

    def facts(self, path: Path) -> FileFacts:
        """Return a tracked file's facts as last observed."""
        return self._files[path].facts

    def evidence(self, path: Path) -> CaptureEvidence:
        """Return what was seen of a tracked file's recording time."""
        tracked = self._files[path]
        return CaptureEvidence(
            grew_until=tracked.grew_until,
            appeared=tracked.appeared,
            mtime_s=tracked.facts.mtime_ns * _NS,
            growth=tracked.growth if tracked.grew_until is not None else (),
        )

    def _first_sight(
        self, facts: FileFacts, hint: FileEvent, now: Instant, monotonic_s: float
    ) -> _Tracked:
        grew_until = None
        growth: Growth = ((hint.appeared or now, facts.size_bytes),)
        if hint.born:
            growth = ((hint.appeared or now, 0), *hint.grown)
        if hint.born and facts.size_bytes > 0:
            grew_until = hint.changed or hint.appeared
            if grew_until is not None:
                growth = (*growth, (grew_until, facts.size_bytes))
        return _Tracked(
            facts=facts,
            unchanged_since_s=monotonic_s,
            appeared=hint.appeared or now,
            grew_until=grew_until,
            growth=_rising(growth),
            closed=hint.closed,
            look_again_s=monotonic_s + self._settle_s,
        )


def _rising(growth: Growth) -> Growth:
    """Return a growth without the samples that a later one contradicts."""
    rising: list[tuple[Instant, int]] = []
    for sample in growth:
        while rising and rising[-1][1] > sample[1]:
            rising.pop()  # it was cut short, or begun again
        if not rising or rising[-1][1] < sample[1]:
            rising.append(sample)
    return thin_out(tuple(rising))


def _last_write(facts: FileFacts, now: Instant) -> Instant:
    """Return when a file last grew, by its modification time where that is recent."""
    age_s = now.utc_s - facts.mtime_ns * _NS
    return now.shifted(-age_s) if 0 <= age_s <= _RECENT_S else now


_INDEXED_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".3gp"})
_MOUNTS = Path("/proc/self/mountinfo")
_REMOTE_TYPES = ("nfs", "cifs", "smb", "9p", "fuse", "virtiofs", "ceph", "afs")
_MOST_BOXES = 100_000  # a file of nothing but empty boxes must not keep us


def writer_state(path: Path) -> WriterState:
    """Return what is known of the writer of `path`.

    Raises:
        OSError: the file cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb", buffering=0) as file:
        asked = _ask_kernel(fd)
        if asked is WriterState.UNKNOWN and path.suffix.lower() in _INDEXED_SUFFIXES:
            return WriterState.CLOSED if index_covers(file) else WriterState.UNKNOWN
        return asked


def index_covers(file: BinaryIO) -> bool:
    """Tell whether an MP4 or MOV is complete by its own index.

    True where its top-level boxes fill the file exactly and hold both samples and their index.
    A fragmented file proves nothing: it is well formed after every fragment.
    """
    size_bytes = os.fstat(file.fileno()).st_size
    boxes = list(_top_level_boxes(file, size_bytes))
    kinds = {kind for kind, _ in boxes}
    filled = bool(boxes) and boxes[-1][1] == size_bytes
    return filled and {b"moov", b"mdat"} <= kinds and b"moof" not in kinds


def _top_level_boxes(file: BinaryIO, size_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Yield the kind and the end of each top-level box (ISO/IEC 14496-12, 4.2)."""
    start = 0
    for _ in range(_MOST_BOXES):
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            return
        length, kind = struct.unpack(">I4s", header[:8])
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack(">Q", header[8:])
        elif length == 0:
            length = size_bytes - start
        if length < 8:
            return
        start += length
        yield kind, start


def _ask_kernel(fd: int) -> WriterState:
    """Ask for a read lease: the kernel refuses it while any process has the file open to write.

    The lease is given back at once.  Should a writer come in between, the kernel's notice is
    sent as SIGURG, which does nothing; its usual SIGIO would end the process.  Source: fcntl(2).
    """
    if _is_remote(fd):
        return WriterState.UNKNOWN  # a lease says nothing of writers on other machines
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return WriterState.OPEN if error.errno == errno.EAGAIN else WriterState.UNKNOWN
    return WriterState.CLOSED


def _is_remote(fd: int) -> bool:
    device = os.fstat(fd).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == wanted:
            return source.startswith(_REMOTE_TYPES)
    return False


_MOST_HOLES_BYTES = 8 << 30  # read as zeros within half a minute
_MOST_PARTS = 10_000  # of one file; between so many, holes are what they are
_BLOCK_BYTES = 512  # of st_blocks, on every file system


def reject_sparse(path: Path) -> None:
    """Refuse a file with more holes than anybody wants to read.

    Raises:
        OSError: it is one, or cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        seems_bytes = found.st_size - found.st_blocks * _BLOCK_BYTES
        if seems_bytes > _MOST_HOLES_BYTES and _holes_bytes(fd, found.st_size) > _MOST_HOLES_BYTES:
            raise OSError(errno.EINVAL, "it is mostly sparse: nothing was ever written there")
    finally:
        os.close(fd)


def _holes_bytes(fd: int, size_bytes: int) -> int:
    """Return what of a file is holes; none where the file system cannot say (lseek(2))."""
    holes = at = 0
    for _ in range(_MOST_PARTS):
        try:
            data_at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                return 0
            data_at = size_bytes  # nothing but holes from here on
        holes += data_at - at
        if data_at >= size_bytes:
            break
        at = os.lseek(fd, data_at, os.SEEK_HOLE)
    return holes
