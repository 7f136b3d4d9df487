"""Client and sandbox keep to one contract: every request, every answer."""

import pytest

from agent.api import contract
from agent.sandbox.account import roster
from agent.sandbox.server import Sandbox
from tests.contract.asking import ask_everything
from tests.contract.playing import Exchanged
from tests.station import KEY


@pytest.fixture(scope="module")
def exchanged() -> list[Exchanged]:
    """Everything that the client can ask, and what the sandbox answers."""
    with Sandbox(key=KEY, processing_s=60) as sandbox:
        sandbox.athletes = roster(250)
        return ask_everything(sandbox)


def test_every_request_is_one_of_the_contract(exchanged: list[Exchanged]) -> None:
    for one in exchanged:
        operation = one.operation
        assert operation is not None, one.path
        assert set(one.query) <= set(operation.query), one.query
        if operation.form is not None:
            fields = one.form()
            assert fields.pop("video").endswith(".mp4")
            assert contract.mismatches(fields, operation.form) == []
            assert set(fields) <= set(operation.form["properties"])
        if operation.document is not None:
            assert one.content_type == "application/json"
            document = one.sent_document()
            assert contract.mismatches(document, operation.document) == []


def test_every_answer_is_one_of_the_contract(exchanged: list[Exchanged]) -> None:
    for one in exchanged:
        operation = one.operation
        assert operation is not None
        if one.status == 200:
            found = contract.mismatches(one.document(), operation.answer, one.path)
        else:
            assert one.status in operation.errors, (one.method, one.path, one.status)
            found = contract.mismatches(one.document(), contract.ERROR, one.path)
        assert found == []


def test_everything_of_the_contract_was_asked(exchanged: list[Exchanged]) -> None:
    asked = {(one.operation.name, one.operation.activity) for one in exchanged if one.operation}
    answered = {
        (one.operation.name, one.operation.activity)
        for one in exchanged
        if one.operation and one.status == 200
    }
    everything = {(operation.name, operation.activity) for operation in contract.OPERATIONS}

    assert asked == answered == everything


def test_departures_from_a_schema_are_told() -> None:
    schema = contract.operation("find_sessions").answer

    assert contract.mismatches({"query_count": "3", "sessions": {"a": {}}}, schema) == [
        ".query_count: str where integer is expected"
    ]
    assert contract.mismatches({"sessions": {"a": 1}}, schema) == [
        ".sessions.a: int where object is expected"
    ]
    assert contract.mismatches({}, contract.ERROR) == [".error: missing"]
    assert contract.mismatches([], contract.ERROR) == ["it: list where object is expected"]
    form = contract.operation("upload", "weightlifting").form
    assert form is not None
    assert contract.mismatches({"exercise_name": "squat"}, form)[0].startswith(".exercise_name:")
