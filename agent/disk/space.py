"""Free space, and which stage may use how much of it.

Three floors, from the highest to the lowest.  Where less is free than

- `intake_floor`, nothing more is ingested, and what may be deleted is cleared early;
- a quarter of that, no clip is cut either: a cut leads to a delivery, and that to room again;
- nothing at all, the reserve (see `agent.outbox.disk`) keeps deliveries on record.

A minimum of free space restrains Spotter alone.  The camera program knows nothing of it and
fills the disk to the last block, so it is the reserve on which delivery rests.
"""

import errno
import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_MB = 1_000_000
_FEWEST_FILES = 256  # names that must be left: a disk can have room and no names
_SHARE = 50  # a fiftieth of the disk
_MOST_SHARE = 10  # a tenth
_LEAST, _MOST = 256 * _MB, 5000 * _MB
_CLOSED_TO_CUTS = 4  # a quarter of what is kept free
_COMFORT = 1.25  # clearing continues until this much of the floor is free: hysteresis
READ_ONLY_REMEDY = (
    "sudo dmesg shows disk faults; sudo mount -o remount,rw repairs a mount; folders outside "
    "/var/lib/spotter (for spotter@NAME: /var/lib/spotter-NAME) need ReadWritePaths in the unit"
)
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSALS = frozenset(
    {*_NO_SPACE, errno.EIO, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.EUCLEAN, errno.ESTALE}
)
_REFUSED_TO_SQLITE = frozenset(
    {
        *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN),
        *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL),
    }
)
_SHM_SIZE = sqlite3.SQLITE_IOERR_SHMSIZE  # no room for the log's index
_NEARLY_NOTHING = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUsage:
    """What a file system has left, as `statvfs` says it to this user."""

    free_bytes: int
    total_bytes: int
    free_files: int | None  # None: it does not count them

    @property
    def has_names(self) -> bool:
        """Tell whether more files can be made."""
        return self.free_files is None or self.free_files >= _FEWEST_FILES


def measure(folder: Path) -> DiskUsage:
    """Return the room of the file system that holds `folder`.

    Raises:
        OSError: it cannot be asked.
    """
    found = os.statvfs(folder)
    return DiskUsage(
        free_bytes=found.f_bavail * found.f_frsize,
        total_bytes=found.f_blocks * found.f_frsize,
        free_files=found.f_favail if found.f_files else None,
    )


def intake_floor(total_bytes: int, min_free_mb: float | None) -> int:
    """Return how much must stay free when something is ingested."""
    if min_free_mb is not None:
        return round(min_free_mb * _MB)
    share = min(max(total_bytes // _SHARE, _LEAST), _MOST)
    return min(share, total_bytes // _MOST_SHARE)


def is_disk_full(error: BaseException | None) -> bool:
    """Tell whether an error says that the disk is full, of a file or of the database."""
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", 0)
        return code & 0xFF == sqlite3.SQLITE_FULL or code == _SHM_SIZE
    return isinstance(error, OSError) and error.errno in _NO_SPACE


def is_refusal(error: BaseException | None) -> bool:
    """Tell whether an error says that the disk refuses: it is full, faulty or read-only."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _REFUSED_TO_SQLITE
    return isinstance(error, OSError) and error.errno in _REFUSALS


def is_fault(error: BaseException | None) -> bool:
    """Tell whether an error is one of reading or writing the disk itself: it may pass."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR
    return isinstance(error, OSError) and error.errno == errno.EIO


def is_read_only(folder: Path) -> bool:
    """Tell whether a folder is where nobody can write, as after a fault of its disk."""
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False  # not there, or closed to this user: said elsewhere


def is_nearly_full(folder: Path) -> bool:
    """Tell whether a disk has room for nothing, so that any error may come of that."""
    room = measure(folder)
    return room.free_bytes < _NEARLY_NOTHING or room.free_files == 0


class DiskSpace:
    """The free space of the state folder, and the requests of those who lack some."""

    def __init__(
        self,
        folder: Path,
        *,
        min_free_mb: float | None = None,
        on_request: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._min_free_mb = min_free_mb
        self._on_request = on_request
        self._lock = threading.Lock()
        self._requests: dict[str, int] = {}

    def room(self) -> DiskUsage:
        """Return the room there is now."""
        return measure(self._folder)

    def floor_bytes(self) -> int:
        """Return how much must stay free when something is ingested."""
        return intake_floor(self.room().total_bytes, self._min_free_mb)

    def lacks_for_intake(self, need_bytes: int = 0) -> int:
        """Return how many bytes are missing to take something in; 0: there is room."""
        return self._lacks(self.floor_bytes() + need_bytes)

    def lacks_for_work(self, need_bytes: int) -> int:
        """Return how many bytes are missing to cut a clip; 0: there is room."""
        return self._lacks(self.floor_bytes() // _CLOSED_TO_CUTS + need_bytes)

    def below_comfort(self) -> int:
        """Return how many bytes should be cleared early; 0: none."""
        with self._lock:
            requested = max(self._requests.values(), default=0)
        floor = self.floor_bytes()
        if not self._lacks(floor + requested):
            return 0
        return max(1, self._lacks(round(floor * _COMFORT) + requested))

    def request_space(self, asker: str, need_bytes: int | None) -> None:
        """Request early clearing until so many bytes are free; None: withdraw the request."""
        with self._lock:
            if need_bytes is not None:
                self._requests[asker] = need_bytes
            elif self._requests.pop(asker, None) is None:
                return
        self._on_request()

    def _lacks(self, wanted_bytes: int) -> int:
        room = self.room()
        return max(0 if room.has_names else 1, wanted_bytes - room.free_bytes)


def megabytes(size_bytes: int) -> str:
    """Return a size in MB, for people."""
    return f"{size_bytes / _MB:.0f} MB" if size_bytes >= _MB else f"{size_bytes / _MB:.2f} MB"
