"""A reader that types: what its keys make, and that no half of a number is ever a card."""

import pytest

from agent.buttons import ButtonAction, parse_buttons
from agent.card_reader import InputEvent, KeyDecoder

CODES = dict(zip("1234567890", range(2, 12), strict=True)) | {"a": 30, "b": 48, "c": 46, ":": 39}
SHIFT, ENTER, KEYPAD_7, UNKNOWN = 42, 28, 71, 999


def key(code: int, at_s: float = 1.0, value: int = 1) -> InputEvent:
    return InputEvent(at_s, 1, code, value)


def fed(decoder: KeyDecoder, *events: InputEvent) -> list[str]:
    return [card for event in events if (card := decoder.feed(event)) is not None]


def typed(text: str, at_s: float = 1.0) -> list[InputEvent]:
    events = []
    for sign in text:
        shifts = sign.isupper() or sign == ":"
        code = CODES[sign.lower()]
        around = [key(SHIFT, at_s)] * shifts, [key(SHIFT, at_s, 0)] * shifts
        events += [*around[0], key(code, at_s), key(code, at_s, 2), key(code, at_s, 0), *around[1]]
    return events


def test_what_is_typed_up_to_enter_is_a_card() -> None:
    decoder = KeyDecoder()
    assert fed(decoder, *typed("04:Ab"), key(ENTER)) == ["04:Ab"]
    assert fed(decoder, *typed("12", 2.0), key(KEYPAD_7, 2.0), key(96, 2.0)) == ["127"]
    assert fed(decoder, key(ENTER, 3.0), InputEvent(3.0, 0, 0, 0), InputEvent(3.0, 4, 4, 7)) == []


@pytest.mark.parametrize(
    "fault",
    [key(UNKNOWN), InputEvent(1.0, 0, 3, 0), *[key(2)] * 1],
    ids=["an unknown key", "lost events", "too long"],
)
def test_a_read_of_which_a_key_is_not_certain_is_dropped_whole(fault: InputEvent) -> None:
    decoder = KeyDecoder()
    again = 200 if fault.code == 2 else 1
    assert fed(decoder, *typed("12"), *[fault] * again, *typed("34"), key(ENTER)) == []
    assert fed(decoder, *typed("56"), key(ENTER)) == ["56"], "the next read is whole again"


def test_a_button_is_pressed_once_and_never_part_of_a_card() -> None:
    decoder = KeyDecoder({109: ButtonAction.NEXT, 183: ButtonAction.STOP})
    bounces = [key(109, 1.0), key(109, 1.0, 0), key(109, 1.1), key(109, 1.2, 2), key(109, 1.3, 0)]
    assert fed(decoder, *bounces) == ["next"]
    assert fed(decoder, key(109, 2.5), key(183, 2.5), key(28, 2.6)) == ["next", "stop"]
    assert fed(decoder, *typed("12", 9.0), key(109, 9.0), *typed("34", 9.0), key(ENTER, 9.0)) == [
        "next"
    ]
    assert fed(decoder, *typed("56", 9.5), key(ENTER, 9.5)) == ["56"]


@pytest.mark.parametrize(
    "line", ["pagedown", "enter = next", "b = jump", "b = next, b = done"], ids=str
)
def test_a_key_that_means_nothing_is_a_mistake(line: str) -> None:
    with pytest.raises(ValueError, match=r"unknown|twice"):
        parse_buttons(line.split(", "))


def test_a_read_that_was_cut_off_is_no_part_of_the_next() -> None:
    decoder = KeyDecoder()
    assert fed(decoder, *typed("12", 1.0), *typed("34", 4.0), key(ENTER, 4.0)) == ["34"]
    assert fed(decoder, *typed("12", 9.0), *typed("34", 5.0), key(ENTER, 5.0)) == ["34"]
