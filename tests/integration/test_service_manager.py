"""What systemd hears of the daemon, and what it does on SIGHUP: real sockets, real processes."""

import itertools
import re
import signal
import time
from pathlib import Path

import pytest

from agent.failpoints import STUCK_VARIABLE
from agent.heartbeat import BOUND_VARIABLE
from agent.sandbox.server import Sandbox
from agent.wakeup import wake
from tests.service_manager import Heard, service_manager
from tests.station import Station, delivered, until
from tests.videos import film_run

_WATCHDOG = {"WATCHDOG_USEC": "1000000"}  # fed twice a second
_FEED_S = 0.5


def test_it_says_that_it_runs_what_it_does_and_that_it_ends(
    station: Station, sandbox: Sandbox, tmp_path: Path
) -> None:
    with service_manager(tmp_path) as (environment, heard):
        with station.running({**environment, **_WATCHDOG}):
            heard.wait_for("READY=1")
            heard.wait_for("STATUS=watching")
            station.put_clip()
            wake(station.state / "wake.sock")
            assert delivered(sandbox, 1)
            heard.wait_for("WATCHDOG=1", count=4)
        heard.wait_for("STOPPING=1")
    fed = heard.times("WATCHDOG=1")
    assert fed[0] > heard.times("READY=1")[0]
    assert min(b - a for a, b in itertools.pairwise(fed)) > _FEED_S / 2


@pytest.mark.parametrize(
    ("point", "part"),
    [
        ("intake-hashed", "intake"),
        pytest.param("takes-recorded", "clipping", marks=pytest.mark.soak),
        ("before-upload", "delivery"),
        ("intake-hashed:gil", None),  # nothing at all runs any more
    ],
)
def test_a_stage_stuck_in_native_code_stops_the_feeding(
    point: str, part: str | None, station: Station, tmp_path: Path
) -> None:
    with service_manager(tmp_path) as (environment, heard):
        stuck = {STUCK_VARIABLE: point, BOUND_VARIABLE: "1.5"}
        daemon = station.start({**environment, **_WATCHDOG, **stuck})
        try:
            heard.wait_for("WATCHDOG=1")
            if part == "delivery":
                station.put_clip()
                wake(station.state / "wake.sock")
            else:
                film_run(station.capture / "one.mp4")
            if part is not None:
                heard.wait_for(f"STATUS=no progress in {part}")
            until(lambda: _starved(heard))
            assert daemon.poll() is None
        finally:
            daemon.kill()
            daemon.wait()


def _starved(heard: Heard) -> bool:
    return time.monotonic() - heard.times("WATCHDOG=1")[-1] > 4 * _FEED_S


def test_an_analysis_that_goes_on_is_fed_however_long_it_takes(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    analysis: dict[str, object] = {"stall_limit_s": 6, "poster": False}
    station = Station(tmp_path, sandbox.base_url, {"analysis": analysis})
    film_run(station.capture / "long.mp4", seconds=20)
    with service_manager(tmp_path) as (environment, heard):
        bound = {**environment, **_WATCHDOG, BOUND_VARIABLE: "1"}
        with station.running(bound, under=["env"]):  # whose analysis starts at once, too
            until(lambda: 'event="capture analysed"' in station.log.read_text())
        assert heard.longest_gap_s("WATCHDOG=1", until_s=heard.times("STOPPING=1")[0]) < 6
    # On a busy machine a short step of another stage may take longer than its second.
    assert not [line for _, line in heard.lines if "no progress" in line and "clipping" in line]


def test_an_idle_station_is_fed_beyond_the_bound_of_any_step(
    station: Station, tmp_path: Path
) -> None:
    with (
        service_manager(tmp_path) as (environment, heard),
        station.running({**environment, **_WATCHDOG, BOUND_VARIABLE: "2"}),
    ):
        heard.wait_for("WATCHDOG=1", count=12)
    assert not heard.times("STATUS=no progress")


def test_a_start_that_waits_asks_for_more_time_and_says_what_it_waits_for(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    missing = str(tmp_path / "camera-disk")
    station = Station(tmp_path, sandbox.base_url, {"disk": {"mounts": [missing]}})
    station.config.write_text(
        station.config.read_text().replace(str(station.state), f"{missing}/state")
    )
    with service_manager(tmp_path) as (environment, heard):
        daemon = station.start({**environment, **_WATCHDOG}, wait=False)
        heard.wait_for(f"STATUS=start paused: {missing} is not mounted")
        heard.wait_for("EXTEND_TIMEOUT_USEC=30000000", count=2)
        daemon.terminate()
        assert daemon.wait(12) == 0
    assert not heard.times("READY=1") + heard.times("WATCHDOG=1")


def test_settings_are_read_again_and_a_broken_edit_changes_nothing(
    station: Station, sandbox: Sandbox, tmp_path: Path
) -> None:
    good = station.config.read_text()
    with (
        service_manager(tmp_path) as (environment, heard),
        station.running(environment) as daemon,
    ):
        station.config.write_text(good.replace('"activity": "running"', "") + "\n[nonsense]\n")
        daemon.send_signal(signal.SIGHUP)
        heard.wait_for("STATUS=watching; settings paused: not taken over")
        heard.wait_for("READY=1", count=2)
        log = station.log.read_text()
        assert "did you mean" in log or "unknown table" in log

        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        station.config.write_text(
            good.replace(str(station.capture), str(elsewhere)).replace(
                str(station.state), str(tmp_path / "other")
            )
        )
        daemon.send_signal(signal.SIGHUP)
        heard.wait_for("READY=1", count=3)
        assert 'event="restart required" setting=paths.state' in station.log.read_text()
        station.config.write_text(good.replace(str(station.capture), str(elsewhere)))
        film_run(elsewhere / "one.mp4")
        assert delivered(sandbox, 1)
        assert "PAUSED" not in station.spotter("status")
    reloading = heard.times("RELOADING=1")
    assert len(reloading) == len(heard.times("MONOTONIC_USEC=")) == 2
    assert not (tmp_path / "other").exists()


def test_asked_to_end_in_the_middle_of_a_reload_it_ends(station: Station) -> None:
    daemon = station.start()
    station.config.write_text(station.config.read_text().replace("0.3", "0.4"))
    daemon.send_signal(signal.SIGHUP)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(12) == 0


def test_a_reload_takes_another_reserve_over(station: Station, tmp_path: Path) -> None:
    file, good = station.state / "reserve", station.config.read_text()
    station.config.write_text(good.replace("reserve_mb = 1", "reserve_mb = 4\nmin_free_mb = 1"))
    with (
        service_manager(tmp_path) as (environment, heard),
        station.running(environment) as daemon,
    ):
        for times, (reserve_mb, wanted) in enumerate(((8, 2_000_000), (0, 0)), start=2):
            text = station.config.read_text()
            station.config.write_text(re.sub(r"(?<=reserve_mb = )\d", str(reserve_mb), text))
            daemon.send_signal(signal.SIGHUP)
            heard.wait_for("READY=1", count=times)
            until(lambda wanted=wanted: _size(file) == wanted)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
