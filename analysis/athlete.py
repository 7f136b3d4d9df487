"""Which of several people is the athlete.  Pure.

With a zone it is the one who stands in it.  Without, it is whoever the model follows by itself,
unless much else moves elsewhere in the picture, or he makes no sure effort: then others are looked
for too, and the athlete is who makes the surer effort.  Of two who make sure ones, one far behind
the other is not on the station, nor is a mirror image.  Else, if their efforts overlap, it is not
decided here who it is: a helper who stands nearer to the camera is the larger and often the
livelier one, so a person must say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.efforts import Evidence
from analysis.landmarks import HIPS, MOVING, FloatArray, Poses
from analysis.motion import GRID_FPS, Motion, joined_motion
from analysis.primitives import Crop, Interval, Mask, lasting, merged, runs
from analysis.signs import EffortSignals, joined_signs

Zone = Sequence[tuple[float, float]]  # corners, in fractions of the upright frame

_MARGIN = 0.06  # of the frame, around a body or a zone
_OFTEN = 0.15  # of how often the restless place changes: less is nothing
_ENOUGH = 10  # changes: fewer are an accident
_SMALLEST = 0.04  # of the picture's blocks: less is no person near enough to matter
_FAR_BEHIND = 2.0  # ratio of two bodies' sizes: they do not share a station
_MUCH_MORE = 1.3  # ratio of the efforts that two views of one body show: one lost it
_IN_STEP = 0.9  # correlation of two bodies' heights: one is the other's mirror image
_IN_STEP_S = 1.0  # of common time, at least, to tell
_FEW_SWINGS = 3  # of one hand
_GOES_ON = 15  # samples of the grid before or after a sure run
_AROUND_S = 6.0  # before and after a moment of running: a sprint lasts no longer


@dataclass(frozen=True, slots=True)
class TrackCandidate:
    """Somebody who may be the athlete, and his efforts."""

    motion: Motion
    signs: EffortSignals
    efforts: Sequence[Interval]
    evidence: Evidence  # of the surest effort

    @classmethod
    def joined(cls, scenes: Sequence["TrackCandidate"], looked: Poses) -> "TrackCandidate":
        """Return what was seen in several scenes as one; a surer effort in one is worth all others.

        Args:
            scenes: at least one, in order.
            looked: all of the poses.
        """
        evidence = max(scene.evidence for scene in scenes)
        motions = [scene.motion for scene in scenes]
        return cls(
            motion=joined_motion(motions, looked),
            signs=joined_signs([scene.signs for scene in scenes], motions),
            efforts=[
                effort for scene in scenes if scene.evidence is evidence for effort in scene.efforts
            ],
            evidence=evidence,
        )

    @property
    def under_way(self) -> list[Interval]:
        """What he may have begun before he was looked at, or continued after it.

        That is his efforts, and a few movements of one hand: only many of these are an effort.
        """
        hand, times_s = [], self.motion.times_s
        for series in self.signs.swings.sets_of_one_hand(_FEW_SWINGS):
            seen = np.flatnonzero(self.motion.visit == series[0].visit)
            cut = max(swing.last - swing.first for swing in series)  # a part of one is none
            first, last = max(seen[0], series[0].first - cut), min(seen[-1], series[-1].last + cut)
            hand.append(Interval(start_s=float(times_s[first]), end_s=float(times_s[last])))
        return [*self.efforts, *hand]

    def unclear_runs(self, moving: Sequence[Interval], *, within: Interval) -> list[Interval]:
        """Return where he may run without a sure effort, and what is around it.

        Beside a sure effort that is also where he goes on moving on the spot: a run that is seen
        for a part of its time only.

        Args:
            moving: when anything moves where he is.
            within: the capture.
        """
        times_s, signs = self.motion.times_s, self.signs
        may_run = signs.swinging | signs.running
        if self.evidence is Evidence.SURE:
            going_on = _during(
                [one for one in moving if any(one.overlap_s(own) > 0 for own in self.efforts)],
                times_s,
            )
            may_run = signs.swinging | (going_on & ~signs.steps & ~signs.walking)
            may_run = lasting(may_run & ~_during(self.efforts, times_s), _GOES_ON)
        moments = [
            Interval(start_s=float(times_s[first]), end_s=float(times_s[last]))
            for first, last in runs(may_run)
        ]
        return merged(
            [moment.padded(_AROUND_S, _AROUND_S, within=within) for moment in moments], rest_s=0.0
        )

    @property
    def weight(self) -> float:
        """How large and lively he is in his efforts: px of torso times torsos travelled."""
        total = 0.0
        for effort in self.efforts:
            inside = (self.motion.times_s >= effort.start_s) & (self.motion.times_s < effort.end_s)
            moved = np.nan_to_num(self.motion.posture_speed[inside] * self.motion.unit_px[inside])
            total += float(moved.sum())
        return total

    @property
    def effort_s(self) -> float:
        """For how long he is seen in his efforts."""
        times_s = self.motion.times_s[self.motion.is_found]
        seen = sum(
            int(((times_s >= effort.start_s) & (times_s < effort.end_s)).sum())
            for effort in self.efforts
        )
        return seen / GRID_FPS

    @property
    def size_px(self) -> float:
        """How large he is: his usual torso."""
        found = self.motion.is_found
        return float(np.median(self.motion.unit_px[found])) if found.any() else 0.0


def _during(stretches: Sequence[Interval], times_s: FloatArray) -> Mask:
    """Return which moments, (T,), are in any of some stretches."""
    during = np.zeros(len(times_s), dtype=np.bool_)
    for stretch in stretches:
        during |= (times_s >= stretch.start_s) & (times_s <= stretch.end_s)
    return during


def zone_crop(zone: Zone) -> Crop | None:
    """Return the part of the picture to look at for a zone; None: all of it."""
    if not zone:
        return None
    across, down = [x for x, _ in zone], [y for _, y in zone]
    return Crop(left=min(across), top=min(down), right=max(across), bottom=max(down)).widened(
        _MARGIN
    )


def only_in_zone(poses: Poses, zone: Zone) -> Poses:
    """Return the poses without those whose hips are outside the zone."""
    if not zone:
        return poses
    size = np.array([max(1, poses.width_px), max(1, poses.height_px)])
    return poses.without(~_is_inside(poses.middle_px(HIPS) / size, np.array(zone)))


def restless_elsewhere(restless: NDArray[np.int64], poses: Poses) -> Crop | None:
    """Return the part of the picture where much moves that is not the body, or None.

    Args:
        restless: how often each block of the upright picture changed, (rows, columns).
        poses: of the body that was followed.
    """
    apart = np.where(_covered(restless.shape, poses), 0, restless)
    least = max(_ENOUGH, _OFTEN * float(np.percentile(restless, 98)))
    rows, columns = np.nonzero(apart >= least)
    if len(rows) < _SMALLEST * restless.size:
        return None
    high, wide = restless.shape
    left, right = np.percentile(columns, [5, 95])
    top, bottom = np.percentile(rows, [5, 95])
    found = Crop(
        left=left / wide, top=top / high, right=(right + 1) / wide, bottom=(bottom + 1) / high
    )
    return found.widened(2 * _MARGIN)


def choose_athlete(
    followed: TrackCandidate, other: TrackCandidate | None
) -> tuple[TrackCandidate, bool]:
    """Return who the athlete is, and whether that is sure."""
    if other is None or not other.efforts:
        return followed, True
    if is_same_body(followed.motion, other.motion):
        return _better_seen(followed, other), True
    if followed.evidence != other.evidence:
        return max(followed, other, key=lambda one: one.evidence), True
    first, second = sorted((followed, other), key=lambda one: one.weight, reverse=True)
    larger, smaller = sorted((followed, other), key=lambda one: one.size_px, reverse=True)
    if larger.size_px > _FAR_BEHIND * smaller.size_px or _in_step(first.motion, second.motion):
        return larger, True
    return first, not any(a.overlap_s(b) > 0 for a in first.efforts for b in second.efforts)


def _in_step(first: Motion, second: Motion) -> bool:
    """Tell whether two bodies go up and down as one."""
    a, b = _together(first, second)
    if len(a) < _IN_STEP_S * GRID_FPS:
        return False
    one, other = first.trunk_height[a], second.trunk_height[b]
    alike = float(((one - one.mean()) * (other - other.mean())).mean())
    return alike > _IN_STEP * float(one.std() * other.std()) > 0


def _better_seen(first: TrackCandidate, second: TrackCandidate) -> TrackCandidate:
    """Return the better of two views of one body: the one that shows an effort, and most of it.

    A track that switched to another person on the way may have found a body in more looks.
    """
    if first.evidence != second.evidence:
        return max(first, second, key=lambda one: one.evidence)
    less, more = sorted((first, second), key=lambda one: one.effort_s)
    if more.effort_s > _MUCH_MORE * less.effort_s:
        return more
    return max(first, second, key=lambda one: int(one.motion.is_found.sum()))


def is_same_body(first: Motion, second: Motion) -> bool:
    """Tell whether two tracks are mostly of one body: in the same place at the same time."""
    a, b = _together(first, second)
    if not len(a):
        return False
    up = first.hip_up_px[a] - second.hip_up_px[b]
    across = first.hip_across_px[a] - second.hip_across_px[b]
    return float(np.median(np.hypot(up, across) / first.unit_px[a])) < 1.0


def _together(first: Motion, second: Motion) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the samples of two tracks, (T,) each, at which both bodies are found."""
    times_s, other_s = np.round(first.times_s, 1), np.round(second.times_s, 1)
    _, a, b = np.intersect1d(times_s, other_s, return_indices=True)
    both = first.is_found[a] & second.is_found[b]
    return a[both], b[both]


def _covered(shape: tuple[int, ...], poses: Poses) -> NDArray[np.bool_]:
    """Return which blocks the body ever was in, with a margin."""
    covered = np.zeros(shape, dtype=np.bool_)
    scale = np.array([shape[1] / max(1, poses.width_px), shape[0] / max(1, poses.height_px)])
    for points in poses.points_px[poses.is_found][:, list(MOVING)]:
        low = np.floor(points.min(axis=0) * scale - _MARGIN * shape[1]).astype(int)
        high = np.ceil(points.max(axis=0) * scale + _MARGIN * shape[1]).astype(int)
        low, high = np.maximum(low, 0), np.maximum(high, 0)
        covered[low[1] : high[1] + 1, low[0] : high[0] + 1] = True
    return covered


def _is_inside(points: FloatArray, corners: FloatArray) -> NDArray[np.bool_]:
    """Return which points, (T, 2), lie inside a polygon; NaN does not.

    A ray to the right crosses the outline an odd number of times (even-odd rule).
    """
    inside = np.zeros(len(points), dtype=np.bool_)
    x, y = points[:, 0], points[:, 1]
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crosses = (y1 > y) != (y2 > y)
        with np.errstate(invalid="ignore", divide="ignore"):
            inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside
