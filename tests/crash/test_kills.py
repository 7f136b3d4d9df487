"""kill -9 at every durable step and at random moments: nothing lost, nothing twice."""

from collections import Counter
from collections.abc import Callable

import pytest

from agent.sandbox.server import Sandbox
from tests.crash.soak import Soak
from tests.station import PATIENCE_S, Station, delivered, until
from tests.videos import film_run, name_of

# One capture each; after-answer is after the server made the session and before our commit.
POINTS = (
    "intake-hashed",
    "intake-sidecar-written",
    "intake-moved",
    "ledger-written",
    "intake-row-written",
    "takes-recorded",
    "clip-cut",
    "clip-kept",
    "entries-made",
    "analysis-ended",
    "before-upload",
    "body-marked",
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
    codes = {row["clip_code"] for row in station.entries()}
    assert clips == {f"{code}{end}" for code in codes for end in (".mp4", ".json")}


def test_a_kill_at_any_step_loses_and_doubles_nothing(station: Station, sandbox: Sandbox) -> None:
    for number, point in enumerate(POINTS, start=1):
        film_run(station.root / "film.mp4", seed=number).rename(station.capture / name_of(number))
        daemon = station.start({"SPOTTER_CRASH_AT": point})
        assert daemon.wait(PATIENCE_S) == -9, f"{point} was never passed"

    with station.running():
        check_books(station, sandbox, len(POINTS))


def test_a_kill_after_the_second_look_up_sends_nothing_twice(
    station: Station, sandbox: Sandbox
) -> None:
    sandbox.add_fault("lost-answer")
    film_run(station.capture / "one.mp4")
    assert station.start({"SPOTTER_CRASH_AT": "looked-up"}).wait(PATIENCE_S) == -9

    with station.running():
        check_books(station, sandbox, 1)


def test_kills_and_faults_at_random_moments_lose_and_double_nothing(
    station: Station, sandbox: Sandbox
) -> None:
    soak = Soak(station, sandbox, films=4, seed=7)
    soak.kill(4, captures=8, trouble=0.5)
    tally = soak.settle(timeout_s=PATIENCE_S)

    assert (tally.lost, tally.doubled, tally.wrong) == ([], [], []), str(tally)
    assert (tally.captures, tally.kills) == (8, 4)


@pytest.mark.soak
def test_a_thousand_clips_through_one_daemon_in_bad_weather(
    station: Station, sandbox: Sandbox, summary: Callable[[str], None]
) -> None:
    soak = Soak(station, sandbox, films=40, seed=23)
    soak.work(1000, trouble=0.1)
    tally = soak.settle(timeout_s=3600)
    summary(str(tally))

    assert (tally.lost, tally.doubled, tally.wrong) == ([], [], []), str(tally)
    assert (tally.captures, tally.kills) == (1000, 0)
    (early_mb, early), (late_mb, late) = tally.halves()
    assert late_mb < early_mb + 10 and late < early + 4, str(tally)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [24, 25])  # both: a thousand clips, five hundred kills
def test_five_hundred_clips_through_two_hundred_and_fifty_kills(
    station: Station, sandbox: Sandbox, summary: Callable[[str], None], seed: int
) -> None:
    soak = Soak(station, sandbox, films=40, seed=seed)
    soak.kill(250, captures=500, trouble=0.3)
    tally = soak.settle(timeout_s=3600)
    summary(str(tally))

    assert (tally.lost, tally.doubled, tally.wrong) == ([], [], []), str(tally)
    assert (tally.captures, tally.kills) == (500, 250)
