"""Folders whose disk is not there: a loud wait, and never a write to the wrong disk."""

import json
from pathlib import Path

from agent.sandbox.server import Sandbox
from tests.disks import mount, mount_again, mounted, unmount
from tests.station import Station, delivered, run_spotter, until
from tests.videos import film_run

_SIZE = "size=64m"


def reason(station: Station) -> object:
    return json.loads(station.spotter("status", "--json"))["intake"]["reason"]


def test_a_capture_disk_that_goes_and_comes_back(station: Station, sandbox: Sandbox) -> None:
    station.capture.rmdir()
    with mounted(station.capture, _SIZE), station.running():
        until(lambda: (station.state / "mounts.json").exists())
        unmount(station.capture)
        until(lambda: reason(station) == "mount_missing")
        strays = film_run(station.capture / "written-below.mp4", seed=9)
        mount(station.capture, _SIZE)
        film_run(station.capture / "one.mp4")
        assert delivered(sandbox, 1)
        until(lambda: reason(station) is None)
        assert station.log.read_text().count("mount_missing") == 2  # it waits, it goes on

        unmount(station.capture)
        assert [path.name for path in station.capture.iterdir()] == [strays.name]
        until(lambda: reason(station) == "mount_missing")
        assert "mount it" in station.spotter("status")
    assert len(sandbox.book.sessions) == 1


def test_a_capture_folder_that_the_service_can_only_read_is_waited_for(
    station: Station, sandbox: Sandbox
) -> None:
    """As systemd shows it to a unit that lacks the folder in ReadWritePaths."""
    with mounted(station.capture, _SIZE):
        film_run(station.capture / "one.mp4")
        mount_again(station.capture, "ro")
        with station.running():
            until(lambda: reason(station) == "folder_read_only")
            assert "ReadWritePaths" in station.spotter("status")
            assert not list((station.state / "captures").iterdir())

            mount_again(station.capture, "rw")
            assert delivered(sandbox, 1)
            until(lambda: reason(station) is None)
    assert len(sandbox.book.sessions) == 1


def test_a_capture_disk_that_is_missing_at_the_start(station: Station, sandbox: Sandbox) -> None:
    station.capture.rmdir()
    with mounted(station.capture, _SIZE):
        with station.running():
            until(lambda: (station.state / "mounts.json").exists())
        unmount(station.capture)
        film_run(station.capture / "below.mp4")

        with station.running():
            until(lambda: reason(station) == "mount_missing")
            told = station.spotter("status")
            assert str(station.capture) in told and "mounts.json" in told
            (station.state / "mounts.json").unlink()  # a person: it was moved for good
            assert delivered(sandbox, 1)


def test_a_state_disk_that_is_missing_is_waited_for_and_nothing_is_written_below(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    place = tmp_path / "state"
    place.mkdir()
    station = Station(tmp_path, sandbox.base_url, {"disk": {"mounts": [str(place)]}})
    daemon = station.start(wait=False)
    until(lambda: "a mount is missing" in station.log.read_text())
    command = run_spotter(["status", "--config", str(station.config)])
    assert command.returncode == 75 and f"{place} is not mounted" in command.stderr
    assert "is not mounted" in command.stderr
    assert not list(place.iterdir())

    with mounted(place, _SIZE):
        film_run(station.capture / "one.mp4")
        assert delivered(sandbox, 1)
        daemon.terminate()
        assert daemon.wait(12) == 0

    assert not list(place.iterdir())


def test_commands_work_while_the_disk_of_the_camera_is_not_there(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    disk = tmp_path / "camera-disk"
    station = Station(tmp_path, sandbox.base_url, {"disk": {"mounts": [str(disk)]}})
    with mounted(disk, _SIZE), station.running():
        unmount(disk)
        until(lambda: reason(station) == "mount_missing")
        assert f"{disk} is not mounted" in station.spotter("status")
        station.spotter("assign", "athlete-0002")


def test_a_state_disk_that_goes_away_under_way_gets_nothing_written_below(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    place = tmp_path / "state"
    station = Station(tmp_path, sandbox.base_url)
    with mounted(place, _SIZE):
        daemon = station.start()
        film_run(station.capture / "one.mp4")
        assert delivered(sandbox, 1)

        unmount(place)
        film_run(station.capture / "two.mp4", seed=2)
        until(lambda: "state folder is missing" in station.log.read_text())
        assert not list(place.iterdir())
        assert [path.name for path in station.capture.iterdir()] == ["two.mp4"]
        daemon.terminate()
        daemon.wait(12)

    assert not list(place.iterdir())
