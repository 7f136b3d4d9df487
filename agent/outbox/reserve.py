"""Disk space reserved for recording deliveries when the disk is full.

A minimum of free space would not do it: it holds Spotter back and nobody else, and the camera
program fills the disk to the last block.  Nor would a file that is deleted when the disk is full:
its blocks go to whoever writes next.  So the blocks are allocated beforehand inside the files that
grow with every delivery, where no other program can take them:

- free pages in the database itself;
- blocks beyond the end of its write-ahead log, and of the ledger.

A plain file stands in for what is made anew at a start: the log, its index, the owner's lock.  It
is given up when a write is refused all the same, the log at once taking the blocks that it frees,
and made again when there is room.  File systems that copy on write (btrfs) promise less.
"""

import contextlib
import ctypes
import os
import sqlite3
from pathlib import Path

from agent.disk.space import DiskSpace
from agent.disk.state_folder import device_of
from agent.outbox.database import OutboxDatabase

_MB = 1_000_000
_SHARE = 50  # never more than a fiftieth of the disk
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE: allocate blocks, leave the file's length alone
_LEAST_BYTES = 131_072  # a log, its index and a few commits
_FILE = "reserve"


class Reserve:
    """Keeps the outbox writable on a disk that others have filled."""

    def __init__(self, root: Path, space: DiskSpace, *, reserve_mb: float) -> None:
        self.root = root
        self._file = root / _FILE
        self._device = device_of(root)
        self.renew(space, reserve_mb=reserve_mb)

    def renew(self, space: DiskSpace, *, reserve_mb: float) -> None:
        """Be as large as other settings say; the next `top_up` sees to it."""
        self._space = space
        self._wanted_bytes = round(reserve_mb * _MB)

    def top_up(self, database: OutboxDatabase) -> None:
        """Take what is missing of the reserve, if there is room; give back what is too much.

        What the database keeps inside itself is not given back: its rows use it up.
        """
        quarter = self._size_bytes() // 4
        self._shrink(quarter)
        if quarter == 0 or self._space.lacks_for_intake(4 * quarter):
            return
        if database.set_pages_aside(quarter):
            database.checkpoint()
        self._allocate_ahead(database, quarter)
        if self._held_bytes() < quarter:
            self._file.unlink(missing_ok=True)
        self.hold()

    def is_held(self) -> bool:
        """Tell whether the file is there."""
        return self._file.exists()

    def hold(self) -> None:
        """Make the file that stands in for the log, as large as there is room for."""
        if device_of(self.root) != self._device:
            return  # its disk was taken away: nothing is written below
        size_bytes = self._size_bytes() // 4
        while not self._file.exists() and size_bytes >= _LEAST_BYTES:
            _make(self._file, size_bytes)
            size_bytes //= 2

    def release(self, database: OutboxDatabase | None = None) -> None:
        """Give up what can be given up, because a write was refused.

        Args:
            database: the outbox; None where it could not be opened.
        """
        self._file.unlink(missing_ok=True)
        if database is not None:
            self._allocate_ahead(database, self._size_bytes() // 4)
            with contextlib.suppress(sqlite3.OperationalError):  # the file, too, is full
                database.checkpoint()  # the log is used from its beginning again

    def _shrink(self, size_bytes: int) -> None:
        if size_bytes < _LEAST_BYTES:
            self._file.unlink(missing_ok=True)
        elif self._held_bytes() > size_bytes:
            os.truncate(self._file, size_bytes)

    def _held_bytes(self) -> int:
        return self._file.stat().st_size if self._file.exists() else 0

    def _size_bytes(self) -> int:
        return min(self._wanted_bytes, self._space.room().total_bytes // _SHARE)

    def _allocate_ahead(self, database: OutboxDatabase, size_bytes: int) -> None:
        _allocate(database.log_path, 0, size_bytes)
        ledger = database.journal.ledger.path
        if ledger.exists():
            _allocate(ledger, ledger.stat().st_size, size_bytes)


def _make(path: Path, size_bytes: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        os.posix_fallocate(fd, 0, size_bytes)
    except OSError:  # not even that: there will be room later
        path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def _allocate(path: Path, start: int, size_bytes: int) -> None:
    """Allocate blocks of a file without making it longer, where the file system can.

    SQLite locks neither of the files that this is used on, so that closing them here gives no
    lock of its away.  Source: fallocate(2), fcntl(2).
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        ctypes.CDLL(None).fallocate(
            fd, _KEEP_SIZE, ctypes.c_long(start), ctypes.c_long(size_bytes)
        )  # refused on a full disk, and on file systems that cannot: then it is not there
    finally:
        os.close(fd)
