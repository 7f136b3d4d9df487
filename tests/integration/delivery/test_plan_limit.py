"""Row 29: the plan's sessions are used up (404): nothing held, little wasted, resumed alone."""

import pytest

from agent.outbox.pauses import PLAN_LIMIT
from agent.sandbox.account import OWNER_UID
from agent.sandbox.server import Sandbox
from tests.integration.delivery.conftest import World
from tests.station import ATHLETE

ATHLETES = (ATHLETE, "athlete-0002", "athlete-0003", "athlete-0004", "athlete-0005")
HOUR_S = 3600.0
MANY = 100  # clips
SMALL = 2_000  # bytes


def wasted(sandbox: Sandbox) -> int:
    """How many uploads were refused for a limit."""
    return sum(r.method == "POST" and r.status == 404 for r in sandbox.book.requests)


def fill(world: World, count: int, *, athletes: tuple[str, ...] = ATHLETES) -> None:
    with world.outbox.transaction():
        for number in range(1, count + 1):
            world.add(number, user_id=athletes[number % len(athletes)], size_bytes=SMALL)


def delivered(world: World) -> int:
    return world.states().count("uploaded")


@pytest.mark.parametrize(
    "athletes",
    [ATHLETES, *(pytest.param(ATHLETES[:count], marks=pytest.mark.soak) for count in (1, 2))],
)
def test_a_plan_that_is_used_up_wastes_one_upload_an_hour_and_resumes_alone(
    world: World, sandbox: Sandbox, athletes: tuple[str, ...]
) -> None:
    sandbox.plan_limit = 20
    fill(world, MANY, athletes=athletes)
    world.run(1)
    first = wasted(sandbox)
    assert first <= 2  # one athlete's, and another's
    assert world.lane_state.paused_reason == PLAN_LIMIT

    for hour in range(1, 6):
        world.run(HOUR_S)
        assert wasted(sandbox) <= first + hour
    assert wasted(sandbox) >= first + 4
    assert sorted(set(world.states())) == ["ready", "uploaded"]
    assert {world.entry(number).failures for number in range(1, MANY + 1)} == {0}

    sandbox.plan_limit = None
    world.run(HOUR_S + 1)
    world.check_delivered_once(sandbox, MANY)
    assert world.lane_state.paused_reason is None
    assert world.outbox.limits.limited(OWNER_UID) is None


def test_a_plan_that_is_raised_by_little_wastes_no_more(world: World, sandbox: Sandbox) -> None:
    sandbox.plan_limit = 10
    fill(world, 60)
    world.run(1)
    before = wasted(sandbox)

    for more in range(1, 6):
        sandbox.plan_limit = 10 + more
        world.run(HOUR_S)

    assert delivered(world) == 15
    assert wasted(sandbox) - before <= 2 * 5  # after each session more: one athlete's, another's
    assert set(world.states()) == {"ready", "uploaded"}


def test_a_limit_per_athlete_lets_the_others_flow(world: World, sandbox: Sandbox) -> None:
    sandbox.plan_limit, sandbox.limit_is_per_user = 20, True
    for number in range(1, 101):  # one athlete has most of the clips
        target = ATHLETES[0] if number % 5 else ATHLETES[1 + number // 5 % 4]
        world.add(number, user_id=target, size_bytes=SMALL)

    world.run(60)

    of_others = [e for e in range(1, 101) if world.entry(e).user_id != ATHLETES[0]]
    assert {world.entry(number).state for number in of_others} == {"uploaded"}
    assert delivered(world) == len(of_others) + 20
    for hour in range(1, 5):
        world.run(HOUR_S)
        assert wasted(sandbox) <= 1 + hour
    fresh = world.add(101, user_id=ATHLETES[1], size_bytes=SMALL)
    world.run(1)
    assert world.entry(fresh.id).state == "uploaded"

    sandbox.plan_limit = None
    world.run(HOUR_S + 1)
    world.check_delivered_once(sandbox, 101)


@pytest.mark.parametrize(
    ("count", "limit"), [(MANY, 12), pytest.param(500, 60, marks=pytest.mark.soak)]
)
def test_many_clips_with_a_limit_per_athlete(
    world: World, sandbox: Sandbox, count: int, limit: int
) -> None:
    sandbox.plan_limit, sandbox.limit_is_per_user = limit, True
    fill(world, count)
    world.run(1)
    first = wasted(sandbox)

    for hour in range(1, 7):
        world.run(HOUR_S)
        assert wasted(sandbox) <= first + hour + len(ATHLETES)  # each is found out once
    assert delivered(world) == limit * len(ATHLETES)
    assert set(world.states()) == {"ready", "uploaded"}

    sandbox.plan_limit = None
    world.run(2 * HOUR_S)
    world.check_delivered_once(sandbox, count)


def test_the_smallest_clip_tries_the_limit(world: World, sandbox: Sandbox) -> None:
    sandbox.plan_limit = 0
    world.add(1, size_bytes=500_000)
    world.add(2, size_bytes=SMALL)
    world.add(3, size_bytes=300_000)
    world.run(1)

    world.run(2 * HOUR_S)

    assert [world.entry(number).attempts for number in (1, 2, 3)] == [1, 2, 0]


def test_restarts_and_outages_waste_no_upload(world: World, sandbox: Sandbox) -> None:
    sandbox.plan_limit = 3
    fill(world, 20)
    world.run(1)
    before = wasted(sandbox)

    for _ in range(10):
        world.clock_s += 300
        world.start()
        sandbox.add_fault("503@status*2")
        world.run(30)

    assert wasted(sandbox) <= before + 1
    assert world.lane_state.paused_reason == PLAN_LIMIT
    assert set(world.states()) == {"ready", "uploaded"}


def test_a_new_athlete_is_tried_at_once_while_only_one_is_known_to_be_at_the_limit(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.plan_limit, sandbox.limit_is_per_user = 1, True
    world.add(1)
    world.add(2)
    world.run(60)
    assert world.lane_state.paused_reason == PLAN_LIMIT

    world.add(3, user_id=ATHLETES[1])
    world.run(1)

    assert world.states() == ["uploaded", "ready", "uploaded"]
    assert world.lane_state.paused_reason is None
    limited = world.outbox.limits.limited(OWNER_UID)
    assert limited is not None and (limited.clips, limited.athletes) == (1, 1)


def test_unknown_outcomes_are_looked_up_while_the_plan_is_used_up(
    world: World, sandbox: Sandbox
) -> None:
    fill(world, 2)
    world.run(1)
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("hide-list*1")
    world.add(3)
    world.lane.step()
    sandbox.plan_limit = 3
    world.add(4)
    world.add(5, user_id=ATHLETES[1])

    world.run(HOUR_S - 60)

    assert world.lane_state.paused_reason == PLAN_LIMIT
    assert world.states() == ["uploaded"] * 3 + ["ready"] * 2


def test_another_key_is_tried_at_once(world: World, sandbox: Sandbox) -> None:
    sandbox.plan_limit = 1
    fill(world, 3)
    world.run(60)
    assert world.lane_state.paused_reason == PLAN_LIMIT

    sandbox.plan_limit = None
    world.renew_key(sandbox, "another")
    world.run(20)

    world.check_delivered_once(sandbox, 3)


def test_a_404_of_a_page_is_no_limit(world: World, sandbox: Sandbox) -> None:
    sandbox.add_fault("404:body=html")
    world.add()

    world.run(1)

    assert world.lane_state.paused_reason == "not_our_api"
    assert world.outbox.limits.limited(OWNER_UID) is None
