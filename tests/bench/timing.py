"""Timing two things side by side."""

import statistics
import time
from collections.abc import Callable


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    began_s = time.perf_counter()
    action()
    return time.perf_counter() - began_s


def ratio(
    ours: Callable[[], object],
    yardstick: Callable[[], object],
    rounds: int = 5,
    *,
    before: Callable[[], object] = lambda: None,
) -> float:
    """Return the median of ours over the yardstick, taken in turns.

    What comes `before` each of them is not timed.
    """

    def timed_after(action: Callable[[], object]) -> float:
        before()
        return timed(action)

    return statistics.median(timed_after(ours) / timed_after(yardstick) for _ in range(rounds))
