"""The sessions of an erased athlete go from the API: each once, whatever comes in between."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agent.api.client import ApiKey
from agent.clock import Instant
from agent.delivery.session_changes import SessionDeleter, SessionDeletionStage
from agent.outbox.erasures import DeletionState, SessionDeletion
from agent.outbox.states import CaptureState, EntryState, Reason
from agent.retry import Backoff
from agent.sandbox.server import Sandbox
from agent.station.clip_actions import undo
from agent.station.erasure import carry_out, forget, receipt, receipt_page
from tests.integration.delivery.conftest import World
from tests.station import ATHLETE, KEY

WEEK_S = 7 * 86_400.0


class Erasing:
    """A world with delivered clips of two athletes, and the stage that deletes sessions."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_open = True
        for number in (1, 2, 3):
            world.add(number, user_id=ATHLETE if number < 3 else "athlete-0002")
            capture = world.outbox.captures.claim_next(world.clock_s)
            assert capture is not None
            world.outbox.captures.move(capture, CaptureState.ANALYSED, now_s=world.clock_s)
        world.run()

    def now(self) -> Instant:
        return Instant(utc_s=self.world.clock_s, boot_id="boot", boot_s=self.world.clock_s)

    def forget(self, *, at_api: bool = True) -> int:
        """Forget the athlete at once, as the command does."""
        undoable = forget(self.world.outbox, ATHLETE, now=self.now(), at_api=at_api)
        asked = self.world.outbox.forgettings.of_undoable(undoable.id)
        assert asked is not None
        assert carry_out(self.world.outbox, self.world.folder, asked, now=self.now).done
        return asked.id

    def run(self, *, steps: int = 12) -> None:
        """Let the stage work, as after a start."""
        stage = SessionDeletionStage(
            self.world.outbox,
            SessionDeleter(
                self.world.client,
                key=lambda: ApiKey(token=KEY, header="Authorization") if self.is_open else None,
                now=self.now,
            ),
            backoff=Backoff(base_s=5.0, longest_s=3600.0),
            now=self.now,
        )
        for _ in range(steps):
            self.world.clock_s += stage.step()

    def deletions(self, forgetting_id: int) -> list[SessionDeletion]:
        return self.world.outbox.deletions.of_forgetting(forgetting_id)


@pytest.fixture
def erasing(world: World) -> Iterator[Erasing]:
    """Delivered clips of two athletes."""
    yield Erasing(world)


def told(erasing: Erasing, key: str) -> Any:
    """Return a receipt as scripts read it."""
    now_s = erasing.world.clock_s
    return json.loads(
        json.dumps(receipt(erasing.world.outbox, key, station="<Platform> 3", now_s=now_s))
    )


def deletes(sandbox: Sandbox) -> list[str]:
    return [r.path for r in sandbox.book.requests if r.method == "DELETE"]


def test_every_session_of_the_athlete_goes_once_and_no_other(
    erasing: Erasing, sandbox: Sandbox
) -> None:
    forgetting = erasing.forget()

    erasing.run()

    assert [session.user_id for session in sandbox.book.sessions] == ["athlete-0002"]
    assert len(deletes(sandbox)) == len(set(deletes(sandbox))) == 2
    done = erasing.deletions(forgetting)
    assert [one.state for one in done] == [DeletionState.DELETED] * 2
    assert all(one.status == 200 and one.ended_at is not None for one in done)
    assert erasing.world.outbox.deletions.next_due() is None


def test_without_the_choice_the_sessions_stay_and_can_be_deleted_later(
    erasing: Erasing, sandbox: Sandbox
) -> None:
    first = erasing.forget(at_api=False)
    erasing.run()
    assert len(sandbox.book.sessions) == 3
    assert [one.state for one in erasing.deletions(first)] == [DeletionState.KEPT] * 2

    erasing.forget(at_api=True)  # no clip names the athlete any more
    erasing.run()

    assert [session.user_id for session in sandbox.book.sessions] == ["athlete-0002"]
    assert [one.state for one in erasing.deletions(first)] == [DeletionState.DELETED] * 2


def test_a_week_without_the_api_changes_nothing_but_the_time(
    erasing: Erasing, sandbox: Sandbox
) -> None:
    forgetting = erasing.forget()
    erasing.is_open = False
    began_s = erasing.world.clock_s
    while erasing.world.clock_s < began_s + WEEK_S:
        erasing.run(steps=200)
        erasing.world.clock_s += 3600.0
    assert deletes(sandbox) == [] and len(sandbox.book.sessions) == 3

    erasing.is_open = True
    erasing.run()

    assert len(sandbox.book.sessions) == 1
    assert [one.attempts for one in erasing.deletions(forgetting)] == [1, 1]


def test_what_fails_is_asked_for_again_and_what_is_gone_already_is_deleted(
    erasing: Erasing, sandbox: Sandbox
) -> None:
    forgetting = erasing.forget()
    sandbox.stop()
    erasing.run(steps=3)
    assert {one.state for one in erasing.deletions(forgetting)} == {DeletionState.WAITING}
    assert any(one.failures for one in erasing.deletions(forgetting))

    with Sandbox(key=KEY, port=sandbox.port, processing_s=0.0):  # it knows no session
        erasing.world.clock_s += 3600.0
        erasing.run()

    done = erasing.deletions(forgetting)
    assert [(one.state, one.status) for one in done] == [(DeletionState.DELETED, 404)] * 2


def test_what_the_api_refuses_is_shown_with_its_words_and_can_be_asked_for_again(
    erasing: Erasing, sandbox: Sandbox
) -> None:
    forgetting = erasing.forget()
    sandbox.plan.add("403@session*1")

    erasing.run()

    states = {one.state: one for one in erasing.deletions(forgetting)}
    assert set(states) == {DeletionState.REFUSED, DeletionState.DELETED}
    refused = states[DeletionState.REFUSED]
    assert refused.status == 403 and refused.answer
    assert told(erasing, ATHLETE)["open"] == [f"session {refused.session_id}: refused"]

    assert erasing.world.outbox.deletions.retry_refused(now_s=erasing.world.clock_s) == 1
    erasing.run()
    assert len(sandbox.book.sessions) == 1


def test_the_receipt_says_what_went_when_and_what_is_open(erasing: Erasing) -> None:
    erasing.forget()
    before = told(erasing, ATHLETE)
    assert [line.endswith(": waiting") for line in before["open"]] == [True, True]

    erasing.run()
    after = told(erasing, ATHLETE)

    assert after["open"] == []
    (erasure,) = after["erasures"]
    assert erasure["box"]["is_done"] and erasure["box"]["clips"] == 2
    assert {one["state"] for one in erasure["sessions"]} == {"deleted"}
    for language, word in (("en", "complete"), ("de", "vollständig")):
        page = receipt_page(after, language=language)
        assert word in page and "<Platform>" not in page
        assert all(one["session_id"] in page for one in erasure["sessions"])
    assert told(erasing, "athlete-0002")["erasures"] == []


def test_what_is_taken_back_in_time_deletes_nothing(erasing: Erasing, sandbox: Sandbox) -> None:
    asked = forget(erasing.world.outbox, ATHLETE, now=erasing.now(), at_api=True)
    undo(erasing.world.outbox, asked.id, now=erasing.now())
    erasing.run()
    assert len(sandbox.book.sessions) == 3


@pytest.mark.parametrize("exists", [True, False])
def test_a_clip_whose_outcome_was_never_known_is_looked_up(
    erasing: Erasing, sandbox: Sandbox, exists: bool
) -> None:
    world = erasing.world
    clip = world.add(4)
    held = world.outbox.entries.move(
        clip, EntryState.HELD, now_s=world.clock_s, reason=Reason.OUTCOME_UNKNOWN
    )
    assert held is not None
    if exists:  # made, though no answer ever came
        session = sandbox.book.sessions[-1]
        sandbox.book.change(session.session_id, title=f"[{held.clip_code}] found later")
    claimed = world.outbox.captures.claim_next(world.clock_s)
    assert claimed is not None
    world.outbox.captures.move(claimed, CaptureState.ANALYSED, now_s=world.clock_s)

    forgetting = erasing.forget()
    erasing.run()

    states = sorted(one.state for one in erasing.deletions(forgetting))
    assert states == ["deleted", "deleted", "deleted" if exists else "unlisted"]
    assert len(sandbox.book.sessions) == (0 if exists else 1)
    assert told(erasing, ATHLETE)["open"] == []
