"""Rows 9 and 10 of the faults a station meets: the network.

Real sockets, a real outbox, a real lane; time is the lane's own.  "Delivered once" is judged by
the books of the API's side.
"""

import pytest

from agent.api.transfer import Timeouts
from agent.clock import LocalTime
from agent.outbox.states import EntryState
from agent.sandbox.server import Sandbox
from tests.factories import NOW_S
from tests.integration.delivery.conftest import IMPATIENT, LARGE, SLOW_S, WAIT_S, World, way_to
from tests.station import KEY


def check_untouched(world: World, reason: str) -> str:
    """The lane is paused, no clip is marked; return what the alert says."""
    entry, state = world.entry(), world.lane_state
    assert (entry.state, entry.attempts, entry.failures) == ("ready", 0, 0)
    assert state.paused_reason == reason and state.next_probe_at is not None
    return str(state.paused_detail)


# Row 9


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1",  # refused
        "http://no-such-host.invalid",  # no such name
        "http://255.255.255.255:9",  # no route
    ],
)
def test_an_api_that_cannot_be_reached_pauses_the_lane_and_marks_no_clip(
    world: World, sandbox: Sandbox, address: str
) -> None:
    world.add()
    with way_to(world, address) as astray:
        astray.run(600)
        assert "cannot be reached" in check_untouched(astray, "network")
        world.clock_s = astray.clock_s

    world.run(120)
    world.check_delivered_once(sandbox, 1)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("tls-expired", "has expired, or this box's clock runs ahead"),
        ("tls-not-yet", "is not valid yet, or this box's clock is behind"),
        ("tls-unknown-ca", "signed by an unknown authority"),
        ("tls-wrong-host", "the certificate is not for 127.0.0.1"),
    ],
)
def test_a_wrong_certificate_pauses_the_lane_and_the_alert_names_its_fault_and_the_clock(
    world: World, fault: str, words: str
) -> None:
    world.add()
    with (
        Sandbox(key=KEY, tls=True, faults=[f"{fault}*always"]) as secure,
        way_to(world, secure.base_url, ca_file=secure.ca_file) as there,
    ):
        there.run(300)
        told = check_untouched(there, "tls")
        assert words in told
        assert f"{LocalTime(NOW_S).full(NOW_S)}, but nothing has set it" in told
        assert secure.book.requests == []  # the key was shown to nobody

        secure.clear_faults()
        there.run(120)
        there.check_delivered_once(secure, 1)


def test_a_host_without_tls_at_a_tls_address_is_named(world: World, sandbox: Sandbox) -> None:
    world.add()
    with way_to(world, sandbox.base_url.replace("http:", "https:")) as there:
        there.run(10)

        assert "does not speak valid TLS" in check_untouched(there, "tls")


def test_a_paused_lane_asks_for_the_account_alone_ever_more_rarely(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("503@status*always")
    world.add()

    world.run(3600)

    assert {request.path for request in sandbox.book.requests} == {
        "/user-management/organization-status/"
    }
    assert 60 < len(sandbox.book.requests) < 250  # from seconds to at most a minute apart
    sandbox.clear_faults()
    world.run(61)
    world.check_delivered_once(sandbox, 1)


# Row 10


@pytest.mark.parametrize(
    ("how", "at", "timeouts"),
    [
        *((how, at, Timeouts()) for how in ("cut", "reset") for at in (0, 50, 99, 100)),
        ("stall", 10, IMPATIENT),
    ],
)
def test_a_connection_lost_anywhere_in_the_body_delivers_once(
    world: World, sandbox: Sandbox, how: str, at: int
) -> None:
    sandbox.add_fault(f"{how}:at={at}")
    world.add(size_bytes=LARGE)

    world.run()
    assert sandbox.book.sessions == []
    if at <= 50:
        assert (world.entry().state, world.entry().failures) == ("ready", 1)
    world.run(WAIT_S + 60)

    world.check_delivered_once(sandbox, 1)
    world.check_fresh_clip_flows()


@pytest.mark.parametrize("made", [True, False])
def test_a_server_error_after_the_body_delivers_once(
    world: World, sandbox: Sandbox, made: bool
) -> None:
    for number, status in enumerate([408, 500, 502, 503, 504, 520], start=1):
        sandbox.add_fault(f"{status}:made" if made else f"{status}")
        world.add(number)

        world.run()
        assert world.entry(number).state == ("uploaded" if made else "uncertain")
        world.run((SLOW_S if status == 504 else WAIT_S) + 60)
        world.check_delivered_once(sandbox, number)

    world.check_fresh_clip_flows()


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_server_error_before_the_body_is_complete_was_surely_no_session(
    world: World, sandbox: Sandbox, status: int
) -> None:
    sandbox.add_fault(f"{status}:early")
    world.add(size_bytes=LARGE)

    world.run()
    assert (world.entry().state, world.entry().failures) == ("ready", 1)
    world.run(10)

    world.check_delivered_once(sandbox, 1)


@pytest.mark.parametrize("how", ["503:early", "503", "cut:at=20"])
def test_three_clips_in_a_row_in_trouble_pause_the_lane_for_longer_each_time(
    world: World, sandbox: Sandbox, how: str
) -> None:
    world.add(11)
    world.run(60)
    sandbox.add_fault(f"{how}*always")
    for number in range(1, 11):
        world.add(number, size_bytes=8_000_000)

    world.run(60)

    assert world.lane_state.paused_reason == "many_clips_fail"
    uploads = [request for request in sandbox.book.requests if request.method == "POST"]
    assert 4 <= len(uploads) < 14  # not ten clips repeatedly
    sandbox.clear_faults()
    world.run(2 * 3600)
    world.check_delivered_once(sandbox, 11)


@pytest.mark.parametrize(
    ("fault", "timeouts"),
    [("late-answer:s=1.5", Timeouts()), ("lost-answer", Timeouts()), ("silent", IMPATIENT)],
)
def test_an_answer_that_is_late_or_lost_is_found_in_the_list(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    sandbox.add_fault(fault)
    world.add()

    world.run(SLOW_S + 60)

    world.check_delivered_once(sandbox, 1)


def test_a_session_that_is_made_after_the_first_look_is_found_by_the_second(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("late-made:s=3")
    world.add()

    world.run()
    assert (world.states(), sandbox.book.sessions) == (["uncertain"], [])
    assert sandbox.book.wait_for(lambda book: len(book.sessions) == 1)
    world.run(WAIT_S + 60)

    world.check_delivered_once(sandbox, 1)


@pytest.mark.parametrize("state", [EntryState.UNCERTAIN, EntryState.HELD, EntryState.READY])
def test_an_answer_is_adopted_whatever_became_of_the_entry_meanwhile(
    world: World, sandbox: Sandbox, state: EntryState
) -> None:
    entry = world.add()

    def move_on(_line: str) -> None:  # the session is made, the answer is still under way
        uploading = world.entry(entry.id)
        world.outbox.entries.move(uploading, state, now_s=NOW_S)

    sandbox.book.on_change = move_on
    world.lane.step()

    world.check_delivered_once(sandbox, 1)


def test_of_two_sessions_of_one_clip_one_is_adopted_and_the_other_reported(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("twice:lost")
    world.add()

    world.run(10)

    entry = world.entry()
    ours, other = entry.session_id, entry.remarks[0].removeprefix("second_session:")
    assert {ours, other} == {session.session_id for session in sandbox.book.sessions}
    assert (entry.state, len(entry.remarks)) == ("uploaded", 1)
