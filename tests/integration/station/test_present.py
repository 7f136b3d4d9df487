"""The present is told by the last words alone, and just as all words would tell it."""

from agent.outbox.outbox import Outbox
from agent.station.assignments import assign_person, assignment_status, record_default, timeline_of
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
