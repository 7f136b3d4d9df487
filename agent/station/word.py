"""The one large word: what the station is doing, and what else a coach should know.  Pure."""

from dataclasses import dataclass
from enum import StrEnum

# A pause that a person must end; every other heals by itself.
NEEDS_PERSON = frozenset({"no_key", "key", "account"})


class Word(StrEnum):
    """What the station is doing, in one word."""

    STOPPED = "stopped"  # nobody may be filmed
    FILMING = "filming"
    ANALYSING = "analysing"
    NEEDS = "needs"  # a person
    OFFLINE = "offline"  # and keeping everything
    SENDING = "sending"
    SAFE = "safe"  # everything filmed is at the API
    IDLE = "idle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the word rests on."""

    is_stopped: bool  # by a coach: stop filming
    is_filming: bool  # a capture is being written
    folder_is_missing: bool  # the capture folder
    paused: tuple[str, ...]  # parts of the station that wait: intake, analysis
    captures_waiting: int  # taken in, or being looked into
    clips_waiting: int  # to be sent, or looked up
    held: int
    refused: int  # clips the API refused for good
    unreadable: int  # captures set aside
    lane_reason: str | None  # why the way to the API is closed; None: open
    sent: int  # since midnight
    ever_sent: bool
    failing: int = 0  # clips on which the API fails while others pass

    @property
    def needing(self) -> int:
        """How many clips and captures wait for a person."""
        return self.held + self.refused + self.failing + self.unreadable


def decide_word(facts: Facts) -> Word:
    """Return what matters most at this moment."""
    if facts.is_stopped:
        return Word.STOPPED
    if facts.folder_is_missing:
        return Word.NEEDS
    if facts.is_filming:
        return Word.FILMING
    if facts.captures_waiting and not facts.paused:
        return Word.ANALYSING
    return _at_rest(facts)


def _at_rest(facts: Facts) -> Word:
    if facts.needing or facts.paused or facts.lane_reason in NEEDS_PERSON:
        return Word.NEEDS
    if facts.lane_reason is not None:
        return Word.OFFLINE
    if facts.clips_waiting:
        return Word.SENDING
    return Word.SAFE if facts.ever_sent else Word.IDLE
