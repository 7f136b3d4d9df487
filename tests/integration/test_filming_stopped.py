"""Filming stopped: nothing of it is seen, sent or kept."""

import json
import os
import time
from pathlib import Path

from agent.sandbox.server import Sandbox
from tests.station import Station, delivered, until
from tests.videos import film_run, name_of


def filmed(station: Station, number: int, *, ended_at: float) -> Path:
    """A recording that a camera program finished at a moment, and moved in now."""
    film = film_run(station.root / "film.mp4", seed=number)
    os.utime(film, (ended_at, ended_at))
    return film.rename(station.capture / name_of(number))


def captures(station: Station) -> dict[object, tuple[object, object]]:
    return {
        row["capture"]: (row["state"], row["reason"])
        for row in station.rows()
        if row["kind"] == "capture"
    }


def test_what_is_filmed_meanwhile_is_removed_unseen_by_when_it_was_filmed(
    station: Station, sandbox: Sandbox
) -> None:
    with station.running():
        told = json.loads(station.spotter("filming", "stop", "--for", "1h", "--json"))
        stopped_at = time.time()
        assert (told["stopped"], told["ends_in_s"]) == (True, 3600)
        assert "STOPPED" in station.spotter("status")
        filmed(station, 1, ended_at=stopped_at - 30)  # arrives now, was filmed before
        filmed(station, 2, ended_at=stopped_at + 0.5)
        until(lambda: len(captures(station)) == 2 and "captured" not in str(captures(station)))
        station.spotter("filming", "start")
        filmed(station, 3, ended_at=stopped_at + 0.5)  # arrives late
        film_run(station.root / "again.mp4", seed=2).rename(station.capture / "copy.mp4")
        filmed(station, 4, ended_at=time.time() + 30)
        assert delivered(sandbox, 2), station.log.read_text()[-3000:]
        until(lambda: not list(station.capture.iterdir()))

    gone = ("discarded", "filming_stopped")
    found = captures(station)
    assert [found[name_of(number)] for number in (2, 3)] == [gone, gone]
    assert found[name_of(1)][0] == found[name_of(4)][0] == "analysed"
    kept = {path.stem for path in (station.state / "captures").iterdir()}
    assert len(kept) == 2
    assert {path.stem for path in (station.state / "pictures").iterdir()} <= kept
    assert len(sandbox.book.sessions) == 2


def test_a_kill_leaves_nothing_of_it_to_be_seen(station: Station) -> None:
    station.spotter("filming", "stop")
    filmed(station, 1, ended_at=time.time() + 5)
    assert station.start({"SPOTTER_CRASH_AT": "hidden"}).wait(40) == -9
    assert list((station.state / "captures").glob("*.mp4"))

    with station.running():
        until(lambda: not list((station.state / "captures").iterdir()))


def test_what_may_have_been_filmed_meanwhile_waits_for_a_person(station: Station) -> None:
    station.spotter("filming", "stop")
    filmed(station, 1, ended_at=time.time() - 3600)  # a copy: its time says nothing
    with station.running():
        until(lambda: "filming_may_be_stopped" in str(captures(station)))
        assert not list((station.state / "pictures").iterdir())
        (name,) = [row["id"] for row in station.rows()]
        station.spotter("outbox", "retry", str(name))
        until(lambda: station.states() == ["uploaded"] or station.states() == ["held"])
