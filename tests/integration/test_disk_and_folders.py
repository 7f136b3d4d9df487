"""A full disk and a folder that comes and goes: loud, and healed without a restart."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.sandbox.server import Sandbox
from tests.station import PATIENCE_S, Station, delivered, until
from tests.videos import film_run

DISK_BYTES = 1_500_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one and a half megabytes, as the station's state folder."""
    place = tmp_path / "state"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)  # noqa: S607  # found on every Linux


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder in memory: thousands of files cost thousands of fsyncs elsewhere."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        yield Path(place)


def filled(disk: Path, *, but: int) -> Path:
    """Fill a disk but for some bytes; a daemon that begins may take some of it meanwhile."""
    filler = disk / "filler"
    with filler.open("wb") as stream:
        until(lambda: _allocates(stream.fileno(), shutil.disk_usage(disk).free - but))
    return filler


def _allocates(descriptor: int, size: int) -> bool:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        return False
    return True


def test_a_full_disk_loses_nothing_and_heals_alone(
    small_disk: Path, station: Station, sandbox: Sandbox
) -> None:
    with station.running():
        filler = filled(small_disk, but=90_000)
        film_run(station.capture / "one.mp4")
        until(lambda: "level=error" in station.log.read_text())
        assert sandbox.book.sessions == []

        filler.unlink()
        station.spotter("assign", "--clear")  # any command wakes the daemon
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])

    assert len(sandbox.book.sessions) == 1
    assert "Traceback" not in station.log.read_text()


def test_a_capture_folder_that_goes_and_comes_back_is_watched_again(
    station: Station, sandbox: Sandbox
) -> None:
    with station.running():
        station.capture.rmdir()
        until(lambda: "capture folder is missing" in station.log.read_text())
        assert "MISSING" in station.spotter("status")
        station.capture.mkdir()
        film_run(station.capture / "one.mp4")
        assert delivered(sandbox, 1)

    log = station.log.read_text()
    assert log.count("capture folder is missing") == log.count("after=folder_missing") == 1


@pytest.mark.parametrize(
    "count",
    [
        200,
        pytest.param(20_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_a_flood_of_files_is_taken_in_and_a_good_one_behind_it_is_delivered(
    in_memory: Path, sandbox: Sandbox, count: int
) -> None:
    station = Station(in_memory, sandbox.base_url)
    for number in range(count):
        (station.capture / f"junk-{number}.mp4").write_bytes(b"%d" % number)
    film_run(station.capture / "a-good-one.mp4")

    with station.running():
        until(lambda: not any(station.capture.iterdir()), timeout_s=PATIENCE_S + count / 10)
        assert delivered(sandbox, 1, timeout_s=PATIENCE_S + count / 5)
        assert len(list((station.state / "captures").glob("*.mp4"))) == count + 1
    assert len(sandbox.book.sessions) == 1
