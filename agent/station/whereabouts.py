"""Where a capture or a clip is now and what it waits for, in one sentence.  Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.local_time import LocalTime
from agent.outbox.capture import Capture
from agent.outbox.entry import Entry
from agent.outbox.lanes import LaneState
from agent.outbox.results.follow_ups import FOLLOW_UP_WORDS, FollowUp
from agent.outbox.states import (
    TO_BE_LOOKED_INTO,
    TO_BE_SENT,
    CaptureState,
    EntryState,
    Reason,
    reason_text,
)
from agent.plurals import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a sentence must know besides the row itself."""

    now_s: float
    lane: LaneState
    runs: bool  # whether a daemon runs
    start: str = "spotter run"  # how it is started
    follow_up: FollowUp | None = None  # what is known of its session's analysis
    ahead: int = 0  # what comes before it: captures to be analysed, or clips to be uploaded
    waits: str | None = None  # why the analysis is paused, in words
    opens_at: float | None = None  # when upload hours begin; None: they are on
    first: str | None = None  # the clip whose unknown outcome must be settled before any is sent

    def moment(self, at: float | None) -> str:
        """Return a moment as people read it."""
        return "an unknown time" if at is None else LocalTime(self.now_s).moment(at)


def whereabouts(subject: Capture | Entry, around: Surroundings) -> str:
    """Return where something is and what it waits for, as one sentence without its name."""
    if isinstance(subject, Capture):
        told, moves = _CAPTURES[subject.state](subject, around), subject.state in TO_BE_LOOKED_INTO
    else:
        told, moves = _ENTRIES[subject.state](subject, around), subject.state in TO_BE_SENT
    if moves and not around.runs:
        return f"{told}; but the daemon is not running ({around.start})"
    return told


def _captured(capture: Capture, around: Surroundings) -> str:
    taken = f"was ingested at {around.moment(capture.admitted_at)}"
    if around.runs and around.waits:
        return f"{taken} and is waiting for analysis: {around.waits}"
    if around.ahead:
        return f"{taken} and is waiting for analysis, {_behind(around.ahead)}"
    return f"{taken} and is next to be analysed"


def _behind(ahead: int) -> str:
    return "1 before it" if ahead == 1 else f"{ahead} before it"


def _analysing(capture: Capture, around: Surroundings) -> str:
    return f"is being analysed since {around.moment(capture.changed_at)}"


def _analysed(capture: Capture, around: Surroundings) -> str:
    told = f"was analysed at {around.moment(capture.changed_at)}, and its clips are cut"
    return f"{told}; {capture.detail}" if capture.detail else told


def _skipped(capture: Capture, _around: Surroundings) -> str:
    if capture.reason == Reason.SAME_MOMENT:
        return f"needs no clip of its own: {capture.detail or reason_text(capture.reason)}"
    return "was analysed: no take found (to create a clip manually: spotter takes add)"


def _quarantined(capture: Capture, _around: Surroundings) -> str:
    return f"is quarantined: {capture.detail or reason_text(capture.reason)}"


def _discarded(subject: Capture | Entry, around: Surroundings) -> str:
    return f"was discarded at {around.moment(subject.changed_at)}: {reason_text(subject.reason)}"


def _ready(entry: Entry, around: Surroundings) -> str:
    lane = around.lane
    if lane.paused_reason is not None:
        asked = around.moment(lane.next_probe_at)
        return f"is waiting: uploads are paused, {lane.paused_detail} (next try at {asked})"
    if around.opens_at is not None and entry.due_at <= around.opens_at:
        opens = LocalTime(around.now_s).hour(around.opens_at)
        return f"is waiting for the upload hours: no uploads before {opens} (delivery.schedule)"
    wait_s = entry.due_at - around.now_s
    return _due(around) if wait_s <= 0 else _not_yet(entry, around, wait_s)


def _due(around: Surroundings) -> str:
    if around.first is not None:
        return (
            f"is waiting until {around.first} has been looked up at the API: while the account has "
            "no session at all, no other clip is uploaded before"
        )
    return (
        f"is in the upload queue, {_behind(around.ahead)}" if around.ahead else "is next to upload"
    )


def _not_yet(entry: Entry, around: Surroundings, wait_s: float) -> str:
    due = around.moment(entry.due_at)
    if entry.reason == Reason.NEXT_RECORDING:
        return (
            "is waiting for the next recording, in which its movement may continue "
            f"(until {due} at the latest; spotter outbox retry {entry.name} uploads it as it is)"
        )
    if entry.failures:
        tried = counted(entry.attempts, "time")
        return f"failed to upload {tried} ({entry.detail}); next try at {due}"
    return f"uploads in {max(wait_s, 1):.0f} s: until then it can be corrected"


def _held(entry: Entry, _around: Surroundings) -> str:
    more = f" ({entry.detail})" if entry.detail else ""
    return f"is held for review: {reason_text(entry.reason)}{more}"


def _uploading(entry: Entry, around: Surroundings) -> str:
    return f"is being uploaded since {around.moment(entry.changed_at)}"


def _uncertain(entry: Entry, around: Surroundings) -> str:
    looked = around.moment(max(entry.due_at, around.now_s))
    return (
        f"was uploaded completely, but no response came ({entry.detail}): it is looked up at the "
        f"API at {looked}, and uploaded again only if it is certainly not there"
    )


def _delivered(entry: Entry, around: Surroundings) -> str:
    return f"was uploaded at {around.moment(entry.sent_at)}, as session {entry.session_id}"


def _uploaded(entry: Entry, around: Surroundings) -> str:
    told, follow_up = _delivered(entry, around), around.follow_up
    if follow_up is None:
        return told
    told += f"; {FOLLOW_UP_WORDS[follow_up.state]}"
    if follow_up.detail:
        told += f" ({follow_up.detail})"
    if follow_up.due_at is None or follow_up.last_asked_at is None:
        return told
    return f"{told}, next check at {around.moment(follow_up.due_at)}"


def _completed(entry: Entry, around: Surroundings) -> str:
    return (
        f"{_delivered(entry, around)}, and its analysis is complete (spotter session {entry.name})"
    )


def _dead(entry: Entry, _around: Surroundings) -> str:
    return f"was rejected by the API: {entry.detail} (to retry: spotter outbox retry {entry.name})"


_CAPTURES: dict[CaptureState, Callable[[Capture, Surroundings], str]] = {
    CaptureState.CAPTURED: _captured,
    CaptureState.ANALYSING: _analysing,
    CaptureState.ANALYSED: _analysed,
    CaptureState.SKIPPED: _skipped,
    CaptureState.QUARANTINED: _quarantined,
    CaptureState.DISCARDED: _discarded,
}
_ENTRIES: dict[EntryState, Callable[[Entry, Surroundings], str]] = {
    EntryState.READY: _ready,
    EntryState.HELD: _held,
    EntryState.UPLOADING: _uploading,
    EntryState.UNCERTAIN: _uncertain,
    EntryState.UPLOADED: _uploaded,
    EntryState.COMPLETED: _completed,
    EntryState.DEAD: _dead,
    EntryState.DISCARDED: _discarded,
}
