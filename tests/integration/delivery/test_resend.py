"""A clip that went to the wrong athlete: the right session first, then the wrong one goes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.api.client import ApiKey
from agent.clock import Instant
from agent.delivery.session_changes import ResendStage, SessionDeleter
from agent.errors import RequestError
from agent.outbox.corrections import Resend, ResendState
from agent.outbox.models import ClipTarget
from agent.outbox.states import EntryState, FileState, Reason, Recipient
from agent.retry import Backoff
from agent.sandbox.server import Sandbox
from agent.stage import ignore_wake
from agent.station.assignments import StationRules
from agent.station.clip_actions import resend, retry_deletion, undo, why_not_resend
from agent.station.roster import note_guest
from tests.integration.delivery.conftest import World
from tests.station import ATHLETE, KEY

RULES = StationRules(
    default=ClipTarget(recipient=Recipient.ATHLETE, user_id=ATHLETE, activity="running")
)
RIGHT = "athlete-0002"


class Correcting:
    """A world with a delivered clip, and the stage that sends it again."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_open = True
        self.old = world.add()
        world.run()
        self.old = world.entry(self.old.id)

    def now(self) -> Instant:
        return Instant(utc_s=self.world.clock_s, boot_id="boot", boot_s=self.world.clock_s)

    def ask(self, key: str = RIGHT) -> Resend:
        clips = self.world.folder.clips
        return resend(self.world.outbox, clips, self.old, key, rules=RULES, now=self.now())

    def run(self, seconds: float = 11.0) -> None:
        """Let the stage and the lane work, as after a start."""
        self.world.clock_s += seconds
        stage = ResendStage(
            self.world.outbox,
            self.world.folder,
            SessionDeleter(
                self.world.client,
                key=lambda: ApiKey(token=KEY, header="Authorization") if self.is_open else None,
                now=self.now,
            ),
            backoff=Backoff(base_s=5.0, longest_s=60.0),
            now=self.now,
            wake_lane=ignore_wake,
        )
        for _ in range(4):
            stage.step()
            self.world.run()
            self.world.clock_s += 1

    def state(self, asked: Resend) -> ResendState:
        found = self.world.outbox.resends.by_id(asked.id)
        assert found is not None
        return found.state


@pytest.fixture
def correcting(world: World) -> Iterator[Correcting]:
    """A clip that went to the wrong athlete."""
    yield Correcting(world)


def athletes(sandbox: Sandbox) -> list[str]:
    return [session.user_id for session in sandbox.book.sessions]


def test_it_is_sent_anew_and_then_the_wrong_session_goes(
    correcting: Correcting, sandbox: Sandbox
) -> None:
    asked = correcting.ask()

    correcting.run()

    (session,) = sandbox.book.sessions
    assert (session.user_id, session.video_name) != (ATHLETE, f"{correcting.old.clip_code}.mp4")
    old, new = correcting.world.entry(1), correcting.world.entry(2)
    assert (old.state, old.reason, old.detail) == (EntryState.DISCARDED, Reason.SENT_ANEW, "as e2")
    assert (new.generation, new.user_id, new.session_id) == (1, RIGHT, session.session_id)
    assert new.clip_code != old.clip_code and new.clip_code in session.title
    assert correcting.state(asked) is ResendState.DONE
    requests = [(r.method, r.path) for r in sandbox.book.requests if r.method != "GET"]
    assert [method for method, _ in requests] == ["POST", "POST", "DELETE"]


def test_nothing_is_sent_while_it_can_be_undone(correcting: Correcting, sandbox: Sandbox) -> None:
    asked = correcting.ask()
    correcting.run(seconds=5)
    assert correcting.state(asked) is ResendState.ASKED

    undo(correcting.world.outbox, asked.undoable_id, now=correcting.now())
    correcting.run()

    assert athletes(sandbox) == [ATHLETE]
    assert correcting.state(asked) is ResendState.UNDONE
    correcting.ask()  # it may be asked again
    correcting.run()
    assert athletes(sandbox) == [RIGHT]


def test_a_session_is_never_deleted_before_the_right_one_is_there(
    correcting: Correcting, sandbox: Sandbox
) -> None:
    sandbox.add_fault("500:early")
    sandbox.add_fault("lost-answer")
    correcting.ask()

    correcting.run()
    assert ATHLETE in athletes(sandbox)
    correcting.run(seconds=400)
    correcting.run(seconds=400)

    assert athletes(sandbox) == [RIGHT]


def test_a_refused_deletion_is_shown_and_can_be_tried_again(
    correcting: Correcting, sandbox: Sandbox
) -> None:
    sandbox.add_fault("403:error=not yours@session")
    asked = correcting.ask()

    correcting.run()

    refused = correcting.world.outbox.resends.of_entry(1)
    assert refused is not None and refused.state is ResendState.REFUSED
    assert refused.detail == "HTTP 403: not yours"
    assert sorted(athletes(sandbox)) == [RIGHT, ATHLETE]
    assert correcting.world.entry(1).state is EntryState.UPLOADED
    retry_deletion(correcting.world.outbox, asked.id, now_s=correcting.world.clock_s)
    correcting.run()
    assert athletes(sandbox) == [RIGHT]


@pytest.mark.parametrize("fault", ["503@session", "html@session", "401@session"])
def test_a_bad_way_delays_the_deletion_and_no_more(
    correcting: Correcting, sandbox: Sandbox, fault: str
) -> None:
    sandbox.add_fault(fault)
    asked = correcting.ask()

    correcting.run()
    correcting.run(seconds=61)

    assert correcting.state(asked) is ResendState.DONE
    assert athletes(sandbox) == [RIGHT]


def test_a_session_that_somebody_deleted_already_is_no_trouble(
    correcting: Correcting, sandbox: Sandbox
) -> None:
    asked = correcting.ask()
    sandbox.book.remove(str(correcting.old.session_id))

    correcting.run()

    assert correcting.state(asked) is ResendState.DONE


def test_while_the_lane_is_closed_nothing_is_deleted(
    correcting: Correcting, sandbox: Sandbox
) -> None:
    correcting.is_open = False
    correcting.ask()

    correcting.run()

    assert sorted(athletes(sandbox)) == [RIGHT, ATHLETE]


def test_without_its_clip_it_is_refused_and_says_why(correcting: Correcting) -> None:
    clip = correcting.world.folder.clips / correcting.old.stored_name
    asked = correcting.ask()
    with pytest.raises(RequestError, match="already being resent"):
        correcting.ask()
    clip.unlink()
    correcting.run()
    assert correcting.state(asked) is ResendState.GIVEN_UP

    with pytest.raises(RequestError, match="no longer stored"):
        correcting.ask()
    why = why_not_resend(correcting.world.outbox, Path("/nowhere"), correcting.old)
    assert why is not None and "keep_clips_days" in why


def test_a_guest_has_no_place_at_the_api(correcting: Correcting) -> None:
    guest = note_guest(correcting.world.outbox, "Zoë", now_s=0.0)

    with pytest.raises(RequestError, match="no account at the API"):
        correcting.ask(guest.key)


def test_a_clip_sent_anew_twice_gets_a_third_code(correcting: Correcting, sandbox: Sandbox) -> None:
    correcting.ask()
    correcting.run()
    correcting.old = correcting.world.entry(2)
    correcting.ask("athlete-0003")
    correcting.run()

    assert athletes(sandbox) == ["athlete-0003"]
    assert correcting.world.entry(3).generation == 2


def test_the_new_clip_stays_whole_when_the_old_one_is_cleared(correcting: Correcting) -> None:
    correcting.is_open = False
    correcting.ask()
    correcting.run()

    (correcting.world.folder.clips / correcting.old.stored_name).unlink()

    new = correcting.world.entry(2)
    assert new.file_state is FileState.PRESENT
    clip = correcting.world.folder.clips / new.stored_name
    assert clip.stat().st_size == new.clip_bytes
