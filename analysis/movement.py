"""Naming a movement.  Pure.

Running shows in legs that swing for most of the take, jumping in flights of hips and feet,
weightlifting in hips that go down and hands that come up with the feet on the floor.  The name
never overrides a coach; a contradiction is only remarked.
"""

from dataclasses import dataclass

import numpy as np

from analysis.efforts import Signs
from analysis.intervals import Interval
from analysis.masks import Mask, runs
from analysis.motion import GRID_FPS, Motion
from analysis.reps import jumps

_JUMP_EVERY_S = 7.0  # a take of jumps holds one at least that often
_SURE_DIP = 0.5  # torsos that hips go down in a lift
_SURE_RAISE = 1.0  # torsos that both hands come up
_HELD_S = 1.5
_RUN_S = 2.0  # legs can be as fast for a moment in a lift
_LEAST = 0.35  # a likeness below that is none


@dataclass(frozen=True, slots=True)
class Movement:
    """What a movement is taken for."""

    activity: str  # running, jumping, weightlifting, other
    confidence: float  # 0 to 1


def name_movement(motion: Motion, signs: Signs, active: Interval) -> Movement:
    """Return what the movement between two moments is taken for."""
    inside = (motion.times_s >= active.start_s) & (motion.times_s < active.end_s) & motion.is_found
    if inside.sum() < 3:
        return Movement("other", 0.0)
    likeness = {
        "running": _running(signs, inside) * (1 - _held_overhead(motion, inside)),
        "jumping": _jumping(motion, active) * (1 - _held_overhead(motion, inside)),
        "weightlifting": _lifting(motion, inside),
    }
    if likeness["jumping"] >= _LEAST:
        likeness["weightlifting"] *= 0.5  # a jump dips and swings its arms too
        likeness["running"] *= 0.6
    elif likeness["running"] > 0.5:
        likeness["weightlifting"] *= 0.5
    best = max(likeness, key=lambda name: likeness[name])
    rest = sum(likeness.values()) - likeness[best]
    if likeness[best] < _LEAST:
        return Movement("other", 1 - likeness[best])
    return Movement(best, min(0.99, likeness[best] / (likeness[best] + 0.5 * rest)))


def _running(signs: Signs, inside: Mask) -> float:
    running = signs.running[inside]
    return float(running.mean()) * min(1.0, float(running.sum()) / GRID_FPS / _RUN_S)


def _jumping(motion: Motion, active: Interval) -> float:
    count = len(jumps(motion, active))
    return min(1.0, count * _JUMP_EVERY_S / max(active.seconds, 1.0)) if count else 0.0


def _held_overhead(motion: Motion, inside: Mask) -> float:
    """Return how sure it is that hands stay up: nobody who jumps keeps them there."""
    longest = max(
        (last - first + 1 for first, last in runs(motion.wrist_height[inside] > 0)), default=0
    )
    return min(1.0, longest / GRID_FPS / _HELD_S)


def _lifting(motion: Motion, inside: Mask) -> float:
    hips, hands = motion.hip_height[inside], motion.wrist_height[inside]
    dip = (np.percentile(hips, 90) - np.percentile(hips, 5)) / _SURE_DIP
    raised = (np.percentile(hands, 95) - np.percentile(hands, 5)) / _SURE_RAISE
    return float(min(1.0, max(dip, raised)))
