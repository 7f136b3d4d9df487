"""The reserve: the outbox goes on being written when others have taken the whole disk."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.disk.space import DiskSpace
from agent.outbox.disk import Reserve
from agent.outbox.outbox import Outbox
from tests.disks import fill, mounted
from tests.factories import NOW_S, ready_entry

_ENTRIES = 100  # the log of their rows is larger than the reserve's part for it


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "size=64m") as place:
        yield place


def make_rows(outbox: Outbox, reserve: Reserve, numbers: range) -> int:
    """Make rows as the daemon does: what a full disk refuses is tried once more."""
    refused = 0
    for number in numbers:
        try:
            ready_entry(outbox, number, due_at=NOW_S)
        except (sqlite3.OperationalError, OSError):  # the ledger is a plain file
            refused += 1
            reserve.release(outbox.database)
            ready_entry(outbox, number, due_at=NOW_S)
    return refused


def test_rows_are_written_though_others_took_the_last_byte(disk: Path) -> None:
    with Outbox.open(disk) as outbox:
        reserve = Reserve(disk, DiskSpace(disk), reserve_mb=32)
        reserve.top_up(outbox.database)
        fill(disk)

        refused = make_rows(outbox, reserve, range(1, _ENTRIES))
        fill(disk)  # what was given up is taken at once
        refused += make_rows(outbox, reserve, range(_ENTRIES, _ENTRIES + 20))

    assert 0 < refused < _ENTRIES // 3  # the log came to its end, and was used again
    assert not (disk / "reserve").exists()


def test_without_a_reserve_a_full_disk_takes_no_row(disk: Path) -> None:
    with Outbox.open(disk) as outbox:
        ready_entry(outbox)
        fill(disk)

        with pytest.raises((sqlite3.OperationalError, OSError)):
            for number in range(2, _ENTRIES):
                ready_entry(outbox, number)


def test_the_reserve_is_made_again_when_there_is_room(disk: Path) -> None:
    with Outbox.open(disk) as outbox:
        reserve = Reserve(disk, DiskSpace(disk), reserve_mb=32)
        reserve.top_up(outbox.database)
        filler = fill(disk)
        reserve.release(outbox.database)
        reserve.top_up(outbox.database)
        assert not reserve.is_held()

        filler.unlink()
        reserve.top_up(outbox.database)

        assert reserve.is_held()
        assert (disk / "reserve").stat().st_size == DiskSpace(disk).room().total_bytes // 50 // 4


def test_no_reserve_is_made_where_none_is_wanted(tmp_path: Path) -> None:
    with Outbox.open(tmp_path) as outbox:
        Reserve(tmp_path, DiskSpace(tmp_path), reserve_mb=0).top_up(outbox.database)

    assert not (tmp_path / "reserve").exists()


def test_another_reserve_is_taken_over_larger_smaller_or_none(disk: Path) -> None:
    with Outbox.open(disk) as outbox:
        sizes = []
        for reserve_mb in (0.8, 1.0, 0.6, 0.0):
            Reserve(disk, DiskSpace(disk), reserve_mb=reserve_mb).top_up(outbox.database)
            file = disk / "reserve"
            sizes.append(file.stat().st_blocks * 512 if file.exists() else 0)

    assert sizes == pytest.approx([200_000, 250_000, 150_000, 0], abs=4096)


def test_a_reserve_that_cannot_grow_stays_as_it_is(disk: Path) -> None:
    with Outbox.open(disk) as outbox:
        Reserve(disk, DiskSpace(disk), reserve_mb=0.8).top_up(outbox.database)
        fill(disk)

        Reserve(disk, DiskSpace(disk), reserve_mb=1.2).top_up(outbox.database)

    assert (disk / "reserve").stat().st_size == 200_000
