"""Signs of effort, moment by moment.  Pure.

Moving is not enough: people walk in, sit down, stretch and shift their weight.  An effort is a
plausible cycle, and each of its parts is a sign:

- *low*: hips or shoulders go down or up;
- *raised*: the hands come up to the shoulders or above, or down from there;
- *flying*: hips and feet go up together;
- *hopping*: hips and both feet go up and down together, in a rhythm, as over a rope, or straight
  arms do, to overhead and back, and the hips a little, as in jumping jacks;
- *running*: the legs swing fast and in turn for some time, on the spot, or the body gets on far
  faster than anybody walks, across the picture or by growing and shrinking in it;
- *busy* (only where nothing is known of the station's activity): the posture keeps changing for
  long, apart from walking.

A hold between two parts of a cycle, such as a set-up at the bar or a bar held overhead, belongs to
the effort; a long one is rest, and so is waiting upright, whatever the hands do meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import pairwise

import numpy as np

from analysis.landmarks import ANKLES, HIPS, FloatArray, Poses
from analysis.motion import GRID_FPS, Motion, stays_in
from analysis.primitives import Interval, Mask, around, bridged, lasting, runs, unbroken
from analysis.swings import Swing, Swings, series_of, swings_of

_FLYING = 0.18  # torsos that hips and feet rise
_FLIES_UPRIGHT = 0.3  # vertical share of the torso: who lies or crawls does not jump
_FLYING_PX = 7.0  # of the sampled picture: landmarks of a small body tremble by less
_HOPS_S, _HOPS_STEP_S, _HOP_LOOKS = 2.0, 0.25, 10  # a stretch to tell hops by, and looks in it
_HOPS_HZ = np.arange(1.6, 3.3, 0.05)
_LEAST_HOP = 0.035  # torsos that both feet go up and down (root mean square)
_HOP = 0.55  # correlation of hips and feet: 0.2 in a run
_HOP_ACROSS = 0.7  # of the way upwards
_HOP_RHYTHM = 0.6
_HOP_SIZE = 0.06  # of torso or legs, standard deviation: both change more as somebody comes nearer
_HOPPING_S = 2.7
_JACKS = 6  # times that the arms go up or down, one after the other
_JACK_S, _JACK_HIPS = 0.9, 0.06  # how long each takes at most; torsos that hips go up and down
_JACK_LEGS = 0.5  # torsos a second that legs go out and in
_HANGING, _OVERHEAD = -0.5, 0.1  # torsos above the shoulders
_TREND_S = 1.2  # a hop takes 0.5 s, a stride 0.6 to 0.8, a lunge three times as long
_SETTLED = 4  # samples before and after
_HELD_S = 6.0  # between two parts of a cycle: a set-up, a bar held overhead
_MOMENT_S = 2.0  # a recording of one lift alone is shorter
WITH_BODY = 5  # samples: hands that move so near to hips and shoulders move with them
_RUN_S = 1.4
_RUN_LEGS = 0.8  # torsos a second, mean over that time, at least once in a run
_STILL_RUN_LEGS = 0.6  # the same, before and after
_SWING_LEGS = 0.4  # the same of a run whose steps are over between two looks; 0.2 of who stretches
_IN_TURN = -0.3  # of `knees_together`: below -0.4 in a run, above 0.2 in squats
_STILL_IN_TURN = -0.1  # the same, before and after what surely is one
_NOT_TOGETHER = 0.2  # the same where the capture cuts the run off before a stride is whole
_ON_THE_SPOT = 0.55  # torsos a second: less is no walk
_FEET_SLIDE = 0.6  # of the legs' speed: on a treadmill, or followed by the camera
_AS_FAST = 0.6  # of the legs' usual speed in a run: who walks off is slower
_SLOWER_S = 1.5  # legs that seem slower for a moment still run, where a run is expected
_RUN_GOING = 3.6  # torsos a second: nobody walks that fast (walking is 2 to 3)
_COMES, _COMES_ASLANT = 2.4, 3.0  # torsos a second towards the camera, or aslant to it
_STILL_COMES = 0.7  # of that: a run has a beginning and an end
_COMES_S = 1.0
_SUDDEN_S = 0.5  # window of the median: a change to another body lasts less than half of it
_FOOT_STAYS = 0.65  # of the body's speed: a standing foot has 0.5, a runner's 0.8 and more
_GETS_ON = 0.45  # torsos a second through the picture: somebody who walks slowly
_BUSY_S = 8.0
_BUSY_SHARE = 0.8  # of a capture that is shorter
_BREAK_S = 1.5  # of standing still ends it
_BUSY = 0.25  # torsos a second, mean over that time
_WALK = 0.6  # torsos a second sideways
_STEP_SAMPLES = 5  # of the grid: a break that short is one misplaced foot
_WALK_SAMPLES = 12  # of the grid: a step off a box or to the bar is shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class EffortSignals:
    """The signs of effort on the grid, and what speaks against one, each (T,)."""

    low: Mask
    raised: Mask
    flying: Mask
    hopping: Mask
    running: Mask
    swinging: Mask  # legs nearly as fast as in a run, in turn or not: no sign of effort
    busy: Mask
    walking: Mask  # far through the picture
    steps: Mask  # of a walk, also towards the camera
    travel: FloatArray  # torsos a second across the picture
    comes: Mask  # towards the camera or away from it as in a run, or in a walk before a wide lens
    swings: Swings

    @property
    def any(self) -> Mask:
        """Whether there is any sign."""
        return self.low | self.raised | self.flying | self.hopping | self.running | self.busy


def signs_of(
    motion: Motion, *, activity: str | None, within: Interval | None = None
) -> EffortSignals:
    """Return the signs of effort of one body.

    Args:
        motion: its curves.
        activity: what the station is set to.  Where that is not known, going on moving for long is
            an effort; where it is running, legs that stay as fast as in a run are still in it, even
            if they are too small or too far hidden to show that they take turns.
        within: the capture; one that is shorter than a long movement is filled by less.
    """
    none = np.zeros(len(motion.visit), dtype=np.bool_)
    if not len(none):  # not one picture could be looked at
        swings = Swings(hips=[], trunk=[], hands=[], each_hand=[])
        masks = (field.name for field in fields(EffortSignals) if field.type is Mask)
        return EffortSignals(
            **dict.fromkeys(masks, none), travel=none.astype(np.float64), swings=swings
        )
    walking, found = _walking(motion), motion.is_found
    steps, travel = _steps(motion), _travel(motion)
    legs = _windowed(np.nan_to_num(motion.leg_speed), _RUN_S)
    swings = swings_of(motion, walking)
    busy = none
    if activity is None:
        lasting_s = _BUSY_S if within is None else min(_BUSY_S, _BUSY_SHARE * within.seconds)
        going_on = (np.nan_to_num(motion.posture_speed) > _BUSY / 2) & ~steps
        busy = unbroken(going_on, round(lasting_s * GRID_FPS), bridging=round(_BREAK_S * GRID_FPS))
        busy = busy & (_windowed(np.nan_to_num(motion.posture_speed), lasting_s) > _BUSY)
    comes = _comes(motion, travel)
    fast = (travel > _RUN_GOING) | comes
    runs_here = _running(motion, legs, within, steps, fast, is_expected=activity == "running")
    jacks = _jacks(motion, swings) & found
    running = lasting(runs_here & found & ~jacks, 4)  # in which legs go apart fast, too
    hopping = _hopping(motion.looked, motion.times_s) & found
    return EffortSignals(
        low=(_during(swings.hips, none) | _during(swings.trunk, none)) & found,
        raised=_during(_of_an_effort(swings, within), none, held_up=True) & found,
        flying=lasting(_flying(motion) & found, 2),
        # the first steps of a run hop
        hopping=(hopping & ~around(hopping, hopping & running)) | jacks,
        running=running,
        swinging=(legs > _SWING_LEGS) & found & ~steps,
        busy=busy & found,
        walking=walking,
        steps=steps,
        travel=travel,
        comes=comes,
        swings=swings,
    )


def joined_signs(parts: Sequence[EffortSignals], motions: Sequence[Motion]) -> EffortSignals:
    """Return the signs of several scenes as one, in order.

    Args:
        parts: the signs of each.
        motions: the curves of each.
    """
    arrays = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(EffortSignals)
        if field.name != "swings"
    }
    swings = Swings(hips=[], trunk=[], hands=[], each_hand=[])
    samples = visits = 0
    for part, motion in zip(parts, motions, strict=True):
        later = partial(Swing.later, samples=samples, visits=visits)
        swings.hips.extend(map(later, part.swings.hips))
        swings.trunk.extend(map(later, part.swings.trunk))
        swings.hands.extend(map(later, part.swings.hands))
        swings.each_hand.extend(map(later, part.swings.each_hand))
        samples += len(motion.visit)
        visits += stays_in(motion.visit)
    return EffortSignals(**arrays, swings=swings)


def _during(swings: Sequence[Swing], none: Mask, *, held_up: bool = False) -> Mask:
    """Return whether any swing lasts, or the hold between one and the way back, (T,).

    Args:
        swings: of one curve, in order.
        none: what nothing is in.
        held_up: whether a hold at the upper end belongs to it, else at the lower one.
    """
    during = none.copy()
    for swing in swings:
        during[swing.first : swing.last + 1] = True
    for there, back in pairwise(swings):
        if is_turn(there, back) and (there.way > 0) == held_up:
            during[there.last : back.first + 1] = True
    return during


def _of_an_effort(swings: Swings, within: Interval | None) -> list[Swing]:
    """Return the swings of the hands that lift something.

    They go with the body, or up and down alone, or fill a recording that was made of nothing else.
    """
    body = swings.body
    hands = sorted([*swings.hands, *swings.one_handed], key=lambda swing: swing.first)
    alone = {id(swing) for turn in turns(hands) for swing in turn}
    return [
        swing
        for swing in hands
        if id(swing) in alone
        or any(swing.overlaps(other, reach=WITH_BODY) for other in body)
        or (within is not None and fills(swing, within))
    ]


def fills(swing: Swing, within: Interval) -> bool:
    """Tell whether hands that come up are all that a recording has time for.

    Of a lift that is over so soon the body hardly shows a swing: the feet are not known yet when it
    begins, and it is cut off before it ends.
    """
    return within.seconds < _MOMENT_S and swing.way > 0


def is_turn(there: Swing, back: Swing) -> bool:
    """Tell whether one swing is the way back from another."""
    is_soon = there.held_s(back) < _HELD_S
    return there.visit == back.visit and there.way * back.way < 0 and is_soon


def are_cycles_whole(signs: EffortSignals, edge: Mask) -> bool:
    """Tell whether what shows at an edge of the capture is the end of whole cycles, or the begin.

    Args:
        signs: of effort.
        edge: the samples at one edge, (T,).
    """
    if ((signs.flying | signs.hopping | signs.running | signs.busy) & edge).any():
        return False
    at_start, swings = bool(edge[0]), signs.swings
    shown = [
        (part, number)
        for part in (swings.hips, swings.trunk, swings.hands, swings.one_handed)
        for number, swing in enumerate(part)
        if edge[swing.first : swing.last + 1].any()
    ]
    return bool(shown) and all(_is_whole(part, number, at_start) for part, number in shown)


def _is_whole(swings: Sequence[Swing], number: int, at_start: bool) -> bool:
    """Tell whether a swing goes as far as the one that it belongs to, beyond the edge's side."""
    other = number + 1 if at_start else number - 1
    if not 0 <= other < len(swings):
        return False
    there, back = (number, other) if at_start else (other, number)
    ways = (abs(swings[number].way), abs(swings[other].way))
    return is_turn(swings[there], swings[back]) and ways[0] > _WHOLE * ways[1]


def _walking(motion: Motion) -> Mask:
    """Return whether the body walks through the picture, (T,): far, for longer than a leap."""
    going = _windowed(np.nan_to_num(motion.going), 0.5)
    return lasting((np.abs(going) > _WALK) & (np.abs(going) < _RUN_GOING), _WALK_SAMPLES)


def _travel(motion: Motion) -> FloatArray:
    """Return how fast the body gets across the picture, (T,), torsos a second.

    A sudden change of place, where the model turned to another body, does not count.
    """
    return np.abs(_rolling_median(_pace(motion.hip_across_px, motion), _SUDDEN_S))


def _comes(motion: Motion, travel: FloatArray) -> Mask:
    """Return whether the body gets on fast, mostly towards the camera or away from it, (T,)."""
    coming, across = np.abs(motion.coming), travel * motion.unit_px / motion.size_px
    aslant = np.where(coming > across / 2, np.hypot(across, coming), 0.0)
    fast = np.maximum(coming / _COMES, aslant / _COMES_ASLANT)
    return around(fast > _STILL_COMES, lasting(fast > 1.0, round(_COMES_S * GRID_FPS)))


def _pace(place_px: FloatArray, motion: Motion) -> FloatArray:
    """Return how fast a place in the picture changes, (T,), torsos a second.

    0 from one stay to the next, and where nobody is found.
    """
    pace = np.diff(place_px, prepend=np.nan) * GRID_FPS / motion.unit_px
    pace[1:][motion.visit[1:] != motion.visit[:-1]] = 0.0
    return np.nan_to_num(pace)


def _running(
    motion: Motion,
    legs: FloatArray,
    within: Interval | None,
    steps: Mask,
    travels_fast: Mask,
    *,
    is_expected: bool,
) -> Mask:
    """Return whether the legs run, (T,): not in steps, unless the body gets on faster than those.

    Args:
        motion: the body's curves.
        legs: how fast they swing, mean over some time, (T,), torsos a second.
        within: the capture.
        steps: whether it walks.
        travels_fast: whether it gets across the picture faster than anybody walks.
        is_expected: whether the station is set to running.
    """
    moved = np.abs(_windowed(np.nan_to_num(motion.going), _RUN_S))
    # in a walk the standing foot stays in place, so the body moves as fast as its legs swing
    stays = (moved < np.maximum(_ON_THE_SPOT, _FEET_SLIDE * legs)) & (
        np.nan_to_num(motion.knees_together, nan=1.0) < _IN_TURN
    )
    on_the_spot = around((legs > _STILL_RUN_LEGS) & stays, (legs > _RUN_LEGS) & stays)
    fast = (moved > _RUN_GOING) | travels_fast
    can_run = motion.is_found & (~steps | fast)
    running = _going_on((on_the_spot | fast) & can_run, legs, motion, is_expected=is_expected)
    running &= can_run
    if within is None:
        return running
    # Of a run that the capture cuts off too little is there to see whether the knees go in turn:
    # they must not go together.
    together = np.nan_to_num(motion.knees_together) > _NOT_TOGETHER
    swings = (legs > _RUN_LEGS) & (moved < _ON_THE_SPOT) & ~together & can_run
    return running | _at_ends(swings, motion.times_s, within)


def _steps(motion: Motion) -> Mask:
    """Return whether the body walks, also towards the camera and away from it, (T,).

    The foot that carries it stays where it is in the picture, while the body gets on.  On a
    treadmill both feet slide, and so they do where the camera follows a runner.
    """
    stance = _rolling_median(np.nan_to_num(motion.stance_speed), _RUN_S)
    across = _rolling_median(_pace(motion.hip_across_px, motion), _RUN_S)
    # for half of the time the lower foot is the one that stands
    along = _windowed(_pace(motion.foot_up_px, motion), _RUN_S)
    gone = np.hypot(across, along)
    steps = (gone > _GETS_ON) & (stance < _FOOT_STAYS * gone)
    return lasting(bridged(steps, _STEP_SAMPLES), _WALK_SAMPLES)


def _going_on(running: Mask, legs: FloatArray, motion: Motion, *, is_expected: bool) -> Mask:
    """Return a run with what comes before and after it in which the legs are as fast, (T,).

    A camera that follows a runner is now behind him and now ahead: then he seems to walk.
    """
    in_turn = np.nan_to_num(motion.knees_together, nan=1.0) < _STILL_IN_TURN
    longer = running.copy()
    bridging = round(_SLOWER_S * GRID_FPS) if is_expected else 1
    for first, last in runs(lasting(bridged(running, bridging), round(_RUN_S * GRID_FPS))):
        usual = float(np.median(legs[first : last + 1]))
        fast = bridged(legs > _AS_FAST * usual, bridging)
        same = (
            fast & (in_turn | is_expected) & np.isin(motion.visit, motion.visit[first : last + 1])
        ) | running
        longer |= around(same, _only(first, last, len(same)))
    return longer


def _only(first: int, last: int, samples: int) -> Mask:
    only = np.zeros(samples, dtype=np.bool_)
    only[first : last + 1] = True
    return only


def _at_ends(mask: Mask, times_s: FloatArray, within: Interval) -> Mask:
    """Return the parts of a mask that the capture cuts off, (T,), as far as a run is measured."""
    cut_off = np.zeros(len(mask), dtype=np.bool_)
    for first, last in runs(mask):
        here = slice(first, last + 1)
        if times_s[first] < within.start_s + AT_EDGE_S:
            cut_off[here] |= times_s[here] < within.start_s + _RUN_S
        if times_s[last] > within.end_s - AT_EDGE_S:
            cut_off[here] |= times_s[here] > within.end_s - _RUN_S
    return cut_off


def _flying(motion: Motion) -> Mask:
    """Return whether hips and feet of an upright body are above where they were, (T,).

    That is, a moment before and after.
    """
    reach = round(0.8 * GRID_FPS)
    least = np.maximum(_FLYING * motion.unit_px, _FLYING_PX)
    flying = ~(motion.upright < _FLIES_UPRIGHT)
    for step in (-_SETTLED, _SETTLED):  # who only just appears is not known well enough
        there = np.arange(len(flying)) + step
        inside = (there >= 0) & (there < len(flying))
        flying[inside] &= motion.visit[there[inside]] == motion.visit[inside]
    for up in (motion.foot_up_px, motion.hip_up_px):
        for visit in range(stays_in(motion.visit)):  # each has its own ground
            here = motion.visit == visit
            ground = np.maximum(_before(up[here], reach), _after(up[here], reach))
            with np.errstate(invalid="ignore"):
                flying[here] &= up[here] - ground > least[here]
    return flying


def _hopping(looked: Poses, times_s: FloatArray) -> Mask:
    """Return whether the body hops, (T,): too low for a flight that is told by its height.

    In some seconds one rhythm fits what hips and feet do, and they do it together.  A run has such
    a rhythm, too, but its hips are down when a foot is up; a camera that shakes moves them across
    the picture as well; who walks to the camera and back grows and shrinks.
    """
    hops = np.zeros(len(times_s), dtype=np.bool_)
    at_s, points = looked.times_s[looked.is_found], looked.points_px[looked.is_found]
    if len(at_s) < _HOP_LOOKS:
        return hops
    feet_px, hips_px = points[:, list(ANKLES), 1].max(axis=1), points[:, list(HIPS)].mean(axis=1)
    ways = without_trend(at_s, np.column_stack([feet_px, hips_px]) / looked.usual_torso_px)
    torso_px = looked.torso_px()[looked.is_found]
    sizes = np.log(np.maximum(np.column_stack([torso_px, feet_px - hips_px[:, 1]]), 1.0))
    for start_s in np.arange(at_s[0], at_s[-1] - _HOPS_S + _HOPS_STEP_S, _HOPS_STEP_S):
        near = (at_s >= start_s) & (at_s < start_s + _HOPS_S)
        keeps_size = near.sum() >= _HOP_LOOKS and sizes[near].std(axis=0).min() < _HOP_SIZE
        if keeps_size and _hops(at_s[near], ways[near]):
            hops |= (times_s >= start_s) & (times_s < start_s + _HOPS_S)
    return lasting(hops, round(_HOPPING_S * GRID_FPS))


def _jacks(motion: Motion, swings: Swings) -> Mask:
    """Return whether the arms go up and down as in jumping jacks, (T,).

    Somebody who only swings the arms keeps hips and legs still, and a kettlebell takes hips down.
    """
    jacks, up = np.zeros(len(motion.visit), dtype=np.bool_), motion.hip_up_px / motion.unit_px
    arms = [swing for swing in swings.hands if _is_jack(motion, swing)]
    for series in series_of(arms):
        first, last = series[0].first, series[-1].last
        low, high = np.percentile(up[first : last + 1], [5, 95])
        legs = float(np.nanmean(motion.leg_speed[first : last + 1]))
        dips = any(swing.overlaps(one) for swing in swings.body for one in series)
        jumps = high - low > _JACK_HIPS or legs > _JACK_LEGS  # seen from the side, or the front
        if len(series) >= _JACKS and jumps and not dips:
            jacks[first : last + 1] = True
    return jacks


def _is_jack(motion: Motion, swing: Swing) -> bool:
    """Tell whether hands come fast from hanging to overhead, or from there to hanging."""
    heights = motion.wrist_height[[swing.first, swing.last]]
    return bool(swing.seconds <= _JACK_S and heights.min() < _HANGING and heights.max() > _OVERHEAD)


def _hops(at_s: FloatArray, ways: FloatArray) -> bool:
    """Tell whether hips and feet go up and down as in hops.

    Args:
        at_s: the looks, (T,).
        ways: of the feet down, the hips across and down, torsos apart from their trend, (T, 3).
    """
    feet, _, hips = ways.T
    far = np.sqrt((ways**2).mean(axis=0))
    together = float((feet * hips).mean()) / max(float(far[0] * far[2]), 1e-9)
    if far[0] < _LEAST_HOP or together < _HOP or far[1] > _HOP_ACROSS * far[2]:
        return False
    return rhythm_share(at_s, feet + hips, _HOPS_HZ) > _HOP_RHYTHM


def without_trend(at_s: FloatArray, places: FloatArray) -> FloatArray:
    """Return places, (T, N), against their mean over a window around each moment."""
    usual = [places[np.abs(at_s - time_s) <= _TREND_S / 2].mean(axis=0) for time_s in at_s]
    apart: FloatArray = places - np.array(usual)
    return apart


def rhythm_share(at_s: FloatArray, curve: FloatArray, rhythms_hz: FloatArray) -> float:
    """Return which share of a curve's power, (T,), the best of some rhythms explains, 0 to 1."""
    swing = curve - curve.mean()
    phases = 2 * np.pi * rhythms_hz[:, None, None] * at_s[:, None]
    waves = np.concatenate([np.cos(phases), np.sin(phases)], axis=2)  # (rhythms, looks, 2)
    fits = waves @ (np.linalg.pinv(waves) @ swing)[..., None]
    left = ((swing - fits[..., 0]) ** 2).sum(axis=1).min()
    return 1 - float(left) / max(float((swing**2).sum()), 1e-9)


def _before(values: FloatArray, reach: int) -> FloatArray:
    """Return the lowest value from `reach` samples before each to itself, (T,)."""
    padded = np.concatenate([np.full(reach, np.inf), np.where(np.isnan(values), np.inf, values)])
    lowest = np.lib.stride_tricks.sliding_window_view(padded, reach + 1).min(axis=1)
    return np.where(np.isfinite(lowest), lowest, np.nan)


def _after(values: FloatArray, reach: int) -> FloatArray:
    return _before(values[::-1], reach)[::-1]


_WHOLE = 0.8  # of the way there: who came back so far is back
AT_EDGE_S = 0.5  # of the capture: what is cut off there may be half a cycle


def turns(swings: Sequence[Swing]) -> list[tuple[Swing, Swing]]:
    """Return the pairs of which one is the way back from the other."""
    return [(there, back) for there, back in pairwise(swings) if is_turn(there, back)]


def _windowed(values: FloatArray, seconds: float) -> FloatArray:
    """Return means over a window around each moment."""
    if not len(values):
        return values
    padded, width = _padded(values, seconds)
    mean: FloatArray = np.convolve(padded, np.ones(width) / width, mode="valid")
    return mean


def _rolling_median(values: FloatArray, seconds: float) -> FloatArray:
    """Return medians over a window around each moment."""
    if not len(values):
        return values
    padded, width = _padded(values, seconds)
    usual: FloatArray = np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)
    return usual


def _padded(values: FloatArray, seconds: float) -> tuple[FloatArray, int]:
    """Return values with their ends repeated, so that each has a whole window, and its samples."""
    width = max(1, round(seconds * GRID_FPS))
    return np.pad(values, (width // 2, width - 1 - width // 2), mode="edge"), width
