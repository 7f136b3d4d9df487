"""How hips, shoulders and hands go down and up, one passage after the other.  Pure.

Every lift and jump is made of such passages: a squat is one down and one up, of the hips and of
the shoulders; a deadlift of the shoulders more than of the hips; a press of the hands.  Between
them a body may wait as long as it likes, in any posture: waiting is no passage, whether a bar
lies on the back or not.

Landmarks invent movement, too: feet that leave the picture are guessed, and a body that walks in
grows out of the picture's edge.  So a passage counts only where the body goes that way in the
picture as well as against its own feet, no faster than a body can, and not while it walks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from analysis.landmarks import FloatArray
from analysis.motion import GRID_FPS, Motion, stays_in
from analysis.primitives import Mask

_LEAST_HIPS, _LEAST_TRUNK, _LEAST_HANDS = 0.25, 0.35, 0.6  # torsos
_UNDER_WAY = 0.35  # of a passage: from there on it continues, before it may only drift
_CREEPS, _STEADY = 0.10, 3  # torsos a second over so many samples: slower is no longer part of it
_AGREES, _BEYOND = 0.60, 1.8  # shares of its way that the body also goes in the picture
_FASTEST, _FASTEST_HANDS = 5.0, 12.0  # torsos a second
_LONGEST_S = 8.0
_AT_SHOULDERS = -0.45  # torsos above the shoulders, of hands that came up
_RISES = 1.6  # torsos: a body that is first found in a crouch rises by less
_APPEARS = 2  # samples at the begin and end of a stay, while a body walks in or out
_WALKS = 0.5  # of a passage
_LUNGES = 4  # swings, which is down and up twice
_REST = 10  # samples between two of them
_ONE_HANDED, _OTHER_HAND = 6, 35  # swings of one hand, and samples that the other one may take
_ARM_SWINGS_S = 0.4  # of somebody who runs, from one end to the other
_ALIKE = 0.6  # of another one's way
_STAYS = 0.9  # torsos across the picture: a lunge goes less far, a step and a bow further


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """One passage from one end to the other: first and last sample of the grid, and how far."""

    first: int
    last: int
    way: float  # torsos, signed: upwards is positive
    visit: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return (self.last - self.first) / GRID_FPS

    def held_s(self, back: "Swing") -> float:
        """Return how long the body stays where it turns, before the way back."""
        return (back.first - self.last) / GRID_FPS

    def is_as_far_as(self, other: "Swing") -> bool:
        """Tell whether another swing goes about as far, in either direction."""
        return _ALIKE < abs(self.way / other.way) < 1 / _ALIKE

    def later(self, *, samples: int, visits: int) -> "Swing":
        """Return it on a grid that begins so many samples, and stays, earlier."""
        return replace(
            self,
            first=self.first + samples,
            last=self.last + samples,
            visit=self.visit + visits,
        )

    def overlaps(self, other: "Swing", *, reach: int = 0) -> bool:
        """Tell whether another swing lasts at the same time, or nearly."""
        return self.first - reach <= other.last and other.first - reach <= self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Swings:
    """The passages of one body, in order."""

    hips: list[Swing]
    trunk: list[Swing]  # of the shoulders
    hands: list[Swing]  # that come to the shoulders or above, or come from there
    each_hand: list[Swing]  # the same of each hand alone, one hand after the other

    @property
    def body(self) -> list[Swing]:
        """Those of hips and shoulders."""
        return sorted([*self.hips, *self.trunk], key=lambda swing: swing.first)

    @property
    def one_handed(self) -> list[Swing]:
        """Those of each hand alone, where it does so many times in a row."""
        return [swing for series in self.sets_of_one_hand(_ONE_HANDED) for swing in series]

    def sets_of_one_hand(self, least: int) -> list[list[Swing]]:
        """Return the swings of one hand, in series of so many and more: slower than in a run."""
        return [
            series
            for series in series_of(self.each_hand, rest=_OTHER_HAND)
            if len(series) >= least and min(one.seconds for one in series) > _ARM_SWINGS_S
        ]


def swings_of(motion: Motion, walking: Mask) -> Swings:
    """Return the passages of a body.

    Args:
        motion: its curves.
        walking: while it walks through the picture, (T,).
    """
    grows = [
        swing
        for swing in _swings(motion.trunk_height, motion, _RISES)
        if abs(swing.way) > _RISES and _appears(swing, motion)
    ]
    hips, trunk = (
        _of_body(
            [
                swing
                for swing in _swings(curve, motion, least)
                if _agrees(swing, up_px / motion.unit_px)
                and not any(swing.overlaps(other) for other in grows)
            ],
            motion,
            walking,
        )
        for curve, up_px, least in (
            (motion.hip_height, motion.hip_up_px, _LEAST_HIPS),
            (motion.trunk_height, motion.trunk_up_px, _LEAST_TRUNK),
        )
    )
    hands = _of_hands(motion.wrist_height, motion, walking)
    each_hand = [
        swing for wrist in motion.wrist_heights.T for swing in _of_hands(wrist, motion, walking)
    ]
    return Swings(hips=hips, trunk=trunk, hands=hands, each_hand=each_hand)


def _of_hands(height: FloatArray, motion: Motion, walking: Mask) -> list[Swing]:
    """Return the swings of a hand, or of both, to the shoulders or above, or from there."""
    return [
        swing
        for swing in _swings(height, motion, _LEAST_HANDS)
        if _is_real(swing, motion, _FASTEST_HANDS)
        and not _walks(swing, walking)
        and height[[swing.first, swing.last]].max() > _AT_SHOULDERS
    ]


def _of_body(swings: Sequence[Swing], motion: Motion, walking: Mask) -> list[Swing]:
    """Return the swings of hips or shoulders that a body makes, on the spot or in lunges.

    Nobody who walks goes down and up again, as far each time, one after the other.
    """
    lunges = {
        id(swing) for series in series_of(swings) if len(series) >= _LUNGES for swing in series
    }
    return [
        swing
        for swing in swings
        if _is_real(swing, motion, _FASTEST)
        and (
            id(swing) in lunges
            or (not _walks(swing, walking) and abs(_gone(swing, motion)) < _STAYS)
        )
    ]


def series_of(swings: Sequence[Swing], *, rest: int = _REST) -> list[list[Swing]]:
    """Return the swings, in order, in series: up and down by turns, alike and without a rest.

    Args:
        swings: of one curve.
        rest: samples between two of them, at most.
    """
    series: list[list[Swing]] = []
    for swing in swings:
        last = series[-1][-1] if series else None
        if (
            last is not None
            and last.visit == swing.visit
            and last.way * swing.way < 0
            and 0 <= swing.first - last.last < rest
            and swing.is_as_far_as(last)
        ):
            series[-1].append(swing)
        else:
            series.append([swing])
    return series


def _is_real(swing: Swing, motion: Motion, fastest: float) -> bool:
    """Tell whether a body can do that, and is not walking in or out meanwhile."""
    here = slice(swing.first, swing.last + 1)
    speed = abs(swing.way) / (swing.seconds + 1 / GRID_FPS)
    appears = _appears(swing, motion) and bool(motion.at_border[here].any())
    return speed < fastest and swing.seconds < _LONGEST_S and not appears


def _walks(swing: Swing, walking: Mask) -> bool:
    """Tell whether the body walks meanwhile."""
    return float(walking[swing.first : swing.last + 1].mean()) > _WALKS


def _appears(swing: Swing, motion: Motion) -> bool:
    """Tell whether the body is only just found, or about to be lost."""
    before, behind = swing.first - _APPEARS, swing.last + _APPEARS
    visits = motion.visit
    return (before >= 0 and visits[before] != swing.visit) or (
        behind < len(visits) and visits[behind] != swing.visit
    )


def _agrees(swing: Swing, up: FloatArray) -> bool:
    """Tell whether the body goes the same way in the picture."""
    share = float(up[swing.last] - up[swing.first]) / swing.way
    return _AGREES < share < _BEYOND


def _gone(swing: Swing, motion: Motion) -> float:
    """Return how far the body gets across the picture meanwhile, torsos."""
    across = motion.hip_across_px / motion.unit_px
    return float(across[swing.last] - across[swing.first])


def _swings(curve: FloatArray, motion: Motion, least: float) -> list[Swing]:
    found = []
    for visit in range(stays_in(motion.visit)):
        here = np.flatnonzero(motion.visit == visit)
        turns = _turning_points(curve[here[0] : here[-1] + 1], least)
        for first, last in pairwise(turns):
            found.append(_trimmed(curve, int(here[0]) + first, int(here[0]) + last, visit))
    return found


def _turning_points(curve: FloatArray, least: float) -> list[int]:
    """Return where a curve turns, if it goes at least so far before it turns back."""
    turns: list[int] = []
    low = high = 0
    way = 0  # 1 upwards, -1 downwards, 0 not known yet
    for index, value in enumerate(curve):
        low = index if value < curve[low] else low
        high = index if value > curve[high] else high
        if way <= 0 and value - curve[low] >= least:
            turns.append(low)
            way, high = 1, index
        elif way >= 0 and curve[high] - value >= least:
            turns.append(high)
            way, low = -1, index
    return [*turns, high if way > 0 else low] if turns else []


def _trimmed(curve: FloatArray, first: int, last: int, visit: int) -> Swing:
    """Return a passage without what drifts or waits at both of its ends."""
    way = float(curve[last] - curve[first])
    share = (curve[first : last + 1] - curve[first]) / way
    begins = int(np.flatnonzero(share <= _UNDER_WAY)[-1])
    ends = int(np.flatnonzero(share >= 1 - _UNDER_WAY)[0])
    least = _CREEPS / GRID_FPS * _STEADY / abs(way)  # of the way, in so many samples
    while begins > 0 and share[begins] - share[max(0, begins - _STEADY)] > least:
        begins -= 1
    while ends < last - first and share[min(len(share) - 1, ends + _STEADY)] - share[ends] > least:
        ends += 1
    if begins < ends:
        first, last = first + begins, first + ends
    return Swing(first=first, last=last, way=way, visit=visit)
