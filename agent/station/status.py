"""The status of the station, and where a capture or clip is and what it waits for.  Pure."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from agent.clock import LocalTime
from agent.outbox.corrections import ResendState
from agent.outbox.models import Capture, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import LaneState
from agent.outbox.results import FOLLOW_UP_WORDS, FollowUp
from agent.outbox.states import (
    TO_BE_LOOKED_INTO,
    TO_BE_SENT,
    CaptureState,
    EntryState,
    FileState,
    Reason,
    reason_text,
)
from agent.stage import StageName
from agent.station.camera import Camera
from agent.text import counted

# A pause that a person must end, if only by a larger plan; every other ends automatically.
NEEDS_PERSON = frozenset({"no_key", "key", "account", "plan_limit"})


class StationStatus(StrEnum):
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
class StatusInputs:
    """What the word rests on."""

    is_stopped: bool  # by a coach: stop filming
    is_filming: bool  # a capture is being written
    folder_is_missing: bool  # the capture folder
    paused: tuple[str, ...]  # parts of the station that wait: intake, clipping
    captures_waiting: int  # ingested, or being analysed
    clips_waiting: int  # to be sent, or looked up
    held: int
    refused: int  # clips the API refused for good
    unreadable: int  # quarantined captures
    lane_reason: str | None  # why the way to the API is closed; None: open
    sent: int  # since midnight
    ever_sent: bool
    failing: int = 0  # clips on which the API fails while others pass
    undeleted: int = 0  # wrong sessions that the API does not delete
    left_videos: int = 0  # files that may be videos, and whose names Spotter is not to take
    camera: Camera | None = None
    stuck: tuple[str, ...] = ()  # parts of the daemon that make no progress
    disk_is_low: bool = False  # it will be full within days
    intake_waits: str | None = None  # the stable word for why; None: it does not

    @property
    def needing(self) -> int:
        """How many clips and captures wait for a person."""
        return self.held + self.refused + self.failing + self.unreadable + self.undeleted

    @property
    def camera_is_faulty(self) -> bool:
        """Whether a person must check the camera."""
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


def station_status(facts: StatusInputs) -> StationStatus:
    """Return what matters most at this moment."""
    if facts.is_stopped:
        return StationStatus.STOPPED
    if facts.folder_is_missing or facts.camera_is_faulty or facts.stuck:
        return StationStatus.NEEDS
    if facts.is_filming:
        return StationStatus.FILMING
    if facts.captures_waiting and not facts.paused:
        return StationStatus.ANALYSING
    return _at_rest(facts)


def _at_rest(facts: StatusInputs) -> StationStatus:
    if facts.is_faulty:
        return StationStatus.NEEDS
    if facts.lane_reason is not None:
        return StationStatus.OFFLINE
    if facts.clips_waiting:
        return StationStatus.SENDING
    return StationStatus.SAFE if facts.ever_sent else StationStatus.IDLE


def read_facts(
    outbox: Outbox,
    *,
    host: str,
    capture_folder: Path,
    is_stopped: bool,
    is_filming: bool,
    camera: Camera | None = None,
    now_s: float,
) -> StatusInputs:
    """Return what the word rests on at this moment.

    Args:
        outbox: of the station.
        host: of the API, whose lane counts.
        capture_folder: where the camera program writes.
        is_stopped: whether nobody may be filmed.
        is_filming: whether a capture is being written.
        camera: what it does; None: it is not watched.
        now_s: Unix time.
    """
    counts = outbox.listing.counts(
        captures=(*TO_BE_LOOKED_INTO, CaptureState.QUARANTINED),
        entries=(*TO_BE_SENT, EntryState.HELD, EntryState.DEAD),
    )
    captures, entries = counts["captures"], counts["entries"]
    pauses = outbox.pauses.all()
    return StatusInputs(
        is_stopped=is_stopped,
        is_filming=is_filming,
        folder_is_missing=not capture_folder.is_dir(),
        paused=tuple(pause.part for pause in pauses),
        captures_waiting=sum(captures.get(state, 0) for state in TO_BE_LOOKED_INTO),
        clips_waiting=sum(entries.get(state, 0) for state in TO_BE_SENT),
        held=entries.get(EntryState.HELD, 0),
        refused=entries.get(EntryState.DEAD, 0),
        failing=outbox.gallery.failing(),
        unreadable=captures.get(CaptureState.QUARANTINED, 0),
        lane_reason=outbox.lanes.get(host).paused_reason,
        sent=outbox.gallery.sent_since(midnight(now_s)),
        ever_sent=outbox.entries.has_delivered(),
        undeleted=len(outbox.resends.in_states({ResendState.REFUSED})),
        camera=camera,
        intake_waits=next((p.reason for p in pauses if p.part == StageName.INTAKE), None),
    )


def midnight(now_s: float) -> float:
    """Return when this day began, where the box stands."""
    here = time.localtime(now_s)
    return time.mktime((here.tm_year, here.tm_mon, here.tm_mday, 0, 0, 0, 0, 0, -1))


_WORDS = {
    "captures": {"quarantined": ("recording is quarantined", "recordings are quarantined")},
    "entries": {
        "held": ("clip is held for review", "clips are held for review"),
        "dead": ("clip was rejected by the API", "clips were rejected by the API"),
    },
}


class ActionItem(NamedTuple):
    """Something that only a person can move on."""

    state: str
    text: str
    command: str  # which lists it


def needs_person(counts: Mapping[str, Mapping[str, int]]) -> list[ActionItem]:
    """Return what waits for a person.

    Args:
        counts: captures and entries by their states.
    """
    return [
        ActionItem(state, counted(number, *words), f"spotter outbox list --state {state}")
        for kind, states in _WORDS.items()
        for state, words in states.items()
        if (number := counts[kind].get(state, 0))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusContext:
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


def describe_location(subject: Capture | Entry, around: StatusContext) -> str:
    """Return where something is and what it waits for, as one sentence without its name."""
    if isinstance(subject, Capture):
        text, moves = _CAPTURES[subject.state](subject, around), subject.state in TO_BE_LOOKED_INTO
    else:
        text, moves = _ENTRIES[subject.state](subject, around), subject.state in TO_BE_SENT
    if moves and not around.runs:
        return f"{text}; but the daemon is not running ({around.start})"
    return text


def _captured(capture: Capture, around: StatusContext) -> str:
    taken = f"was ingested at {around.moment(capture.admitted_at)}"
    if around.runs and around.waits:
        return f"{taken} and is waiting for analysis: {around.waits}"
    if around.ahead:
        return f"{taken} and is waiting for analysis, {_behind(around.ahead)}"
    return f"{taken} and is next to be analysed"


def _behind(ahead: int) -> str:
    return "1 before it" if ahead == 1 else f"{ahead} before it"


def _analysing(capture: Capture, around: StatusContext) -> str:
    return f"is being analysed since {around.moment(capture.changed_at)}"


def _analysed(capture: Capture, around: StatusContext) -> str:
    # Later the row changes when its file goes; the history has the time.
    is_here = capture.file_state is FileState.PRESENT
    when = f" at {around.moment(capture.changed_at)}" if is_here else ""
    text = f"was analysed{when}, and its clips are cut"
    return f"{text}; {capture.detail}" if capture.detail else text


def _skipped(capture: Capture, _around: StatusContext) -> str:
    if capture.reason == Reason.SAME_MOMENT:
        return f"needs no clip of its own: {capture.detail or reason_text(capture.reason)}"
    return "was analysed: no take found (to create a clip manually: spotter takes add)"


def _quarantined(capture: Capture, _around: StatusContext) -> str:
    return f"is quarantined: {capture.detail or reason_text(capture.reason)}"


def _discarded(subject: Capture | Entry, around: StatusContext) -> str:
    text = f"was discarded at {around.moment(subject.changed_at)}: {reason_text(subject.reason)}"
    names_another = subject.reason == Reason.SENT_ANEW and subject.detail  # "as e8"
    return f"{text}, {subject.detail}" if names_another else text


def _ready(entry: Entry, around: StatusContext) -> str:
    lane = around.lane
    if lane.paused_reason is not None:
        asked = around.moment(lane.next_probe_at)
        return f"is waiting: uploads are paused, {lane.paused_detail} (next try at {asked})"
    if around.opens_at is not None and entry.due_at <= around.opens_at:
        opens = LocalTime(around.now_s).hour(around.opens_at)
        return f"is waiting for the upload hours: no uploads before {opens} (delivery.schedule)"
    wait_s = entry.due_at - around.now_s
    return _due(around) if wait_s <= 0 else _not_yet(entry, around, wait_s)


def _due(around: StatusContext) -> str:
    if around.first is not None:
        return (
            f"is waiting until {around.first} has been looked up at the API: while the account has "
            "no session at all, no other clip is uploaded before"
        )
    return f"is waiting to upload, {_behind(around.ahead)}" if around.ahead else "is next to upload"


def _not_yet(entry: Entry, around: StatusContext, wait_s: float) -> str:
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


def _held(entry: Entry, _around: StatusContext) -> str:
    more = f" ({entry.detail})" if entry.detail else ""
    return f"is held for review: {reason_text(entry.reason)}{more}"


def _uploading(entry: Entry, around: StatusContext) -> str:
    return f"is being uploaded since {around.moment(entry.changed_at)}"


def _uncertain(entry: Entry, around: StatusContext) -> str:
    looked = around.moment(max(entry.due_at, around.now_s))
    why = f" ({entry.detail})" if entry.detail else ""  # none where the daemon itself was ended
    return (
        f"was uploaded completely, but no response came{why}: it is looked up at the API at "
        f"{looked}, and uploaded again only if it is certainly not there"
    )


def _delivered(entry: Entry, around: StatusContext) -> str:
    return f"was uploaded at {around.moment(entry.sent_at)}, as session {entry.session_id}"


def _uploaded(entry: Entry, around: StatusContext) -> str:
    text, follow_up = _delivered(entry, around), around.follow_up
    if follow_up is None:
        return text
    text += f"; {FOLLOW_UP_WORDS[follow_up.state]}"
    if follow_up.detail:
        text += f" ({follow_up.detail})"
    if follow_up.due_at is None or follow_up.last_asked_at is None:
        return text
    return f"{text}, next check at {around.moment(follow_up.due_at)}"


def _completed(entry: Entry, around: StatusContext) -> str:
    return (
        f"{_delivered(entry, around)}, and its analysis is complete (spotter session {entry.name})"
    )


def _dead(entry: Entry, _around: StatusContext) -> str:
    return f"was rejected by the API: {entry.detail} (to retry: spotter outbox retry {entry.name})"


_CAPTURES: dict[CaptureState, Callable[[Capture, StatusContext], str]] = {
    CaptureState.CAPTURED: _captured,
    CaptureState.ANALYSING: _analysing,
    CaptureState.ANALYSED: _analysed,
    CaptureState.SKIPPED: _skipped,
    CaptureState.QUARANTINED: _quarantined,
    CaptureState.DISCARDED: _discarded,
}
_ENTRIES: dict[EntryState, Callable[[Entry, StatusContext], str]] = {
    EntryState.READY: _ready,
    EntryState.HELD: _held,
    EntryState.UPLOADING: _uploading,
    EntryState.UNCERTAIN: _uncertain,
    EntryState.UPLOADED: _uploaded,
    EntryState.COMPLETED: _completed,
    EntryState.DEAD: _dead,
    EntryState.DISCARDED: _discarded,
}
