"""From movement to takes.  Pure.

A take begins where the speed rises above one threshold, reaching back to where it left rest,
and lasts until the body rests again: two thresholds, so that the slow beginning and end of a
movement belong to it.  Efforts with little rest between them are one take; what is shorter than
any effort is none.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analysis.landmarks import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOptions:
    """What decides where takes begin and end."""

    activity: str | None = None  # what is filmed, where it is known
    pad_s: float = 1.0  # seconds a clip holds before and after the movement
    enter: float = 0.5  # torso lengths a second: somebody makes an effort
    leave: float = 0.2  # torso lengths a second: rest
    rest_s: float = 2.0  # less rest than that between two efforts: one take
    shortest_s: float = 0.5  # no effort is shorter
    model: str | None = None  # another pose model
    sample_fps: float = field(default=10.0)

    @classmethod
    def from_json(cls, stored: dict[str, object]) -> Self:
        """Return options with the given ones set.

        Raises:
            ValueError: an option is unknown.
        """
        unknown = sorted(set(stored) - set(cls.__slots__))
        if unknown:
            raise ValueError(f"no option {unknown[0]!r}")
        return cls(**stored)  # type: ignore[arg-type]  # the agent's settings have checked them


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch of a capture, `[start_s, end_s)`, in presentation time."""

    start_s: float
    end_s: float

    def padded(self, pad_s: float, *, duration_s: float) -> "Interval":
        """Return the interval with `pad_s` on each side, inside the capture."""
        return Interval(
            start_s=max(0.0, self.start_s - pad_s), end_s=min(duration_s, self.end_s + pad_s)
        )


def find_takes(
    speed: FloatArray, times_s: FloatArray, *, duration_s: float, options: TakeOptions
) -> list[Interval]:
    """Return the stretches of movement, in order, without padding.

    Args:
        speed: the body's speed, (T,), in torso lengths per second.
        times_s: when, (T,), increasing.
        duration_s: length of the capture.
        options: thresholds and lengths.
    """
    if len(speed) < 2:
        return []
    step_s = float(np.median(np.diff(times_s)))
    efforts = _rising_runs(speed, enter=options.enter, leave=options.leave)
    stretches = [
        Interval(
            start_s=0.0 if first == 0 else max(0.0, float(times_s[first]) - step_s),
            end_s=duration_s
            if last == len(speed) - 1
            else min(duration_s, float(times_s[last]) + step_s),
        )
        for first, last in efforts
    ]
    long_enough = [s for s in stretches if s.end_s - s.start_s >= options.shortest_s + 2 * step_s]
    return _merged(long_enough, rest_s=options.rest_s)


def _rising_runs(speed: FloatArray, *, enter: float, leave: float) -> list[tuple[int, int]]:
    """Return first and last sample of each run above `leave` that somewhere exceeds `enter`."""
    above: NDArray[np.bool_] = speed > leave
    edges = np.flatnonzero(np.diff(np.concatenate([[False], above, [False]]).astype(np.int8)))
    runs = zip(edges[::2], edges[1::2] - 1, strict=True)
    return [(int(a), int(b)) for a, b in runs if speed[a : b + 1].max() > enter]


def _merged(stretches: list[Interval], *, rest_s: float) -> list[Interval]:
    merged: list[Interval] = []
    for stretch in stretches:
        if merged and stretch.start_s - merged[-1].end_s < rest_s:
            merged[-1] = Interval(start_s=merged[-1].start_s, end_s=stretch.end_s)
        else:
            merged.append(stretch)
    return merged
