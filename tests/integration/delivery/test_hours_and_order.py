"""A lane on a thin line: caps, upload hours, and who goes first."""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from agent.outbox.entries import AttemptEnd, AttemptKind
from agent.outbox.models import ClipTarget
from agent.outbox.states import Recipient
from agent.sandbox.server import Sandbox
from tests.integration.delivery.conftest import World, way_to
from tests.relay import Relay
from tests.station import ATHLETE

MONDAY_NOON_S = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()
NIGHTS = "daily 22:00-06:00 = unlimited, else off"


def at_noon(world: World, schedule: str) -> World:
    """The same lane under a timetable, on a Monday at noon."""
    world.clock_s, world.schedule = MONDAY_NOON_S, schedule
    world.start()
    return world


def measured(world: World, bytes_s: float, number: int = 99) -> None:
    """Put an upload on record from which the line is known."""
    entry = world.add(number, size_bytes=1000)
    attempt_id = world.outbox.attempts.begin(entry.id, AttemptKind.UPLOAD, now_s=world.clock_s)
    end = AttemptEnd(
        outcome="uploaded",
        seconds=10.0,
        size_bytes=int(10 * bytes_s),
        sending_s=10.0,
        throttled_s=0.0,
    )
    world.outbox.attempts.end(attempt_id, end)


@pytest.fixture
def relay(sandbox: Sandbox) -> Iterator[Relay]:
    with Relay(sandbox.port) as running:
        yield running


def test_outside_upload_hours_clips_wait_and_unknown_outcomes_are_looked_up(
    world: World, sandbox: Sandbox
) -> None:
    at_noon(world, "")
    sandbox.add_fault("lost-answer")
    world.add(1)
    world.lane.step()
    assert world.states() == ["uncertain"]
    at_noon(world, NIGHTS)
    world.add(2)

    world.run(3600)

    assert world.states() == ["uploaded", "ready"]
    assert (world.entry(2).attempts, world.lane_state.paused_reason) == (0, None)
    world.run(9 * 3600)
    assert world.states() == ["uploaded", "uploaded"]
    assert 10 * 3600 <= world.clock_s - MONDAY_NOON_S <= 10.1 * 3600


def test_an_upload_under_way_when_uploads_close_waits_for_the_next_opening(world: World) -> None:
    at_noon(world, "daily 06:00-12:00 = 80kbit/s, else off")

    def wait(seconds: float) -> None:
        time.sleep(seconds)  # the lane's own pace is measured in true seconds
        world.clock_s += 600 * seconds

    world.wait = wait
    world.start()
    world.add(1, size_bytes=2_000_000)
    world.clock_s = MONDAY_NOON_S - 201  # enough for it, at 10 kB/s

    world.run(60)

    entry = world.entry()
    assert (entry.state, entry.attempts, entry.failures) == ("ready", 1, 0)
    assert entry.due_at <= world.clock_s
    (attempt,) = world.outbox.attempts.of_entry(entry.id)
    assert attempt.outcome == "OutOfHoursError" and attempt.body_complete_at is None


def test_what_cannot_end_before_uploads_close_lets_what_can_go_first(
    world: World, sandbox: Sandbox
) -> None:
    at_noon(world, "daily 06:00-12:01 = unlimited, else off")
    measured(world, 10_000)  # 600 kB in the minute that is left
    world.add(1, size_bytes=900_000)
    world.add(2, size_bytes=100_000)

    world.run()

    sizes = [round(session.video_bytes, -3) for session in sandbox.book.sessions]
    assert sizes == [1000, 100_000, 900_000]  # the last: the line proved to be faster


def test_on_a_thin_line_much_smaller_clips_pass_a_large_one(world: World, sandbox: Sandbox) -> None:
    measured(world, 100_000)
    world.run()
    sent_before = len(sandbox.book.sessions)
    for number, size_bytes in enumerate((4_000_000, 100_000, 3_000_000, 200_000), start=1):
        world.add(number, size_bytes=size_bytes)

    world.run()

    sizes = [session.video_bytes for session in sandbox.book.sessions[sent_before:]]
    assert [round(size, -5) for size in sizes] == [100_000, 200_000, 4_000_000, 3_000_000]


def test_a_refused_clip_costs_the_next_no_more_than_its_own_attempt(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("422:error=no")
    world.add(1)
    world.add(2)

    world.lane.step()
    world.lane.step()

    assert world.states() == ["dead", "uploaded"]


def test_the_cap_shows_at_the_other_end_as_a_steady_stream(world: World, relay: Relay) -> None:
    world.schedule = "4Mbit/s"
    with way_to(world, relay.base_url) as capped:
        capped.start()
        capped.add(size_bytes=750_000)
        began_s = time.monotonic()

        capped.run()

    assert world.states() == ["uploaded"]
    took_s = time.monotonic() - began_s
    assert took_s >= 1.3
    times = [at for at, _ in relay.arrivals]
    within = [
        sum(size for at, size in relay.arrivals if start <= at < start + 0.3) for start in times
    ]
    assert max(within) <= 750_000 / 2  # at most 200,000 by the cap; the machine may stutter
    (attempt,) = world.outbox.attempts.of_entry(1)
    (sending,) = world.outbox.traffic.sendings(most=9)
    assert attempt.outcome == "uploaded"
    assert sending.throttled_s > 0.5 * sending.sending_s


@pytest.mark.parametrize(
    ("waiting", "drained"),
    [(1000, 40), pytest.param(5000, 5000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])],
)
def test_a_backlog_of_a_week_drains_the_oldest_first(
    world: World, sandbox: Sandbox, waiting: int, drained: int
) -> None:
    late_s = [number * 7 * 86_400.0 / waiting for number in range(waiting)]
    random.Random(21).shuffle(late_s)  # taken in in any order
    ada = ClipTarget(recipient=Recipient.ATHLETE, user_id=ATHLETE, activity="running")
    with world.outbox.transaction():
        for number, seconds in enumerate(late_s, start=1):
            world.clock_s = MONDAY_NOON_S + seconds
            entry = world.add(number, size_bytes=1000)
            world.outbox.entries.assign(entry, ada, now_s=world.clock_s)
    world.clock_s = MONDAY_NOON_S + 8 * 86_400

    while len(sandbox.book.sessions) < drained:
        world.lane.step()

    sent = [world.outbox.entries.by_code(s.video_name[:10]) for s in sandbox.book.sessions]
    filmed = [entry.created_at - MONDAY_NOON_S for entry in sent if entry is not None]
    assert filmed == pytest.approx(sorted(late_s)[:drained])
