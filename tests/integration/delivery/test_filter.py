"""Reconciling by the filter: little asked, nothing doubled, whatever filter and list do."""

from collections.abc import Sequence

import pytest

from agent.outbox.states import Reason
from agent.sandbox.account import Request
from agent.sandbox.server import Sandbox
from tests.integration.delivery.conftest import SLOW_S, WAIT_S, World

MOST_BYTES = 100_000


def looks(sandbox: Sandbox, before: Sequence[Request]) -> list[Request]:
    """What was asked since then, but for uploads."""
    return [r for r in sandbox.book.requests[len(before) :] if r.method != "POST"]


def after_one_delivery(world: World, sandbox: Sandbox, *faults: str) -> Sequence[Request]:
    """One clip was delivered an hour ago, and another one's outcome is unknown."""
    sandbox.clock = lambda: world.clock_s
    world.add(1)
    world.run(60)
    world.clock_s += 3600
    before = sandbox.book.requests
    for fault in faults:
        sandbox.add_fault(fault)
    world.add(2)
    return before


@pytest.mark.parametrize("old_sessions", [100, 100_000])
@pytest.mark.parametrize("fault", ["lost-answer", "503", "504:made", "504", "504:late-made"])
def test_an_unknown_outcome_costs_three_requests_however_large_the_account(
    world: World, sandbox: Sandbox, old_sessions: int, fault: str
) -> None:
    sandbox.old_sessions = old_sessions
    if fault == "504:late-made":
        before = after_one_delivery(world, sandbox, "504:made", "late-list:s=300*1")
    else:
        before = after_one_delivery(world, sandbox, fault)

    world.run(SLOW_S + 60)

    world.check_delivered_once(sandbox, 2)
    assert sandbox.book.wait_for(lambda _book: bool(looks(sandbox, before)))  # noted once answered
    asked = looks(sandbox, before)
    assert len(asked) <= 3, [(r.path, r.query) for r in asked]
    assert sum(r.sent_bytes for r in asked) < MOST_BYTES


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("late_s", [30, 300, 1500])
def test_a_session_that_is_listed_late_after_a_time_out_is_never_doubled(
    world: World, sandbox: Sandbox, late_s: int, made: bool
) -> None:
    fault = "504:made" if made else "504"
    after_one_delivery(world, sandbox, fault, f"late-list:s={late_s}*always")

    world.run(2 * SLOW_S)

    world.check_delivered_once(sandbox, 2)


def test_beyond_the_bound_a_list_that_shows_its_lag_proves_nothing(
    world: World, sandbox: Sandbox
) -> None:
    after_one_delivery(world, sandbox, "504:made", "late-list:s=86400*always")

    world.run(2 * SLOW_S)

    assert world.entry(2).reason == Reason.OUTCOME_UNKNOWN
    world.run(2 * 86_400)
    world.check_delivered_once(sandbox, 2)


@pytest.mark.parametrize("filter_fault", ["blind-filter", "404:body=html@filter", "500@filter"])
@pytest.mark.parametrize(
    "list_fault",
    [None, "oldest-list:n=1", "limit-list:n=1", "limit-list:n=0", "strip-titles", "long-list:n=9"],
)
@pytest.mark.parametrize("made", [True, False])
def test_where_the_filter_fails_the_whole_list_must_reach_both_ways(
    world: World, sandbox: Sandbox, filter_fault: str, list_fault: str | None, made: bool
) -> None:
    faults = [f"{filter_fault}*always"] + ([f"{list_fault}*always"] if list_fault else [])
    after_one_delivery(world, sandbox, "503:made" if made else "503", *faults)

    world.run(3 * WAIT_S)

    hashes = [session.video_sha256 for session in sandbox.book.sessions]
    assert len(hashes) == len(set(hashes))
    if list_fault in {None, "long-list:n=9"}:
        world.check_delivered_once(sandbox, 2)
    assert "dead" not in world.states()


def test_a_filter_that_lets_everything_pass_finds_only_what_it_should(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.old_sessions = 50
    after_one_delivery(world, sandbox, "503", "open-filter*always")

    world.run(3 * WAIT_S)

    world.check_delivered_once(sandbox, 2)


@pytest.mark.parametrize("fault", ["hide-list", "oldest-list:n=3", "late-list:s=900"])
def test_a_first_delivery_is_not_doubled_by_a_list_that_lacks_it(
    world: World, sandbox: Sandbox, fault: str
) -> None:
    sandbox.clock = lambda: world.clock_s
    sandbox.old_sessions = 3
    sandbox.add_fault("503:made")
    sandbox.add_fault(f"{fault}*always")
    sandbox.add_fault("blind-filter*always")
    world.add()

    world.run(3 * WAIT_S)

    assert (world.states(), world.entry().reason) == (["held"], Reason.OUTCOME_UNKNOWN)
    assert len(sandbox.book.sessions) == 1


def test_what_is_held_is_found_by_the_filter_later(world: World, sandbox: Sandbox) -> None:
    sandbox.old_sessions = 10_000
    after_one_delivery(world, sandbox, "503:made", "hide-list*9")
    world.run(2 * WAIT_S)
    assert world.entry(2).state == "held"

    sandbox.clear_faults()
    sandbox.add_fault("503")
    world.add(3)
    world.run(3 * 3600)

    world.check_delivered_once(sandbox, 3)
