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
    ahead: int = 0  # what comes before it: captures to be looked into, or clips to be sent
    waits: str | None = None  # what keeps captures from being looked into, in words
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
        return f"{told}; but the daemon does not run ({around.start})"
    return told


def _captured(capture: Capture, around: Surroundings) -> str:
    taken = f"was taken in at {around.moment(capture.admitted_at)}"
    if around.runs and around.waits:
        return f"{taken} and waits to be looked into: {around.waits}"
    if around.ahead:
        return f"{taken} and waits to be looked into, {_behind(around.ahead)}"
    return f"{taken} and is the next to be looked into"


def _behind(ahead: int) -> str:
    return "behind another one" if ahead == 1 else f"behind {ahead} others"


def _analysing(capture: Capture, around: Surroundings) -> str:
    return f"is being looked into since {around.moment(capture.changed_at)}"


def _analysed(capture: Capture, around: Surroundings) -> str:
    told = f"was looked into at {around.moment(capture.changed_at)}, and its clips are cut"
    return f"{told}; {capture.detail}" if capture.detail else told


def _skipped(capture: Capture, _around: Surroundings) -> str:
    if capture.reason == Reason.SAME_MOMENT:
        return f"needs no clip of its own: {capture.detail or reason_text(capture.reason)}"
    return "holds no effort, as far as the analysis sees (spotter takes add makes a clip by hand)"


def _quarantined(capture: Capture, _around: Surroundings) -> str:
    return f"is set aside: {capture.detail or reason_text(capture.reason)}"


def _discarded(subject: Capture | Entry, around: Surroundings) -> str:
    return f"was discarded at {around.moment(subject.changed_at)}: {reason_text(subject.reason)}"


def _ready(entry: Entry, around: Surroundings) -> str:
    lane = around.lane
    if lane.paused_reason is not None:
        asked = around.moment(lane.next_probe_at)
        return f"waits for the way to the API: {lane.paused_detail} (asked again at {asked})"
    if around.opens_at is not None and entry.due_at <= around.opens_at:
        opens = LocalTime(around.now_s).hour(around.opens_at)
        return f"waits for the upload hours: nothing is sent before {opens} (delivery.schedule)"
    wait_s = entry.due_at - around.now_s
    return _due(around) if wait_s <= 0 else _not_yet(entry, around, wait_s)


def _due(around: Surroundings) -> str:
    if around.first is not None:
        return (
            f"waits until it is known whether {around.first} has reached the API: while the "
            "account has no session at all, nothing else may go before"
        )
    return f"waits its turn, {_behind(around.ahead)}" if around.ahead else "is the next to go"


def _not_yet(entry: Entry, around: Surroundings, wait_s: float) -> str:
    due = around.moment(entry.due_at)
    if entry.reason == Reason.NEXT_RECORDING:
        return (
            "waits for the next recording, in which its movement may go on "
            f"(at the latest until {due}; spotter outbox retry {entry.name} sends it as it is)"
        )
    if entry.failures:
        tried = counted(entry.attempts, "time")
        return f"was tried {tried} ({entry.detail}); the next try is at {due}"
    return f"will be sent in {max(wait_s, 1):.0f} s: until then it can still be corrected"


def _held(entry: Entry, _around: Surroundings) -> str:
    more = f" ({entry.detail})" if entry.detail else ""
    return f"waits for a person: {reason_text(entry.reason)}{more}"


def _uploading(entry: Entry, around: Surroundings) -> str:
    return f"is being sent since {around.moment(entry.changed_at)}"


def _uncertain(entry: Entry, around: Surroundings) -> str:
    looked = around.moment(max(entry.due_at, around.now_s))
    return (
        f"was sent whole without an answer ({entry.detail}): it is looked for at the API at "
        f"{looked}, and sent again only if it surely is not there"
    )


def _delivered(entry: Entry, around: Surroundings) -> str:
    return f"is safe at the API since {around.moment(entry.sent_at)}, as session {entry.session_id}"


def _uploaded(entry: Entry, around: Surroundings) -> str:
    told, follow_up = _delivered(entry, around), around.follow_up
    if follow_up is None:
        return told
    told += f"; {FOLLOW_UP_WORDS[follow_up.state]}"
    if follow_up.detail:
        told += f" ({follow_up.detail})"
    if follow_up.due_at is None or follow_up.last_asked_at is None:
        return told
    return f"{told}, asked again at {around.moment(follow_up.due_at)}"


def _completed(entry: Entry, around: Surroundings) -> str:
    return f"{_delivered(entry, around)}, and its analysis is there (spotter session {entry.name})"


def _dead(entry: Entry, _around: Surroundings) -> str:
    return f"was refused by the API: {entry.detail} (spotter outbox retry {entry.name} tries again)"


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
