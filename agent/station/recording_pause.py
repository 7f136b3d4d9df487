"""Paused recording: what is recorded meanwhile is deleted, and nothing else.

The camera program continues; Spotter removes what it writes.  What counts is when a capture was
filmed, not when it arrived.  Only what surely is inside a stop, with the whole of it, is removed,
and only when the stop can no longer be undone.  Of a capture that was filmed partly before or after
a stop those parts are analysed, and nobody sees the rest: it goes with the original.  Where the
time of filming is not certain, the capture is quarantined unseen, and a person decides: a guess
would either show what nobody may see, or destroy what has nothing to do with the stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from agent.clock import Instant
from agent.outbox.assignments import Assignment, AssignmentKind, AssignmentLayer
from agent.outbox.corrections import UNDO_STOP_S, UndoableAction, UndoKind
from agent.outbox.outbox import Outbox
from agent.outbox.states import Reason
from agent.station.attribution import Timeline, UndecidableError, present_of
from agent.station.recording_time import RecordingTime

_NOTHING_S = 0.5  # a shorter rest of a capture shows nothing
_ROUNDING_S = 1e-3
_LATE_S = 2.0  # how late recorders write: so much earlier was it filmed, not later
_SHARP_S = 6.0  # a time that may be further off distinguishes no part of a capture from another
_GRACE_S = 1.0  # between the last moment for undoing and what cannot be undone


class CapturePermission(Enum):
    """Whether a capture may be analysed."""

    ALLOWED = auto()
    FORBIDDEN = auto()  # all of it was filmed while filming was stopped
    PARTLY = auto()  # some of it was
    DOUBTFUL = auto()  # it may have been


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureView:
    """What may be seen of a capture."""

    permission: CapturePermission
    hidden: tuple[tuple[float, float], ...] = ()  # of one that is partly seen, in its seconds
    undo_left_s: float = 0.0  # for which a stop that it falls into can still be undone


@dataclass(frozen=True, slots=True, kw_only=True)
class Filming:
    """Whether the station films at this moment."""

    stopped: Assignment | None  # the word by which it does not
    since_s: float | None  # seconds since that word
    left_s: float | None  # seconds until it films again automatically; None: until somebody says so
    unseen: int  # captures removed unseen since that word
    waiting: int = 0  # captures that wait until a stop can no longer be undone


def stop_filming(
    outbox: Outbox, *, now: Instant, set_by: str, lasts_s: float | None = None
) -> UndoableAction:
    """Say that nobody may be filmed from now on; for half a minute that can be undone.

    Args:
        outbox, now, set_by: as for any word of a coach.
        lasts_s: after that filming resumes automatically; None: when somebody says so.
    """
    with outbox.transaction():
        said = _say(outbox, AssignmentKind.STOPPED, now=now, set_by=set_by, lasts_s=lasts_s)
        return outbox.undoables.add(UndoKind.STOP_FILMING, {"assignment": said}, now=now)


def start_filming(outbox: Outbox, *, now: Instant, set_by: str) -> None:
    """Resume the recording; what was filmed during the pause is not analysed."""
    _say(outbox, AssignmentKind.DEFAULT, now=now, set_by=set_by, lasts_s=None)


def filming(outbox: Outbox, *, now: Instant) -> Filming:
    """Return whether the station films."""
    stopped = present_of(outbox, now=now).filming_stopped_at(now)
    waiting = outbox.captures.count_waiting(Reason.STOP_CAN_BE_UNDONE)
    if stopped is None:
        return Filming(stopped=None, since_s=None, left_s=None, unseen=0, waiting=waiting)
    since_s = stopped.starts.elapsed_s(now)
    return Filming(
        stopped=stopped,
        since_s=since_s,
        left_s=None if stopped.lasts_s is None else max(0.0, stopped.lasts_s - since_s),
        unseen=outbox.captures.count_ended(Reason.FILMING_STOPPED, since_s=now.utc_s - since_s),
        waiting=waiting,
    )


def capture_view(timeline: Timeline, recorded: RecordingTime, *, now: Instant) -> CaptureView:
    """Return what may be seen of a capture that was filmed then."""
    try:
        stops = [_stops(timeline, reading) for reading in recorded.readings]
        if not any(stops):
            return CaptureView(permission=CapturePermission.ALLOWED)
        around = [_stops(timeline, reading, reading.margin_s) for reading in recorded.readings]
        left_s = max(_undo_left_s(said, now) for found in around for said in found)
        is_certain = recorded.is_proof and len(stops) == 1
        if not recorded.is_known or not is_certain:
            return CaptureView(permission=CapturePermission.DOUBTFUL, undo_left_s=left_s)
        return _certain_view(timeline, recorded, left_s)
    except UndecidableError:
        return CaptureView(permission=CapturePermission.DOUBTFUL)


def _certain_view(timeline: Timeline, recorded: RecordingTime, left_s: float) -> CaptureView:
    """Return what may be seen of a capture that surely touches a stop."""
    margin_s, whole_s = recorded.margin_s, recorded.start.elapsed_s(recorded.end)
    around = timeline.stopped_within(
        recorded.start.shifted(-margin_s), recorded.end.shifted(margin_s)
    )
    if _covers(around, whole_s + 2 * margin_s):
        return CaptureView(permission=CapturePermission.FORBIDDEN, undo_left_s=left_s)
    within = timeline.stopped_within(recorded.start, recorded.end)
    if margin_s > _SHARP_S or _covers(within, whole_s):
        return CaptureView(permission=CapturePermission.DOUBTFUL, undo_left_s=left_s)
    # Recorders write late: what is taken for the first moment after a stop may be its last one.
    hidden = tuple(
        (
            recorded.position_s(max(0.0, from_s - max(0.0, margin_s - _LATE_S))),
            recorded.position_s(min(whole_s, to_s + margin_s)),
        )
        for from_s, to_s in within
    )
    return CaptureView(permission=CapturePermission.PARTLY, hidden=hidden, undo_left_s=left_s)


def _covers(stretches: Sequence[tuple[float, float]], whole_s: float) -> bool:
    """Tell whether stretches leave nothing worth a look."""
    return whole_s - sum(to_s - from_s for from_s, to_s in stretches) < _NOTHING_S


def _stops(timeline: Timeline, recorded: RecordingTime, margin_s: float = 0.0) -> list[Assignment]:
    """Return the words by which nobody may have been filmed at some moment of a capture.

    Args:
        timeline, recorded: what was said, and when it was filmed.
        margin_s: for so long before and after it, too.
    """
    start, end = recorded.start.shifted(-margin_s), recorded.end.shifted(margin_s)
    found = []
    for from_s, to_s in timeline.stopped_within(start, end):
        for at_s in (from_s + _ROUNDING_S, to_s - _ROUNDING_S):
            said = timeline.filming_stopped_at(start.shifted(at_s))
            found += [said] if said is not None else []
    return found


def _undo_left_s(said: Assignment, now: Instant) -> float:
    """Return for how long a stop can still be undone: over a restart it cannot be any more."""
    return max(0.0, UNDO_STOP_S + _GRACE_S - max(0.0, said.starts.elapsed_s(now)))


def _say(
    outbox: Outbox, kind: AssignmentKind, *, now: Instant, set_by: str, lasts_s: float | None
) -> int:
    said = Assignment(
        layer=AssignmentLayer.CAMERA, kind=kind, starts=now, lasts_s=lasts_s, set_by=set_by
    )
    return outbox.assignments.append(said)
