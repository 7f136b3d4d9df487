"""A disk that others fill to the last byte: intake waits, delivery goes on, nothing is lost."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.sandbox.server import Sandbox
from tests.disks import fill, mounted
from tests.station import KEY, Station, delivered, until
from tests.videos import film_run, name_of

_CLIPS = 2
_WAITS = 'event="start paused" reason="the disk is full"'


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own for the state folder; the capture folder is on another."""
    with mounted(tmp_path / "state", "size=48m") as place:
        yield place


def film(station: Station, number: int) -> None:
    film_run(station.root / "film.mp4", seed=number).rename(station.capture / name_of(number))


def waiting_for_key(station: Station) -> None:
    """Let clips be there that cannot be delivered yet."""
    station.key_file.write_text("")
    for number in range(1, _CLIPS + 1):
        station.put_clip(number)


def has_reserve(station: Station) -> bool:
    return (station.state / "reserve").exists()


def status(station: Station) -> dict[str, dict[str, object]]:
    told = json.loads(station.spotter("status", "--json"))
    assert isinstance(told, dict)
    return told


def check(station: Station, sandbox: Sandbox, clips: int) -> None:
    """Nothing lost, nothing doubled, no flood of complaints."""
    until(lambda: station.states() == ["uploaded"] * clips)
    sent = Counter(session.video_sha256 for session in sandbox.book.sessions)
    assert sent == Counter(str(row["clip_sha256"]) for row in station.entries())
    assert len(sent) == clips
    log = station.log.read_text()
    assert "Traceback" not in log
    assert log.count("level=error") < 10, log


def test_delivery_goes_on_when_others_have_filled_the_disk(
    disk: Path, station: Station, sandbox: Sandbox
) -> None:
    waiting_for_key(station)
    with station.running():
        until(lambda: has_reserve(station))
        filler = fill(disk)
        film(station, _CLIPS)
        until(lambda: status(station)["intake"]["reason"] == "disk_full")
        told = station.spotter("status")
        assert "intake PAUSED" in told and "intake is paused (spotter doctor)" in told

        station.key_file.write_text(KEY)
        station.spotter("assign", "--clear")  # any command works, on a full disk too
        assert delivered(sandbox, _CLIPS)
        until(lambda: station.states() == ["uploaded"] * _CLIPS)
        assert len(list(station.capture.iterdir())) == 1

        filler.unlink()
        assert delivered(sandbox, _CLIPS + 1)
        until(lambda: status(station)["intake"]["reason"] is None)
        check(station, sandbox, _CLIPS + 1)
    assert 'event="stage resumed"' in station.log.read_text()


def test_a_start_on_a_full_disk_drains_the_outbox(
    disk: Path, station: Station, sandbox: Sandbox
) -> None:
    waiting_for_key(station)
    with station.running():
        until(lambda: has_reserve(station))
    station.key_file.write_text(KEY)
    filler = fill(disk)
    assert status(station)["entries"] == {"ready": _CLIPS}

    daemon = station.start()
    assert delivered(sandbox, _CLIPS)
    until(lambda: station.states() == ["uploaded"] * _CLIPS)
    daemon.kill()  # and a start after that, the reserve being used up
    daemon.wait()
    fill(disk)
    with station.running():
        until(lambda: status(station)["intake"]["reason"] == "disk_full")
        filler.unlink()
        film(station, _CLIPS)
        check(station, sandbox, _CLIPS + 1)


def test_a_start_that_cannot_even_open_the_outbox_waits_for_room_or_for_sigterm(
    disk: Path, station: Station, sandbox: Sandbox
) -> None:
    waiting_for_key(station)
    with station.running():
        until(lambda: has_reserve(station))
    station.key_file.write_text(KEY)
    (disk / "reserve").unlink()
    filler = fill(disk)

    daemon = station.start(wait=False)
    until(lambda: _WAITS in station.log.read_text())
    daemon.terminate()
    assert daemon.wait(12) == 0
    daemon = station.start(wait=False)
    until(lambda: station.log.read_text().count(_WAITS) == 2)
    filler.unlink()
    assert delivered(sandbox, _CLIPS)
    check(station, sandbox, _CLIPS)
    daemon.terminate()
    assert daemon.wait(12) == 0


def test_clips_wait_for_room_to_be_cut(tmp_path: Path, sandbox: Sandbox) -> None:
    with mounted(tmp_path / "disk", "size=48m") as place:
        station = Station(place, sandbox.base_url, {"disk": {"min_free_mb": 0}})
        with station.running():
            until(lambda: has_reserve(station))
            whole = film_run(station.root / "film.mp4", seconds=8)
            filler = fill(place)
            os.truncate(filler, filler.stat().st_size - whole.stat().st_size)
            whole.rename(station.capture / name_of(1))  # on the same disk that takes no room
            until(lambda: "clipping PAUSED" in station.spotter("status"))
            assert [row["state"] for row in station.rows()] == ["captured"]

            filler.unlink()
            station.spotter("assign", "--clear")  # any command wakes the daemon
            check(station, sandbox, 1)
        assert not list((station.state / "tmp").glob("*.mp4"))


def test_a_log_that_cannot_be_written_ends_nothing(station: Station, sandbox: Sandbox) -> None:
    station.put_clip()
    to_full_disk = ("env", "-u", "PYTHONUNBUFFERED", "sh", "-c", 'exec "$@" 2>/dev/full', "sh")
    daemon = station.start(under=to_full_disk, wait=False)

    try:
        assert delivered(sandbox, 1)
        assert daemon.poll() is None
    finally:
        daemon.terminate()
    assert daemon.wait(12) == 0
