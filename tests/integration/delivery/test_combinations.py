"""Two faults at once, each harmless alone: still nothing is lost, and nothing is sent twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.models import ClipTarget
from agent.outbox.recovery import open_as_owner, rewritten_log
from agent.outbox.states import EntryState, Reason, Recipient
from agent.sandbox.server import Sandbox
from agent.station import clip_actions, erasure
from agent.station.assignments import StationRules
from tests.integration.delivery.conftest import LARGE, WAIT_S, World, way_to
from tests.station import ATHLETE, KEY

RULES = StationRules(
    default=ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")
)
_YEAR_S = 365 * 86_400.0


def test_a_sending_that_broke_off_after_a_release_is_looked_for_before_the_next(
    world: World, sandbox: Sandbox
) -> None:
    world.add(1)
    world.run(60)
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("hide-list*4")
    world.add(2, size_bytes=LARGE)
    world.run(WAIT_S + 10)
    assert world.entry(2).reason == Reason.OUTCOME_UNKNOWN

    sandbox.add_fault("cut:at=50")
    clip_actions.release(world.outbox, world.entry(2), said=None, rules=RULES, now_s=world.clock_s)
    world.run(600)

    world.check_delivered_once(sandbox, 2)


def before_a_lost_answer_and_a_late_list(world: World, sandbox: Sandbox) -> None:
    """One clip was delivered an hour ago; of the next, the list shows a session too late."""
    sandbox.clock = lambda: world.clock_s
    world.add(1)
    world.run(60)
    world.clock_s += 3600
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("late-list:s=600*3")


def test_a_proof_of_absence_grows_old_while_uploads_are_closed(
    world: World, sandbox: Sandbox
) -> None:
    before_a_lost_answer_and_a_late_list(world, sandbox)
    world.add(2)
    world.lane.step()
    opens_s = 3600.0
    opens = datetime.fromtimestamp(world.clock_s + opens_s, UTC)
    closes = opens + timedelta(hours=12)
    world.schedule = f"daily {opens:%H:%M}-{closes:%H:%M} = unlimited, else off"
    world.start()

    world.run(600)
    assert world.states() == ["uploaded", "ready"]
    world.run(3 * opens_s)

    world.check_delivered_once(sandbox, 2)


def test_a_proof_of_absence_is_no_proof_any_more_once_sendings_broke_off(
    world: World, sandbox: Sandbox
) -> None:
    before_a_lost_answer_and_a_late_list(world, sandbox)
    sandbox.add_fault("cut:at=50*2")
    world.add(2, size_bytes=LARGE)

    world.run(3600)

    world.check_delivered_once(sandbox, 2)


def test_the_list_of_another_account_proves_nothing(world: World, sandbox: Sandbox) -> None:
    sandbox.add_fault("lost-answer")
    world.add()
    world.lane.step()
    assert len(sandbox.book.sessions) == 1 and world.states() == ["uncertain"]

    with Sandbox(key="other-key", processing_s=0.0) as other:
        other.add_key("other-key", role="admin", uid="somebody-else")
        with way_to(world, other.base_url) as there:
            there.key = "other-key"
            there.run(600)
            assert there.states() == ["held"]
            assert there.entry().reason == Reason.OUTCOME_UNKNOWN
            assert other.book.sessions == []
            there.run(5 * 86_400)
            assert other.book.sessions == []

    world.key, world.clock_s = KEY, there.clock_s
    world.start()
    world.run(2 * 86_400)
    world.check_delivered_once(sandbox, 1)


def test_a_clock_that_ran_ahead_while_it_was_sent_makes_no_session_older(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.rename = lambda _title: "Session 7"
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("long-list:n=3*always")
    sandbox.clock = lambda: true_s
    true_s = world.clock_s
    world.clock_s += _YEAR_S
    world.add()
    world.lane.step()
    world.clock_s -= _YEAR_S

    world.run(2 * 3600)

    assert (world.entry().state, world.entry().reason) == ("held", Reason.OUTCOME_UNKNOWN)
    assert len(sandbox.book.sessions) == 1


def test_a_clip_under_way_when_its_athlete_is_forgotten_is_not_sent_once_more(
    world: World, sandbox: Sandbox
) -> None:
    world.add(1, user_id="athlete-0002")
    world.run(60)
    sandbox.add_fault("503")
    world.add(2)
    world.lane.step()
    assert world.states() == ["uploaded", "uncertain"]
    erasure.forget(world.outbox, ATHLETE, now=world.now())
    world.clock_s += 20
    erasure.carry_out_due(world.outbox, world.folder, now=world.now)

    world.run(600)

    assert world.states() == ["uploaded", "discarded"]
    erasure.carry_out_due(world.outbox, world.folder, now=world.now)
    assert not (world.folder.clips / world.entry(2).stored_name).exists()
    assert [session.user_id for session in sandbox.book.sessions] == ["athlete-0002"]


def test_a_clip_that_was_given_to_another_athlete_and_had_gone_to_the_first_is_the_firsts(
    world: World, sandbox: Sandbox
) -> None:
    world.add(1)
    world.run(60)
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("hide-list*always")
    world.add(2)
    world.run(WAIT_S + 10)
    other = ClipTarget(recipient=Recipient.ATHLETE, user_id="athlete-0002", activity="running")
    clip_actions.release(world.outbox, world.entry(2), said=other, rules=RULES, now_s=world.clock_s)
    sandbox.clear_faults()

    world.run(600)

    world.check_delivered_once(sandbox, 2)
    assert {session.user_id for session in sandbox.book.sessions} == {ATHLETE}
    assert world.entry(2).user_id == ATHLETE  # so that it can be sent again for the other


def test_a_list_that_names_athletes_otherwise_than_the_box_changes_no_record(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("lost-answer")
    world.add()
    world.lane.step()
    (session,) = sandbox.book.sessions
    sandbox.book.add(replace(session, user_id="the-key-owner"))

    world.run(10)

    assert (world.entry().state, world.entry().user_id) == ("uploaded", ATHLETE)


def test_an_outbox_made_anew_knows_what_was_delivered_before_what(
    world: World, sandbox: Sandbox
) -> None:
    root = world.folder.root
    world.outbox.close()
    world.outbox = open_as_owner(root, now_s=world.clock_s)
    world.start()
    world.add(1)
    world.run(60)
    later = world.add(2)
    world.outbox.entries.move(later, EntryState.HELD, now_s=world.clock_s)
    sandbox.add_fault("lost-answer")
    world.add(3)
    world.lane.step()
    unknown = world.entry(3)
    world.outbox.entries.postpone(unknown, due_at=world.clock_s + 60)
    world.outbox.entries.move(world.entry(2), EntryState.READY, now_s=world.clock_s)
    world.lane.step()
    assert world.states() == ["uploaded", "uploaded", "uncertain"]

    with rewritten_log(world.outbox):
        pass  # as after an upgrade
    world.outbox.close()
    (root / DATABASE_NAME).unlink()
    world.outbox = open_as_owner(root, now_s=world.clock_s)
    world.start()
    sandbox.add_fault("limit-list:n=1*always")
    world.run(600)

    assert (world.entry(3).state, world.entry(3).reason) == ("held", Reason.OUTCOME_UNKNOWN)
    assert len(sandbox.book.sessions) == 3


@pytest.mark.parametrize("days", [-3, 365])
def test_a_clock_that_jumps_in_the_middle_of_a_backoff_holds_no_clip_for_days(
    world: World, sandbox: Sandbox, days: int
) -> None:
    sandbox.add_fault("cut:at=50")
    world.add(1, size_bytes=LARGE)
    world.lane.step()
    assert (world.states(), world.entry().failures) == (["ready"], 1)

    world.clock_s += days * 86_400
    world.run(2 * 3600)

    world.check_delivered_once(sandbox, 1)
