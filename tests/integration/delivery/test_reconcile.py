"""Unknown outcomes, on real sockets: never sent twice, never guessed."""

import pytest

from agent.outbox.states import Reason
from agent.sandbox.server import Sandbox
from agent.station import clip_actions
from tests.integration.delivery.conftest import WAIT_S, World


@pytest.mark.parametrize("fault", ["503", "500", "502:body=html", "408"])
def test_a_server_error_after_the_whole_body_is_looked_up_twice_then_sent_again(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    sandbox.add_fault(fault)
    world.add()

    world.run()
    assert (world.states(), sandbox.book.sessions) == (["uncertain"], [])
    world.run(WAIT_S - 1)
    assert world.states() == ["uncertain"]
    world.run(2)

    assert world.states() == ["uploaded"]
    assert len(sandbox.book.sessions) == 1
    outcomes = [attempt.outcome for attempt in world.outbox.attempts.of_entry(1)]
    assert outcomes == ["OutcomeUnknownError", "absent", "absent", "uploaded"]


@pytest.mark.parametrize("fault", ["lost-answer", "503:made", "truncated-json"])
def test_a_lost_answer_is_found_and_never_sent_twice(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    sandbox.add_fault(fault)
    world.add()

    world.run(10)  # an answer that is none of the API's pauses the lane first

    assert world.states() == ["uploaded"]
    assert [session.session_id for session in sandbox.book.sessions] == [world.entry().session_id]


def test_a_list_that_hides_what_is_there_proves_nothing(world: World, sandbox: Sandbox) -> None:
    world.add(1)
    world.run()
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("hide-list*always")
    world.add(2)

    world.run(3 * WAIT_S)

    assert world.states() == ["uploaded", "held"]
    assert world.entry(2).reason == Reason.OUTCOME_UNKNOWN
    assert len(sandbox.book.sessions) == 2  # one of them ours, unknown: a person must say


def test_stripped_titles_prove_nothing_on_a_fresh_account(world: World, sandbox: Sandbox) -> None:
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("strip-titles*always")
    world.add()

    world.run(3 * WAIT_S)

    assert world.entry().reason == Reason.OUTCOME_UNKNOWN
    assert len(sandbox.book.sessions) == 1


def test_a_restart_between_the_look_ups_begins_them_anew(world: World, sandbox: Sandbox) -> None:
    sandbox.add_fault("503")
    world.add()
    world.run(WAIT_S / 2)
    world.start()

    world.run(WAIT_S * 0.9)
    assert world.states() == ["uncertain"]
    world.run(WAIT_S)

    assert world.states() == ["uploaded"]


def test_a_person_who_has_it_looked_for_at_once_does_not_shorten_the_proof(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.clock = lambda: world.clock_s
    world.add(1)
    world.run(60)
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("late-list:s=60*2")
    world.clock_s += 3600
    world.add(2)
    world.run(1)
    clip_actions.retry(world.outbox, world.entry(2), now_s=world.clock_s)
    world.run(1)

    assert world.states() == ["uploaded", "uncertain"]
    world.run(WAIT_S)
    world.check_delivered_once(sandbox, 2)


@pytest.mark.parametrize("fault", ["strip-titles", "short-titles:n=8"])
def test_a_list_whose_titles_lost_their_codes_proves_nothing(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    world.add(1)
    world.run(60)
    world.clock_s += 60
    sandbox.add_fault("lost-answer")
    sandbox.add_fault(f"{fault}*always")
    world.add(2)

    world.run(3 * WAIT_S)

    assert world.entry(2).reason == Reason.OUTCOME_UNKNOWN
    assert len(sandbox.book.sessions) == 2


def test_a_host_that_changed_a_title_can_never_prove_absence(
    world: World, sandbox: Sandbox
) -> None:
    world.add(1)
    world.run()
    world.outbox.lanes.update(world.host, {"titles_altered": 1})
    sandbox.add_fault("503")
    world.clock_s += 60
    world.add(2)

    world.run(3 * WAIT_S)

    assert world.entry(2).reason == Reason.OUTCOME_UNKNOWN


def test_a_title_that_comes_back_changed_is_remembered(world: World, sandbox: Sandbox) -> None:
    sandbox.rename = lambda _title: "Session 7"
    world.add()

    world.run()

    assert world.states() == ["uploaded"]
    assert world.lane_state.titles_altered == 1


def test_a_list_that_does_not_reach_back_to_the_attempt_proves_nothing(
    world: World, sandbox: Sandbox
) -> None:
    world.add(1)
    world.run(60)
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("limit-list:n=1*always")
    world.add(2)
    world.lane.step()  # sent, its answer lost
    for number in (3, 4):
        world.add(number)
    waiting = world.entry(2)
    world.outbox.entries.postpone(waiting, due_at=world.clock_s + 30)

    world.run(3 * WAIT_S)

    assert world.states() == ["uploaded", "held", "uploaded", "uploaded"]
    assert len(sandbox.book.sessions) == 4
