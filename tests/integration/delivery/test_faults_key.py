"""Rows 14 and 14b of the faults a station meets: keys, plans, athletes, wrong addresses."""

import pytest

from agent.outbox.states import EntryState, Reason
from agent.sandbox.server import Sandbox
from agent.station import clip_actions
from tests.integration.delivery.conftest import World
from tests.station import ATHLETE

# Row 14


def test_a_key_revoked_in_mid_backlog_and_renewed_leaves_no_clip_dead(
    world: World, sandbox: Sandbox
) -> None:
    for number in range(1, 11):
        world.add(number)
    while len(sandbox.book.sessions) < 4:
        world.lane.step()
    sandbox.replace_key("renewed")

    world.run(1800)
    assert world.states() == ["uploaded"] * 4 + ["ready"] * 6
    assert world.lane_state.paused_reason == "key"
    assert {world.entry(number).failures for number in range(5, 11)} == {0}
    world.key = "renewed"
    world.run(60)

    world.check_delivered_once(sandbox, 10)


@pytest.mark.parametrize("status", [401, 402, 403])
def test_an_account_that_is_refused_altogether_pauses_the_lane_until_a_new_key_comes(
    world: World, sandbox: Sandbox, status: int
) -> None:
    sandbox.add_fault(f"{status}:after=3@any*always")
    for number in range(1, 6):
        world.add(number)

    world.run(1800)
    assert set(world.states()) == {"uploaded", "ready"}
    assert world.lane_state.paused_reason == ("key" if status == 401 else "account")
    sandbox.clear_faults()
    world.renew_key(sandbox, "another")
    world.run(60)

    world.check_delivered_once(sandbox, 5)


def test_what_a_lesser_key_could_not_send_goes_with_the_next_one(
    world: World, sandbox: Sandbox
) -> None:
    world.add(1)
    world.run(10)
    world.renew_key(sandbox, "lesser", role="user")
    for number in (2, 3):
        world.add(number)
    world.run(60)
    assert world.states() == ["uploaded", "held", "held"]
    assert world.entry(2).reason == Reason.KEY_CANNOT_SEND

    world.renew_key(sandbox, "full")
    world.run(60)

    world.check_delivered_once(sandbox, 3)


def test_what_was_refused_under_one_key_is_tried_once_more_under_another(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("403")
    world.add()
    world.run(60)
    assert world.entry().reason == Reason.REFUSED_FOR_ATHLETE

    world.renew_key(sandbox, "another")
    world.run(60)

    world.check_delivered_once(sandbox, 1)


def test_a_retry_lets_a_paused_lane_ask_at_once(world: World, sandbox: Sandbox) -> None:
    sandbox.add_fault("429:retry-after=3000")
    entry = world.add()
    world.run()

    clip_actions.retry(world.outbox, world.entry(entry.id), now_s=world.clock_s)
    world.outbox.lanes.update(world.host, {"next_probe_at": 0.0})  # as the command does
    world.run(1)

    world.check_delivered_once(sandbox, 1)


# Row 14b


@pytest.mark.parametrize("status", [402, 403])
def test_a_refusal_for_one_athlete_of_three_holds_that_athletes_clips_alone(
    world: World, sandbox: Sandbox, status: int
) -> None:
    sandbox.add_fault(f"{status}:user=athlete-0002*always")
    athletes = [ATHLETE, "athlete-0002", "athlete-0003"]
    for number in range(1, 10):
        world.add(number, user_id=athletes[number % 3])

    world.run(600)

    states = {world.entry(number).user_id: set[str]() for number in range(1, 10)}
    for number in range(1, 10):
        states[world.entry(number).user_id].add(world.entry(number).state)
    assert states == {ATHLETE: {"uploaded"}, "athlete-0002": {"held"}, "athlete-0003": {"uploaded"}}
    held = world.outbox.entries.in_states({EntryState.HELD})
    reason = Reason.ACTIVITY_NOT_IN_PLAN if status == 402 else Reason.REFUSED_FOR_ATHLETE
    assert {entry.reason for entry in held} == {reason}

    sandbox.clear_faults()
    for entry in held:
        clip_actions.retry(world.outbox, entry, now_s=world.clock_s)
    world.run(60)
    world.check_delivered_once(sandbox, 9)


@pytest.mark.parametrize("fault", ["404:body=html", "503:body=html", "404", "html", "redirect"])
def test_a_wrong_address_or_a_suspended_host_touches_no_clip(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    sandbox.add_fault(f"{fault}@any*always")
    for number in (1, 2, 3):
        world.add(number)

    world.run(600)

    for number in (1, 2, 3):
        entry = world.entry(number)
        assert (entry.state, entry.attempts, entry.failures) == ("ready", 0, 0)
    assert world.lane_state.paused_reason is not None
    sandbox.clear_faults()
    world.run(61)
    world.check_delivered_once(sandbox, 3)


@pytest.mark.parametrize("fault", ["404:body=html", "503:body=html", "403"])
def test_a_host_that_is_suspended_in_mid_backlog_leaves_no_clip_dead_or_held(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    for number in range(1, 7):
        world.add(number)
    while len(sandbox.book.sessions) < 2:
        world.lane.step()
    world.clock_s += 60
    sandbox.add_fault(f"{fault}@any*always")

    world.run(600)
    assert not {"dead", "held"} & set(world.states())
    sandbox.clear_faults()
    world.run(3700)

    world.check_delivered_once(sandbox, 6)
