"""Which movements are efforts, with start and end.  Pure.

Moving is not enough: people walk in, chalk their hands and shift their weight.  An effort shows
in the posture.  The body goes down or up, the hands come up to the shoulders or above, or the
legs run; each of these is a sign, seen moment by moment:

- *low*: the hips are nearer the feet than when this body stands;
- *raised*: the hands are at the shoulders or above;
- *flying*: hips and feet go up together;
- *running*: the legs swing fast against the hips for some time, on the spot or far faster than
  anybody walks;
- *busy* (only where nothing is known of the station's activity): the posture goes on changing for
  long.

A motionless moment in a posture of effort, such as a set-up at the bar or a bar held overhead,
belongs to the effort; a long one is rest.  From the first sign to the last the interval is then
widened to where the body left rest and came back to it, but not over walking.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.landmarks import FloatArray
from analysis.motion import GRID_FPS, Motion
from analysis.primitives import Interval, Mask, around, lasting, merged, runs, unbroken, wide

_LOW = 0.22  # torsos below standing
_STANDING_SHARE = 80  # percentile of the hips' height in a stay that counts as standing
_RAISED = -0.30  # torsos above the shoulders, mean of both hands; hanging ones are at -1
_OVERHEAD = 0.35  # one hand alone
_FLYING = 0.18  # torsos, hips and feet
_HELD_S = 5.0  # without any movement: no longer an effort
_ALIVE = 0.15  # torsos that hips or hands move
_CHANGE_S = 2.0  # in that time
_RUN_S = 1.4
_RUN_LEGS = 1.1  # torsos a second, mean over that time, at least once in a run
_STILL_RUN_LEGS = 0.6  # the same, before and after: seen from the front legs swing less
_ON_THE_SPOT = 0.55  # torsos a second: less is no walk
_RUN_GOING = 3.6  # torsos a second: nobody walks that fast (walking is 2 to 3)
_BUSY_S = 8.0
_BREAK_S = 1.5  # of standing still ends it
_BUSY = 0.25  # torsos a second, mean over that time
_LEAVE = 0.20  # torsos a second: rest
_SLOW_HANDS, _SLOW_HIPS = 0.30, 0.12  # the same for hands and hips alone, which lead a slow effort
_CHANGE = 0.4  # torsos that hips or hands travel in the least effort
_WALK = 0.6  # torsos a second sideways
_WALK_SAMPLES = 12  # of the grid: a step off a box or to the bar is shorter
_LOST_S = 0.3  # a body lost at the picture's border goes on for that long
_UNSEEN_BEFORE_S = 3.0  # a body found or lost in the middle of an effort, at most that much
_UNSEEN_AFTER_S = 8.0
_GAP_S = 0.3
_ABOUT_TO = 5  # samples between a last sign and the body's loss
_SAME_PLACE = 1.0  # torsos
_WIDEN_S = 1.5  # an effort begins and ends at most so far from its signs
_GUARD_BEFORE_S, _GUARD_AFTER_S = 0.10, 0.15  # filters and the model's own smoothing blur an edge
_SHORTEST_S = 0.35
_SEEN_LATE_S, _SEEN_EARLY_S = 1.0, 0.5  # a slow begin and end hardly show in the small picture


@dataclass(frozen=True, slots=True, kw_only=True)
class EffortSignals:
    """The signs of effort on the grid, each (T,)."""

    low: Mask
    raised: Mask
    flying: Mask
    running: Mask
    busy: Mask

    @property
    def any(self) -> Mask:
        """Whether there is any sign."""
        return self.low | self.raised | self.flying | self.running | self.busy


def signs_of(motion: Motion, *, count_busy: bool) -> EffortSignals:
    """Return the signs of effort of one body.

    Args:
        motion: its curves.
        count_busy: whether going on moving for long is an effort.
    """
    if not len(motion.visit):  # not one picture could be looked at
        none = np.zeros(0, dtype=np.bool_)
        return EffortSignals(low=none, raised=none, flying=none, running=none, busy=none)
    alive = _alive(motion)
    going = np.abs(np.nan_to_num(motion.going))
    low = _low(motion) & alive & ~walking_of(motion)
    raised = (motion.wrist_height > _RAISED) | (motion.high_wrist > _OVERHEAD)
    legs = _windowed(np.nan_to_num(motion.leg_speed), _RUN_S)
    moved = _windowed(np.nan_to_num(motion.going), _RUN_S)
    stays = np.abs(moved) < _ON_THE_SPOT
    on_the_spot = around((legs > _STILL_RUN_LEGS) & stays, (legs > _RUN_LEGS) & stays)
    running = on_the_spot | (np.abs(moved) > _RUN_GOING) | (going > _RUN_GOING)
    busy = np.zeros(len(motion.visit), dtype=np.bool_)
    if count_busy:
        going_on = np.nan_to_num(motion.posture_speed) > _BUSY / 2
        busy = unbroken(going_on, round(_BUSY_S * GRID_FPS), bridging=round(_BREAK_S * GRID_FPS))
        busy &= _windowed(np.nan_to_num(motion.posture_speed), _BUSY_S) > _BUSY
    found = motion.is_found
    return EffortSignals(
        low=low & found,
        raised=lasting(raised & alive & found, 2),
        flying=_flying(motion) & found,
        running=lasting(running & found, 4),
        busy=busy & found,
    )


def efforts_of(
    motion: Motion,
    signs: EffortSignals,
    *,
    rest_s: float,
    within: Interval,
    stirring: Sequence[Interval] = (),
    moving: Sequence[Interval] | None = None,
) -> list[Interval]:
    """Return the efforts of one body, in order, without padding.

    Args:
        motion: its curves.
        signs: of effort.
        rest_s: less rest than that between two efforts: one.
        within: the capture.
        stirring: when anything moved in the picture: a body that the model loses in the middle
            of an effort and of the picture is taken to go on while that lasts.
        moving: when anything moved where the body is; None: not known.  Landmarks tremble on a
            picture that stands still: an effort ends where the picture comes to rest.
    """
    found = []
    for first, last in runs(signs.any):
        start, end = _widened(motion, first, last)
        found.append(_placed(motion, (start, end), within, stirring))
    whole = merged(found, rest_s=rest_s)
    if moving is not None:
        whole = [kept for effort in whole if (kept := _without_rest(effort, moving)) is not None]
    return [effort for effort in whole if _is_effort(effort, motion, signs)]


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


def _alive(motion: Motion) -> Mask:
    """Return whether the posture changed at all not long before or after, (T,).

    Not its speed but its way over two seconds is asked for: a last repetition can be very slow.
    """
    reach = round(_CHANGE_S * GRID_FPS)
    changed = np.zeros(len(motion.visit), dtype=np.bool_)
    for curve in (motion.hip_height, motion.wrist_height):
        way = -_before(-curve, reach) - _before(curve, reach)
        changed |= np.nan_to_num(way) > _ALIVE
    return wide(changed, round(_HELD_S / 2 * GRID_FPS))


def _low(motion: Motion) -> Mask:
    """Return whether the hips are nearer the feet than this body's are when it stands, (T,)."""
    low = np.zeros(len(motion.visit), dtype=np.bool_)
    for visit in range(int(motion.visit.max(initial=-1)) + 1):
        here = motion.visit == visit
        standing = float(np.percentile(motion.hip_height[here], _STANDING_SHARE))
        low[here] = motion.hip_height[here] < standing - _LOW
    return low


def _flying(motion: Motion) -> Mask:
    """Return whether hips and feet are above where they were a moment before or after, (T,)."""
    reach = round(0.8 * GRID_FPS)
    least = _FLYING * motion.unit_px
    flying = np.ones(len(motion.visit), dtype=np.bool_)
    for up in (motion.foot_up_px, motion.hip_up_px):
        ground = np.maximum(_before(up, reach), _after(up, reach))
        with np.errstate(invalid="ignore"):
            flying &= up - ground > least
    return flying


def _before(values: FloatArray, reach: int) -> FloatArray:
    """Return the lowest value from `reach` samples before each to itself, (T,)."""
    padded = np.concatenate([np.full(reach, np.inf), np.where(np.isnan(values), np.inf, values)])
    lowest = np.lib.stride_tricks.sliding_window_view(padded, reach + 1).min(axis=1)
    return np.where(np.isfinite(lowest), lowest, np.nan)


def _after(values: FloatArray, reach: int) -> FloatArray:
    return _before(values[::-1], reach)[::-1]


def _widened(motion: Motion, first: int, last: int) -> tuple[int, int]:
    """Return the run reaching to where the body left rest and came back to it."""
    reach = round(_WIDEN_S * GRID_FPS)
    moves = _leaves_rest(motion) & motion.is_found & ~walking_of(motion)
    start = first
    while start > max(0, first - reach) and moves[start - 1]:
        start -= 1
    end = last
    while end < min(len(moves) - 1, last + reach) and moves[end + 1]:
        end += 1
    return start, end


def _leaves_rest(motion: Motion) -> Mask:
    """Return whether the body moves at all, (T,): as a whole, or slowly with hands or hips."""
    moves = np.nan_to_num(motion.speed) > _LEAVE
    for curve, least in ((motion.wrist_height, _SLOW_HANDS), (motion.hip_height, _SLOW_HIPS)):
        apart = np.full(len(curve), np.nan)
        apart[2:-2] = np.abs(curve[4:] - curve[:-4]) * GRID_FPS / 4
        moves |= np.nan_to_num(apart) > least
    return moves


def _placed(
    motion: Motion, run: tuple[int, int], within: Interval, stirring: Sequence[Interval]
) -> Interval:
    """Return a run of samples as an interval inside the capture."""
    step_s = 1 / GRID_FPS
    first, last = run
    ends = len(motion.visit) - 1
    start_s = float(motion.times_s[first]) - step_s - _GUARD_BEFORE_S
    end_s = float(motion.times_s[last]) + step_s + _GUARD_AFTER_S
    if first == 0 or motion.visit[first - 1] != motion.visit[first]:
        unseen_s = _UNSEEN_BEFORE_S if not motion.at_border[first] else _LOST_S
        start_s = max(start_s - unseen_s, _stirred(stirring, start_s, start_s - _LOST_S).start_s)
    if (motion.visit[last : last + 1 + _ABOUT_TO] != motion.visit[last]).any() or last == ends:
        unseen_s = _UNSEEN_AFTER_S if not motion.at_border[last] else _LOST_S
        gone_s = min(end_s + unseen_s, _stirred(stirring, end_s, end_s + _LOST_S).end_s)
        end_s = max(end_s, min(gone_s, _seen_again_s(motion, last)))
    if start_s < within.start_s + 2 * step_s:
        start_s = within.start_s
    if end_s > within.end_s - 2 * step_s:
        end_s = within.end_s
    return Interval(start_s=max(start_s, within.start_s), end_s=min(end_s, within.end_s))


def _seen_again_s(motion: Motion, last: int) -> float:
    """Return when the body is found again where it was lost; infinite if it is not."""
    unit = float(motion.unit_px[last])
    same = np.abs(motion.hip_across_px - motion.hip_across_px[last]) < _SAME_PLACE * unit
    behind = (motion.visit > motion.visit[last]) & same
    return float(motion.times_s[behind][0]) if behind.any() else np.inf


def _stirred(stirring: Sequence[Interval], at_s: float, other_s: float) -> Interval:
    """Return the time around a moment during which something moved, at least up to `other_s`."""
    around = [s for s in stirring if s.start_s - _GAP_S <= at_s <= s.end_s + _GAP_S]
    ends_s = [at_s, other_s, *(s.start_s for s in around), *(s.end_s for s in around)]
    return Interval(start_s=min(ends_s), end_s=max(ends_s))


def _is_effort(effort: Interval, motion: Motion, signs: EffortSignals) -> bool:
    """Tell whether the signs in an interval last long enough and the posture really changed."""
    inside = (motion.times_s >= effort.start_s) & (motion.times_s <= effort.end_s)
    lasting = float(signs.any[inside].sum()) / GRID_FPS >= _SHORTEST_S
    if not lasting:
        return False
    ways = [_way(curve[inside]) for curve in (motion.hip_height, motion.wrist_height)]
    return max(ways) > _CHANGE or bool(np.nanmax(motion.speed[inside], initial=0.0) > 2 * _LEAVE)


def _way(curve: FloatArray) -> float:
    """Return how far a curve goes, from its lowest to its highest value."""
    known = curve[~np.isnan(curve)]
    return float(np.ptp(known)) if len(known) else 0.0


def _windowed(values: FloatArray, seconds: float) -> FloatArray:
    """Return means over a window around each moment."""
    width = max(1, round(seconds * GRID_FPS))
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    mean: FloatArray = np.convolve(padded, np.ones(width) / width, mode="valid")
    return mean
