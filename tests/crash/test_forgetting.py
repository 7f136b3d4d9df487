"""kill -9 while an athlete is forgotten: the next start finishes it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.sandbox.server import Sandbox
from tests.forked import ForkedCommand
from tests.integration.test_joined_recordings import deliver, film_in_two
from tests.station import ATHLETE, KEY, PATIENCE_S, Station, delivered, until
from tests.videos import film_run


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """A station that has delivered one clip, and its API."""
    with Sandbox(key=KEY, processing_s=0.0) as api:
        station = Station(tmp_path_factory.mktemp("before"), api.base_url)
        film_run(station.capture / "one.mp4")
        with station.running():
            assert delivered(api, 1)
            until(lambda: station.states() == ["uploaded"])
        yield station


def forget_killed_at(point: str, station: Station, *more: str) -> None:
    """Forget the athlete by a command that is killed at a point."""
    words = ["forget", ATHLETE, *more, "--yes", "--config", str(station.config)]
    log = station.root / "forget.log"
    command = ForkedCommand(words, environment={"SPOTTER_CRASH_AT": point}, log=log)
    assert command.wait(PATIENCE_S) == -9, log.read_text()


@pytest.mark.parametrize(
    "point", ["forgetting-begun", "clip-clearing", "forgetting-clips-gone", "ledger-rewritten"]
)
def test_a_kill_leaves_a_forgetting_that_the_next_start_finishes(
    before: Station, tmp_path: Path, point: str
) -> None:
    station = Station(tmp_path, before.base_url)
    shutil.copytree(before.state, station.state)
    forget_killed_at(point, station)

    with station.running():
        until(lambda: not any((station.state / "captures").iterdir()))
        until(lambda: not any((station.state / "clips").iterdir()))
        until(lambda: [row["user_id"] for row in station.entries()] == [None])
    assert "database rebuild" not in station.log.read_text()


def test_a_joined_clip_that_a_kill_left_uncertain_goes_unsent_with_its_athlete(
    station: Station, sandbox: Sandbox
) -> None:
    first, second = film_in_two(station.root)
    deliver(first, station, filmed_s_ago=4.0)
    deliver(second, station, filmed_s_ago=0.0)
    assert station.start({"SPOTTER_CRASH_AT": "body-marked"}).wait(PATIENCE_S) == -9
    (entry,) = (row for row in station.entries() if row["state"] == "uploading")
    forget_killed_at("forgetting-begun", station)

    with station.running():
        until(lambda: set(station.states()) == {"discarded"})
        station.spotter("assign", "--clear")  # wakes every stage
        until(lambda: not any((station.state / "captures").iterdir()))
        until(lambda: not any((station.state / "clips").iterdir()))
    states = {row["id"]: row["state"] for row in station.entries()}
    assert states[entry["id"]] == "discarded"
    assert sandbox.book.sessions == []


@pytest.mark.parametrize(
    "point",
    [
        *("forgetting-begun", "erasure-deleted"),
        *(
            pytest.param(at, marks=pytest.mark.soak)
            for at in ("forgetting-clips-gone", "ledger-rewritten")
        ),
    ],
)
def test_a_kill_leaves_an_erasure_at_the_api_that_the_next_start_finishes(
    station: Station, sandbox: Sandbox, point: str
) -> None:
    for number in (1, 2):
        station.put_clip(number)
    with station.running():
        assert delivered(sandbox, 2)
        until(lambda: station.states() == ["uploaded"] * 2)
    in_daemon = point == "erasure-deleted"
    if in_daemon:
        told = station.spotter("forget", ATHLETE, "--also-at-api", "--yes")
        assert "as soon as it is reachable" in told
        assert station.start({"SPOTTER_CRASH_AT": point}, wait=False).wait(PATIENCE_S) == -9
    else:
        forget_killed_at(point, station, "--also-at-api")
    assert len(sandbox.book.sessions) == (1 if in_daemon else 2)

    with station.running():
        until(lambda: not sandbox.book.sessions)
        until(lambda: not any((station.state / "clips").iterdir()))
        receipt = station.root / "receipt.json"

        def is_complete() -> bool:
            words = ("forget", "someUserId123", "--yes", "--receipt", str(receipt), "--json")
            told = json.loads(station.spotter(*words))
            assert len(told["erasures"]) == 1  # asking for the receipt erases nothing again
            return told["open"] == [] and len(told["erasures"][0]["sessions"]) == 2

        until(is_complete)
    page = receipt.with_suffix(".html").read_text()
    written = json.loads(receipt.read_text())
    for session in written["erasures"][0]["sessions"]:
        assert session["state"] == "deleted" and session["session_id"] in page
    deletions = [r.path for r in sandbox.book.requests if r.method == "DELETE"]
    assert len(set(deletions)) == 2
