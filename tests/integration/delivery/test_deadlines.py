"""Uploads on bad lines: what moves is left alone, what does not is ended, nothing is doubled."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from agent.api.client import ApiClient
from agent.api.transfer import Timeouts
from agent.clock import Instant
from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from agent.stage import ShutdownRequested, StopFlag
from tests.factories import NOW_S
from tests.integration.delivery.conftest import WAIT_S, World
from tests.relay import Relay

QUICK = Timeouts(connect_s=2, allowance_s=0.3, min_rate_bytes_s=1e6, stall_s=0.6, answer_s=0.6)

MakeWorld = Callable[..., AbstractContextManager[World]]


@pytest.fixture
def relay(sandbox: Sandbox) -> Iterator[Relay]:
    with Relay(sandbox.port) as running:
        yield running


@pytest.fixture
def stop() -> StopFlag:
    return StopFlag()


@pytest.fixture
def make_world(tmp_path: Path, relay: Relay, stop: StopFlag) -> MakeWorld:
    """A lane that leads through the relay."""

    @contextmanager
    def make(timeouts: Timeouts, flag: StopFlag = stop) -> Iterator[World]:
        folder = StateFolder(tmp_path)
        folder.prepare()
        with (
            Outbox.open(tmp_path) as outbox,
            ApiClient(
                relay.base_url,
                now=lambda: Instant(utc_s=NOW_S),
                timeouts=timeouts,
                check=flag.check,
            ) as client,
        ):
            yield World(outbox=outbox, folder=folder, client=client, host="sandbox")

    return make


def test_a_reader_below_the_least_rate_is_ended_and_only_that_clip_waits(
    make_world: MakeWorld, relay: Relay, sandbox: Sandbox
) -> None:
    relay.rate_bytes_s = 64_000
    with make_world(QUICK) as world:
        world.add(size_bytes=1_000_000)

        world.run()

        entry = world.entry()
        assert (entry.state, entry.failures) == ("ready", 1)
        assert entry.due_at > world.clock_s and "slower than 1e+06 bytes/s" in str(entry.detail)
        assert world.lane_state.paused_reason is None
        assert sandbox.book.sessions == []
        relay.heal()
        world.run(10)
        assert world.states() == ["uploaded"]


def test_a_slow_line_that_moves_is_left_alone(make_world: MakeWorld, relay: Relay) -> None:
    relay.rate_bytes_s = 200_000
    slow = Timeouts(allowance_s=0.1, min_rate_bytes_s=50_000, stall_s=1.5, answer_s=1.5)
    with make_world(slow) as world:
        world.add(size_bytes=600_000)  # 3 s, twice as long as anything may stand still

        world.run()

        assert world.states() == ["uploaded"]
        assert world.entry().attempts == 1


def test_a_reader_that_stops_is_not_waited_for_until_the_deadline(
    make_world: MakeWorld, relay: Relay
) -> None:
    relay.rate_bytes_s = 0
    patient = Timeouts(allowance_s=600, stall_s=0.6, answer_s=600)
    with make_world(patient) as world:
        world.add(size_bytes=5_000_000)

        world.run()

        assert (world.entry().state, world.entry().failures) == ("ready", 1)
        assert "no bytes sent" in str(world.entry().detail)


@pytest.mark.parametrize("how", ["withhold", "trickle"])
def test_an_answer_that_does_not_come_is_looked_up_and_nothing_is_doubled(
    make_world: MakeWorld, relay: Relay, sandbox: Sandbox, how: str
) -> None:
    relay.answers = how  # type: ignore[assignment]  # one of its own words
    with make_world(QUICK) as world:
        world.add()

        world.run()

        tried, looked_up = world.outbox.attempts.of_entry(1)
        assert tried.outcome == "TimedOutError" and "no complete answer" in str(tried.detail)
        assert looked_up.outcome == "found"
        assert world.states() == ["uploaded"]
    assert len(sandbox.book.sessions) == 1


@pytest.mark.parametrize("how", ["withhold", "trickle"])
def test_a_probe_that_is_never_answered_pauses_the_lane(
    make_world: MakeWorld, relay: Relay, how: str
) -> None:
    relay.answers, relay.everything = how, True  # type: ignore[assignment]  # one of its own words
    with make_world(QUICK) as world:
        world.add()

        world.run()

        assert world.lane_state.paused_reason == "network"
        assert (world.entry().state, world.entry().attempts) == ("ready", 0)


def test_stopped_in_mid_body_it_was_surely_not_made(
    make_world: MakeWorld, relay: Relay, stop: StopFlag
) -> None:
    relay.rate_bytes_s = 0
    with make_world(Timeouts()) as world:
        world.add(size_bytes=5_000_000)
        relay.on_upload = stop.set

        with pytest.raises(ShutdownRequested):
            world.run()

        assert (world.entry().state, world.entry().failures) == ("ready", 0)


def test_stopped_while_the_answer_is_awaited_it_is_looked_up(
    make_world: MakeWorld, relay: Relay, stop: StopFlag, sandbox: Sandbox
) -> None:
    relay.answers = "withhold"
    with make_world(Timeouts()) as world:
        world.add()
        sandbox.book.on_change = lambda _line: stop.set()  # the session is made

        with pytest.raises(ShutdownRequested):
            world.run()

        assert world.states() == ["uncertain"]
        assert world.outbox.outcomes.may_have_been_made(world.entry(), now_s=world.clock_s)
    relay.heal()
    with make_world(Timeouts(), StopFlag()) as world:  # the next start
        world.run(10 * WAIT_S)
        assert world.states() == ["uploaded"]
    assert len(sandbox.book.sessions) == 1
