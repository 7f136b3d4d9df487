"""kill -9 at every durable step and at random moments: nothing lost, nothing twice."""

import random
import time
from collections import Counter

import pytest

from agent.sandbox.server import Sandbox
from tests.station import Station, delivered, until
from tests.videos import film_run

# One capture each; three of them die after the server made the session and before our commit.
POINTS = (
    "intake-hashed",
    "intake-sidecar-written",
    "intake-moved",
    "intake-row-written",
    "takes-recorded",
    "clip-cut",
    "clip-kept",
    "entries-made",
    "analysis-ended",
    "before-upload",
    "body-marked",
    "after-answer",
    "after-answer",
    "after-answer",
    "uploaded",
)


def check_books(station: Station, sandbox: Sandbox, captures: int) -> None:
    """Every capture was delivered exactly once, and nothing strays about."""
    assert delivered(sandbox, captures), station.log.read_text()[-3000:]
    until(lambda: set(station.states()) == {"uploaded"})
    sent = Counter(session.video_sha256 for session in sandbox.book.sessions)
    assert sent == Counter(str(row["clip_sha256"]) for row in station.entries())
    assert len(sent) == captures and set(sent.values()) == {1}
    assert len({row["capture"] for row in station.entries()}) == captures
    assert not list((station.state / "set-aside").iterdir())
    clips = {path.name for path in (station.state / "clips").iterdir()}
    assert clips == {f"{row['clip_code']}.mp4" for row in station.entries()}


@pytest.mark.timeout(240)
def test_a_kill_at_any_step_loses_and_doubles_nothing(station: Station, sandbox: Sandbox) -> None:
    for number, point in enumerate(POINTS, start=1):
        film_run(station.root / "film.mp4", seed=number).rename(
            station.capture / f"set-{number}.mp4"
        )
        daemon = station.start({"SPOTTER_CRASH_AT": point})
        assert daemon.wait(40) == -9, f"{point} was never passed"

    with station.running():
        check_books(station, sandbox, len(POINTS))


def test_a_kill_after_the_second_look_up_sends_nothing_twice(
    station: Station, sandbox: Sandbox
) -> None:
    sandbox.add_fault("lost-answer")
    film_run(station.capture / "one.mp4")
    assert station.start({"SPOTTER_CRASH_AT": "looked-up"}).wait(40) == -9

    with station.running():
        check_books(station, sandbox, 1)


def kill_at_random(station: Station, sandbox: Sandbox, *, kills: int, captures: int) -> None:
    """Kill a daemon again and again while captures keep coming."""
    chance = random.Random(7)
    films = iter(range(1, captures + 1))
    for _ in range(kills):
        number = next(films, None)
        if number is not None:
            film_run(station.root / "film.mp4", seed=number).rename(
                station.capture / f"set-{number}.mp4"
            )
        daemon = station.start()
        time.sleep(chance.uniform(0.0, 2.5))
        daemon.kill()
        daemon.wait()

    with station.running():
        check_books(station, sandbox, captures)


@pytest.mark.timeout(180)
def test_kills_at_random_moments_lose_and_double_nothing(
    station: Station, sandbox: Sandbox
) -> None:
    kill_at_random(station, sandbox, kills=6, captures=6)


@pytest.mark.soak
def test_two_hundred_kills_lose_and_double_nothing(station: Station, sandbox: Sandbox) -> None:
    kill_at_random(station, sandbox, kills=200, captures=100)
