"""Which movements are efforts, with start and end, and how sure that is.  Pure.

Moving is not enough: people walk in, sit down, stretch and shift their weight.  An effort is a
plausible cycle, and each of its parts is a sign, seen moment by moment:

- *low*: hips or shoulders go down or up;
- *raised*: the hands come up to the shoulders or above, or down from there;
- *flying*: hips and feet go up together;
- *hopping*: hips and both feet go up and down together, in a rhythm, as over a rope;
- *running*: the legs swing fast and in turn for some time, on the spot or far faster than anybody
  walks;
- *busy* (only where nothing is known of the station's activity): the posture keeps changing for
  long.

A hold between two parts of a cycle, such as a set-up at the bar or a bar held overhead, belongs to
the effort; a long one is rest, and so is waiting upright, whatever the hands do meanwhile.  From
the first sign to the last the interval is then widened to where the body left rest and came back
to it, but not over walking.

`evidence_of` weighs what an interval holds.  Down and up again is a cycle; down alone is somebody
who sits down.  What fits the station's activity needs less evidence than what does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise

import numpy as np

from analysis.landmarks import ANKLES, HIPS, FloatArray, Poses
from analysis.motion import GRID_FPS, Motion
from analysis.primitives import Interval, Mask, around, bridged, lasting, merged, runs, unbroken
from analysis.swings import Swing, Swings, swings_of

_FLYING = 0.18  # torsos, hips and feet
_HOPS_S, _HOPS_STEP_S, _HOP_LOOKS = 2.0, 0.25, 10  # a stretch to tell hops by, and looks in it
_HOPS_HZ = np.arange(1.6, 3.3, 0.05)
_LEAST_HOP = 0.035  # torsos that both feet go up and down (root mean square)
_HOP = 0.55  # correlation of hips and feet: 0.2 in a run
_HOP_ACROSS = 0.7  # of the way upwards
_HOP_RHYTHM = 0.6
_HOPPING_S = 2.7
_TREND_S = 1.2  # a hop takes 0.5 s, a stride 0.6 to 0.8, a lunge three times as long
_SETTLED = 4  # samples before and after
_HELD_S = 6.0  # between two parts of a cycle: a set-up, a bar held overhead
_MOMENT_S = 2.0  # a recording of one lift alone
_WITH_BODY = 5  # samples: hands that move so near to hips and shoulders move with them
_RUN_S = 1.4
_RUN_LEGS = 0.8  # torsos a second, mean over that time, at least once in a run
_STILL_RUN_LEGS = 0.6  # the same, before and after
_IN_TURN = -0.3  # of `knees_together`: below -0.4 in a run, above 0.2 in squats
_STILL_IN_TURN = -0.1  # the same, before and after what surely is one
_NOT_TOGETHER = 0.2  # the same where the capture cuts the run off before a stride is whole
_ON_THE_SPOT = 0.55  # torsos a second: less is no walk
_FEET_SLIDE = 0.6  # of the legs' speed: on a treadmill, or followed by the camera
_AS_FAST = 0.6  # of the legs' usual speed in a run: who walks off is slower
_SLOWER_S = 1.5  # legs that seem slower for a moment still run, where a run is expected
_RUN_GOING = 3.6  # torsos a second: nobody walks that fast (walking is 2 to 3)
_BUSY_S = 8.0
_BUSY_SHARE = 0.8  # of a capture that is shorter
_BREAK_S = 1.5  # of standing still ends it
_BUSY = 0.25  # torsos a second, mean over that time
_LEAVE = 0.20  # torsos a second: rest
_SLOW_HANDS, _SLOW_HIPS = 0.30, 0.12  # the same for hands and hips alone, which lead a slow effort
_WALK = 0.6  # torsos a second sideways
_WALK_SAMPLES = 12  # of the grid: a step off a box or to the bar is shorter
_LOST_S = 0.3  # a body lost at the picture's border continues for that long
_UNSEEN_BEFORE_S = 3.0  # a body found or lost in the middle of an effort, at most that much
_UNSEEN_AFTER_S = 8.0
_GAP_S = 0.3
_ABOUT_TO = 5  # samples between a last sign and the body's loss
_PAST_S = 5.0  # somebody who walks past hides a body for no longer
_SAME_PLACE = 1.0  # torsos
_WIDEN_S = 1.5  # an effort begins and ends at most so far from its signs
_GUARD_BEFORE_S, _GUARD_AFTER_S = 0.10, 0.15  # filters and the model's own smoothing blur an edge
_SEEN_LATE_S, _SEEN_EARLY_S = 1.0, 0.5  # a slow begin and end hardly show in the small picture


class Evidence(IntEnum):
    """How sure it is that an interval holds an effort."""

    NONE = 0
    DOUBTFUL = 1  # worth a person's look, where one is expected
    SURE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EffortSignals:
    """The signs of effort on the grid, each (T,)."""

    low: Mask
    raised: Mask
    flying: Mask
    hopping: Mask
    running: Mask
    busy: Mask
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
        swings = Swings(hips=[], trunk=[], hands=[])
        return EffortSignals(
            **dict.fromkeys(("low", "raised", "flying", "hopping", "running", "busy"), none),
            swings=swings,
        )
    walking, found = walking_of(motion), motion.is_found
    swings = swings_of(motion, walking)
    busy = none
    if activity is None:
        lasting_s = _BUSY_S if within is None else min(_BUSY_S, _BUSY_SHARE * within.seconds)
        going_on = np.nan_to_num(motion.posture_speed) > _BUSY / 2
        busy = unbroken(going_on, round(lasting_s * GRID_FPS), bridging=round(_BREAK_S * GRID_FPS))
        busy = busy & (_windowed(np.nan_to_num(motion.posture_speed), lasting_s) > _BUSY)
    running = lasting(_running(motion, within, is_expected=activity == "running") & found, 4)
    hopping = _hopping(motion.looked, motion.times_s) & found
    return EffortSignals(
        low=(_during(swings.hips, none) | _during(swings.trunk, none)) & found,
        raised=_during(_of_an_effort(swings, within), none, held_up=True) & found,
        flying=lasting(_flying(motion) & found, 2),
        hopping=hopping & ~around(hopping, hopping & running),  # the first steps of a run hop
        running=running,
        busy=busy & found,
        swings=swings,
    )


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
    body, hands = swings.body, swings.hands
    alone = {id(swing) for turn in _turns(hands) for swing in turn}
    return [
        swing
        for swing in hands
        if id(swing) in alone
        or any(swing.overlaps(other, reach=_WITH_BODY) for other in body)
        or (within is not None and _fills(swing, within))
    ]


def _fills(swing: Swing, within: Interval) -> bool:
    """Tell whether hands that come up are all that a recording has time for.

    Of a lift that is over so soon the body hardly shows a swing: the feet are not known yet when it
    begins, and it is cut off before it ends.
    """
    return within.seconds < _MOMENT_S and swing.way > 0


def is_turn(there: Swing, back: Swing) -> bool:
    """Tell whether one swing is the way back from another."""
    held_s = (back.first - there.last) / GRID_FPS
    return there.visit == back.visit and there.way * back.way < 0 and held_s < _HELD_S


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
        for part in (swings.hips, swings.trunk, swings.hands)
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


def efforts_of(
    motion: Motion,
    signs: EffortSignals,
    *,
    rest_s: float,
    within: Interval,
    stirring: Sequence[Interval] = (),
    moving: Sequence[Interval] | None = None,
    activity: str | None = None,
) -> list[Interval]:
    """Return the efforts of one body, in order, without padding.

    Args:
        motion: its curves.
        signs: of effort.
        rest_s: less rest than that between two efforts: one.
        within: the capture.
        stirring: when anything moved in the picture: a body that the model loses in the middle
            of an effort and of the picture is taken to continue while that lasts.
        moving: when anything moved where the body is; None: not known.  Landmarks tremble on a
            picture that stands still: an effort ends where the picture comes to rest.
        activity: what the station is set to, as `evidence_of` wants it.
    """
    if not signs.any.any():
        return []
    walks = walking_of(motion)
    moves = _leaves_rest(motion) & motion.is_found & ~walks
    found = []
    for run in runs(signs.any):
        start, end = _widened(moves, *run)
        back = _past_somebody(motion, walks, (start, end), stirring)
        if back is not None:
            _, end = _widened(moves, back, back)
        found.append(_placed(motion, (start, end), within, stirring))
    whole = merged(found, rest_s=rest_s)
    if moving is not None:
        whole = [kept for effort in whole if (kept := _without_rest(effort, moving)) is not None]
    return _plausible(whole, motion, signs, activity, within)


def surest(
    motion: Motion,
    signs: EffortSignals,
    efforts: Sequence[Interval],
    *,
    activity: str | None,
    within: Interval,
) -> Evidence:
    """Return how sure the surest effort is, as `evidence_of`."""
    return max(
        (evidence_of(motion, signs, one, activity=activity, within=within) for one in efforts),
        default=Evidence.NONE,
    )


def _plausible(
    efforts: Sequence[Interval],
    motion: Motion,
    signs: EffortSignals,
    activity: str | None,
    within: Interval,
) -> list[Interval]:
    """Return the efforts worth a clip: the sure ones, or else those worth a person's look.

    Who made a sure effort will have bent down and stretched before it; only what the capture's
    begin or end cut off may be the rest of another one.
    """
    levels = [
        evidence_of(motion, signs, effort, activity=activity, within=within) for effort in efforts
    ]
    highest = max(levels, default=Evidence.NONE)
    return [
        effort
        for effort, level in zip(efforts, levels, strict=True)
        if level and (level is highest or _cuts(effort, within))
    ]


def _cuts(effort: Interval, within: Interval) -> int:
    """Return at how many of its ends the capture cuts an effort off, or nearly."""
    begins_before = effort.start_s < within.start_s + _AT_EDGE_S
    return begins_before + (effort.end_s > within.end_s - _AT_EDGE_S)


def _without_rest(effort: Interval, moving: Sequence[Interval]) -> Interval | None:
    """Return an effort without what comes before and after all movement; None: there is none."""
    during = [stretch for stretch in moving if stretch.overlap_s(effort) > 0]
    if not during:
        return None
    begins_s = min(stretch.start_s for stretch in during) - _SEEN_LATE_S
    ends_s = max(stretch.end_s for stretch in during) + _SEEN_EARLY_S
    return replace(effort, start_s=max(effort.start_s, begins_s), end_s=min(effort.end_s, ends_s))


def walking_of(motion: Motion) -> Mask:
    """Return whether the body walks through the picture, (T,): far, for longer than a leap."""
    going = _windowed(np.nan_to_num(motion.going), 0.5)
    return lasting((np.abs(going) > _WALK) & (np.abs(going) < _RUN_GOING), _WALK_SAMPLES)


def _running(motion: Motion, within: Interval | None, *, is_expected: bool) -> Mask:
    """Return whether the legs run, (T,)."""
    going = np.abs(np.nan_to_num(motion.going))
    legs = _windowed(np.nan_to_num(motion.leg_speed), _RUN_S)
    moved = np.abs(_windowed(np.nan_to_num(motion.going), _RUN_S))
    # a foot that stands stands still in the picture: who walks goes as fast as his legs
    stays = (moved < np.maximum(_ON_THE_SPOT, _FEET_SLIDE * legs)) & (
        np.nan_to_num(motion.knees_together, nan=1.0) < _IN_TURN
    )
    on_the_spot = around((legs > _STILL_RUN_LEGS) & stays, (legs > _RUN_LEGS) & stays)
    running: Mask = on_the_spot | (moved > _RUN_GOING) | (going > _RUN_GOING)
    running = _going_on(running & motion.is_found, legs, motion, is_expected=is_expected)
    if within is None:
        return running
    # Of a run that the capture cuts off too little is there to see whether the knees go in turn:
    # they must not go together.
    together = np.nan_to_num(motion.knees_together) > _NOT_TOGETHER
    swings = (legs > _RUN_LEGS) & (moved < _ON_THE_SPOT) & ~together & motion.is_found
    return running | _at_ends(swings, motion.times_s, within)


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
        if times_s[first] < within.start_s + _AT_EDGE_S:
            cut_off[here] |= times_s[here] < within.start_s + _RUN_S
        if times_s[last] > within.end_s - _AT_EDGE_S:
            cut_off[here] |= times_s[here] > within.end_s - _RUN_S
    return cut_off


def _flying(motion: Motion) -> Mask:
    """Return whether hips and feet are above where they were a moment before or after, (T,)."""
    reach = round(0.8 * GRID_FPS)
    least = _FLYING * motion.unit_px
    flying = np.ones(len(motion.visit), dtype=np.bool_)
    for step in (-_SETTLED, _SETTLED):  # who only just appears is not known well enough
        there = np.arange(len(flying)) + step
        inside = (there >= 0) & (there < len(flying))
        flying[inside] &= motion.visit[there[inside]] == motion.visit[inside]
    for up in (motion.foot_up_px, motion.hip_up_px):
        for visit in range(int(motion.visit.max(initial=-1)) + 1):  # each has its own ground
            here = motion.visit == visit
            ground = np.maximum(_before(up[here], reach), _after(up[here], reach))
            with np.errstate(invalid="ignore"):
                flying[here] &= up[here] - ground > least[here]
    return flying


def _hopping(looked: Poses, times_s: FloatArray) -> Mask:
    """Return whether the body hops, (T,): too low for a flight that is told by its height.

    In some seconds one rhythm fits what hips and feet do, and they do it together.  A run has such
    a rhythm, too, but its hips are down when a foot is up; a camera that shakes moves them across
    the picture as well.
    """
    hops = np.zeros(len(times_s), dtype=np.bool_)
    at_s, points = looked.times_s[looked.is_found], looked.points_px[looked.is_found]
    if len(at_s) < _HOP_LOOKS:
        return hops
    feet_px, hips_px = points[:, list(ANKLES), 1].max(axis=1), points[:, list(HIPS)].mean(axis=1)
    ways = without_trend(at_s, np.column_stack([feet_px, hips_px]) / looked.usual_torso_px)
    for start_s in np.arange(at_s[0], at_s[-1] - _HOPS_S + _HOPS_STEP_S, _HOPS_STEP_S):
        near = (at_s >= start_s) & (at_s < start_s + _HOPS_S)
        if near.sum() >= _HOP_LOOKS and _hops(at_s[near], ways[near]):
            hops |= (times_s >= start_s) & (times_s < start_s + _HOPS_S)
    return lasting(hops, round(_HOPPING_S * GRID_FPS))


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
    turns = 2 * np.pi * rhythms_hz[:, None, None] * at_s[:, None]
    waves = np.concatenate([np.cos(turns), np.sin(turns)], axis=2)  # (rhythms, looks, 2)
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


def _widened(moves: Mask, first: int, last: int) -> tuple[int, int]:
    """Return the run reaching to where the body left rest and came back to it."""
    reach = round(_WIDEN_S * GRID_FPS)
    start = first
    while start > max(0, first - reach) and moves[start - 1]:
        start -= 1
    end = last
    while end < min(len(moves) - 1, last + reach) and moves[end + 1]:
        end += 1
    return start, end


def _past_somebody(
    motion: Motion, walks: Mask, run: tuple[int, int], stirring: Sequence[Interval]
) -> int | None:
    """Return from where on an effort is seen again during which somebody walked past, or None.

    There the model slides from the one body to the other, and walks off with it.  The effort goes
    on where a body is soon found again in the old place, and something moved all the while.
    """
    first, last = run
    if not walks[last : last + 1 + round(_WIDEN_S * GRID_FPS)].any():
        return None
    back = _back_in_place(motion, first, last)
    if back is None:
        return None
    left_s, back_s = float(motion.times_s[last]), float(motion.times_s[back])
    is_soon = back_s - left_s <= _PAST_S
    return back if is_soon and _stirred(stirring, left_s, left_s).end_s >= back_s else None


def _leaves_rest(motion: Motion) -> Mask:
    """Return whether the body moves at all, (T,): as a whole, or slowly with hands or hips."""
    moves = np.nan_to_num(motion.speed) > _LEAVE
    for curve, least in ((motion.wrist_height, _SLOW_HANDS), (motion.hip_height, _SLOW_HIPS)):
        apart = np.full(len(curve), np.nan)
        apart[2:-2] = np.abs(curve[4:] - curve[:-4]) * GRID_FPS / 4
        moves |= np.nan_to_num(apart) > least
    begins = motion.visit[1:-1] != motion.visit[:-2]  # where no speed is known yet
    moves[1:-1] |= begins & moves[2:]
    return moves


def _placed(
    motion: Motion, run: tuple[int, int], within: Interval, stirring: Sequence[Interval]
) -> Interval:
    """Return a run of samples as an interval inside the capture."""
    step_s = 1 / GRID_FPS
    first, last = run
    ends = len(motion.visit) - 1
    seen_s = (last - first + 1) * step_s  # no more is taken to continue unseen
    start_s = float(motion.times_s[first]) - step_s - _GUARD_BEFORE_S
    end_s = float(motion.times_s[last]) + step_s + _GUARD_AFTER_S
    if first == 0 or motion.visit[first - 1] != motion.visit[first]:
        unseen_s = min(_UNSEEN_BEFORE_S, seen_s) if not motion.at_border[first] else _LOST_S
        start_s = max(start_s - unseen_s, _stirred(stirring, start_s, start_s - _LOST_S).start_s)
    if (motion.visit[last : last + 1 + _ABOUT_TO] != motion.visit[last]).any() or last == ends:
        unseen_s = min(_UNSEEN_AFTER_S, seen_s) if not motion.at_border[last] else _LOST_S
        gone_s = min(end_s + unseen_s, _stirred(stirring, end_s, end_s + _LOST_S).end_s)
        end_s = max(end_s, min(gone_s, _seen_again_s(motion, last)))
    if start_s < within.start_s + 2 * step_s:
        start_s = within.start_s
    if end_s > within.end_s - 2 * step_s:
        end_s = within.end_s
    return Interval(start_s=max(start_s, within.start_s), end_s=min(end_s, within.end_s))


def _seen_again_s(motion: Motion, last: int) -> float:
    """Return when the body is found again where it was lost; infinite if it is not."""
    back = _back_in_place(motion, last, last)
    return np.inf if back is None else float(motion.times_s[back])


def _back_in_place(motion: Motion, first: int, last: int) -> int | None:
    """Return the first sample of a later visit to where the body was meanwhile, or None."""
    across, near = motion.hip_across_px, _SAME_PLACE * float(motion.unit_px[last])
    been = across[first : last + 1]
    same = (across > np.nanmin(been) - near) & (across < np.nanmax(been) + near)
    behind = np.flatnonzero((motion.visit > motion.visit[last]) & same)
    return int(behind[0]) if len(behind) else None


def _stirred(stirring: Sequence[Interval], at_s: float, other_s: float) -> Interval:
    """Return the time around a moment during which something moved, at least up to `other_s`."""
    around = [s for s in stirring if s.start_s - _GAP_S <= at_s <= s.end_s + _GAP_S]
    ends_s = [at_s, other_s, *(s.start_s for s in around), *(s.end_s for s in around)]
    return Interval(start_s=min(ends_s), end_s=max(ends_s))


_DEEP = 0.45  # torsos that hips go down in a lift; a bow does with less
_PLAIN_DEEP = 0.6  # the same where no lift is expected
_SPRING, _SPRING_DIP = (
    1.2,
    0.2,
)  # torsos a second upwards out of a dip so deep: nobody just rises so
_SEVERAL = 2  # cycles: nobody who sits down or stretches continues like that
_GAIT_S, _FAST_GAIT_S = 1.2, 0.6
_CUT_GAIT_S = 0.5  # of a run that the capture cuts off
_PLAIN_GAIT_S = 3.5  # where no run is expected: passers-by take some steps in sight
_OVERHEAD = 0.2  # torsos above the shoulders
_WHOLE = 0.8  # of the way there: who came back so far is back
_AT_EDGE_S = 0.5  # of the capture: what is cut off there may be half a cycle


def evidence_of(
    motion: Motion,
    signs: EffortSignals,
    effort: Interval,
    *,
    activity: str | None,
    within: Interval,
) -> Evidence:
    """Return how sure it is that a body makes an effort between two moments.

    Args:
        motion: its curves.
        signs: of effort.
        effort: from when to when.
        activity: what the station is set to; anything else must be plainer to count.
        within: the capture.
    """
    inside = (motion.times_s >= effort.start_s) & (motion.times_s <= effort.end_s)
    cuts = _cuts(effort, within)
    # Of a lift that fills its recording the capture may cut off what the hands go with.
    lifts = _lifts(motion, signs.swings, inside, within, reach=_WITH_BODY if cuts > 1 else 0)
    flights, hops = len(runs(signs.flying & inside)), bool((signs.hopping & inside).any())
    gait_s = float((signs.running & inside).sum()) / GRID_FPS
    fast_s = float((np.abs(np.nan_to_num(motion.going)) > _RUN_GOING)[inside].sum()) / GRID_FPS
    least_s = _CUT_GAIT_S if cuts else _GAIT_S
    of_kind = {
        "weightlifting": lifts.evidence(cuts=cuts),
        "jumping": Evidence.SURE if flights or lifts.springs or hops else Evidence.NONE,
        "running": (
            Evidence.SURE if gait_s >= least_s or fast_s >= _FAST_GAIT_S else Evidence.NONE
        ),
    }
    if activity is None:
        return Evidence.SURE if (signs.busy & inside).any() else max(of_kind.values())
    several = lifts.cycles >= _SEVERAL or flights >= _SEVERAL
    if lifts.is_plain or gait_s >= _PLAIN_GAIT_S:
        return Evidence.SURE
    return max(of_kind.get(activity, Evidence.NONE), Evidence(several))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lifts:
    """The cycles of a body in an interval."""

    depth: float  # torsos: the deepest cycle of both hips and shoulders
    cycles: int  # of hips or shoulders, down and up again
    hand_cycles: int
    with_hands: bool  # whether the hands come up together with the body
    overhead: bool
    half: float  # torsos: the longest single way of hips or shoulders
    springs: bool  # whether the body rises as for a jump, though its flight may not be seen

    @property
    def is_plain(self) -> bool:
        """Whether nobody would take it for anything else, even where no lift is expected."""
        return self.depth >= _PLAIN_DEEP and (self.with_hands or self.cycles >= _SEVERAL)

    def evidence(self, *, cuts: int) -> Evidence:
        """Return how sure a lift is, of which the capture cuts so many ends off."""
        is_lift = self.with_hands and (self.cycles > 0 or cuts > 0)
        if self.depth >= _DEEP or is_lift or max(self.cycles, self.hand_cycles) >= _SEVERAL:
            return Evidence.SURE
        if self.half >= _DEEP and cuts:  # a recording full of it was made for it
            return Evidence(cuts)
        return Evidence(self.cycles > 0 or (self.hand_cycles > 0 and self.overhead))


def _lifts(motion: Motion, swings: Swings, inside: Mask, within: Interval, *, reach: int) -> _Lifts:
    hips, trunk, hands = (
        [swing for swing in part if inside[swing.first : swing.last + 1].any()]
        for part in (swings.hips, swings.trunk, swings.hands)
    )
    ups = [swing for swing in hands if swing.way > 0]
    return _Lifts(
        depth=max(
            (min(_dip(motion, there), _dip(motion, back)) for there, back in _turns(trunk)),
            default=0.0,
        ),
        cycles=max(_cycles(hips), _cycles(trunk)),
        hand_cycles=_cycles(hands),
        with_hands=any(
            _fills(up, within) or any(up.overlaps(body, reach=reach) for body in (*hips, *trunk))
            for up in ups
        ),
        overhead=any(motion.wrist_height[up.last] > _OVERHEAD for up in ups),
        springs=any(
            back.way > _SPRING * back.seconds and _dip(motion, back) > _SPRING_DIP
            for _, back in _turns(trunk)
        ),
        half=max((abs(swing.way) for swing in (*hips, *trunk)), default=0.0),
    )


def _turns(swings: Sequence[Swing]) -> list[tuple[Swing, Swing]]:
    return [(there, back) for there, back in pairwise(swings) if is_turn(there, back)]


def _cycles(swings: Sequence[Swing]) -> int:
    """Return how often a curve comes up that also goes down, before it or after it."""
    both = {id(swing) for turn in _turns(swings) for swing in turn}
    return sum(swing.way > 0 for swing in swings if id(swing) in both)


def _dip(motion: Motion, swing: Swing) -> float:
    """Return how far the hips go with a swing of the shoulders."""
    hips = float(motion.hip_height[swing.last] - motion.hip_height[swing.first])
    return min(abs(swing.way), abs(hips)) if hips * swing.way > 0 else 0.0


def _windowed(values: FloatArray, seconds: float) -> FloatArray:
    """Return means over a window around each moment."""
    width = max(1, round(seconds * GRID_FPS))
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    mean: FloatArray = np.convolve(padded, np.ones(width) / width, mode="valid")
    return mean
