"""The one large word: what the station is doing, and what else a coach should know.  Pure."""

from dataclasses import dataclass
from enum import StrEnum

from agent.station.camera import Camera

# A pause that a person must end, if only by a larger plan; every other heals by itself.
NEEDS_PERSON = frozenset({"no_key", "key", "account", "plan_limit"})


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
    paused: tuple[str, ...]  # parts of the station that wait: intake, clipping
    captures_waiting: int  # taken in, or being looked into
    clips_waiting: int  # to be sent, or looked up
    held: int
    refused: int  # clips the API refused for good
    unreadable: int  # captures set aside
    lane_reason: str | None  # why the way to the API is closed; None: open
    sent: int  # since midnight
    ever_sent: bool
    failing: int = 0  # clips on which the API fails while others pass
    undeleted: int = 0  # wrong sessions that the API does not delete
    left_videos: int = 0  # files that may be videos, and whose names Spotter is not to take
    camera: Camera | None = None
    stuck: tuple[str, ...] = ()  # parts of the daemon that make no progress
    disk_is_low: bool = False  # it will be full within days

    @property
    def needing(self) -> int:
        """How many clips and captures wait for a person."""
        return self.held + self.refused + self.failing + self.unreadable + self.undeleted

    @property
    def camera_is_faulty(self) -> bool:
        """Whether somebody must look at the camera."""
        return self.camera is not None and self.camera.is_faulty

    @property
    def is_faulty(self) -> bool:
        """Whether anything is wrong that a word such as "all safe" would hide."""
        waits = bool(self.needing or self.left_videos or self.paused or self.stuck)
        return (
            waits
            or self.folder_is_missing
            or self.camera_is_faulty
            or self.disk_is_low
            or self.lane_reason in NEEDS_PERSON
        )


def decide_word(facts: Facts) -> Word:
    """Return what matters most at this moment."""
    if facts.is_stopped:
        return Word.STOPPED
    if facts.folder_is_missing or facts.camera_is_faulty or facts.stuck:
        return Word.NEEDS
    if facts.is_filming:
        return Word.FILMING
    if facts.captures_waiting and not facts.paused:
        return Word.ANALYSING
    return _at_rest(facts)


def _at_rest(facts: Facts) -> Word:
    if facts.is_faulty:
        return Word.NEEDS
    if facts.lane_reason is not None:
        return Word.OFFLINE
    if facts.clips_waiting:
        return Word.SENDING
    return Word.SAFE if facts.ever_sent else Word.IDLE
