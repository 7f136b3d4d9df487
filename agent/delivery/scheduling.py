"""Which clip is uploaded next, and when the backlog will be uploaded.

A clip that takes long may be passed by much smaller ones that are due, until these come to as
many bytes as it has itself: so nobody waits more than twice as long as in a plain queue, and
most wait far less.  And where uploads close, what is likely to end before that goes first.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.bandwidth_schedule import Timetable, UplinkShare, parse_timetable
from agent.clock import Now
from agent.outbox.entries import Backlog, DueClip, TransferSample, UncertainClip
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import LIMITS_IN_ROW
from agent.outbox.states import EntryState

if TYPE_CHECKING:  # it loads the HTTP client, which `spotter status` does without
    from agent.delivery.circuit_breaker import ApiAccess

RECENT = 20  # so many uploads are averaged
_FADE = 0.8  # how much less each counts than the one after it
_MOST_THROTTLED = 0.2  # more of the time, and it was the cap that was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodput:
    """What the line gives."""

    bytes_s: float  # while a body goes out
    overhead_s: float  # on top for each clip: connecting, and waiting for the answer


def measure(sendings: Sequence[TransferSample]) -> Goodput | None:
    """Return what recent uploads say of the line; None where there were none.

    Bytes and seconds are summed apart, the older ones fading: a mean of rates would let many
    small clips outweigh a large one.  Uploads under a cap of our own prove only that the line
    takes that much, so they never lower what others have shown.

    Args:
        sendings: recent uploads, the newest first.
    """
    if not sendings:
        return None
    free = [one for one in sendings if one.throttled_s <= _MOST_THROTTLED * one.sending_s]
    answered = [one for one in sendings if one.is_delivered]
    overheads = [max(0.0, one.seconds - one.sending_s) for one in answered]
    fading = [_FADE**n for n in range(len(overheads))]
    waits = sum(weight * wait for weight, wait in zip(fading, overheads, strict=True))
    return Goodput(
        bytes_s=max(_rate(sendings), _rate(free)),
        overhead_s=waits / sum(fading) if fading else 0.0,
    )


def _rate(sendings: Sequence[TransferSample]) -> float:
    size_bytes = sum(_FADE**n * one.size_bytes for n, one in enumerate(sendings))
    seconds = sum(_FADE**n * one.sending_s for n, one in enumerate(sendings))
    return size_bytes / max(seconds, 1e-3)


_LONG_S = 20.0  # a clip that takes longer may be passed
_SMALLER = 8  # by clips so many times smaller
_MOST = 200  # so many of those that are due are compared
_FRESH = 0.9  # of the longest opening: nothing waits for more
_UNKNOWN = float("inf")  # a line that was never measured takes anything
_LOOK_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkCapacity:
    """What the line takes, as far as the order goes."""

    pace_bytes_s: float = _UNKNOWN
    room_bytes: float = _UNKNOWN  # before uploads close
    most_room_bytes: float = _UNKNOWN  # of the longest opening in the week


@dataclass(slots=True)
class UploadScheduler:
    """Which of the clips that are due goes next.  Pure, but for its memory of who was passed."""

    _passed_id: int | None = field(default=None, init=False)
    _passed_bytes: int = field(default=0, init=False)

    def next_of(self, due: Sequence[DueClip], line: UplinkCapacity) -> DueClip | None:
        """Return the clip that goes now; None where none is likely to end in time.

        A clip that no opening of the week has room for is tried in a fresh one once nothing
        else is due: what was measured may be wrong.

        Args:
            due: the clips that are longest due, in that order.
            line: what the line takes.
        """
        fitting = [one for one in due if one.size_bytes <= line.room_bytes]
        if not fitting:
            fresh = line.room_bytes >= _FRESH * line.most_room_bytes
            too_large = (one for one in due if one.size_bytes > _FRESH * line.most_room_bytes)
            return next(too_large, None) if fresh else None
        first = fitting[0]
        if first.id != self._passed_id:
            self._passed_id, self._passed_bytes = first.id, 0
        if first.size_bytes <= _LONG_S * line.pace_bytes_s:
            return first
        for other in fitting[1:]:
            is_small = other.size_bytes * _SMALLER <= first.size_bytes
            if is_small and self._passed_bytes + other.size_bytes <= first.size_bytes:
                self._passed_bytes += other.size_bytes
                return other
        return first


class UploadOrder:
    """Picks the clip that goes next, by what is due, the line, and the upload hours."""

    def __init__(
        self,
        outbox: Outbox,
        timetable: Timetable,
        share: UplinkShare,
        *,
        now: Now,
    ) -> None:
        self._outbox = outbox
        self._timetable = timetable
        self._share = share
        self._now = now
        self._turns = UploadScheduler()

    def next_up(self, access: "ApiAccess") -> Entry | None:
        """Return the entry whose turn it is; None where none may go now."""
        now_s = self._now().utc_s
        if self._timetable.rate_at(now_s) == 0:
            return None
        if access.is_limited:
            return self._next_trial(access, now_s)
        account = access.uid
        first = self._outbox.limits.next_free(account, now_s)
        if first is None:
            return self._outbox.limits.next_trial(account, now_s)
        if not self._outbox.limits.in_row(account):
            trial = self._outbox.limits.next_trial(account, now_s)
            if trial is not None:
                return trial
        line = self._line(now_s)
        if first.clip_bytes <= min(_LONG_S * line.pace_bytes_s, line.room_bytes):
            return first
        due = self._outbox.traffic.due(now_s, account=account, most=_MOST)
        chosen = self._turns.next_of(due, line)
        return None if chosen is None else self._outbox.entries.by_id(chosen.id)

    def _next_trial(self, access: "ApiAccess", now_s: float) -> Entry | None:
        """Return the clip that tries a plan's limit: once an hour, or another athlete's first."""
        limits, account = self._outbox.limits, access.uid
        if access.trial_is_due:
            free = limits.next_free(account, now_s, smallest=True)
            return free or limits.next_trial(account, now_s)
        if limits.in_row(account) < LIMITS_IN_ROW:
            return limits.next_free(account, now_s, smallest=True)
        return None

    def rest_s(self) -> float:
        """Return how long to wait where something is due and none may go."""
        now_s = self._now().utc_s
        if self._outbox.entries.next_ready(now_s) is None:
            return 0.0
        opens_at = self._timetable.opens_at(now_s) or now_s
        wait_s = opens_at - now_s if opens_at > now_s else _LOOK_AGAIN_S
        return min(wait_s, _LOOK_AGAIN_S)

    def _line(self, now_s: float) -> UplinkCapacity:
        goodput = measure(self._outbox.traffic.sendings(most=RECENT))
        line_bytes_s = _UNKNOWN if goodput is None else goodput.bytes_s
        share_bytes_s = self._share.rate(time.monotonic())
        pace_bytes_s = min(line_bytes_s, self._timetable.rate_at(now_s), share_bytes_s)
        return UplinkCapacity(
            pace_bytes_s=pace_bytes_s,
            room_bytes=self._timetable.room_bytes(now_s, line_bytes_s=line_bytes_s),
            most_room_bytes=self._timetable.longest_open_s() * pace_bytes_s,
        )


def all_sent_at(
    backlog: Backlog, goodput: Goodput | None, timetable: Timetable, *, now_s: float
) -> float | None:
    """Return when the backlog will have gone out if nothing comes and nothing fails.

    None where the line was never measured, or where it takes more than a year.
    """
    if not backlog.clips:
        return now_s
    if goodput is None:
        return None
    busy_s = backlog.size_bytes / goodput.bytes_s + backlog.clips * goodput.overhead_s
    return timetable.sent_at(
        backlog.size_bytes, now_s, line_bytes_s=backlog.size_bytes / max(busy_s, 1e-3)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkStatus:
    """The line at one moment."""

    backlog: Backlog
    goodput: Goodput | None  # None: not measured yet
    timetable: Timetable
    unsettled: UncertainClip | None  # whose outcome must be known before anything else may go
    sent_at: float | None  # Unix time, when all that waits has gone; None: not known, or far off


def read_uplink_status(outbox: Outbox, *, schedule: str, now_s: float) -> UplinkStatus:
    """Return how the line stands at this moment.

    Args:
        outbox: of the station.
        schedule: the setting `delivery.schedule`.
        now_s: Unix time.
    """
    timetable = parse_timetable(schedule)
    goodput = measure(outbox.traffic.sendings(most=RECENT))
    backlog = outbox.traffic.backlog()
    unsettled = outbox.outcomes.settled_first()
    next_at = outbox.entries.next_due_at(EntryState.READY)
    if next_at is None and unsettled is None:
        unsettled = outbox.outcomes.unsettled()
    begins_s = max(now_s, next_at or now_s)  # it may count down, or back off
    return UplinkStatus(
        backlog=backlog,
        goodput=goodput,
        timetable=timetable,
        unsettled=unsettled,
        sent_at=None
        if unsettled is not None
        else all_sent_at(backlog, goodput, timetable, now_s=begins_s),
    )
