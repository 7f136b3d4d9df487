"""Clocks that are wrong or jump: no mass deletion, no stuck clip, never the wrong athlete."""

import os
import platform
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av

from agent.sandbox.server import Sandbox
from tests.needs import need
from tests.station import ATHLETE, Station, delivered, until, until_filmed
from tests.videos import film_run

YEAR, THREE_DAYS_BACK = 365, -3  # days
_RUN_S = 1.6  # length of the filmed runs


class Clock:
    """The wall clock of one daemon, as a test sets it; its monotonic clocks go on."""

    def __init__(self, folder: Path) -> None:
        library = need(
            Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketimeMT.so.1"), "faketime"
        )
        self._file = folder / "clock"
        self.set(0)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, days: int) -> None:
        """Let the clock be so far from the truth from now on."""
        self.days = days
        self.set_seconds(days * 86400)

    def set_seconds(self, seconds: float) -> None:
        """Let the clock be so many seconds from the truth from now on."""
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text(f"{round(seconds):+d}\n")
        unfinished.replace(self._file)


def film(station: Station, number: int, *, days: int) -> None:
    """Let a film come whose file bears the time that the daemon's clock shows."""
    made = film_run(station.root / "film.mp4", seed=number)
    shown_s = time.time() + days * 86400  # the file system goes by the same clock
    os.utime(made, (shown_s, shown_s))
    made.rename(station.capture / f"film-{'abcdef'[number]}.mp4")  # no date: it would be another


def jump_in_a_backoff(station: Station, sandbox: Sandbox, clock: Clock, *, days: int) -> None:
    """Let the clock jump while a clip waits to be sent again, and another one be filmed then."""
    before = len(station.entries())
    sandbox.add_fault("cut:at=0*always")
    film(station, before + 1, days=clock.days)
    until(lambda: station.entries()[before:] and station.entries()[before]["attempts"])

    clock.set(days)
    station.spotter("assign", "athlete-0002", "--for", "30m")  # ends by time since boot
    until_filmed(_RUN_S, since_s=time.time())
    film(station, before + 2, days=days)
    until(lambda: len(station.entries()) == before + 2)
    sandbox.clear_faults()
    assert delivered(sandbox, before + 2)
    until(lambda: station.states() == ["uploaded"] * (before + 2))
    station.spotter("assign", "--clear")  # wakes every stage, clearing included
    until_filmed(_RUN_S, since_s=time.time())


def test_jumps_in_the_middle_of_a_backoff_delete_nothing_and_stick_nothing(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    station = Station(tmp_path, sandbox.base_url, {"delivery": {"backoff_max_s": 3.0}})
    clock = Clock(tmp_path)
    film(station, 1, days=0)
    with station.running(clock.environment):
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])
        jump_in_a_backoff(station, sandbox, clock, days=THREE_DAYS_BACK)
        jump_in_a_backoff(station, sandbox, clock, days=YEAR)

    athletes = sorted(session.user_id for session in sandbox.book.sessions)
    assert athletes == ["athlete-0002"] * 2 + ["someUserId123"] * 3
    assert len(list((station.state / "captures").glob("*.mp4"))) == 5
    assert len(list((station.state / "clips").glob("*.mp4"))) == 5


def stamped(path: Path, *, hours_off: float) -> Path:
    """Say in a film that it was made by a clock so far off; its file's own time stays true."""
    written_at = path.stat().st_mtime
    began = datetime.fromtimestamp(written_at - _RUN_S, UTC) + timedelta(hours=hours_off)
    told = path.with_suffix(".stamped.mp4")
    with av.open(str(path)) as source, av.open(str(told), "w") as target:
        target.metadata["creation_time"] = f"{began:%Y-%m-%dT%H:%M:%S.000000Z}"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    os.utime(told, (written_at, written_at))
    return told


def test_a_cameras_wrong_clock_never_gives_the_wrong_athlete(
    station: Station, sandbox: Sandbox
) -> None:
    station.spotter("assign", "athlete-0002")
    until_filmed(_RUN_S, since_s=time.time())
    hours_off, late = (2.0, -2.0, 1.0), "at-once-2.mp4"
    for number, hours in enumerate(hours_off, start=1):
        film = stamped(film_run(station.root / "film.mp4", seed=number), hours_off=hours)
        film.rename(station.capture / f"at-once-{number}.mp4")
        film = stamped(film_run(station.root / "film.mp4", seed=number + 3), hours_off=hours)
        wrong = film.stat().st_mtime + hours * 3600  # the file's own time is the camera's word too
        os.utime(film, (wrong, wrong))
        film.rename(station.capture / f"copied-late-{number}.mp4")

    with station.running():
        until(lambda: sorted(map(str, station.states())) == ["held"] * 4 + ["uploaded"] * 2)

    for entry in station.entries():
        doubted = str(entry["capture"]).startswith("copied-late") or entry["capture"] == late
        assert entry["reason"] == ("recording_time_unknown" if doubted else None)
        assert (entry["state"] == "held") is doubted
        if entry["capture"] == late:  # what was filmed two hours ago looks the same
            assert "athlete-0002, if" in str(entry["detail"])
            assert f"{ATHLETE}, if" in str(entry["detail"])
    assert [session.user_id for session in sandbox.book.sessions] == ["athlete-0002"] * 2
