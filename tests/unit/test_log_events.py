"""Every log event stands in the reference, with a name that says what happened."""

import re

from tests.tools.log_events import EVENTS, REFERENCE, emissions, reference

# Past participles that do not end in -ed.
_IRREGULAR = {"cut", "found", "held", "lost", "overwritten", "rebuilt", "recut", "rewritten"}


def test_every_event_of_the_code_stands_in_the_table() -> None:
    assert len(emissions()) > 100
    assert not [f"{one.where}: {one.event}" for one in emissions() if one.event not in EVENTS]


def test_the_table_has_no_event_that_the_code_does_not_log() -> None:
    assert not EVENTS.keys() - {one.event for one in emissions()}


def test_the_generated_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text() == reference(), "run: make events"


def test_an_event_is_a_noun_and_a_past_participle() -> None:
    wrong = [
        event
        for event in EVENTS
        if not re.fullmatch(r"[a-z]+(-[a-z]+)*( [a-z-]+)+", event)
        or not (event.endswith("ed") or event.split()[-1] in _IRREGULAR)
    ]

    assert wrong == ["device logged in"]  # a participle with its particle


def test_every_event_has_a_meaning_of_one_sentence() -> None:
    assert not [event for event, (meaning, _) in EVENTS.items() if not meaning.endswith(".")]
