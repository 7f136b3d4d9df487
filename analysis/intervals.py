"""Stretches of time.  Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch of a capture, `[start_s, end_s)`, in presentation time."""

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_s - self.start_s

    def padded(self, before_s: float, after_s: float, *, within: "Interval") -> "Interval":
        """Return the interval with so much on each side, inside another."""
        return Interval(
            start_s=max(within.start_s, self.start_s - before_s),
            end_s=min(within.end_s, self.end_s + after_s),
        )

    def overlap_s(self, other: "Interval") -> float:
        """Return for how long both last."""
        return max(0.0, min(self.end_s, other.end_s) - max(self.start_s, other.start_s))


def merged(stretches: Iterable[Interval], *, rest_s: float) -> list[Interval]:
    """Return ordered stretches, those less than `rest_s` apart made one."""
    joined: list[Interval] = []
    for stretch in sorted(stretches, key=lambda s: s.start_s):
        if joined and stretch.start_s - joined[-1].end_s < rest_s:
            last = joined[-1]
            joined[-1] = Interval(start_s=last.start_s, end_s=max(last.end_s, stretch.end_s))
        else:
            joined.append(stretch)
    return joined
