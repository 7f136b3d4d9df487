"""Every session is followed until its analysis is there, gently, and none is missed."""

import random
from collections.abc import Callable

import pytest

from agent.api.client import ApiClient, ApiKey
from agent.outbox.results import FollowUpState, read_head, read_session
from agent.outbox.states import EntryState
from agent.results.follow_up import FollowUpPolicy
from agent.sandbox.server import Sandbox
from tests.integration.delivery.conftest import World
from tests.integration.delivery.following import Following
from tests.station import KEY

DAY_S = 86_400.0


@pytest.fixture
def following(world: World, sandbox: Sandbox) -> Following:
    """A station whose sessions take no time, unless a test says otherwise."""
    return Following(world, sandbox)


def slow(following: Following, seconds: float) -> None:
    """Let every new session take so long."""
    following.sandbox.processing.set_span((seconds, seconds))


def test_a_session_is_followed_until_its_analysis_is_there(following: Following) -> None:
    slow(following, 100.0)
    following.deliver()

    following.run()

    assert following.world.entry().state is EntryState.COMPLETED
    assert following.follow_up().state is FollowUpState.COMPLETED
    assert following.asked() == {"one": 3}  # after 20, 52 and 103 s
    result = following.result()
    assert 1.5 <= float(result.numbers["peak_velocity"]) <= 2.3
    assert isinstance(result.numbers["peak_velocity"], float)
    assert (result.analysed_video_url or "").startswith(following.sandbox.storage_url)
    head, told = read_head(following.document()), read_session(following.document())
    assert head is not None and head.whole and head.numbers == result.numbers
    assert told is not None and {"angles", "all_timestamps", "title"} <= set(told)
    assert "user_name" not in told
    assert result.document_bytes == following.document().stat().st_size
    assert following.rang == 1
    events = [event.word for event in following.world.outbox.events.of_entry(1)]
    assert events == ["ready", "uploaded", "completed"]


@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.soak)])
def test_many_sessions_cost_three_requests_a_minute_and_none_is_missed(
    following: Following, count: int
) -> None:
    following.sandbox.processing.set_span((5.0, 900.0))
    began_s = following.world.clock_s
    numbers = range(1, count + 1)
    for number in numbers:
        following.deliver(number)
        following.run(15.0)
        if number % 8 == 0:
            following.start()  # a restart begins no new budget

    following.run()

    assert following.world.outbox.follow_ups.counts() == {"completed": count}
    assert len(following.world.outbox.entries.in_states({EntryState.COMPLETED})) == count
    minutes = (following.world.clock_s - began_s) / 60
    assert len(following.sandbox.book.requests) <= 3 * minutes + 1
    assert following.asked()["list"] > 3  # many at once are asked about together
    assert {following.result(number).document_state for number in numbers} == {"present"}
    assert all(following.document(number).exists() for number in numbers)


def test_after_a_week_offline_one_list_completes_everything(following: Following) -> None:
    for number in range(1, 13):
        following.deliver(number)
    following.world.clock_s += 7 * DAY_S

    following.run(15.0)

    assert following.asked()["list"] == 1
    assert following.world.outbox.follow_ups.counts() == {"completed": 12}
    assert following.result().document_state == "partial"  # the rest comes one by one
    following.run()
    assert following.result().document_state == "present"
    assert following.asked() == {"list": 1, "one": 12}


def test_one_list_serves_sessions_that_are_due_at_different_times(following: Following) -> None:
    slow(following, 1e6)
    following.share = random.Random(7).random  # their waits are as different as can be
    for number in range(1, 41):
        following.deliver(number)
    following.run(3600.0)
    before = following.asked()["list"]

    following.run(3600.0)

    assert following.asked()["list"] - before < 30  # 62 if each waited for its own
    assert min(following.follow_up(number).polls for number in range(1, 41)) >= 8


def test_a_list_that_shows_the_newest_alone_leaves_the_others_to_be_asked_singly(
    following: Following,
) -> None:
    following.sandbox.add_fault("limit-list:n=2*always")
    for number in range(1, 7):
        following.deliver(number)

    following.run()

    assert following.world.outbox.follow_ups.counts() == {"completed": 6}
    assert following.asked()["list"] == 1


def test_a_long_list_is_read_no_further_than_it_must_and_not_for_a_few(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    following.sandbox.add_fault("long-list:n=3000*always")
    read: list[int] = []
    documents = ApiClient.documents

    def counted(client: ApiClient, key: ApiKey, visit: Callable[[str, object], None]) -> bool:
        read.append(0)

        def see(session_id: str, told: object) -> None:
            read[-1] += 1
            visit(session_id, told)

        return documents(client, key, see)

    monkeypatch.setattr(ApiClient, "documents", counted)
    for number in range(1, 5):
        following.deliver(number)
    following.run()
    assert read == [4]  # the newest come first

    for number in range(5, 10):
        following.deliver(number)
    following.sandbox.book.remove("session009")
    following.run(25.0)
    assert read[1:] == [3008]
    following.run()
    assert following.follow_up(9).state is FollowUpState.GONE
    assert read[1:] == [3008] * 3  # once for many, and twice to be sure


@pytest.mark.parametrize("seconds", [90.0, 3000.0])
def test_what_is_listed_late_is_not_gone(following: Following, seconds: float) -> None:
    following.sandbox.add_fault(f"late-session:s={seconds}@processing")
    following.deliver()

    following.run()

    assert following.follow_up().state is FollowUpState.COMPLETED


def test_what_the_api_does_not_know_is_gone_in_the_end_but_comes_back_if_it_does(
    following: Following,
) -> None:
    following.sandbox.add_fault(f"late-session:s={30 * 3600}@processing")
    following.deliver()

    following.run(5 * 3600.0)
    gone = following.follow_up()
    assert (gone.state, gone.due_at is None) == (FollowUpState.GONE, False)
    assert "404" in (gone.detail or "") or "list" in (gone.detail or "")
    assert {"list", "one"} <= set(following.asked())  # the one says it, and so does the other
    events = [e.word for e in following.world.outbox.events.of_entry(1) if e.what == "follow_up"]
    assert events == ["gone"]

    following.run()
    assert following.follow_up().state is FollowUpState.COMPLETED


def test_a_failure_that_the_api_states_is_told_in_its_words(following: Following) -> None:
    following.sandbox.add_fault("failed:error=no person found@processing")
    following.deliver()

    following.run(DAY_S)

    failed = following.follow_up()
    assert (failed.state, failed.detail) == (FollowUpState.FAILED, "no person found")
    assert following.world.entry().state is EntryState.UPLOADED
    assert len(following.sandbox.book.requests) < 30  # rarely, from then on
    following.run()
    assert (following.follow_up().state, following.follow_up().due_at) == ("failed", None)


def test_what_never_comes_is_given_up_and_can_be_looked_for_again(following: Following) -> None:
    following.sandbox.add_fault("never-done")
    entry = following.deliver()

    following.run()

    seen = following.follow_up()
    assert (seen.state, seen.due_at) == (FollowUpState.NOT_SEEN, None)
    assert seen.detail == "no analysis within 2 days"
    assert seen.polls > 150 and following.world.entry().state is EntryState.UPLOADED

    following.sandbox.processing.restart()  # the API has come to it after all
    assert following.world.outbox.follow_ups.resume(entry.id, now_s=following.world.clock_s)
    following.run()
    assert following.world.entry().state is EntryState.COMPLETED


def test_a_video_that_waits_to_be_asked_for_is_asked_for(following: Following) -> None:
    for number in range(1, 5):
        following.sandbox.add_fault("no-rendering")
        following.deliver(number)

    following.run()

    assert following.world.outbox.follow_ups.counts() == {"completed": 4}
    assert following.asked()["link"] == 4


def test_a_server_that_wants_to_be_left_alone_is(following: Following) -> None:
    following.sandbox.add_fault("429:retry-after=600@session")
    following.deliver()

    following.run(30.0)
    following.start()  # a restart does not forget it
    following.run(560.0)
    assert len(following.sandbox.book.requests) == 1

    following.run()
    assert following.follow_up().state is FollowUpState.COMPLETED


def test_nothing_is_asked_while_the_lane_is_paused_or_nobody_wishes_it(
    following: Following,
) -> None:
    following.deliver()
    following.is_open = False
    following.run(3600.0)
    following.is_open = True
    following.policy = FollowUpPolicy(follow=False)
    following.start()
    following.run()

    assert not following.sandbox.book.requests


def test_a_clock_that_jumps_gives_nothing_up_and_stops_nothing(following: Following) -> None:
    slow(following, 200.0)
    following.deliver()
    following.run(25.0)

    following.world.clock_s += 400 * DAY_S
    following.sandbox.processing.restart()
    following.sandbox.processing.set_span((1e9, 1e9))
    following.run(60.0)
    assert following.follow_up().state is FollowUpState.WAITING

    following.world.clock_s -= 400 * DAY_S
    following.sandbox.processing.restart()
    following.sandbox.processing.set_span((0.0, 0.0))
    following.run()
    assert following.follow_up().state is FollowUpState.COMPLETED


def test_a_clock_that_goes_back_by_hours_delays_no_look(following: Following) -> None:
    slow(following, 1e6)
    following.deliver()
    following.run(25.0)

    following.world.clock_s -= 20 * 3600.0
    following.run(60.0)

    assert following.follow_up().polls == 2


def test_what_was_forgotten_meanwhile_leaves_nothing(following: Following) -> None:
    entry = following.deliver()
    before = following.follow_up()
    following.world.outbox.results.forget([entry.id], now_s=following.world.clock_s)

    result = following.stage.poll_now(before, ApiKey(token=KEY, header="Authorization"))

    assert result.outcome == "there"
    assert following.world.outbox.results.of_entry(entry.id) is None
    assert not following.document().exists()
    assert following.world.entry().state is EntryState.UPLOADED
