"""From cut clips to entries that wait for delivery: whose each is, and all of it in one commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import structlog

from agent.clock import Instant
from agent.crashpoints import crash_point
from agent.outbox.capture import Capture, Take, TakeOrigin
from agent.outbox.clip_code import derive_clip_code
from agent.outbox.entry import ClipFile, Entry, NewEntry, Whose
from agent.outbox.states import CaptureState, EntryState, Reason
from agent.outbox.store import Outbox
from agent.station.assigning import timeline_of
from agent.station.recording_time import RecordingTime
from agent.station.whose import Decision, UnassignedPolicy, decide_whose

log = structlog.get_logger(stage="analysis")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePolicy:
    """What the settings say about takes."""

    station: Whose  # what is filmed here where nobody is assigned
    unassigned: UnassignedPolicy = "hold"
    send_delay_s: float = 20.0
    clock_offset_s: float = 0.0
    on_failure: Literal["hold", "upload_whole"] = "hold"
    posters: bool = True
    options: Mapping[str, object] = field(default_factory=dict)  # for the look into a capture
    cut: Mapping[str, object] = field(default_factory=dict)  # for the cut of a clip


@dataclass(frozen=True, slots=True)
class CutTake:
    """A take and the clip that was cut of it."""

    take: Take
    clip: ClipFile


def enter_clips(
    outbox: Outbox,
    capture: Capture,
    cuts: Sequence[CutTake],
    *,
    recorded: RecordingTime,
    policy: TakePolicy,
    hold: Reason | None,
    now: Instant,
) -> None:
    """Make the entries of a capture's clips and end its analysis.

    Args:
        outbox: where they go.
        capture: what they were cut from, being analysed.
        cuts: its clips, durable on the disk.
        recorded: when it was filmed.
        policy: what the settings say.
        hold: why what the analysis found waits for a person, or None.
        now: this moment.
    """
    timeline = timeline_of(outbox, now=now)
    entries = []
    with outbox.transaction():
        for cut in cuts:
            decision = decide_whose(
                cut.take,
                recorded,
                timeline,
                station=policy.station,
                unassigned=policy.unassigned,
            )
            due_at = now.utc_s + policy.send_delay_s
            new = _new_entry(capture, cut, decision, hold=hold, due_at=due_at)
            entries.append(outbox.entries.create(new, now_s=now.utc_s))
        crash_point("entries-made")
        outbox.captures.move(capture, CaptureState.ANALYSED, now_s=now.utc_s)
    crash_point("analysis-ended")
    for entry in entries:
        _tell(entry)


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
    held = hold is not None and decision.state is not EntryState.DISCARDED
    return NewEntry(
        clip_code=derive_clip_code(capture.sha256, cut.take.number),
        generation=0,
        capture_id=capture.id,
        take_number=cut.take.number,
        start_s=cut.take.start_s,
        end_s=cut.take.end_s,
        state=EntryState.HELD if held else decision.state,
        reason=hold if held else decision.reason,
        due_at=due_at,
        clip=cut.clip,
        whose=decision.whose,
        filmed_at=decision.filmed_at,
        remarks=decision.remarks,
    )
