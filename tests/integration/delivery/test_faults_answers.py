"""Rows 13, 15 and 16 of the faults a station meets: odd answers, refusals, and pleas to wait."""

import pytest

from agent.outbox.states import Reason
from agent.sandbox.server import Sandbox
from agent.station import clip_actions
from tests.integration.delivery.conftest import WAIT_S, World

DAY_S = 86_400.0

# Row 13


@pytest.mark.parametrize("fault", ["429:retry-after={}", "503:retry-after={},early"])
@pytest.mark.parametrize(
    ("header", "least_s", "most_s"),
    [("40", 40, 40), ("date+40", 38, 41), ("604800", 3600, 3600)],
)
def test_a_plea_to_wait_holds_the_lane_for_that_long_and_for_an_hour_at_most(
    world: World, sandbox: Sandbox, fault: str, header: str, least_s: float, most_s: float
) -> None:
    sandbox.add_fault(fault.format(header))
    world.add(1, size_bytes=8_000_000)

    world.lane.step()

    state = world.lane_state
    assert state.paused_reason == "server_asks_to_wait" and state.next_probe_at is not None
    assert least_s <= state.next_probe_at - world.clock_s <= most_s
    world.add(2)
    world.run(least_s * 0.95)
    assert [request.method for request in sandbox.book.requests].count("POST") == 1
    world.run(2 * 3600)
    world.check_delivered_once(sandbox, 2)


def test_a_plea_of_429_that_nobody_can_read_holds_the_lane_as_one_without_a_time(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("429:retry-after=in a while")
    world.add()

    world.lane.step()

    state = world.lane_state
    assert state.paused_reason == "server_asks_to_wait" and state.next_probe_at is not None
    assert 1 <= state.next_probe_at - world.clock_s <= 5
    world.run(3600)
    world.check_delivered_once(sandbox, 1)


def test_a_503_whose_plea_nobody_can_read_holds_no_other_clip_back(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("503:retry-after=in a while,early")
    world.add(1, size_bytes=8_000_000)  # most of it is unsent when the answer comes

    world.lane.step()

    assert (world.lane_state.paused_reason, world.lane_state.next_probe_at) == (None, None)
    assert world.states() == ["ready"]
    world.run(3600)
    world.check_delivered_once(sandbox, 1)


def test_the_longest_plea_counts_however_many_clips_fail(world: World, sandbox: Sandbox) -> None:
    sandbox.add_fault("429:retry-after=1*2")
    sandbox.add_fault("429:retry-after=1800")
    for number in (1, 2, 3):
        world.add(number)

    while len([r for r in sandbox.book.requests if r.status == 429]) < 3:
        world.clock_s += max(world.lane.step(), 0.1)

    state = world.lane_state
    assert state.next_probe_at is not None and state.next_probe_at - world.clock_s > 1700


def test_pleas_without_a_time_are_obeyed_ever_longer(world: World, sandbox: Sandbox) -> None:
    sandbox.add_fault("429*always")
    for number in range(1, 4):
        world.add(number)

    waits_s = [_wait_after_a_refusal(world, sandbox) for _ in range(12)]

    longest_s = [min(5.0 * 2**failures, 3600.0) for failures in range(12)]
    assert all(1 <= wait_s <= most for wait_s, most in zip(waits_s, longest_s, strict=True))
    assert max(waits_s[8:]) > 60  # by chance it is not in one of a million


def _wait_after_a_refusal(world: World, sandbox: Sandbox) -> float:
    """Let the lane work until one upload more is refused; return the pause that follows."""

    def refused() -> int:
        return sum(request.status == 429 for request in sandbox.book.requests)

    before = refused()
    while refused() == before:
        world.clock_s += world.lane.step()
    assert refused() == before + 1
    state = world.lane_state
    assert state.paused_reason == "server_asks_to_wait" and state.next_probe_at is not None
    return state.next_probe_at - world.clock_s


def test_a_date_is_meant_on_the_servers_clock(world: World, sandbox: Sandbox) -> None:
    """The lane's clock stands days off the server's real one."""
    sandbox.add_fault("429:retry-after=date+100")
    world.add()

    world.lane.step()

    state = world.lane_state
    assert state.next_probe_at is not None
    assert 95 < state.next_probe_at - world.clock_s < 105


# Row 15


@pytest.mark.parametrize("status", [400, 409, 422])
def test_one_refused_clip_among_ten_is_dead_in_the_servers_words_and_retry_revives_it(
    world: World, sandbox: Sandbox, status: int
) -> None:
    sandbox.add_fault(f"{status}:error=the video is too odd,after=4")
    for number in range(1, 11):
        world.add(number)

    world.run(60)

    dead = world.entry(5)
    assert world.states() == ["uploaded"] * 4 + ["dead"] + ["uploaded"] * 5
    assert (dead.reason, dead.detail) == (f"http_{status}", f"HTTP {status}: the video is too odd")
    clip_actions.retry(world.outbox, dead, now_s=world.clock_s)
    world.run(60)
    world.check_delivered_once(sandbox, 10)


def test_a_refusal_of_a_host_that_no_longer_answers_for_the_account_kills_nothing(
    world: World, sandbox: Sandbox
) -> None:
    world.add(1)
    world.run(60)
    sandbox.add_fault("400@any*20")
    world.add(2)
    world.add(3)

    world.run(5)
    assert world.states() == ["uploaded", "ready", "ready"]
    assert world.lane_state.paused_reason is not None
    world.run(3600)

    world.check_delivered_once(sandbox, 3)


@pytest.mark.parametrize("status", [400, 403])
def test_an_api_that_refuses_everything_costs_a_few_clips_not_the_backlog(
    world: World, sandbox: Sandbox, status: int
) -> None:
    sandbox.add_fault(f"{status}*always")
    for number in range(1, 31):
        world.add(number)

    world.run(60)

    assert world.states().count("ready") >= 20
    assert world.lane_state.paused_reason == "many_clips_fail"


# Row 16


@pytest.mark.parametrize("fault", ["html", "empty", "truncated-json", "redirect"])
def test_what_is_no_acknowledgement_is_looked_up_and_delivered_once(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    sandbox.add_fault(fault)
    world.add()

    world.lane.step()
    assert world.states() == ["uncertain"]
    assert world.lane_state.paused_reason == "not_our_api"
    world.run(WAIT_S + 60)

    world.check_delivered_once(sandbox, 1)
    world.check_fresh_clip_flows()


@pytest.mark.parametrize("fault", ["more-fields", "interim"])
def test_more_than_was_expected_is_an_acknowledgement_all_the_same(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    sandbox.add_fault(fault)
    world.add()

    world.lane.step()

    world.check_delivered_once(sandbox, 1)


# A clip that the server alone fails on


def fail_ten_times(world: World, sandbox: Sandbox) -> None:
    """One athlete's clip meets nothing but server errors, while others pass."""
    world.add(1)
    world.run(60)
    sandbox.add_fault("500:user=athlete-0002*always")
    bad = world.add(2, user_id="athlete-0002")
    for number in range(3, 200):
        world.add(number)
        world.run(600)
        if world.entry(bad.id).reason is not None:
            return
    raise AssertionError("never flagged")


def test_what_the_server_fails_on_ten_times_waits_up_to_a_day_and_is_flagged(
    world: World, sandbox: Sandbox
) -> None:
    fail_ten_times(world, sandbox)

    bad = world.entry(2)
    assert (bad.state, bad.reason) == ("ready", Reason.FAILS_AT_SERVER)
    assert 10 <= len(world.outbox.outcomes.uploads(bad.id)) <= 12  # as many as ten minutes hold
    failed = bad.attempts
    world.run(3 * DAY_S)
    assert failed + 2 <= world.entry(2).attempts <= failed + 30
    assert world.entry(2).due_at - world.clock_s <= DAY_S

    sandbox.clear_faults()
    clip_actions.retry(world.outbox, world.entry(2), now_s=world.clock_s)
    world.run(600)  # it may be between the two look-ups just now
    assert world.entry(2).state == "uploaded"


def test_server_errors_for_everybody_are_not_one_clips_fault(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("500*always")
    world.add()

    world.run(DAY_S / 2)

    assert world.entry().reason is None and world.entry().attempts > 10
    sandbox.clear_faults()
    world.run(3700)
    world.check_delivered_once(sandbox, 1)
