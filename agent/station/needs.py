"""What waits for a person in the outbox, in words.  Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from agent.plurals import counted

_WORDS = {
    "captures": {"quarantined": ("recording is quarantined", "recordings are quarantined")},
    "entries": {
        "held": ("clip is held for review", "clips are held for review"),
        "dead": ("clip was rejected by the API", "clips were rejected by the API"),
    },
}


class Need(NamedTuple):
    """Something that only a person can move on."""

    state: str
    told: str
    command: str  # which lists it


def needs_person(counts: Mapping[str, Mapping[str, int]]) -> list[Need]:
    """Return what waits for a person.

    Args:
        counts: captures and entries by their states.
    """
    return [
        Need(state, counted(number, *words), f"spotter outbox list --state {state}")
        for kind, states in _WORDS.items()
        for state, words in states.items()
        if (number := counts[kind].get(state, 0))
    ]
