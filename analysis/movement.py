"""What an effort was: which movement, and how many repetitions, jumps or steps.  Pure.

Each activity has a likeness between 0 and 1.  Running is told by its gait: one knee goes where
the other one comes from.  In a lift both knees do the same, however fast they are.

A repetition of a lift is one way there and back: of the hands where these go from hanging to the
shoulders or overhead, else of the body, whose hips and shoulders go down in squats and in pulls
from the floor, else of the hands against the shoulders (presses, curls).  It counts when it
arrives at the end opposite to where the set began: a squat at the bottom, a deadlift at the top.
Of a set that is done lying, bent over or hanging from a bar only that part is counted.
A jump is a flight from or onto bent legs; a hop on straight ones, as over a rope, is none, and
neither is a pull: who throws a bar up may leave the ground, too, but then gets under it.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.landmarks import ANKLES, HIPS, KNEES, FloatArray, Poses
from analysis.motion import GRID_FPS, Motion
from analysis.primitives import Interval, Mask, bridged, runs
from analysis.signs import EffortSignals, rhythm_share, without_trend

_JUMP_EVERY_S = 7.0  # a take of jumps holds one at least that often
_SPRINGS = 1.75  # torsos a second upwards: less lifts nobody off the ground, who rises slower
_SURE_DIP = 0.5  # torsos that hips go down in a lift
_SURE_RAISE = 1.0  # torsos that both hands come up
_HELD_S = 1.5
_RUN_S = 2.0  # legs can be as fast for a moment in a lift
_LONG_RUN_S = 4.0
_LEAST = 0.35  # a likeness below that is none
_LEAST_LOOKS = 8
_TOGETHER, _IN_TURN = 0.2, -0.3  # correlation of knees: lifts 0.3 and more, running -0.4
_PLAINLY_IN_TURN, _FAR_APART = -0.5, 0.4  # the same, and torsos: a leg swung once has -0.4, 0.3
_NOT_TOGETHER = 0.35  # the same, of legs in a long run that is expected
_HARDLY = 0.2
_LEAST_WAY = 0.15  # torsos: knees of a standing body tremble by 0.05
_STRIDES_HZ = np.arange(1.1, 2.05, 0.05)  # of running
_SLOWER_HZ = np.arange(0.2, 1.0, 0.05)  # of walking, and of everything that is done with weights
_FIT_S = 3.0  # a cadence hardly changes in that time
_NO_RHYTHM, _RHYTHM = 0.40, 0.52  # lifts and lunges have 0.31 and less, running 0.59 and more
_TRAVELS = 3.6  # torsos a second: nobody walks that fast

_HANDS_RANGE = 0.75  # torsos: the hands move that far in what is lifted overhead or raised
_HANDS_WAY = 0.35  # torsos: the shortest way of the hands that may be a repetition
_ONE_HAND_WAY = 0.6  # the same of one hand: one that is hidden trembles
_BODY_WAY = 0.2  # the same of the body
_HIPS_RANGE = 0.25  # torsos that the hips go down in a lift
_AT_SHOULDERS = -0.45  # torsos above the shoulders: hands that hang are at -1
_HANGING, _HANGING_ABOUT = -0.8, -0.7
_OVERHEAD = 0.4
_HELD_STILL = 0.5  # torsos: hands that hold a bar move less
_AT_BAR = -0.2  # torsos above the shoulders: hands of who has the chin above the bar
_HANGS = 0.6  # the same of who hangs from it; of a bar on the back they are at 0
_HANGS_WAY = 0.5  # torsos that shoulders go up to a bar
_REACHING = (15, 85)  # percentiles: before and after that hands reach for the bar, or let go
_UPRIGHT = 0.6  # vertical share of the torso: of squats it is 0.7 and more
_LOW = 1.3  # torsos that shoulders are above the feet: of a deep squat it is 1.7
_MOSTLY, _SET = 0.5, 3  # of the time, and repetitions
_LARGE, _ENOUGH = 0.35, 0.6  # shares of the longest and of the usual way
_QUIET = 5  # samples of the grid over which a body is judged quiet
_PUT_DOWN = 10  # the same, for which hands hang between two lifts; at the bottom of a squat it is 5
_FAR = 0.65  # share of the range
_UP, _DOWN = 0.4, 0.25  # the same from the upper end, and from the lower one
_PREPARES_S, _PREPARES = 0.8, 1.5  # at a bar, and against the time between two pulls
_FURTHER = 0.12  # torsos that hands reach down to the floor, and not in the set
_STAYS = 5  # samples of the grid for which somebody is seen standing behind a set
_RISE = 0.22  # torsos that hips rise before a jump's highest point and fall after it
_FEET_RISE = 0.12  # torsos that the feet rise with them
_SEEN = 0.45  # visibility of feet: 0.6 and more in a jump; behind plates they are guessed
_BOX = 0.3  # torsos that both feet stand higher after a jump onto a box
_LANDS = 0.08  # torsos that hips go down on it
_LEAP, _LEAPS = 4, 0.55  # samples of the grid, and torsos that hips rise in that time
_BEND = 0.16  # torsos that bent legs are shorter; in hops over a rope it is half of that
_TAKES_OFF = 6  # samples before the top in which the feet leave the ground
_APART_S = 0.35  # two jumps are further apart
_JUMP_S = 0.9  # from the lowest to the highest point, at most
_NEARLY, _PULLED = 2, 5  # samples before the top of a pull, and until the hands are overhead
_STEP_HZ = np.arange(1.9, 4.4, 0.02)  # walking fast to sprinting


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

    @property
    def plainly_takes_turns(self) -> bool:
        """Whether the knees pass each other as far as in a run, however few strides there are."""
        return self.together < _PLAINLY_IN_TURN and self.way > _FAR_APART

    @property
    def may_run(self) -> bool:
        """Whether the knees have the rhythm of strides at all."""
        return self.rhythm > _NO_RHYTHM


def name_movement(
    motion: Motion, signs: EffortSignals, active: Interval, *, expected: str | None = None
) -> Movement:
    """Return what the movement between two moments is taken for.

    Args:
        motion: a body's curves.
        signs: what it does.
        active: between which moments.
        expected: what the station says is done.  A run is then told by the rhythm of its strides
            alone: a camera that follows the runner, or a second one behind, hides that legs take
            turns.
    """
    inside = (motion.times_s >= active.start_s) & (motion.times_s < active.end_s) & motion.is_found
    if inside.sum() < 3:
        return Movement("other", 0.0)
    gait, hands_free = gait_of(motion.looked, active), 1 - _held_overhead(motion, inside)
    likeness = {
        "running": max(
            _running(motion, signs, gait, inside),
            _expected_run(gait, active) if expected == "running" else 0.0,
        )
        * hands_free,
        "jumping": _jumping(motion, signs, inside, active) * hands_free,
        "weightlifting": _lifting(motion, signs, inside),
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
    if signs.comes[inside].mean() > _MOSTLY:
        return _strides(gait) if gait is not None else 0.0
    if gait is None:
        return fast  # too short to tell
    if gait.takes_turns:
        return max(fast, min(1.0, seconds / _RUN_S)) * _strides(gait)
    in_turn = (_TOGETHER - gait.together) / (_TOGETHER - _IN_TURN)
    return max(fast * float(np.clip(in_turn, _HARDLY, 1.0)), _longest_run(motion, signs, inside))


def _expected_run(gait: Gait | None, active: Interval) -> float:
    """Return how much it looks like the long run that is expected."""
    if gait is None or active.seconds < _LONG_RUN_S or gait.together > _NOT_TOGETHER:
        return 0.0
    return _strides(gait) if gait.way > _LEAST_WAY else 0.0


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


def _lifting(motion: Motion, signs: EffortSignals, inside: Mask) -> float:
    hips, hands = motion.hip_height[inside], motion.wrist_height[inside]
    dip = (np.percentile(hips, 90) - np.percentile(hips, 5)) / _SURE_DIP
    raised = (np.percentile(hands, 95) - np.percentile(hands, 5)) / _SURE_RAISE
    swings = (one for one in signs.swings.one_handed if inside[one.first : one.last + 1].any())
    one_handed = max((abs(swing.way) for swing in swings), default=0.0) / _SURE_RAISE
    return float(min(1.0, max(dip, raised, one_handed)))


def count_reps(motion: Motion, activity: str | None, active: Interval) -> int | None:
    """Return the repetitions between two moments, or None where nothing is counted."""
    inside = (motion.times_s >= active.start_s) & (motion.times_s < active.end_s) & motion.is_found
    if inside.sum() < 3:
        return None
    if activity == "jumping":
        return len(jumps(motion, active))
    if activity == "weightlifting":
        return _count_lifts(motion, inside)
    if activity == "running":
        return _count_steps(motion.looked, active)
    return None


@dataclass(frozen=True, slots=True)
class Jump:
    """One flight from or onto bent legs."""

    top_s: float  # when the hips are highest
    height: float  # of the hips above their lowest point before, torsos
    speed: float  # upwards, at its fastest before the top, torsos a second


def jumps(motion: Motion, active: Interval) -> list[Jump]:
    """Return the jumps between two moments: hips and feet go up and come down together.

    The legs bend before or after, as in the jumps that the API measures (countermovement and drop
    jump, in which the dip before may be over between two looks).
    """
    reach = round(_JUMP_S * GRID_FPS)
    found: list[Jump] = []
    inside = (motion.times_s >= active.start_s) & (motion.times_s < active.end_s)
    for index in np.flatnonzero(inside & motion.is_found):
        height = _flight(motion, int(index), reach)
        time_s = float(motion.times_s[index])
        if height is not None and not (found and time_s - found[-1].top_s < _APART_S):
            found.append(Jump(top_s=time_s, height=height, speed=_speed_up(motion, int(index))))
    return found


def _speed_up(motion: Motion, index: int) -> float:
    """Return how fast the hips go up at most in the moments before the top of a flight."""
    up = motion.hip_up_px[max(0, index - _TAKES_OFF) : index + 1] / motion.unit_px[index]
    return float((up[2:] - up[:-2]).max(initial=0.0)) * GRID_FPS / 2


def _flight(motion: Motion, index: int, reach: int) -> float | None:
    """Return how high the hips are above their lowest point before, at the top of a flight."""
    first = max(0, index - reach)
    around = slice(first, index + reach + 1)
    if (motion.visit[around] != motion.visit[index]).any():
        return None
    if np.median(motion.feet_seen[around]) < _SEEN:
        return None
    unit = float(motion.unit_px[index])
    up, feet = motion.hip_up_px / unit, motion.foot_up_px / unit
    before, after = slice(first, index + 1), slice(index, index + reach + 1)
    rise, fall = up[index] - up[before].min(), up[index] - up[after].min()
    feet_rise = feet[index] - max(feet[before].min(), feet[after].min())
    is_top = up[index] >= up[max(0, index - 3) : index + 4].max()
    flies = is_top and min(rise, fall) > _RISE and feet_rise > _FEET_RISE
    if is_top and not flies and feet[after].min() - feet[before].min() > _BOX:
        # Onto a box the way down is short.  Who steps up onto one is slower.
        flies = fall > _LANDS and up[index] - up[max(0, index - _LEAP) : index + 1].min() > _LEAPS
    bends = (_bend(motion.hip_height[side], feet[side]) for side in (before, after))
    is_jump = flies and max(bends) > _BEND and not _pulls(motion.wrist_height, index)
    return float(rise) if is_jump else None


def _pulls(hands: FloatArray, index: int) -> bool:
    """Tell whether hands that hang just before the top of a flight are overhead soon after it.

    The arms of somebody who jumps are highest as he leaves the ground.
    """
    before = hands[max(0, index - _NEARLY) : index + 1].min()
    return bool(before < _HANGING_ABOUT and hands[index] < 0 < hands[index:][: _PULLED + 1].max())


def _bend(legs: FloatArray, feet: FloatArray) -> float:
    """Return by how much the legs were shorter on the ground than at their longest, torsos."""
    on_ground = feet < feet.min() + _FEET_RISE
    return float(legs.max() - legs[on_ground].min())


def _count_lifts(motion: Motion, inside: Mask) -> int:
    at_bar = _hanging_from(motion, inside)
    if at_bar is not None:
        return arrivals(motion.trunk_up_px[at_bar] / motion.unit_px[at_bar], least=_HANGS_WAY)
    lying = _lying(motion, inside)
    if lying is not None:
        reps = _count_upright_lifts(motion, lying)
        if reps >= _SET:  # else it is a lift from the floor, and who makes it bends for long
            return reps
    return _count_upright_lifts(motion, inside)


def _hanging_from(motion: Motion, inside: Mask) -> Mask | None:
    """Return when a body hangs from a bar and pulls itself up to it; None where it does not.

    Its hands stay where they are in the picture, and the shoulders go up to them.
    """
    hanging = _longest(inside & (motion.wrist_height > _AT_BAR))
    hands = motion.wrist_height[hanging]
    if len(hands) < 3 or np.percentile(hands, 90) < _HANGS:
        return None
    up = (motion.trunk_up_px / motion.unit_px)[hanging]
    pulled = _range(up)
    low, high = np.percentile(up + hands, _REACHING)
    return hanging if pulled >= _HANGS_WAY and high - low < _HELD_STILL * pulled else None


def _lying(motion: Motion, inside: Mask) -> Mask | None:
    """Return when a body bends or lies for most of the time; None where it does not.

    Getting down to that and up again is a longer way than any of the repetitions.
    """
    lies = (motion.upright < _UPRIGHT) | (motion.trunk_height < _LOW)  # seen from the side, or not
    lying = _longest(inside & bridged(lies, _QUIET))
    return lying if lying.sum() > _MOSTLY * inside.sum() else None


def _longest(mask: Mask) -> Mask:
    """Return the longest run of a mask."""
    first, last = max(runs(mask), key=lambda run: run[1] - run[0], default=(0, -1))
    longest = np.zeros_like(mask)
    longest[first : last + 1] = True
    return longest


def _count_upright_lifts(motion: Motion, inside: Mask) -> int:
    hands = motion.wrist_height[inside]
    body = (motion.hip_height[inside] + motion.trunk_height[inside]) / 2
    if _range(hands) >= _HANDS_RANGE and (_is_raised(hands) or np.median(hands) > _OVERHEAD):
        return max(arrivals(hands, least=_HANDS_WAY), _while_hands_stay(hands, body))
    lifts = arrivals(body, least=_BODY_WAY)
    if lifts:
        return lifts - _without_weight(motion, inside, body, lifts)
    return max(arrivals(hands, least=_HANDS_WAY), _count_each_hand(motion.wrist_heights[inside]))


def _without_weight(motion: Motion, inside: Mask, heights: FloatArray, lifts: int) -> int:
    """Return how many of the times that somebody goes down are no repetitions, 0 to 2.

    - Who takes weights from the floor and puts them back reaches further down for them than in
      between, as in lunges and in pulls that end at the shins.
    - Who bends down to a bar, lifts it some times and lets go of it stands up without it.  That is
      somebody who prepares at the bar for longer than between two pulls, and who stands up at least
      as fast as with the bar; the last pull of a set whose bar is dropped from above is its slowest
      one.  Where the recording ends with the last way up, the bar is taken to be in the hands.

    Both have hands that hang.

    Args:
        motion: a body's curves.
        inside: the samples of the set, N of T.
        heights: of the body in it, (N,), torsos.
        lifts: how often it goes down.
    """
    highest, way = np.percentile(heights, 97), _range(heights)
    ups = runs(bridged(heights > highest - _UP * way, _QUIET))
    last = int(np.flatnonzero(inside)[-1])
    behind = motion.visit[last : last + 1 + _STAYS]
    if (
        not 1 < lifts == len(ups) - 1
        or np.percentile(motion.wrist_height[inside], 90) > _HANGING_ABOUT
        or len(behind) <= _STAYS
        or (behind != motion.visit[last]).any()
    ):
        return 0
    hands = (motion.trunk_height + motion.wrist_height)[inside]
    holds_s, ways_s, reached = [], [], []
    for begin, end in ((one[1], other[0]) for one, other in pairwise(ups)):
        below = begin + np.flatnonzero(heights[begin:end] < heights[begin:end].min() + _DOWN * way)
        holds_s.append((below[-1] - below[0] + 1) / GRID_FPS)
        ways_s.append((end - below[-1]) / GRID_FPS)
        reached.append(float(np.median(hands[below])))
    if lifts > _SET and max(reached[0], reached[-1]) < min(reached[1:-1]) - _FURTHER:
        return 2
    prepares_s = max(_PREPARES_S, _PREPARES * float(np.median(holds_s[1:-1] or holds_s[1:])))
    stands_fast = ways_s[-1] < float(np.median(ways_s[:-1])) + 1.5 / GRID_FPS
    return int(holds_s[0] > prepares_s and stands_fast)


def _count_each_hand(wrists: FloatArray) -> int:
    """Return the repetitions of hands, (T, 2), of which one rests, or that take turns."""
    counts = [arrivals(wrist, least=_ONE_HAND_WAY) for wrist in wrists.T]
    left, right = (wrists - wrists.mean(axis=0)).T
    are_together = float((left * right).mean()) > _TOGETHER * float(left.std() * right.std())
    return max(counts) if are_together else sum(counts)


def _is_raised(hands: FloatArray) -> bool:
    """Tell whether hands come from hanging to the shoulders or above, or from there overhead.

    Behind a bar on the back they only seem to tremble.
    """
    low, high = np.percentile(hands, [5, 95])
    return bool((low < _HANGING and high > _AT_SHOULDERS) or high > _OVERHEAD)


def between_lifts(motion: Motion, active: Interval) -> list[float]:
    """Return the moments between two lifts at which the body is quietest, the bar down.

    A lift brings the hands from hanging, or from the floor, to the shoulders or overhead, with
    hips that went down before.  Hands that only come up, or hips that only go down, are none.
    """
    inside = (motion.times_s >= active.start_s) & (motion.times_s < active.end_s) & motion.is_found
    at_s = motion.times_s[inside]
    hands, hips = motion.wrist_height[inside], motion.hip_height[inside]
    if len(hands) < 3 or _range(hands) < _HANDS_RANGE or hands.max() <= _AT_SHOULDERS:
        return []
    low, high = np.percentile(hands, [3, 97])
    far = low + _FAR * (high - low)
    # A bar is put down by somebody who stands; hidden hands seem to hang at the bottom of a squat.
    stands = np.percentile(hips, [5, 95]).mean()
    speed = np.convolve(
        np.nan_to_num(motion.posture_speed[inside]), np.ones(_QUIET) / _QUIET, mode="same"
    )
    moments: list[float] = []
    begins, top = 0, None
    for up in runs(hands > far):
        down = _hanging(hands, top, up[0]) if top is not None else np.zeros(0, dtype=np.int64)
        if len(down) and hips[down].max() > stands:
            division = int(down[int(np.argmin(speed[down]))])
            if _dips(hips[begins:division]) and _dips(hips[division:]):
                moments.append(float(at_s[division]))
                begins = division
        top = up[1]
    return moments


def _hanging(hands: FloatArray, first: int, end: int) -> NDArray[np.int64]:
    """Return the samples at which the hands hang for a while; a bar on the back hides hands."""
    hanging = runs(hands[first:end] < _HANGING)
    longest = max(hanging, key=lambda run: run[1] - run[0], default=(0, -1))
    if longest[1] - longest[0] + 1 < _PUT_DOWN:
        return np.zeros(0, dtype=np.int64)
    return np.arange(first + longest[0], first + longest[1] + 1)


def _dips(hips: FloatArray) -> bool:
    return len(hips) > 2 and _range(hips) >= _HIPS_RANGE


def _while_hands_stay(hands: FloatArray, body: FloatArray) -> int:
    """Return how often the body goes down while raised hands stay where they are.

    They hold a bar, or each other behind the head.
    """
    raised = np.where(hands > _HANGING_ABOUT, _steadied(hands), np.inf)
    first = longest = end = 0
    for last, height in enumerate(raised):
        if not np.isfinite(height):
            first = last + 1
        while first < last and np.ptp(raised[first : last + 1]) > _HELD_STILL:
            first += 1
        if last + 1 - first > longest:
            longest, end = last + 1 - first, last + 1
    if longest <= _QUIET:
        return 0
    ways = _ways(body[end - longest : end], least=_BODY_WAY)
    if len(ways) % 2 and ways[-1] < 0:
        back = float(body[end:].max(initial=-np.inf)) - float(body[end - 1])
        ways = ways if back > -_ENOUGH * ways[-1] else ways[:-1]  # who drops the bar bends, too
    return (len(ways) + 1) // 2


def _count_steps(looked: Poses, active: Interval) -> int | None:
    """Count steps by their frequency.

    Feet that pass each other are often taken for one another, but how far apart they and the
    knees are, and how high hips and feet are, comes back with every step whichever foot it is.
    The frequency at which these curves together have most power is the cadence (the periodogram
    of unevenly spaced samples).
    """
    inside = looked.is_found & (looked.times_s >= active.start_s) & (looked.times_s < active.end_s)
    if inside.sum() < _LEAST_LOOKS:
        return None
    at_s, points = looked.times_s[inside], looked.points_px[inside]
    curves = (
        np.linalg.norm(points[:, ANKLES[0]] - points[:, ANKLES[1]], axis=1),
        np.linalg.norm(points[:, KNEES[0]] - points[:, KNEES[1]], axis=1),
        points[:, list(HIPS), 1].mean(axis=1),
        points[:, list(ANKLES), 1].max(axis=1),
    )
    power = np.sum([_power(at_s, curve) for curve in curves], axis=0)
    cadence_hz = float(_STEP_HZ[int(np.argmax(power))])
    lasted_s = float(at_s[-1] - at_s[0] + np.median(np.diff(at_s)))
    return round(cadence_hz * lasted_s)


def _power(at_s: FloatArray, curve: FloatArray) -> FloatArray:
    """Return the power of a curve at each step frequency, apart from its slow trend."""
    slow = np.polynomial.Polynomial.fit(at_s, curve, 2)(at_s)
    swing = (curve - slow) / (float(np.std(curve - slow)) + 1e-9)
    turns = np.exp(-2j * np.pi * _STEP_HZ[:, None] * at_s[None, :])
    power: FloatArray = np.abs((turns * swing).mean(axis=1)) ** 2
    return power


def arrivals(values: FloatArray, *, least: float) -> int:
    """Count how often a curve arrives at the end opposite to where it began.

    How far a way must be follows from the usual one: a single deeper movement does not make the
    others small, and trembling makes none.

    Args:
        values: the curve.
        least: the shortest way that counts at all.
    """
    return (len(_ways(values, least=least)) + 1) // 2  # every second one goes the way of the first


def _ways(values: FloatArray, *, least: float) -> FloatArray:
    """Return how far a curve goes up and down by turns, (N,), signed; arguments as above."""
    steady = _steadied(values)
    ways = np.abs(np.diff(_turns(steady, least)))
    if not len(ways):
        return ways
    usual = float(np.median(ways[ways >= _LARGE * ways.max()]))
    return np.diff(_turns(steady, max(least, _ENOUGH * usual)))


def _turns(values: FloatArray, least: float) -> list[float]:
    """Return where a curve begins, turns and ends, without ways shorter than `least`."""
    turns, ahead = [float(values[0])], 0.0  # which way it goes; 0: not known yet
    low = high = far = turns[0]
    for value in values[1:]:
        if not ahead:
            low, high = min(low, value), max(high, value)
            if high - low >= least:
                ahead, far = (1.0, value) if value == high else (-1.0, value)
                turns = [float(low if ahead > 0 else high)]
        elif (value - far) * ahead > 0:
            far = value
        elif (far - value) * ahead >= least:
            turns.append(float(far))
            ahead, far = -ahead, value
    return [*turns, float(far)] if ahead else turns


def _steadied(values: FloatArray) -> FloatArray:
    """Return running medians of five: a body misplaced in one or two looks goes nowhere."""
    if len(values) < 5:
        return values
    padded = np.pad(values, 2, mode="edge")
    steady: FloatArray = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    return steady


def _range(values: FloatArray) -> float:
    low, high = np.percentile(values, [3, 97])
    return float(high - low)
