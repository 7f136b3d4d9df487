"""The one large word says what matters most."""

from dataclasses import replace

import pytest

from agent.station.word import Facts, Word, decide_word

QUIET = Facts(
    is_stopped=False,
    is_filming=False,
    folder_is_missing=False,
    paused=(),
    captures_waiting=0,
    clips_waiting=0,
    held=0,
    refused=0,
    unreadable=0,
    lane_reason=None,
    sent=0,
    ever_sent=False,
)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, Word.IDLE),
        ({"ever_sent": True}, Word.SAFE),
        ({"clips_waiting": 2, "ever_sent": True}, Word.SENDING),
        ({"clips_waiting": 2, "lane_reason": "network"}, Word.OFFLINE),
        ({"lane_reason": "tls"}, Word.OFFLINE),
        ({"lane_reason": "no_key"}, Word.NEEDS),
        ({"held": 1, "lane_reason": "network"}, Word.NEEDS),
        ({"refused": 1, "ever_sent": True}, Word.NEEDS),
        ({"unreadable": 1}, Word.NEEDS),
        ({"failing": 1, "clips_waiting": 1}, Word.NEEDS),
        ({"captures_waiting": 1, "held": 3}, Word.ANALYSING),
        ({"captures_waiting": 1, "paused": ("analysis",)}, Word.NEEDS),
        ({"is_filming": True, "captures_waiting": 1, "held": 1}, Word.FILMING),
        ({"folder_is_missing": True, "is_filming": True}, Word.NEEDS),
        ({"is_stopped": True, "is_filming": True, "held": 1}, Word.STOPPED),
    ],
)
def test_the_word_is(changes: dict[str, object], word: Word) -> None:
    assert decide_word(replace(QUIET, **changes)) is word  # type: ignore[arg-type]  # as above
