"""A full disk and a folder that comes and goes: loud, and healed without a restart."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.sandbox.server import Sandbox
from tests.station import Station, delivered, until
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


def test_a_full_disk_loses_nothing_and_heals_alone(
    small_disk: Path, station: Station, sandbox: Sandbox
) -> None:
    with station.running():
        filler = small_disk / "filler"
        filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 90_000))
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


def test_a_thousand_files_at_once_are_all_taken_in(station: Station, sandbox: Sandbox) -> None:
    for number in range(1000):
        (station.capture / f"junk-{number}.mp4").write_bytes(b"%d" % number)
    film_run(station.capture / "a-good-one.mp4")

    with station.running():
        assert delivered(sandbox, 1)
        until(lambda: not any(station.capture.iterdir()), timeout_s=60)
        assert len(list((station.state / "captures").glob("*.mp4"))) == 1001
