"""Whatever the API answers about a session, it harms nothing and is told."""

import io

import pytest

from agent.api.client import ApiKey
from agent.api.documents import export_path
from agent.outbox.results import FollowUpState, read_session
from agent.sandbox.server import Sandbox
from tests.integration.delivery.conftest import World
from tests.integration.delivery.following import Following
from tests.station import KEY


@pytest.fixture
def following(world: World, sandbox: Sandbox) -> Following:
    """A station whose sessions take no time, unless a test says otherwise."""
    return Following(world, sandbox)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("html@session*3", "not an answer of the API"),
        ("empty@session*3", "not an answer of the API"),
        ("redirect@session*3", "302"),
        ("500@session*3", "500"),
        ("403:error=not yours@session*3", "HTTP 403: not yours"),
        ("deep-json:n=100000@session*3", "not an answer of the API"),
        ("long-json:n=40M@session*3", "longer than 16 MB"),
    ],
)
def test_a_hostile_answer_harms_nothing_and_is_told(
    following: Following, fault: str, told: str
) -> None:
    following.sandbox.add_fault(fault)
    following.sandbox.add_fault("500@list*always")
    following.deliver()

    following.run(25.0)
    waiting = following.follow_up()
    assert (waiting.state, waiting.polls) == (FollowUpState.WAITING, 0)
    assert told in (waiting.detail or "")
    following.run()

    assert following.follow_up().state is FollowUpState.COMPLETED


@pytest.mark.parametrize("value", ["7", "[]", "{}", "true", '""', '"ftp://x/y"', '"http://a b"'])
def test_a_link_that_is_none_is_not_taken_for_one(following: Following, value: str) -> None:
    following.sandbox.add_fault(f"link:json={value}@session*2")
    following.deliver()

    following.run(21.0)
    assert following.follow_up().state is FollowUpState.WAITING

    following.run()
    assert following.follow_up().state is FollowUpState.COMPLETED


def test_odd_metrics_are_kept_as_they_come(following: Following) -> None:
    following.sandbox.add_fault("odd-metrics")
    following.deliver()

    following.run()

    assert following.result().numbers == {
        "peak.velocity.value": 1.92,
        "peak.velocity.unit": "m/s",
        "reps.rep one": 1.8,
        "reps.2.height": 0.9,
        "valid": True,
        "grade": "=2+3",
        "text with a line": "a b",
    }
    told = read_session(following.document())
    assert told is not None and told["metrics"]["huge"] == 1e300  # type: ignore[index]  # as it came


def test_an_export_ends_where_it_is_longer_than_anybody_wants(following: Following) -> None:
    entry = following.deliver()
    following.sandbox.add_fault("long-json:n=2M@session")
    key, target = ApiKey(token=KEY, header="Authorization"), io.BytesIO()

    path = export_path(entry.activity, entry.session_id or "")
    answer = following.world.client.save(path, key, target, most_bytes=1_000_000)

    assert answer.is_cut and len(target.getvalue()) <= 1_000_000


def test_one_session_for_several_clips_is_asked_about_for_each(following: Following) -> None:
    following.sandbox.processing.set_span((1e6, 1e6))
    for number in range(1, 6):
        following.deliver(number)
        following.world.outbox.database.change(
            "UPDATE follow_up SET session_id = 'session001' WHERE entry_id = ?", (number,)
        )

    following.run(600.0)

    assert following.asked()["list"] <= 10
    assert min(following.follow_up(number).polls for number in range(1, 6)) > 3


def test_a_document_whose_place_refuses_holds_no_other_session_back(following: Following) -> None:
    for number in (1, 2):
        following.deliver(number)
    in_its_way = following.document(1)
    in_its_way.mkdir()

    following.run(1800)

    assert {following.follow_up(number).state for number in (1, 2)} == {"completed"}
    assert following.result(1).document_bytes == 0 and following.document(2).is_file()
    in_its_way.rmdir()
    following.run(3600)
    assert following.document(1).is_file()
