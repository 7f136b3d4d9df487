"""kill -9 while files are cleared away: what was begun is finished, and nothing else goes."""

from agent.sandbox.server import Sandbox
from tests.station import PATIENCE_S, Station, delivered, until
from tests.videos import film_run

POINTS = ("clip-clearing", "clip-cleared", "clearing", "cleared")


def test_a_kill_while_clearing_is_made_good_at_the_next_start(
    station: Station, sandbox: Sandbox
) -> None:
    with station.running():
        film_run(station.capture / "one.mp4")
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])
    at_once = {"SPOTTER_CAPTURE__KEEP_CLIPS_DAYS": "0", "SPOTTER_CAPTURE__KEEP_ORIGINALS_H": "0"}

    for point in POINTS:
        daemon = station.start({"SPOTTER_CRASH_AT": point, **at_once})
        assert daemon.wait(PATIENCE_S) == -9, f"{point} was never passed"

    with station.running(at_once):
        until(lambda: 'event="original cleared"' in station.log.read_text())
    left = [
        path.name for place in ("captures", "clips") for path in (station.state / place).iterdir()
    ]
    assert left == []
    assert station.states() == ["uploaded"]
    assert len(sandbox.book.sessions) == 1
