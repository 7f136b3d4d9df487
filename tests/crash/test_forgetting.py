"""kill -9 while an athlete is forgotten: the next start finishes it."""

import subprocess
import sys

import pytest

from agent.sandbox.server import Sandbox
from tests.station import Station, delivered, until
from tests.videos import film_run


@pytest.mark.parametrize(
    "point", ["forgetting-begun", "clip-clearing", "forgetting-clips-gone", "ledger-anew"]
)
def test_a_kill_leaves_a_forgetting_that_the_next_start_finishes(
    station: Station, sandbox: Sandbox, point: str
) -> None:
    film_run(station.capture / "one.mp4")
    with station.running():
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])
    words = ["forget", "someUserId123", "--yes", "--config", str(station.config)]
    killed = subprocess.run(
        [sys.executable, "-m", "agent", *words],
        env={"SPOTTER_CRASH_AT": point},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr

    with station.running():
        until(lambda: not any((station.state / "captures").iterdir()))
        until(lambda: not any((station.state / "clips").iterdir()))
        until(lambda: [row["user_id"] for row in station.entries()] == [None])
    assert "made anew" not in station.log.read_text()
