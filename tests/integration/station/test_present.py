"""The present is told by the last words alone, and just as all words would tell it."""

from collections.abc import Callable

import pytest

from agent.clock import Instant
from agent.outbox.assignments import Assignment
from agent.outbox.outbox import Outbox
from agent.station.assignments import (
    assign_person,
    assignment_status,
    keep,
    record_default,
    set_mass,
    step_mass,
    timeline_of,
)
from agent.station.attribution import present_of
from agent.station.recording_pause import filming, stop_filming
from tests.factories import instant
from tests.integration.station.conftest import LIFTING, RULES, doing


def test_after_years_the_default_and_the_stop_are_still_known(outbox: Outbox) -> None:
    record_default(outbox, LIFTING, now=instant())
    stop_filming(outbox, now=instant(1), set_by="test")
    for number in range(450):
        person = f"athlete-{number % 7}"
        assign_person(
            outbox, person, doing("snatch", 50), rules=RULES, now=instant(2 + number), set_by="test"
        )
    now = instant(460)

    present = present_of(outbox, now=now)

    assert present.at(now) == timeline_of(outbox, now=now).at(now)
    assert assignment_status(outbox, now=now).assignment == present.at(now).assignment
    assert filming(outbox, now=now).stopped is not None
    assert len(outbox.assignments.latest(of_each_layer=200)) == 202


@pytest.mark.parametrize(
    "change",
    [
        lambda outbox, now: keep(outbox, now=now, set_by="test"),
        lambda outbox, now: step_mass(outbox, 5.0, rules=RULES, now=now, set_by="test"),
        lambda outbox, now: set_mass(outbox, 80.0, rules=RULES, now=now, set_by="test"),
    ],
    ids=["keep", "step_mass", "set_mass"],
)
def test_what_is_said_of_who_is_there_lets_nobody_else_come_meanwhile(
    outbox: Outbox, change: Callable[[Outbox, Instant], Assignment]
) -> None:
    assign_person(outbox, "ann", doing("snatch", 50), rules=RULES, now=instant(), set_by="test")
    said: list[str] = []
    outbox.database.connection.set_trace_callback(said.append)

    change(outbox, instant(5))

    outbox.database.connection.set_trace_callback(None)
    assert [line for line in said if line.startswith("BEGIN")] == ["BEGIN IMMEDIATE"]
