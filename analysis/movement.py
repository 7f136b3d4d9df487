"""What a movement is taken for: running, jumping, weightlifting or something else.  Pure.

Each activity has a likeness between 0 and 1.  Running is told by its gait: one knee goes where
the other one comes from.  In a lift both knees do the same, however fast they are.
"""

from dataclasses import dataclass

import numpy as np

from analysis.efforts import EffortSignals, rhythm_share, without_trend
from analysis.landmarks import HIPS, KNEES, FloatArray, Poses
from analysis.motion import GRID_FPS, Motion
from analysis.primitives import Interval, Mask, runs
from analysis.reps import jumps

_JUMP_EVERY_S = 7.0  # a take of jumps holds one at least that often
_SPRINGS = 1.75  # torsos a second upwards: less lifts nobody off the ground, who rises slower
_SURE_DIP = 0.5  # torsos that hips go down in a lift
_SURE_RAISE = 1.0  # torsos that both hands come up
_HELD_S = 1.5
_RUN_S = 2.0  # legs can be as fast for a moment in a lift
_LONG_RUN_S = 4.0
_LEAST = 0.35  # a likeness below that is none
_LEAST_LOOKS = 8
_TOGETHER, _IN_TURN = 0.2, -0.3  # correlation of the knees: lifts 0.3 and more, running -0.4
_HARDLY = 0.2
_LEAST_WAY = 0.15  # torsos: knees of a standing body tremble by 0.05
_STRIDES_HZ = np.arange(1.1, 2.05, 0.05)  # of running
_SLOWER_HZ = np.arange(0.2, 1.0, 0.05)  # of walking, and of everything that is done with weights
_FIT_S = 3.0  # a cadence hardly changes in that time
_NO_RHYTHM, _RHYTHM = 0.40, 0.52  # lifts and lunges have 0.31 and less, running 0.59 and more
_TRAVELS = 3.6  # torsos a second: nobody walks that fast


@dataclass(frozen=True, slots=True)
class Movement:
    """What a movement is taken for."""

    activity: str  # running, jumping, weightlifting, other
    confidence: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class Gait:
    """How the two knees move against the hips."""

    together: float  # correlation of left and right, -1 to 1
    way: float  # how far they are apart from their usual distance, torsos (root mean square)
    rhythm: float  # how much of that is the rhythm of a run, and not a slower one, 0 to 1

    @property
    def takes_turns(self) -> bool:
        """Whether one knee goes where the other one comes from, and far enough to be sure."""
        return self.together < _IN_TURN and self.way > _LEAST_WAY


def name_movement(motion: Motion, signs: EffortSignals, active: Interval) -> Movement:
    """Return what the movement between two moments is taken for."""
    inside = (motion.times_s >= active.start_s) & (motion.times_s < active.end_s) & motion.is_found
    if inside.sum() < 3:
        return Movement("other", 0.0)
    gait, hands_free = gait_of(motion.looked, active), 1 - _held_overhead(motion, inside)
    likeness = {
        "running": _running(motion, signs, gait, inside) * hands_free,
        "jumping": _jumping(motion, signs, inside, active) * hands_free,
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


def _running(motion: Motion, signs: EffortSignals, gait: Gait | None, inside: Mask) -> float:
    """Return how much it looks like running: legs that are fast, and take turns.

    Seen from the front the legs of somebody who runs on the spot hardly seem fast; that they take
    turns, and how often, shows from there too.  Who gets through the picture faster than anybody
    walks runs, however short that is.
    """
    running, seconds = signs.running[inside], float(inside.sum()) / GRID_FPS
    fast = float(running.mean()) * min(1.0, float(running.sum()) / GRID_FPS / _RUN_S)
    if (np.abs(np.nan_to_num(motion.going[inside])) > _TRAVELS).mean() > 0.5:
        return 1.0
    if gait is None:
        return fast  # too short to tell
    if gait.takes_turns:
        return max(fast, min(1.0, seconds / _RUN_S)) * _strides(gait)
    in_turn = (_TOGETHER - gait.together) / (_TOGETHER - _IN_TURN)
    return max(fast * float(np.clip(in_turn, _HARDLY, 1.0)), _longest_run(motion, signs, inside))


def _strides(gait: Gait) -> float:
    """Return how much legs that take turns look like running.

    In a lunge, too, one knee is ahead of the other; but no stride follows another.
    """
    strides = (gait.rhythm - _NO_RHYTHM) / (_RHYTHM - _NO_RHYTHM)
    return float(np.clip(strides, _HARDLY, 1.0))


def _longest_run(motion: Motion, signs: EffortSignals, inside: Mask) -> float:
    """Return how much the longest run looks like one: who ran so long did not lift around it."""
    running = runs(signs.running & inside)
    first, last = max(running, key=lambda run: run[1] - run[0], default=(0, -1))
    if last - first + 1 < _LONG_RUN_S * GRID_FPS:
        return 0.0
    span = Interval(start_s=float(motion.times_s[first]), end_s=float(motion.times_s[last]))
    gait = gait_of(motion.looked, span)
    return _strides(gait) if gait is not None and gait.takes_turns else 0.0


def gait_of(looked: Poses, active: Interval) -> Gait | None:
    """Return how the knees move between two moments, or None where too little was seen.

    What one knee does apart from its slow trend is compared with what the other does at the same
    look.  That needs no look between two steps, as counting them would, and it stays the same
    when the model takes the left leg for the right one.
    """
    there = looked.without((looked.times_s < active.start_s) | (looked.times_s >= active.end_s))
    at_s, points = looked.times_s[there.is_found], looked.points_px[there.is_found]
    if len(at_s) < _LEAST_LOOKS:
        return None
    hips = points[:, list(HIPS)].mean(axis=1)
    torso_px = there.usual_torso_px
    places = [(points[:, knee] - hips) / torso_px for knee in KNEES]
    left, right = (without_trend(at_s, place) for place in places)
    both = float(np.sqrt((left**2).sum() * (right**2).sum()))
    if both == 0.0:
        return None
    apart = left - right
    axis = int(np.argmax((apart**2).mean(axis=0)))
    return Gait(
        together=float((left * right).sum()) / both,
        way=float(np.sqrt((apart**2).sum(axis=1).mean())),
        rhythm=_rhythm(at_s, (places[0] - places[1])[:, axis]),
    )


def _rhythm(at_s: FloatArray, curve: FloatArray) -> float:
    """Return how much of a curve, (T,), is the rhythm of a run, some seconds at a time.

    Strides are held against slower rhythms, for grain and a small picture hide both alike.  Looks
    that are too far apart for that say nothing against a run.
    """
    shares = []
    for start_s in np.arange(at_s[0], max(at_s[0] + 0.1, at_s[-1] - _FIT_S / 2), _FIT_S / 2):
        near = (at_s >= start_s) & (at_s < start_s + _FIT_S)
        if near.sum() < _LEAST_LOOKS:
            continue
        strides, slower = (
            max(0.0, rhythm_share(at_s[near], curve[near], rhythms_hz))
            for rhythms_hz in (_STRIDES_HZ, _SLOWER_HZ)
        )
        shares.append(strides / max(strides + slower, 1e-9))
    return float(np.median(shares)) if shares else _RHYTHM


def _jumping(motion: Motion, signs: EffortSignals, inside: Mask, active: Interval) -> float:
    """Return how much it looks like jumps, or like hops as over a rope, none of which is a jump.

    A body whose head leaves the picture seems to fly, too: the model squeezes it into the picture.
    """
    flights = sum(jump.speed > _SPRINGS for jump in jumps(motion, active))
    flown = flights * _JUMP_EVERY_S / max(active.seconds, 1.0)
    return float(min(1.0, max(flown, signs.hopping[inside].mean())))


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
