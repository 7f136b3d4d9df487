"""Faults as words."""

import pytest
from click.testing import CliRunner

from agent.cli.demo import EXAMPLES, sandbox
from agent.sandbox.faults import KINDS, STATUS, STATUS_OPTIONS, FaultPlan, parse_fault


def test_a_fault_says_what_where_and_how_often() -> None:
    fault = parse_fault("429:retry-after=5,error=slow down@list*3")

    assert (fault.status, fault.where, fault.count) == (429, "list", 3)
    assert fault.options == {"retry-after": "5", "error": "slow down"}


def test_plain_faults_happen_once_to_an_upload_and_list_faults_to_the_list() -> None:
    assert (parse_fault("503").where, parse_fault("503").count) == ("upload", 1)
    assert parse_fault("hide-list").where == "list"


def test_numbers_may_be_short() -> None:
    assert parse_fault("slow:rate=64k").number("rate", 0) == 64_000


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "unknown fault 'nonsense': see spotter sandbox --help"),
        ("lost-anwser", "is lost-answer meant"),
        ("99", "unknown fault"),
        ("503@moon", "place 'moon' is not one of upload"),
        ("503@connection", "place 'connection' is not one of upload"),
        ("drop@list", "place 'list' is not one of connection$"),
        ("drop@any", "place 'any' is not one of connection$"),
        ("503*often", "the count must be a number"),
        ("503:retry=5", "option retry is not one of after, body"),
        ("cut:at=half", "at must be a number"),
        ("503:retry-after", "options are name=value"),
    ],
)
def test_what_means_nothing_says_what_would(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_fault(text)


def test_a_plan_plays_each_fault_as_often_as_it_says() -> None:
    plan = FaultPlan(["503*2", "hide-list*always"])

    uploads = [plan.take("upload") for _ in range(3)]

    assert [fault and fault.what for fault in uploads] == ["503", "503", None]
    assert all(plan.take("list") for _ in range(50))


def test_a_fault_may_let_some_pass_first() -> None:
    plan = FaultPlan(["503:after=2*2"])

    played = [plan.take("upload") is not None for _ in range(6)]

    assert played == [False, False, True, True, False, False]


def test_a_fault_of_one_athlete_waits_for_that_athlete() -> None:
    plan = FaultPlan(["403:user=athlete-2*always"])

    assert plan.take("upload") is None
    assert plan.take("upload", user_id="athlete-1") is None
    assert plan.take("upload", user_id="athlete-2") is not None


def test_a_fault_of_any_request_leaves_connections_alone() -> None:
    plan = FaultPlan(["503@any"])

    assert plan.take("connection") is None
    assert plan.take("status") is not None


def test_every_fault_is_told_of_on_a_line_of_its_own() -> None:
    told = CliRunner().invoke(sandbox, ["--help"], terminal_width=80).output.splitlines()

    for name, kind in KINDS.items():
        assert [line for line in told if f"  {kind.form(name)}  " in line and kind.words in line]
    for option, words in STATUS_OPTIONS.items():
        assert [line for line in told if f"STATUS:{option}  " in line and words in line]
    assert set(STATUS.options) == {option.partition("=")[0] for option in STATUS_OPTIONS}


def test_every_example_of_the_help_means_something() -> None:
    faults = [words.partition("--fault ")[2] for words, _ in EXAMPLES]

    assert [parse_fault(text).what for text in faults if text] == ["503", "lost-answer", "401"]
