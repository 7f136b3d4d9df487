"""One number over time as a small picture: lines and dots in a frame of 1000 by 300.

Pure.  The frame is stretched to whatever room there is; lines and dots keep their width, and what
is written stands beside it, so that it is readable on any screen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT, _MARGIN = 1000.0, 300.0, 14.0
_LEAST_TICKS = 2  # intervals
_FLAT = 1e-9  # of the size of values: what differs less is the same
_NOTHING = 1e-9  # what lies closer together is one value, whatever its unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One take's number."""

    at: float  # Unix time
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """The picture, and what is written around it."""

    line: str  # path data, as in SVG
    dots: str
    latest: str  # the last dot once more
    grid: tuple[str, ...]
    ticks: tuple[float, ...]  # values of the grid's lines, from the top
    digits: int  # behind the point of a tick that is worth showing
    begins_at: float  # Unix times of the first and the last dot
    ends_at: float
    lowest: float
    highest: float
    last: float
    count: int


def plot(points: Sequence[Point]) -> Plot:
    """Return the picture of some takes' number.

    Args:
        points: one at least, the earliest first.

    Raises:
        ValueError: there is none.
    """
    if not points:
        raise ValueError("nothing to draw")
    values = [point.value for point in points]
    ticks, digits = scale(min(values), max(values))
    begins_at, ends_at = points[0].at, points[-1].at
    placed = [
        f"{_along(point.at, begins_at, ends_at):.0f} {_above(point.value, ticks):.0f}"
        for point in points
    ]
    return Plot(
        line=f"M{'L'.join(placed)}",
        dots="".join(f"M{place}h0" for place in placed),
        latest=f"M{placed[-1]}h0",
        grid=tuple(f"M0 {_above(tick, ticks):.0f}H{_WIDTH:.0f}" for tick in ticks),
        ticks=ticks,
        digits=digits,
        begins_at=begins_at,
        ends_at=ends_at,
        lowest=min(values),
        highest=max(values),
        last=values[-1],
        count=len(points),
    )


def scale(low: float, high: float) -> tuple[tuple[float, ...], int]:
    """Return round values that hold a range, the highest first, and the digits they need."""
    size = max(abs(low), abs(high))
    if high - low <= max(_FLAT * size, _NOTHING):
        room = size / 10 if size > _NOTHING else 1.0
        low, high = low - room, high + room
    rough = (high - low) / _LEAST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(share * power for share in (1, 2, 5) if share * power <= rough * (1 + _FLAT))
    first, last = math.floor(low / step + _FLAT), math.ceil(high / step - _FLAT)
    digits = max(0, -math.floor(math.log10(step) + _FLAT))
    return tuple(number * step for number in range(last, first - 1, -1)), digits


def _along(at: float, begins_at: float, ends_at: float) -> float:
    if ends_at <= begins_at:
        return _WIDTH / 2
    share = (at - begins_at) / (ends_at - begins_at)
    return _MARGIN + share * (_WIDTH - 2 * _MARGIN)


def _above(value: float, ticks: Sequence[float]) -> float:
    share = (value - ticks[-1]) / (ticks[0] - ticks[-1])
    return _HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN)
