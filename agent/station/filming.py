"""Stop filming: what is filmed meanwhile is removed unseen.

The camera program goes on; Spotter removes what it writes.  What counts is when a capture was
filmed, not when it arrived, and a capture that touches a stop goes whole: nobody has looked into
it, so nobody can say which part of it is harmless.  Where the time of filming is not known well
enough, the capture is set aside unseen, and a person decides: a guess would either show what
nobody may see, or destroy what has nothing to do with the stop.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from agent.clock import Instant
from agent.outbox.people.assignments import Assignment, AssignmentKind, Layer
from agent.outbox.states import Reason
from agent.outbox.store import Outbox
from agent.station.present import present_of
from agent.station.timeline import Timeline, UndecidableError

if TYPE_CHECKING:
    from agent.outbox.capture import Capture
    from agent.station.recording_time import RecordingTime


class Sight(Enum):
    """Whether a capture may be looked into."""

    ALLOWED = auto()
    FORBIDDEN = auto()  # it was filmed while filming was stopped
    DOUBTFUL = auto()  # it may have been


@dataclass(frozen=True, slots=True, kw_only=True)
class Filming:
    """Whether the station films at this moment."""

    stopped: Assignment | None  # the word by which it does not
    since_s: float | None  # seconds since that word
    left_s: float | None  # seconds until it films again by itself; None: until somebody says so
    unseen: int  # captures removed unseen since that word


def stop_filming(
    outbox: Outbox, *, now: Instant, set_by: str, lasts_s: float | None = None
) -> Assignment:
    """Say that nobody may be filmed from now on.

    Args:
        outbox, now, set_by: as for any word of a coach.
        lasts_s: after that filming goes on by itself; None: when somebody says so.
    """
    return _say(outbox, AssignmentKind.STOPPED, now=now, set_by=set_by, lasts_s=lasts_s)


def start_filming(outbox: Outbox, *, now: Instant, set_by: str) -> Assignment:
    """Say that filming may go on."""
    return _say(outbox, AssignmentKind.DEFAULT, now=now, set_by=set_by, lasts_s=None)


def filming(outbox: Outbox, *, now: Instant) -> Filming:
    """Return whether the station films."""
    stopped = present_of(outbox, now=now).filming_stopped_at(now)
    if stopped is None:
        return Filming(stopped=None, since_s=None, left_s=None, unseen=0)
    since_s = stopped.starts.elapsed_s(now)
    return Filming(
        stopped=stopped,
        since_s=since_s,
        left_s=None if stopped.lasts_s is None else max(0.0, stopped.lasts_s - since_s),
        unseen=outbox.captures.count_ended(Reason.FILMING_STOPPED, since_s=now.utc_s - since_s),
    )


def ended_while_stopped(timeline: Timeline, capture: "Capture") -> bool:
    """Tell whether a capture surely ended in a stop, by what was seen of its file alone."""
    grew_until = capture.evidence.grew_until
    if grew_until is None:
        return False
    try:
        return timeline.filming_stopped_at(grew_until) is not None
    except UndecidableError:
        return False


def sight_of(timeline: Timeline, recorded: "RecordingTime") -> Sight:
    """Return whether a capture that was filmed then may be looked into."""
    try:
        stopped = timeline.filming_stopped_during(recorded.start, recorded.end)
    except UndecidableError:
        return Sight.DOUBTFUL
    if stopped is None:
        return Sight.ALLOWED
    return Sight.FORBIDDEN if recorded.is_known else Sight.DOUBTFUL


def _say(
    outbox: Outbox, kind: AssignmentKind, *, now: Instant, set_by: str, lasts_s: float | None
) -> Assignment:
    said = Assignment(layer=Layer.CAMERA, kind=kind, starts=now, lasts_s=lasts_s, set_by=set_by)
    outbox.assignments.append(said)
    return said
