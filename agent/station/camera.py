"""Whether the camera works: its last recording, and its expected hours.

A station knows its hours: by `station.hours`, or from what was recorded there in the last weeks.
Outside them, and while filming is stopped, a silent camera is no fault.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from agent.bandwidth_schedule import Timetable, parse_hours
from agent.camera_link import RecorderState, RecorderTrouble
from agent.clock import Instant
from agent.outbox.assignments import AssignmentKind, AssignmentLayer
from agent.outbox.outbox import Outbox
from agent.settings import Settings
from agent.station.recorders import RecorderSight

_MINUTE_S = 60.0
_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S
_WEEKS = 4  # of recordings from which hours are learnt
_LEAST_WEEKS = 2  # with recordings, before anything is learnt
_LONGEST_GAP_S = 1800.0  # hours with a longer pause between two recordings are not learnt
_GROWS_S = 12.0  # recorders flush every few seconds
_UNUSABLE_IN_A_ROW = 3
_LEARN_EVERY_S = 3600.0
_APART_S = 30.0  # shorter pauses between recordings change no limit of a minute and more

Slot = tuple[int, int]  # day of the week (0 is Monday) and hour of the day


class CameraState(StrEnum):
    """What the camera does."""

    RECORDING = "recording"  # a recording grows at this moment
    QUIET = "quiet"  # nothing is recorded now, and nothing need be
    CLOSED = "closed"  # out of the station's hours
    STOPPED = "stopped"  # filming is stopped by a person
    SILENT = "silent"  # nothing was recorded for too long, in the station's hours
    LOST = "lost"  # by its recorder's word it does not send, or the recorder is gone
    NOT_STORED = "not_stored"  # its recorder cannot store what it should
    UNREADABLE = "unreadable"  # the last recordings could not be read
    DARK = "dark"  # the last recordings are black, or never change


FAULTS = frozenset(
    {
        *(CameraState.SILENT, CameraState.UNREADABLE, CameraState.DARK),
        *(CameraState.LOST, CameraState.NOT_STORED),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """The camera as it is known at one moment."""

    state: CameraState
    last_at: float | None  # Unix time of the last sign of a recording that can be used
    detail: str | None = None  # what a recorder says is wrong, with what to do
    trouble: RecorderTrouble | None = None  # the kind of it, where it is known

    @property
    def is_faulty(self) -> bool:
        """Whether a person must check the camera."""
        return self.state in FAULTS

    def age_s(self, now_s: float) -> float | None:
        """Return how long ago it recorded; None where it never did."""
        return None if self.last_at is None else max(0.0, now_s - self.last_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When a station is open, and for how long its camera may be silent then."""

    silent_s: float  # 0: it is never checked
    table: Timetable | None = None  # as the settings say; None: learnt
    learnt: Mapping[Slot, float] = field(default_factory=dict)  # the longest pause, by slot
    zone: tzinfo | None = None  # None for the box's own

    @property
    def are_known(self) -> bool:
        """Whether anything is known of them."""
        return self.table is not None or bool(self.learnt)

    def limit_s(self, at_s: float) -> float | None:
        """Return for how long the camera may be silent at a moment; None where it is closed."""
        if self.table is not None:
            return self.silent_s if self.table.rate_at(at_s) > 0 else None
        local = datetime.fromtimestamp(at_s, self.zone)
        pause_s = self.learnt.get((local.weekday(), local.hour))
        return None if pause_s is None else max(self.silent_s, 2 * pause_s)

    def open_for(self, length_s: float, until_s: float) -> bool:
        """Tell whether the station was open without a break for so long until a moment."""
        minutes = math.ceil(length_s / _MINUTE_S)
        moments = (until_s - min(n * _MINUTE_S, length_s) for n in range(minutes + 1))
        return all(self.limit_s(moment) is not None for moment in moments)


def learn_hours(
    recordings: Sequence[tuple[float, float]], *, now_s: float, zone: tzinfo | None = None
) -> dict[Slot, float]:
    """Return the hours of the week in which the camera always records, each with its longest pause.

    An hour counts only if there was no pause of more than half an hour in it in any of the last
    four weeks in which anything was recorded, and there are two such weeks or more.  Pure.

    Args:
        recordings: begin and end (Unix time) of each.
        now_s: Unix time; the hour under way does not count.
        zone: of the wall clock; None for the box's own.
    """
    spans = sorted(recordings)
    begins = [begin for begin, _ in spans]
    longest_s = max((end - begin for begin, end in spans), default=0.0)
    hour = datetime.fromtimestamp(now_s, zone).replace(minute=0, second=0, microsecond=0)
    pauses: dict[Slot, list[float]] = {}
    weeks = 0
    for week in range(_WEEKS):
        found: dict[Slot, float] = {}
        is_used = False
        for back in range(week * 168 + 1, (week + 1) * 168 + 1):
            local = hour - timedelta(hours=back)
            start_s = local.timestamp()
            first = bisect_left(begins, start_s - longest_s)
            last = bisect_left(begins, start_s + _HOUR_S)
            within = [span for span in spans[first:last] if span[1] >= start_s]
            is_used = is_used or bool(within)
            found[local.weekday(), local.hour] = _longest_pause(within, start_s)
        if is_used:
            weeks += 1
            for slot, pause_s in found.items():
                pauses.setdefault(slot, []).append(pause_s)
    if weeks < _LEAST_WEEKS:
        return {}
    longest = {slot: max(found) for slot, found in pauses.items() if len(found) == weeks}
    return {slot: pause_s for slot, pause_s in longest.items() if pause_s <= _LONGEST_GAP_S}


def _longest_pause(spans: Sequence[tuple[float, float]], start_s: float) -> float:
    """Return the longest time without a recording in an hour.

    A pause at either end of it counts double: it may continue in the adjacent hour.
    """
    end_s = start_s + _HOUR_S
    if not spans:
        return _HOUR_S
    longest_s, covered_s = 2 * (spans[0][0] - start_s), spans[0][1]
    for begin, end in spans[1:]:
        longest_s = max(longest_s, begin - covered_s)
        covered_s = max(covered_s, end)
    return max(longest_s, 2 * (end_s - covered_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSigns:
    """What was seen of the camera."""

    recorded_at: float | None  # when a usable recording was last ingested
    written_at: float | None  # when a file in the capture folder last grew
    watched_since: float  # the box started, or filming went on after a stop
    is_stopped: bool  # filming, by a person
    unusable: CameraState | None  # what all of the last recordings suffer from
    recorders: tuple[RecorderSight, ...] = ()  # of ours, if there are any


def judge_camera(signs: CameraSigns, hours: Hours, *, now_s: float) -> Camera:
    """Return what the camera does.  Pure."""
    seen = [at for at in (signs.recorded_at, signs.written_at) if at is not None]
    last_at = min(now_s, max(seen)) if seen else None
    broken = _broken_recorder(signs.recorders)
    if signs.is_stopped:
        return Camera(state=CameraState.STOPPED, last_at=last_at)
    if broken is not None:
        return replace(broken, last_at=last_at)
    limit_s = hours.limit_s(now_s) if hours.silent_s else None
    is_closed = bool(hours.silent_s) and hours.are_known and limit_s is None
    state = CameraState.QUIET
    if signs.unusable is CameraState.UNREADABLE:
        state = CameraState.UNREADABLE
    elif signs.unusable is not None and not is_closed:
        state = signs.unusable
    elif _is_recording(signs, now_s):
        state = CameraState.RECORDING
    elif is_closed:
        state = CameraState.CLOSED
    elif limit_s is not None and not signs.recorders:  # a recorder says itself that all is well
        silent_s = now_s - max(signs.watched_since, last_at or 0.0)
        is_silent = silent_s >= limit_s and hours.open_for(limit_s, now_s)
        state = CameraState.SILENT if is_silent else state
    return Camera(state=state, last_at=last_at)


def _is_recording(signs: CameraSigns, now_s: float) -> bool:
    if any(sight.report.state is RecorderState.RECORDING for sight in signs.recorders):
        return True
    return signs.written_at is not None and now_s - signs.written_at < _GROWS_S


def _broken_recorder(sights: Sequence[RecorderSight]) -> Camera | None:
    """Return what is wrong with the first recorder that has a fault."""
    for sight in sights:
        if sight.fault is not None:
            is_lost = sight.is_silent or sight.report.state is RecorderState.CAMERA_LOST
            state = CameraState.LOST if is_lost else CameraState.NOT_STORED
            return Camera(state=state, last_at=None, detail=sight.fault, trouble=sight.trouble)
    return None


class CameraWatch:
    """Watches one station's camera; the hours that are learnt are remembered for an hour."""

    def __init__(
        self,
        outbox: Outbox,
        settings: Settings,
        written_at: Callable[[], float | None],
        recorders: Callable[[], tuple[RecorderSight, ...]],
    ) -> None:
        """Prepare to watch.

        Args:
            outbox: of the station.
            settings: of the station.
            written_at: returns when a file in the capture folder last grew.
            recorders: returns what is known of the station's recorders.
        """
        self.recorders = recorders
        self._outbox = outbox
        self._silent_s = settings.station.camera_silent_min * _MINUTE_S
        self._table = parse_hours(settings.station.hours)
        self._written_at = written_at
        self._hours: Hours | None = None
        self._learnt_at = 0.0

    def look(self, now: Instant) -> Camera:
        """Return what the camera does now."""
        is_stopped, resumed_at = self._filming(now)
        booted_at = 0.0 if now.boot_s is None else now.utc_s - now.boot_s
        signs = CameraSigns(
            recorded_at=self._outbox.captures.last_usable_at(),
            written_at=self._written_at(),
            watched_since=max(booted_at, resumed_at),
            is_stopped=is_stopped,
            unusable=self._unusable(),
            recorders=self.recorders(),
        )
        return judge_camera(signs, self.hours(now.utc_s), now_s=now.utc_s)

    def hours(self, now_s: float) -> Hours:
        """Return the station's hours."""
        is_fresh = 0 <= now_s - self._learnt_at < _LEARN_EVERY_S
        if self._hours is None or (self._table is None and not is_fresh):
            self._learnt_at = now_s
            learnt: Mapping[Slot, float] = {}
            if self._table is None and self._silent_s:
                since_s = now_s - (7 * _WEEKS + 1) * _DAY_S
                recorded = self._outbox.captures.recorded_since(since_s, apart_s=_APART_S)
                learnt = learn_hours(recorded, now_s=now_s)
            self._hours = Hours(silent_s=self._silent_s, table=self._table, learnt=learnt)
        return self._hours

    def _filming(self, now: Instant) -> tuple[bool, float]:
        """Return whether filming is stopped, and otherwise since when (Unix time) it runs."""
        said = [
            one
            for one in self._outbox.assignments.latest(of_each_layer=1)
            if one.layer is AssignmentLayer.CAMERA
        ]
        if not said:
            return False, 0.0
        since_s = now.utc_s - said[-1].starts.elapsed_s(now)
        if said[-1].kind is not AssignmentKind.STOPPED:
            return False, since_s
        lasts_s = said[-1].lasts_s
        is_over = lasts_s is not None and since_s + lasts_s <= now.utc_s
        return not is_over, since_s + (lasts_s or 0.0)

    def _unusable(self) -> CameraState | None:
        """Return what is wrong with all of the last recordings; None where one can be used."""
        faults = self._outbox.captures.last_faults(most=_UNUSABLE_IN_A_ROW)
        if len(faults) < _UNUSABLE_IN_A_ROW or not all(faults):
            return None
        return CameraState.DARK if "dark" in faults else CameraState.UNREADABLE


def camera_words(camera: Camera, *, now_s: float) -> str:
    """Return what is wrong with a camera in words, for machines and commands."""
    if camera.detail is not None:
        return f"{camera.state}: {camera.detail}"
    if camera.state is not CameraState.SILENT:
        return f"{camera.state}: the last recordings are unusable"
    age_s = camera.age_s(now_s)
    if age_s is None:
        return "silent: no recording yet"
    return f"silent: last recording {age_s / _MINUTE_S:.0f} min ago"
