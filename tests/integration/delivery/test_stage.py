"""The retry table, on real sockets."""

import errno
import os
from pathlib import Path

import pytest

from agent.delivery.circuit_breaker import KeyPolicy
from agent.disk.state_folder import LEDGER_NAME
from agent.outbox.states import Reason, Recipient
from agent.sandbox.server import Sandbox
from tests.integration.delivery.conftest import IMPATIENT, World
from tests.station import ATHLETE


@pytest.mark.parametrize(
    ("activity", "exercise", "mass_kg", "fields"),
    [
        ("running", None, None, {}),
        ("jumping", "Drop Jump", None, {"exercise": "Drop Jump"}),
        ("weightlifting", "snatch", 62.5, {"exercise_name": "snatch", "barbell_mass": "62.5"}),
    ],
)
@pytest.mark.parametrize("role", ["admin", "user"])
def test_every_activity_goes_to_its_endpoint_by_either_role(
    world: World,
    sandbox: Sandbox,
    activity: str,
    exercise: str | None,
    mass_kg: float | None,
    fields: dict[str, str],
    role: str,
) -> None:
    sandbox.add_key("its-key", role=role, uid=ATHLETE)
    world.key = "its-key"
    world.settings = KeyPolicy(owner_id=ATHLETE)
    world.start()
    world.add(activity=activity, exercise=exercise, mass_kg=mass_kg)

    world.run()

    (session,) = sandbox.book.sessions
    on_behalf = {"user_id": ATHLETE} if role == "admin" else {}
    assert session.activity == activity
    assert session.endpoint == ("management" if role == "admin" else "own")
    assert session.fields == {"session_name": session.title, **fields, **on_behalf}
    assert len(session.title) <= 60 and session.title.isascii()
    assert world.entry().session_id == session.session_id


@pytest.mark.parametrize("form", ["Authorization", "API-KEY"])
def test_the_header_that_the_host_accepts_is_found_and_remembered(
    world: World, sandbox: Sandbox, form: str
) -> None:
    sandbox.key_form = form
    world.add()

    world.run()

    assert world.states() == ["uploaded"]
    assert world.lane_state.key_header == form
    refused = [r for r in sandbox.book.requests if r.status == 401]
    world.start()
    world.add(2)
    world.run()
    assert [r for r in sandbox.book.requests if r.status == 401] == refused


def test_a_users_key_never_sends_for_somebody_else(world: World, sandbox: Sandbox) -> None:
    sandbox.replace_key("users-key", role="user")
    world.key = "users-key"
    world.add(1, user_id="athlete-0002")
    world.add(2, user_id=None, recipient=Recipient.KEY_OWNER)

    world.run()

    assert world.states() == ["held", "uploaded"]
    assert world.entry(1).reason == Reason.KEY_CANNOT_SEND
    assert [session.endpoint for session in sandbox.book.sessions] == ["own"]


def test_nobodys_clip_goes_to_the_key_owner_even_with_an_admins_key(
    world: World, sandbox: Sandbox
) -> None:
    world.add(user_id=None, recipient=Recipient.KEY_OWNER)

    world.run()

    assert [session.endpoint for session in sandbox.book.sessions] == ["own"]


def test_a_forced_role_is_not_asked_for(world: World, sandbox: Sandbox) -> None:
    world.settings = KeyPolicy(role="user")
    world.start()
    world.add(user_id="athlete-0002")

    world.run()

    assert (world.states(), sandbox.book.sessions) == (["held"], [])


@pytest.mark.parametrize("at", [0, 50, 80])
@pytest.mark.parametrize("how", ["cut", "reset"])
def test_a_connection_lost_before_the_end_was_surely_no_session(
    world: World, sandbox: Sandbox, at: int, how: str
) -> None:
    sandbox.add_fault(f"{how}:at={at}")
    world.add(size_bytes=20_000_000)

    world.run()

    entry = world.entry()
    assert (entry.state, entry.failures) == ("ready", 1)
    assert entry.due_at > world.clock_s
    assert sandbox.book.sessions == []
    world.run(10)
    assert world.states() == ["uploaded"]


@pytest.mark.parametrize("timeouts", [IMPATIENT])
def test_a_server_that_never_answers_is_given_up_and_looked_up(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("silent")
    world.add()

    world.run()

    assert world.states() == ["uncertain"]


@pytest.mark.parametrize(("header", "expected_s"), [("7", 7), ("in a while", 0), ("604800", 3600)])
def test_the_servers_wish_to_wait_holds_the_lane(
    world: World, sandbox: Sandbox, header: str, expected_s: float
) -> None:
    sandbox.add_fault(f"429:retry-after={header}")
    world.add()

    world.run()

    state = world.lane_state
    assert state.paused_reason == "server_asks_to_wait" and state.next_probe_at is not None
    assert expected_s <= state.next_probe_at - world.clock_s <= 3600
    assert world.entry().state == "ready"
    world.run(7200)
    assert world.states() == ["uploaded"]


def test_a_wrong_key_pauses_the_lane_and_a_new_one_opens_it(world: World, sandbox: Sandbox) -> None:
    world.add(1)
    world.run()
    sandbox.replace_key("renewed")
    world.add(2)
    world.add(3)

    world.run(3600)
    assert world.states() == ["uploaded", "ready", "ready"]
    assert world.lane_state.paused_reason == "key"
    assert [e.failures for e in (world.entry(2), world.entry(3))] == [0, 0]
    uploads = [r for r in sandbox.book.requests if r.method == "POST"]
    assert len(uploads) == 2  # the refused one was the last: a paused lane only probes

    world.key = "renewed"
    world.run(60)
    assert world.states() == ["uploaded"] * 3


def test_without_a_key_everything_is_kept(world: World, sandbox: Sandbox) -> None:
    world.key = None
    world.add()

    world.run(3600)

    assert (world.states(), sandbox.book.requests) == (["ready"], [])
    assert world.lane_state.paused_reason == "no_key"
    world.key = sandbox.tokens[0]
    world.run(60)
    assert world.states() == ["uploaded"]


@pytest.mark.parametrize("status", [400, 409, 422, 413])
def test_one_refused_clip_is_dead_and_the_others_flow(
    world: World, sandbox: Sandbox, status: int
) -> None:
    sandbox.add_fault(f"{status}:error=the video is too odd")
    for number in range(1, 11):
        world.add(number)

    world.run()

    assert world.states() == ["dead"] + ["uploaded"] * 9
    assert "the video is too odd" in str(world.entry(1).detail)
    assert world.entry(1).reason == f"http_{status}"


@pytest.mark.parametrize("fault", ["html", "redirect", "404:body=html"])
def test_what_is_not_our_api_pauses_the_lane_and_touches_no_clip(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    sandbox.add_fault(f"{fault}@any*4")
    world.add()

    world.run()

    assert world.lane_state.paused_reason == "not_our_api"
    assert (world.entry().state, world.entry().attempts) == ("ready", 0)
    world.run(3600)
    assert world.states() == ["uploaded"]


def test_a_refusal_for_one_athlete_holds_that_athletes_clips_alone(world: World) -> None:
    world.add(1, user_id="not-in-this-account")
    world.add(2)

    world.run()

    assert world.states() == ["held", "uploaded"]
    assert world.entry(1).reason == Reason.REFUSED_FOR_ATHLETE


def test_no_route_pauses_the_lane_and_heals_alone(world: World, sandbox: Sandbox) -> None:
    sandbox.stop()
    world.add()

    world.run(600)

    assert world.lane_state.paused_reason == "network"
    entry = world.entry()
    assert (entry.state, entry.attempts, entry.failures) == ("ready", 0, 0)
    with Sandbox(port=sandbox.port) as back:
        world.run(120)
        assert [session.title for session in back.book.sessions] == [world.entry().title]


def test_a_damaged_clip_is_held_not_sent(world: World, sandbox: Sandbox) -> None:
    entry = world.add()
    (world.folder.clips / entry.stored_name).write_bytes(b"torn")

    world.run()

    assert (world.states(), sandbox.book.sessions) == (["held"], [])
    assert world.entry().reason == Reason.CLIP_DAMAGED
    assert world.recuts_asked == [world.clock_s], "it is cut again at once, not at the next look"


def test_a_probe_far_in_the_future_is_a_clock_that_jumped(world: World) -> None:
    world.outbox.lanes.update(
        world.host, {"paused_reason": "network", "next_probe_at": world.clock_s + 10**7}
    )
    world.add()

    world.run()

    assert world.states() == ["uploaded"]


def test_a_disk_too_full_for_the_mark_is_no_fault_of_the_clip(
    world: World, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    refused: list[int] = []

    def refuse_once(fd: int) -> None:
        if not refused and Path(f"/proc/self/fd/{fd}").readlink().name == LEDGER_NAME:
            refused.append(fd)
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(fd)

    world.add()
    monkeypatch.setattr(os, "fsync", refuse_once)
    with pytest.raises(OSError, match="No space"):  # the daemon makes way, and tries again
        world.run()

    world.run(60)
    world.check_delivered_once(sandbox, 1)
    assert [event.word for event in world.outbox.events.of_entry(1)].count("held") == 0
