"""When the disk will be full, from how its room has gone over the last day.  Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

_HOUR_S = 3600.0
WINDOW_S = 24 * _HOUR_S  # a whole day: gyms fill disks by day and not by night
_SHORTEST_S = _HOUR_S  # less says nothing
_LONGEST_S = 365 * 24 * _HOUR_S  # what lies beyond is not in sight


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomThen:
    """The room on the disk at one moment."""

    at: float  # Unix time
    free_bytes: int
    may_go_bytes: int  # delivered and kept for a while: goes as soon as space is short

    @property
    def usable_bytes(self) -> int:
        """What captures can fill: what is free, or is cleared away for them."""
        return self.free_bytes + self.may_go_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the room on the disk comes to."""

    known: bool  # False: not watched for long enough
    full_in_s: float | None  # until intake waits for space; None: not in sight, or not known


def forecast(history: Sequence[RoomThen], *, floor_bytes: int, now_s: float) -> Forecast:
    """Return when intake will wait for space if the room goes on as over the last day.

    Args:
        history: the room over time, in any order; what is not from the last day is left out.
        floor_bytes: what must stay free.
        now_s: Unix time.
    """
    recent = sorted(
        (room for room in history if now_s - WINDOW_S - _HOUR_S <= room.at <= now_s),
        key=lambda room: room.at,
    )
    if not recent:
        return Forecast(known=False, full_in_s=None)
    first, last = recent[0], recent[-1]
    left = last.usable_bytes - floor_bytes
    if left <= 0:
        return Forecast(known=True, full_in_s=0.0)
    watched_s = last.at - first.at
    if watched_s < _SHORTEST_S:
        return Forecast(known=False, full_in_s=None)
    lost_bytes_s = (first.usable_bytes - last.usable_bytes) / watched_s
    if lost_bytes_s <= 0 or left / lost_bytes_s > _LONGEST_S:
        return Forecast(known=True, full_in_s=None)
    return Forecast(known=True, full_in_s=max(0.0, left / lost_bytes_s - (now_s - last.at)))
