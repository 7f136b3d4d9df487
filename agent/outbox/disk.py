"""The outbox's disk: blocks reserved for when it is full, recent free space, and a forecast.

A minimum of free space would not do instead of a reserve: it holds Spotter back and nobody else,
and the camera program fills the disk to the last block.  Nor would a file that is deleted when the
disk is full: its blocks go to whichever program writes next.  So the blocks are allocated
beforehand inside the files that grow with every delivery, where no other program can take them:

- free pages in the database itself;
- blocks beyond the end of its write-ahead log, and of the ledger.

A plain file stands in for what is made at every start: the log, its index, the owner's lock.  It
is given up when a write is refused all the same, the log at once taking the blocks that it frees,
and made again when there is room.  File systems that copy on write (btrfs) promise less.
"""

import contextlib
import ctypes
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.disk.space import DiskSpace, DiskUsage
from agent.disk.state_folder import device_of
from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.files import ALL_DELIVERED
from agent.outbox.states import SENT, CaptureState, EntryState

_HOUR_S = 3600.0
WINDOW_S = 24 * _HOUR_S  # a whole day: gyms fill disks by day and not by night
_SHORTEST_S = _HOUR_S  # less says nothing
_LONGEST_S = 365 * 24 * _HOUR_S  # what is beyond is not in sight


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSample:
    """The room on the disk at one moment."""

    at: float  # Unix time
    free_bytes: int
    may_go_bytes: int  # delivered and kept for a while: goes as soon as space is short

    @property
    def usable_bytes(self) -> int:
        """What captures can fill: what is free, or is cleared away for them."""
        return self.free_bytes + self.may_go_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the room on the disk comes to."""

    known: bool  # False: not watched for long enough
    full_in_s: float | None  # until intake waits for space; None: not in sight, or not known


def forecast(history: Sequence[DiskSample], *, floor_bytes: int, now_s: float) -> Forecast:
    """Return when intake will wait for space if the room continues as over the last day.

    Args:
        history: the room over time, in any order; what is not from the last day is left out.
        floor_bytes: what must stay free.
        now_s: Unix time.
    """
    recent = sorted(
        (room for room in history if now_s - WINDOW_S - _HOUR_S <= room.at <= now_s),
        key=lambda room: room.at,
    )
    if not recent:
        return Forecast(known=False, full_in_s=None)
    first, last = recent[0], recent[-1]
    left = last.usable_bytes - floor_bytes
    if left <= 0:
        return Forecast(known=True, full_in_s=0.0)
    watched_s = last.at - first.at
    if watched_s < _SHORTEST_S:
        return Forecast(known=False, full_in_s=None)
    lost_bytes_s = (first.usable_bytes - last.usable_bytes) / watched_s
    if lost_bytes_s <= 0 or left / lost_bytes_s > _LONGEST_S:
        return Forecast(known=True, full_in_s=None)
    return Forecast(known=True, full_in_s=max(0.0, left / lost_bytes_s - (now_s - last.at)))


_KEPT_S = 3 * 24 * 3600.0
_DELIVERED = (*SENT, EntryState.DISCARDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSizes:
    """Bytes of files on the disk."""

    captures: int  # as the camera wrote them, whatever became of them
    quarantined: int  # those of them that cannot be read and wait for a person
    clips_waiting: int  # not delivered
    clips_delivered: int  # delivered or discarded, kept for a while


class DiskHistory:
    """The table of the disk's room over time."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def note(self, room: DiskSample) -> None:
        """Record the room at one moment, and forget what is long past."""
        with self._db.transaction():
            self._db.change(
                "INSERT OR REPLACE INTO room (at, free_bytes, may_go_bytes) VALUES (?, ?, ?)",
                (room.at, room.free_bytes, room.may_go_bytes),
            )
            self._db.change(
                "DELETE FROM room WHERE at NOT BETWEEN ? AND ?", (room.at - _KEPT_S, room.at)
            )

    def history(self) -> list[DiskSample]:
        """Return the room over the last days, oldest first."""
        rows = self._db.rows("SELECT at, free_bytes, may_go_bytes FROM room ORDER BY at")
        return [DiskSample(**row) for row in rows]

    def weights(self) -> FileSizes:
        """Return what our files take; read from an index alone."""
        captures = _by_state(self._db.rows(CAPTURE_WEIGHTS))
        clips = _by_state(self._db.rows(CLIP_WEIGHTS))
        delivered = sum(clips.get(state, 0) for state in _DELIVERED)
        return FileSizes(
            captures=sum(captures.values()),
            quarantined=captures.get(CaptureState.QUARANTINED, 0),
            clips_waiting=sum(clips.values()) - delivered,
            clips_delivered=delivered,
        )

    def delivered_originals_bytes(self) -> int:
        """Return what originals take whose clips are all delivered, and those without a take."""
        return self._db.number(DELIVERED_ORIGINALS)


CAPTURE_WEIGHTS = """
SELECT state, sum(bytes) AS bytes FROM capture WHERE file_state = 'present' GROUP BY state
"""  # index: capture_weight
CLIP_WEIGHTS = """
SELECT state, sum(clip_bytes) AS bytes FROM entry WHERE file_state = 'present' GROUP BY state
"""  # index: entry_on_disk
DELIVERED_ORIGINALS = f"""
SELECT coalesce(sum(bytes), 0) AS bytes FROM capture
 WHERE file_state = 'present' AND state IN ('analysed', 'discarded', 'skipped') AND {ALL_DELIVERED}
"""  # noqa: S608  # our own words; index: capture_weight


def _by_state(rows: list[Row]) -> dict[str, int]:
    return {str(row["state"]): int(row["bytes"]) for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskStatus:
    """The disk of the state folder at one moment."""

    room: DiskUsage
    floor_bytes: int  # what must stay free
    may_go_bytes: int  # delivered and kept for a while
    ahead: Forecast


def read_disk(rooms: DiskHistory, space: DiskSpace, *, now_s: float) -> DiskStatus:
    """Return how the disk stands at this moment (Unix time)."""
    room, floor_bytes = space.room(), space.floor_bytes()
    history = rooms.history()
    may_go_bytes = history[-1].may_go_bytes if history else 0
    here = DiskSample(at=now_s, free_bytes=room.free_bytes, may_go_bytes=may_go_bytes)
    return DiskStatus(
        room=room,
        floor_bytes=floor_bytes,
        may_go_bytes=may_go_bytes,
        ahead=forecast([*history, here], floor_bytes=floor_bytes, now_s=now_s),
    )


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
