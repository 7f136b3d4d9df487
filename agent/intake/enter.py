"""From cut clips to entries that wait for delivery: whose each is, and all of it in one commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import structlog

from agent.clock import Instant
from agent.crashpoints import crash_point
from agent.outbox.capture import Capture, Take, TakeOrigin
from agent.outbox.clip_code import derive_clip_code
from agent.outbox.entry import ClipFile, Entry, NewEntry, Source, Whose
from agent.outbox.joins import CutOff
from agent.outbox.states import CaptureState, EntryState, Reason
from agent.outbox.store import Outbox
from agent.station.assigning import timeline_of
from agent.station.recording_time import RecordingTime
from agent.station.running_out import record_run_out, renew
from agent.station.whose import Decision, UnassignedPolicy, decide_whose

_NEXT_LOOKED_INTO_S = 60.0  # to settle and to be analysed
_LONGEST_WAIT_S = 900.0

log = structlog.get_logger(stage="analysis")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePolicy:
    """What the settings say about takes."""

    station: Whose  # what is filmed here where nobody is assigned
    unassigned: UnassignedPolicy = "hold"
    send_delay_s: float = 20.0
    clock_offset_s: float | None = None  # of the camera; None where nobody knows
    on_failure: Literal["hold", "upload_whole"] = "hold"
    posters: bool = True
    options: Mapping[str, object] = field(default_factory=dict)  # for the look into a capture
    cut: Mapping[str, object] = field(default_factory=dict)  # for the cut of a clip


@dataclass(frozen=True, slots=True)
class CutTake:
    """A take and the clip that was cut of it."""

    take: Take
    clip: ClipFile
    begun: CutOff | None = None  # in the recording before: the clip goes over both


class BegunElsewhereError(Exception):
    """What a clip was joined with went its own way meanwhile: it must be cut anew."""


def enter_clips(
    outbox: Outbox,
    capture: Capture,
    cuts: Sequence[CutTake],
    *,
    recorded: RecordingTime,
    policy: TakePolicy,
    hold: Reason | None,
    next_comes: bool,
    now: Instant,
) -> None:
    """Make the entries of a capture's clips, durable on the disk, and end its analysis.

    Args:
        outbox, capture, cuts, now: what goes where, and when.
        recorded: when it was filmed.
        policy: what the settings say.
        hold: why what the analysis found waits for a person, or None.
        next_comes: whether another recording is under way, in which an effort may go on.

    Raises:
        BegunElsewhereError: the first part of a joined clip is no longer to be had.
    """
    entries = []
    with outbox.transaction():
        for cut in cuts:
            decision = _decide(outbox, cut.take, recorded, policy=policy, now=now)
            waits_s = _until_next_s(recorded) if next_comes and cut.take.goes_on else 0.0
            due_at = now.utc_s + max(policy.send_delay_s, waits_s)
            new = _new_entry(capture, cut, decision, hold=hold, due_at=due_at)
            _take_over(outbox, cut, now_s=now.utc_s)
            entries.append(outbox.entries.create(new, now_s=now.utc_s))
        crash_point("entries-made")
        outbox.captures.move(capture, CaptureState.ANALYSED, now_s=now.utc_s)
    crash_point("analysis-ended")
    for entry in entries:
        _tell(entry)


def _decide(
    outbox: Outbox, take: Take, recorded: RecordingTime, *, policy: TakePolicy, now: Instant
) -> Decision:
    """Decide whose a take is; it keeps alive the assignment that it falls into."""
    if recorded.is_known:
        begins = recorded.at(take.active_start_s)
        record_run_out(outbox, timeline_of(outbox, now=now), by=begins)
    timeline = timeline_of(outbox, now=now)
    if recorded.is_known:
        renew(outbox, timeline, recorded.at(take.active_end_s))
    return decide_whose(
        take, recorded, timeline, station=policy.station, unassigned=policy.unassigned
    )


def _until_next_s(recorded: RecordingTime) -> float:
    """Return how long the next recording may take to come: recorders split at even lengths."""
    return min(recorded.end.utc_s - recorded.start.utc_s + _NEXT_LOOKED_INTO_S, _LONGEST_WAIT_S)


def _take_over(outbox: Outbox, cut: CutTake, *, now_s: float) -> None:
    """End the first part's own clip: this one holds it."""
    if cut.begun is None:
        return
    ended = outbox.entries.move(
        cut.begun.entry, EntryState.DISCARDED, now_s=now_s, reason=Reason.JOINED
    )
    if ended is None:
        raise BegunElsewhereError(cut.begun.entry.name)


def _tell(entry: Entry) -> None:
    log.info(
        "clip",
        entry=entry.name,
        clip=entry.clip_code,
        state=entry.state,
        reason=entry.reason,
        seconds=round(entry.clip_seconds, 1),
    )


def _new_entry(
    capture: Capture, cut: CutTake, decision: Decision, *, hold: Reason | None, due_at: float
) -> NewEntry:
    if cut.take.origin is TakeOrigin.BY_HAND:
        hold = None  # a person has looked
    elif cut.begun is not None and cut.begun.entry.reason == Reason.ANALYSIS_HOLD:
        hold = Reason.ANALYSIS_HOLD
    held = hold is not None and decision.state is not EntryState.DISCARDED
    return NewEntry(
        clip_code=derive_clip_code(capture.sha256, cut.take.number),
        generation=0,
        sources=_sources(capture, cut),
        state=EntryState.HELD if held else decision.state,
        reason=hold if held else decision.reason,
        due_at=due_at,
        clip=cut.clip,
        whose=decision.whose,
        filmed_at=decision.filmed_at,
        remarks=decision.remarks,
    )


def _sources(capture: Capture, cut: CutTake) -> tuple[Source, ...]:
    here = Source(
        capture_id=capture.id,
        take_number=cut.take.number,
        start_s=max(0.0, cut.take.start_s) if cut.begun else cut.take.start_s,
        end_s=cut.take.end_s,
    )
    if cut.begun is None:
        return (here,)
    first, begun = cut.begun.capture, cut.begun.take
    before = Source(
        capture_id=first.id,
        take_number=begun.number,
        start_s=begun.start_s,
        end_s=max(begun.end_s, first.duration_s or 0.0),
    )
    return (before, here)
