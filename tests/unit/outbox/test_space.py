"""How much of a disk Spotter leaves free, and what it takes for a cut."""

import errno
import sqlite3
from pathlib import Path

import pytest

from agent.clipping.clips import cut_bytes
from agent.disk.space import DiskSpace, DiskUsage, intake_floor, is_disk_full
from agent.outbox.models import Take

GB, MB = 10**9, 10**6


@pytest.mark.parametrize(
    ("disk", "floor"),
    [
        (32 * GB, 640 * MB),
        (1000 * GB, 5000 * MB),
        (8 * GB, 256 * MB),
        (1 * GB, 100 * MB),
        (1_500_000, 150_000),
    ],
)
def test_what_stays_free_fits_the_disk(disk: int, floor: int) -> None:
    assert intake_floor(disk, None) == floor


def test_a_person_may_say_otherwise() -> None:
    assert intake_floor(32 * GB, 2000) == 2000 * MB
    assert intake_floor(32 * GB, 0) == 0


class Disk(DiskSpace):
    """A disk of which a test says what is free."""

    def __init__(self, free_bytes: int, *, free_files: int | None = None) -> None:
        self.requests_heard = 0
        super().__init__(Path(), min_free_mb=100, on_request=self._hear)
        self.free_bytes, self.free_files = free_bytes, free_files

    def room(self) -> DiskUsage:
        return DiskUsage(
            free_bytes=self.free_bytes, total_bytes=32 * GB, free_files=self.free_files
        )

    def _hear(self) -> None:
        self.requests_heard += 1


def test_a_cut_may_use_what_intake_must_leave() -> None:
    disk = Disk(60 * MB)

    assert disk.lacks_for_intake() == 40 * MB
    assert disk.lacks_for_work(30 * MB) == 0
    assert disk.lacks_for_work(50 * MB) == 15 * MB


def test_a_wish_makes_clearing_go_on_until_it_is_met() -> None:
    disk = Disk(110 * MB)
    assert disk.below_comfort() == 0

    disk.request_space("intake", 500 * MB)
    assert (disk.requests_heard, disk.below_comfort()) == (1, 515 * MB)
    disk.request_space("intake", None)
    disk.request_space("intake", None)

    assert (disk.requests_heard, disk.below_comfort()) == (2, 0)


def test_a_disk_without_names_is_full_however_much_is_free() -> None:
    disk = Disk(10 * GB, free_files=3)

    assert disk.lacks_for_intake() > 0 and disk.below_comfort() > 0


def test_a_full_disk_is_known_by_its_errors() -> None:
    assert is_disk_full(OSError(errno.ENOSPC, "no space left on device"))
    assert is_disk_full(OSError(errno.EDQUOT, "quota exceeded"))
    assert not is_disk_full(OSError(errno.EACCES, "permission denied"))
    assert not is_disk_full(sqlite3.OperationalError("database is locked"))
    assert not is_disk_full(None)


def test_what_a_dying_disk_says_is_not_taken_for_a_full_one() -> None:
    class Refused(sqlite3.OperationalError):
        sqlite_errorcode: int

        def __init__(self, code: int) -> None:
            self.sqlite_errorcode = code

    assert is_disk_full(Refused(sqlite3.SQLITE_FULL))
    assert is_disk_full(Refused(sqlite3.SQLITE_IOERR_SHMSIZE))
    assert not is_disk_full(Refused(sqlite3.SQLITE_IOERR_FSYNC))
    assert not is_disk_full(Refused(sqlite3.SQLITE_CANTOPEN))


def test_a_cut_takes_its_share_and_never_more_than_all() -> None:
    def take(start_s: float, end_s: float) -> Take:
        return Take(
            number=1, start_s=start_s, end_s=end_s, active_start_s=start_s, active_end_s=end_s
        )

    def most(seconds: float) -> int:
        return cut_bytes(take(10, 10 + seconds), capture_bytes=4 * GB, capture_s=3600)

    assert most(20) == pytest.approx(2 * 24 / 3600 * 4 * GB + 4 * MB)
    assert most(3590) == 4 * GB + 4 * MB
    assert cut_bytes(take(0, 1), capture_bytes=1000, capture_s=0) == 2000
