"""Creates outbox entries from cut clips: attributed, and committed in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import structlog

from agent.clock import Instant
from agent.failpoints import crash_point
from agent.outbox.models import (
    Capture,
    ClipFile,
    ClipTarget,
    Entry,
    NewEntry,
    Take,
    TakeOrigin,
    derive_clip_code,
)
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, Reason
from agent.stage import StageName
from agent.station.assignments import record_run_out, renew, timeline_of
from agent.station.attribution import Attribution, UnassignedPolicy, decide_attribution
from agent.station.overlaps import Plan
from agent.station.recording_time import RecordingTime

_LONGEST_WAIT_S = 3600.0  # for the next recording; then a clip goes as it is, whatever comes

log = structlog.get_logger(stage=StageName.CLIPPING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClippingPolicy:
    """What the settings say about takes."""

    station: ClipTarget  # what is filmed here where nobody is assigned
    unassigned: UnassignedPolicy = "hold"
    send_delay_s: float = 20.0
    clock_offset_s: float | None = None  # of the camera; None where nobody knows
    on_failure: Literal["hold", "upload_whole"] = "hold"
    posters: bool = True
    options: Mapping[str, object] = field(default_factory=dict)  # for the analysis of a capture
    cut: Mapping[str, object] = field(default_factory=dict)  # for the cut of a clip


@dataclass(frozen=True, slots=True)
class CutClip:
    """What was planned for a take, and the clip that was cut of it."""

    plan: Plan
    clip: ClipFile


class JoinConflictError(Exception):
    """A recording that a clip was joined with was sent meanwhile: the clip must be cut again."""


def create_entries(
    outbox: Outbox,
    capture: Capture,
    cuts: Sequence[CutClip],
    *,
    recorded: RecordingTime,
    policy: ClippingPolicy,
    hold: Reason | None,
    now: Instant,
    same: Sequence[Plan] = (),
) -> None:
    """Make the entries of a capture's clips, durable on the disk, and end its analysis.

    A clip whose movement was not over when its recording ended waits for the next one.

    Args:
        outbox, capture, cuts, now: what goes where, and when.
        recorded: when it was filmed.
        policy: what the settings say.
        hold: why what the analysis found waits for a person, or None.
        same: takes whose moment another clip shows already.

    Raises:
        JoinConflictError: a part of a joined clip is no longer to be had.
    """
    entries = []
    with outbox.transaction():
        for cut in cuts:
            decision = _decide(outbox, cut.plan.take, recorded, policy=policy, now=now)
            new = _new_entry(capture, cut, decision, hold=hold, now_s=now.utc_s, policy=policy)
            _take_over(outbox, cut.plan, now_s=now.utc_s)
            entries.append(outbox.entries.create(new, now_s=now.utc_s))
        crash_point("entries-made")
        for plan in same:
            outbox.takes.retire(capture, plan.take, now_s=now.utc_s)
        outbox.captures.move(
            capture, CaptureState.ANALYSED, now_s=now.utc_s, detail=duplicate_note(same)
        )
    crash_point("analysis-ended")
    for entry in entries:
        _tell(entry)


def duplicate_note(same: Sequence[Plan]) -> str | None:
    """Return in words which takes of a capture got no clip; None for none."""
    names = [
        f"{plan.take.active_start_s:.1f} to {plan.take.active_end_s:.1f} s show the same moment "
        f"as {plan.same_as.name} ({plan.same_as.clip_code})"
        for plan in same
        if plan.same_as is not None
    ]
    return "; ".join(names) or None


def _decide(
    outbox: Outbox, take: Take, recorded: RecordingTime, *, policy: ClippingPolicy, now: Instant
) -> Attribution:
    """Decide whose a take is; it keeps alive the assignment that it falls into."""
    is_sure = recorded.is_known and not recorded.others
    if is_sure:
        begins = recorded.at(take.active_start_s)
        record_run_out(outbox, timeline_of(outbox, now=now), by=begins)
    timeline = timeline_of(outbox, now=now)
    if is_sure:
        renew(outbox, timeline, recorded.at(take.active_end_s))
    return decide_attribution(
        take, recorded, timeline, station=policy.station, unassigned=policy.unassigned
    )


def _take_over(outbox: Outbox, plan: Plan, *, now_s: float) -> None:
    """End the clips of its parts: this one holds them."""
    for entry in plan.replaces:
        ended = outbox.entries.move(entry, EntryState.DISCARDED, now_s=now_s, reason=Reason.JOINED)
        if ended is None:
            raise JoinConflictError(entry.name)


def _tell(entry: Entry) -> None:
    log.info(
        "clip created",
        entry=entry.name,
        clip=entry.clip_code,
        state=entry.state,
        reason=entry.reason,
        seconds=round(entry.clip_seconds, 1),
    )


def _new_entry(
    capture: Capture,
    cut: CutClip,
    decision: Attribution,
    *,
    hold: Reason | None,
    now_s: float,
    policy: ClippingPolicy,
) -> NewEntry:
    plan = cut.plan
    if plan.take.origin is TakeOrigin.BY_HAND:
        hold = None  # a person has decided
    elif any(entry.reason == Reason.ANALYSIS_HOLD for entry in plan.replaces):
        hold = Reason.ANALYSIS_HOLD
    if plan.question is not None:
        hold = Reason.SAME_MOMENT
    state, reason, due_at = decision.state, decision.reason, now_s + policy.send_delay_s
    if hold is not None and state is not EntryState.DISCARDED:
        state, reason = EntryState.HELD, hold
    elif state is EntryState.READY and plan.take.goes_on:
        reason, due_at = Reason.NEXT_RECORDING, now_s + _LONGEST_WAIT_S
    return NewEntry(
        clip_code=derive_clip_code(capture.sha256, plan.take.number),
        generation=0,
        sources=plan.sources,
        state=state,
        reason=reason,
        detail=plan.question or (None if hold else decision.question),
        due_at=due_at,
        clip=cut.clip,
        target=decision.target,
        filmed_at=decision.filmed_at,
        remarks=decision.remarks,
    )
