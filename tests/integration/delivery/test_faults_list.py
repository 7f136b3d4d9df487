"""Row 10b: the list comes late, is limited, hides sessions, shortens or strips titles.

Never doubled: what cannot be proven absent is held, and a person has the choice.
"""

import pytest

from agent.outbox.models import ClipTarget
from agent.outbox.states import Reason, Recipient
from agent.sandbox.server import Sandbox
from agent.station import clip_actions
from agent.station.assignments import StationRules
from tests.integration.delivery.conftest import WAIT_S, World

RULES = StationRules(
    default=ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")
)


def lose_an_answer(world: World, sandbox: Sandbox, fault: str, *, made: bool = True) -> None:
    """One clip is delivered as it should be, a second one's answer is lost, and so is the list."""
    world.add(1)
    world.run(60)
    world.clock_s += 60
    sandbox.add_fault("lost-answer" if made else "cut:at=100")
    sandbox.add_fault(f"{fault}*always")
    world.add(2)
    world.run(WAIT_S + 10)


LISTS = [
    *("late-list:s=3600", "limit-list:n=0", "hide-list", "strip-titles", "short-titles:n=8"),
    "long-list:n=3000",
]


@pytest.mark.parametrize("fault", LISTS[:-1])
def test_what_a_bad_list_cannot_prove_is_held_and_found_once_the_list_is_well(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    lose_an_answer(world, sandbox, fault)
    held = world.entry(2)
    assert (held.state, held.reason) == ("held", Reason.OUTCOME_UNKNOWN)

    world.run(3600)
    assert world.entry(2).state == "held" and len(sandbox.book.sessions) == 2
    sandbox.clear_faults()
    world.run(2 * 3600)

    world.check_delivered_once(sandbox, 2)
    world.check_fresh_clip_flows()


def test_a_list_of_many_thousand_sessions_is_read_to_its_end(
    world: World, sandbox: Sandbox
) -> None:
    lose_an_answer(world, sandbox, LISTS[-1])

    world.check_delivered_once(sandbox, 2)


@pytest.mark.parametrize("made", [True, False])
def test_release_sends_what_is_held_again_unless_it_is_found_by_now(
    world: World, sandbox: Sandbox, made: bool
) -> None:
    lose_an_answer(world, sandbox, "hide-list", made=made)
    clip_actions.release(world.outbox, world.entry(2), said=None, rules=RULES, now_s=world.clock_s)
    sandbox.clear_faults()
    world.run(5)

    world.check_delivered_once(sandbox, 2)
    assert world.entry(2).attempts == (1 if made else 2)


def test_release_sends_again_where_the_list_still_says_nothing(
    world: World, sandbox: Sandbox
) -> None:
    lose_an_answer(world, sandbox, "hide-list", made=False)

    clip_actions.release(world.outbox, world.entry(2), said=None, rules=RULES, now_s=world.clock_s)
    world.run(5)

    world.check_delivered_once(sandbox, 2)


def test_retry_of_an_unknown_outcome_looks_at_once_and_never_sends(
    world: World, sandbox: Sandbox
) -> None:
    lose_an_answer(world, sandbox, "hide-list")
    clip_actions.retry(world.outbox, world.entry(2), now_s=world.clock_s)
    world.run(5)
    assert (world.entry(2).state, world.entry(2).attempts) == ("held", 1)

    sandbox.clear_faults()
    clip_actions.retry(world.outbox, world.entry(2), now_s=world.clock_s)
    world.run(5)
    world.check_delivered_once(sandbox, 2)


def test_what_is_discarded_is_neither_sent_nor_looked_for(world: World, sandbox: Sandbox) -> None:
    lose_an_answer(world, sandbox, "hide-list", made=False)

    clip_actions.discard(world.outbox, world.entry(2), now_s=world.clock_s)
    world.run(7200)

    assert world.states() == ["uploaded", "discarded"]
    assert len(sandbox.book.sessions) == 1


def test_a_list_that_cannot_be_had_delays_no_other_clip(world: World, sandbox: Sandbox) -> None:
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("500@list*always")
    for number in range(1, 5):
        world.add(number)

    world.run(60)
    assert world.states() == ["uncertain", "uploaded", "uploaded", "uploaded"]
    sandbox.clear_faults()
    world.run(3700)

    world.check_delivered_once(sandbox, 4)


def test_several_unknown_outcomes_of_a_new_account_are_all_sent_again(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("503*4")
    for number in range(1, 6):
        world.add(number)

    world.run(3600)

    world.check_delivered_once(sandbox, 5)


def test_a_new_account_whose_list_strips_titles_proves_nothing_by_what_is_older(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("long-list:n=3*always")
    sandbox.rename = lambda _title: "Session 7"  # for good, not only in the list
    world.add()

    world.run(WAIT_S + 60)

    assert (world.entry().state, world.entry().reason) == ("held", Reason.OUTCOME_UNKNOWN)
    assert len(sandbox.book.sessions) == 1
