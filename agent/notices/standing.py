"""The station's state as others are told it.  Pure."""

from dataclasses import dataclass, replace
from enum import Enum

from agent.clock import iso_utc
from agent.station.word import Facts, Word, decide_word

_DISK_STEP = 0.01  # of the disk: less is no news
_DISK_NEWS_S = 60.0  # nor is more of it, sooner than this


class Interest(Enum):
    """How much a receiver wants to hear of the state."""

    CHANGES = "changes"  # its word, and what a person must do
    NUMBERS = "numbers"  # the counts and the disk, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the station does at one moment."""

    facts: Facts
    backlog_bytes: int
    free_bytes: int
    total_bytes: int
    last_delivered_at: float | None

    @property
    def word(self) -> Word:
        """The one large word, as on the coach's page."""
        return decide_word(self.facts)

    @property
    def needs_person(self) -> bool:
        """Whether something waits that only a person can mend."""
        facts = self.facts
        return facts.is_faulty

    def document(self) -> dict[str, object]:
        """Return it ready for JSON."""
        facts = self.facts
        return {
            "state": str(self.word),
            "needs_person": self.needs_person,
            "filming_stopped": facts.is_stopped,
            "captures_waiting": facts.captures_waiting,
            "held": facts.held,
            "refused": facts.refused,
            "failing": facts.failing,
            "unreadable": facts.unreadable,
            "backlog": {"clips": facts.clips_waiting, "bytes": self.backlog_bytes},
            "delivered_today": facts.sent,
            "last_delivered_at": iso_utc(self.last_delivered_at),
            "paused": list(facts.paused),
            "uploads_paused": facts.lane_reason,
            "camera": None if facts.camera is None else str(facts.camera.state),
            "last_recording_at": None if facts.camera is None else iso_utc(facts.camera.last_at),
            "disk": {"free_bytes": self.free_bytes, "total_bytes": self.total_bytes},
        }


def is_news(before: Standing | None, now: Standing, *, interest: Interest, age_s: float) -> bool:
    """Tell whether a receiver should hear of a state.

    Args:
        before: what it heard last; None: nothing.
        now: what holds.
        interest: how much it wants to hear.
        age_s: how long ago it heard that.
    """
    if before is None or _changes(before) != _changes(now):
        return True
    if interest is Interest.CHANGES:
        return False
    if _numbers(before) != _numbers(now) or before.last_delivered_at != now.last_delivered_at:
        return True
    moved_bytes = abs(before.free_bytes - now.free_bytes)
    return age_s >= _DISK_NEWS_S and moved_bytes > _DISK_STEP * now.total_bytes


def _numbers(standing: Standing) -> Facts:
    """Return what is counted: not the moment of the last recording, which always moves on."""
    camera = standing.facts.camera
    seen = None if camera is None else replace(camera, last_at=None)
    return replace(standing.facts, camera=seen)


def _changes(standing: Standing) -> tuple[object, ...]:
    facts = standing.facts
    needing = (facts.held, facts.refused, facts.failing, facts.unreadable)
    fault = facts.camera.state if facts.camera is not None and facts.camera.is_faulty else None
    return standing.word, standing.needs_person, needing, facts.paused, facts.lane_reason, fault
