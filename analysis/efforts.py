"""Which movements are efforts, with start and end, and how sure that is.  Pure.

From the first sign (see `analysis.signs`) to the last, an effort is widened to where the body left
rest and came back to it, but not over walking.

What an interval holds is evidence.  Down and up again is a cycle; down alone is somebody
who sits down.  What fits the station's activity needs less evidence than what does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise

import numpy as np

from analysis.motion import GRID_FPS, Motion
from analysis.movement import gait_of, jumps, name_movement
from analysis.primitives import Interval, Mask, merged, runs
from analysis.signs import (
    AT_EDGE_S,
    WITH_BODY,
    EffortSignals,
    fills,
    turns,
)
from analysis.swings import Swing, Swings, series_of

_LEAVE = 0.20  # torsos a second: rest
_SLOW_HANDS, _SLOW_HIPS = 0.30, 0.12  # the same for hands and hips alone, which lead a slow effort
_LOST_S = 0.3  # a body lost at the picture's border continues for that long
_UNSEEN_BEFORE_S = 3.0  # a body found or lost in the middle of an effort, at most that much
_UNSEEN_AFTER_S = 8.0
_GAP_S = 0.3
_ABOUT_TO = 5  # samples between a last sign and the body's loss
_PAST_S = 5.0  # somebody who walks past hides a body for no longer
_SAME_PLACE = 1.0  # torsos
_WIDEN_S = 1.5  # an effort begins and ends at most so far from its signs
_GUARD_BEFORE_S, _GUARD_AFTER_S = 0.10, 0.15  # filters and the model's own smoothing blur an edge
_MOVES_AT_LEAST = 0.2  # of the time with signs: slow arms hardly show in the small picture
_SEEN_LATE_S, _SEEN_EARLY_S = 1.0, 0.5  # a slow begin and end hardly show in the small picture


class Evidence(IntEnum):
    """How sure it is that an interval holds an effort."""

    NONE = 0
    DOUBTFUL = 1  # worth a person's look, where one is expected
    SURE = 2


def efforts_of(
    motion: Motion,
    signs: EffortSignals,
    *,
    rest_s: float,
    within: Interval,
    stirring: Sequence[Interval] = (),
    moving: Sequence[Interval] | None = None,
    activity: str | None = None,
) -> tuple[list[Interval], Evidence]:
    """Return the efforts of one body, in order, without padding, and how sure the surest is.

    Args:
        motion: its curves.
        signs: of effort.
        rest_s: less rest than that between two efforts: one.
        within: the capture.
        stirring: when anything moved in the picture: a body that the model loses in the middle
            of an effort and of the picture is taken to continue while that lasts.
        moving: when anything moved where the body is; None: not known.  Landmarks tremble on a
            picture that stands still: an effort ends where the picture comes to rest.
        activity: what the station is set to; anything else must be plainer to count.
    """
    if not signs.any.any():
        return [], Evidence.NONE
    moves = _leaves_rest(motion) & motion.is_found & ~signs.walking
    found = []
    for run in runs(signs.any):
        if moving is not None and not _is_seen_moving(motion, run, moving):
            continue
        start, end = _widened(moves, *run)
        back = _past_somebody(motion, signs.walking, (start, end), stirring)
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
    """Return how sure the surest effort is; what begins or ends with `within` needs less."""
    return max(
        (_evidence(motion, signs, one, activity=activity, within=within) for one in efforts),
        default=Evidence.NONE,
    )


def _plausible(
    efforts: Sequence[Interval],
    motion: Motion,
    signs: EffortSignals,
    activity: str | None,
    within: Interval,
) -> tuple[list[Interval], Evidence]:
    """Return the efforts worth a clip, the sure ones or else those worth a person's look.

    And how sure the surest is.

    Who made a sure effort will have bent down and stretched before it; only what the capture's
    begin or end cut off may be the rest of another one.
    """
    levels = [
        _evidence(motion, signs, effort, activity=activity, within=within) for effort in efforts
    ]
    highest = max(levels, default=Evidence.NONE)
    worth = [
        effort
        for effort, level in zip(efforts, levels, strict=True)
        if level and (level is highest or _cuts(effort, within))
    ]
    return worth, highest


def _cuts(effort: Interval, within: Interval) -> int:
    """Return at how many of its ends the capture cuts an effort off, or nearly."""
    begins_before = effort.start_s < within.start_s + AT_EDGE_S
    return begins_before + (effort.end_s > within.end_s - AT_EDGE_S)


def _is_seen_moving(motion: Motion, run: tuple[int, int], moving: Sequence[Interval]) -> bool:
    """Tell whether the picture moves where the body does: a table taken for a body stands still."""
    first, last = run
    signs = Interval(
        start_s=float(motion.times_s[first]), end_s=float(motion.times_s[last]) + 1 / GRID_FPS
    )
    return sum(signs.overlap_s(one) for one in moving) > _MOVES_AT_LEAST * signs.seconds


def _without_rest(effort: Interval, moving: Sequence[Interval]) -> Interval | None:
    """Return an effort without what comes before and after all movement; None: there is none."""
    during = [stretch for stretch in moving if stretch.overlap_s(effort) > 0]
    if not during:
        return None
    begins_s = min(stretch.start_s for stretch in during) - _SEEN_LATE_S
    ends_s = max(stretch.end_s for stretch in during) + _SEEN_EARLY_S
    return replace(effort, start_s=max(effort.start_s, begins_s), end_s=min(effort.end_s, ends_s))


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
_SPRING = 1.75  # torsos a second upwards: who picks something up rises slower
_SPRING_DIP = 0.2  # torsos of the dip before it
_CROUCH_S = 2.5  # in it: who ties a shoe stays down for longer
_PAUSE_S = 3.0  # at the lower end of a single repetition: who sits down or kneels stays for longer
_SEVERAL = 2  # cycles: nobody who sits down or stretches continues like that
_SET = 3  # cycles of both hands in a row, alike and at one pace: who talks moves them, too
_MANY = 5  # the same of one hand
_SET_REST = 20  # samples between two swings of a set
_PACE = 1.8  # times as long as the one before a cycle of a set may take
_GAIT_S, _FAST_GAIT_S = 1.2, 0.6  # of running, and of getting on faster than anybody walks
_CUT_GAIT_S = 0.5  # of a run that the capture cuts off
_PLAIN_RUN = 4.5  # torsos a second: who walks fast, seen from above, gets on with 4
_STRIDE_S = 0.7  # on both sides of a run, so that whole strides are seen
_SEEN = 0.5  # of a run: in a corner of the picture the model finds pieces of passers-by
_UNSURE_S = 0.6  # of a run's edge: some looks until the legs' speed is known
_MOSTLY = 0.5  # of a run
_COMES_RHYTHM = 0.48  # of strides: who walks seldom has more than 0.46, who runs 0.5 to 0.9
_FEET_GUESSED = 0.4  # visibility of the better ankle: 0.6 and more in runs, 0.2 of guessed ones
_BESIDE_S = 1.0  # before and after a run: walking there counts against it
_APPROACH_S = 0.6  # before and after a jump's top: who walks at both may only be two people
_LONG_GAIT_S = 2.5  # legs that swing for so long may run, though their rhythm does not show
_PLAIN_GAIT_S = 3.5  # where no run is expected: passers-by take some steps in sight
_HANDS_SHOW_PX = 30.0  # of the torso: the hands of a smaller body are guessed
_OVERHEAD, _HANGING = 0.2, -0.6  # torsos above the shoulders
_STRAIGHT = 0.2  # torsos that the way over the elbow may be longer than the direct one
_HIGH_PERCENTILE = 90  # of samples that may be misplaced
_BOTH = 0.3  # of the way of the one hand that the other one goes, too


def _evidence(
    motion: Motion,
    signs: EffortSignals,
    effort: Interval,
    *,
    activity: str | None,
    within: Interval,
) -> Evidence:
    """Return how sure it is that a body makes an effort between two moments."""
    inside = (motion.times_s >= effort.start_s) & (motion.times_s <= effort.end_s)
    cuts = _cuts(effort, within)
    # Of a lift that fills its recording the capture may cut off what the hands go with.
    lifts = _lifts(motion, signs.swings, inside, within, reach=WITH_BODY if cuts > 1 else 0)
    flights = len(runs(signs.flying & inside))
    runs_here = _runs(motion, signs, effort, inside, within=within)
    of_kind = {
        "weightlifting": lifts.evidence(cuts=cuts),
        "jumping": _jumps(motion, signs, effort, inside, springs=lifts.springs),
        "running": runs_here,
    }
    if activity is None:
        return Evidence.SURE if (signs.busy & inside).any() else max(of_kind.values())
    several = lifts.body_set >= _SEVERAL or flights >= _SEVERAL
    gait_s = float((signs.running & ~signs.comes & inside).sum()) / GRID_FPS
    if lifts.is_plain or (gait_s >= _PLAIN_GAIT_S and runs_here is Evidence.SURE):
        return Evidence.SURE
    return max(of_kind.get(activity, Evidence.NONE), Evidence(several))


def _jumps(
    motion: Motion, signs: EffortSignals, effort: Interval, inside: Mask, *, springs: bool
) -> Evidence:
    """Return how sure it is that somebody jumps.

    A body that flies without a jump, or in the middle of a walk, may be two that the model takes
    for one.
    """
    if springs or (signs.hopping & inside).any():
        return Evidence.SURE
    if not (signs.flying & inside).any():
        return Evidence.NONE
    for jump in jumps(motion, effort):
        sides_s = [jump.top_s - _APPROACH_S, jump.top_s + _APPROACH_S]
        if not np.interp(sides_s, motion.times_s, signs.walking).all():
            return Evidence.SURE
    return Evidence.DOUBTFUL


def _runs(
    motion: Motion, signs: EffortSignals, effort: Interval, inside: Mask, *, within: Interval
) -> Evidence:
    """Return how sure it is that somebody runs.

    A run lasts, has the rhythm of strides, is named running, shows its feet, and has less walking
    around it than running.  Otherwise the model may have switched between people who walk.  Before
    a wide lens who walks comes as fast as who runs before a narrow one: only strides tell then.
    """
    running = np.flatnonzero(signs.running & inside)
    if not len(running):
        return Evidence.NONE
    runs_s = len(running) / GRID_FPS
    first_s, last_s = (float(motion.times_s[end]) for end in running[[0, -1]])
    # An effort also lasts where the body is not seen: only strides that are seen are cut off.
    seen = Interval(start_s=first_s, end_s=last_s).padded(_UNSURE_S, _UNSURE_S, within=effort)
    cuts = _cuts(seen, within)
    fast_s = float((signs.travel[inside] > _PLAIN_RUN).sum()) / GRID_FPS
    if fast_s < _FAST_GAIT_S and runs_s < (_CUT_GAIT_S if cuts else _GAIT_S):
        return Evidence.NONE
    named = name_movement(motion, signs, effort, expected="running").activity
    seen_s = float((motion.is_found & inside).sum()) / GRID_FPS
    looks_so = named == "running" and seen_s > _SEEN * effort.seconds
    if fast_s >= _FAST_GAIT_S:
        return Evidence.SURE if looks_so else Evidence.DOUBTFUL
    strides = Interval(start_s=first_s, end_s=last_s).padded(_STRIDE_S, _STRIDE_S, within=effort)
    gait = gait_of(motion.looked, strides)
    shows_strides = gait is None or gait.may_run
    if signs.comes[running].mean() > _MOSTLY:
        runs_so = gait is not None and gait.rhythm > _COMES_RHYTHM
        return Evidence(int(runs_so) + int(runs_so and looks_so))
    if cuts > 1 and (gait is None or gait.plainly_takes_turns):
        shows_strides = looks_so = True  # few strides fill a short recording, too few to name them
    if not shows_strides:
        return Evidence(runs_s >= _LONG_GAIT_S)
    if np.median(motion.feet_seen[running]) < _FEET_GUESSED:
        is_plain = gait is not None and gait.takes_turns and runs_s >= _PLAIN_GAIT_S
    else:
        near = (motion.times_s > effort.start_s - _BESIDE_S) & (
            motion.times_s < effort.end_s + _BESIDE_S
        )
        is_plain = (near & signs.steps & ~signs.running).sum() < len(running)
    return Evidence.SURE if is_plain and looks_so else Evidence.DOUBTFUL


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lifts:
    """The cycles of a body in an interval."""

    depth: float  # torsos: the deepest cycle of both hips and shoulders, without a long stay below
    cycles: int  # of hips or shoulders, down and up again
    body_set: int  # the same, but for those with a long stay below
    hand_cycles: int
    hand_set: int  # the same, but for those in a row and at one pace alone
    one_handed: int  # cycles of one hand
    one_hand_set: int
    reaches: (
        bool  # whether arms only seem to lift: straight ones overhead, or those of a small body
    )
    with_hands: bool  # whether the hands come up together with the body
    overhead: bool
    presses: bool  # whether both hands go from the shoulders to overhead
    half: float  # torsos: the longest single way of hips or shoulders
    springs: bool  # whether the body rises as for a jump, though its flight may not be seen

    @property
    def is_plain(self) -> bool:
        """Whether nobody would take it for anything else, even where no lift is expected."""
        return self.depth >= _PLAIN_DEEP and (self.with_hands or self.body_set >= _SEVERAL)

    def evidence(self, *, cuts: int) -> Evidence:
        """Return how sure a lift is, of which the capture cuts so many ends off."""
        is_part = cuts > 0 and (self.overhead or self.half >= _DEEP)
        is_lift = self.with_hands and (self.cycles > 0 or is_part)
        of_hands = _SEVERAL if self.presses or cuts else _SET
        is_set = (
            self.body_set >= _SEVERAL or self.hand_set >= of_hands or self.one_hand_set >= _MANY
        )
        if self.depth >= _DEEP or is_lift or is_set:
            return Evidence.SURE
        if self.half >= _DEEP and cuts:  # a recording full of it was made for it
            return Evidence(cuts)
        is_press = self.hand_cycles > 0 and self.overhead
        return Evidence(
            self.cycles > 0
            or self.hand_set >= _SEVERAL
            or is_press
            or self.reaches
            or self.one_handed > 0
            or (self.with_hands and cuts > 0)
        )


def _lifts(motion: Motion, swings: Swings, inside: Mask, within: Interval, *, reach: int) -> _Lifts:
    hips, trunk, hands, one_handed = (
        [swing for swing in part if inside[swing.first : swing.last + 1].any()]
        for part in (swings.hips, swings.trunk, swings.hands, swings.one_handed)
    )
    ups = [swing for swing in hands if swing.way > 0]
    units_px = motion.unit_px[inside & motion.is_found]
    is_near = len(units_px) > 0 and np.median(units_px) >= _HANDS_SHOW_PX
    lifted, one_handed = (
        [swing for swing in part if is_near and not _reaches(motion, swing)]
        for part in (hands, one_handed)
    )
    of_both = [swing for swing in lifted if _is_of_both(motion, swing)]
    return _Lifts(
        depth=max(
            (
                min(_dip(motion, there), _dip(motion, back))
                for there, back in turns(trunk)
                if not _stays_below(there, back)
            ),
            default=0.0,
        ),
        cycles=max(_cycles(hips), _cycles(trunk)),
        body_set=max(
            _cycles(part) - sum(_stays_below(*turn) for turn in turns(part))
            for part in (hips, trunk)
        ),
        hand_cycles=_cycles(lifted),
        hand_set=_longest_set(of_both),
        one_handed=_cycles(one_handed),
        one_hand_set=_longest_set(one_handed),
        reaches=_cycles(hands) > _cycles(lifted),
        with_hands=any(
            fills(up, within) or any(up.overlaps(body, reach=reach) for body in (*hips, *trunk))
            for up in ups
        ),
        overhead=any(motion.wrist_height[up.last] > _OVERHEAD for up in ups),
        presses=any(
            motion.wrist_height[up.first] > _HANGING and motion.wrist_height[up.last] > _OVERHEAD
            for up in of_both
        ),
        springs=any(
            back.way > _SPRING * back.seconds
            and _dip(motion, back) > _SPRING_DIP
            and there.held_s(back) < _CROUCH_S
            for there, back in turns(trunk)
        ),
        half=max((abs(swing.way) for swing in (*hips, *trunk)), default=0.0),
    )


def _reaches(motion: Motion, swing: Swing) -> bool:
    """Tell whether a straight arm swings between hanging and overhead: a bent one lifts weights."""
    ends = motion.wrist_heights[[swing.first, swing.last]]
    hand = int(np.argmax(np.abs(ends[1] - ends[0])))
    low, high = sorted(ends[:, hand])
    bent = motion.arms_bent[swing.first : swing.last + 1, hand]
    is_straight = np.percentile(bent, _HIGH_PERCENTILE) < _STRAIGHT
    return bool(low < _HANGING and high > _OVERHEAD and is_straight)


def _is_of_both(motion: Motion, swing: Swing) -> bool:
    """Tell whether both hands make a swing of their mean."""
    ways = np.abs(motion.wrist_heights[swing.last] - motion.wrist_heights[swing.first])
    return bool(ways.min() > _BOTH * ways.max())


def _cycles(swings: Sequence[Swing]) -> int:
    """Return how often a curve comes up that also goes down, before it or after it."""
    both = {id(swing) for turn in turns(swings) for swing in turn}
    return sum(swing.way > 0 for swing in swings if id(swing) in both)


def _stays_below(there: Swing, back: Swing) -> bool:
    """Tell whether a body stays below for long before it comes up, as of who stretches."""
    return back.way > 0 and there.held_s(back) >= _PAUSE_S


def _longest_set(swings: Sequence[Swing]) -> int:
    """Return how often hands come up one time after the other, as far and at the same pace.

    Both together or one alone, then without a rest between the swings; or one hand after the
    other.
    """
    in_turn = sorted((swing for swing in swings if swing.way > 0), key=lambda swing: swing.first)
    sets = [in_turn, *series_of(swings, rest=_SET_REST)]
    return max(_longest_run([swing for swing in one if swing.way > 0]) for one in sets)


def _longest_run(ups: Sequence[Swing]) -> int:
    """Return how many of some ways up, in order, follow each other alike and at one pace."""
    longest = in_a_row = min(1, len(ups))
    pace_before: int | None = None
    for up, after in pairwise(ups):
        pace = after.first - up.first
        is_alike = after.is_as_far_as(up) and pace > 0
        is_same = pace_before is None or pace_before / _PACE < pace < pace_before * _PACE
        in_a_row = 1 if not is_alike else in_a_row + 1 if is_same else 2
        pace_before = pace if is_alike else None
        longest = max(longest, in_a_row)
    return longest


def _dip(motion: Motion, swing: Swing) -> float:
    """Return how far the hips go with a swing of the shoulders."""
    hips = float(motion.hip_height[swing.last] - motion.hip_height[swing.first])
    return min(abs(swing.way), abs(hips)) if hips * swing.way > 0 else 0.0
