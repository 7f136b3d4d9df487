"""Body landmarks over time, as arrays.

Pure.  Landmark numbers are those of MediaPipe's pose model (33 points).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

COUNT = 33
UPRIGHT_SHARE = 70  # percentile of the torso's length that counts as upright
_STRAY_TORSOS = 0.8  # there and back again within two looks: no body does that
_ELSEWHERE_TORSOS = 3.0  # between two looks: further away is another body
_ON_ITS_WAY_TORSOS = 1.5  # from where the pace before or after would have brought it
_MOMENT_S = 0.45  # between two looks: in less a body is not replaced by another one
_UPRIGHT = 0.8  # vertical share of the torso
_LEAST_LEGS = 0.15  # torsos from the hips down to the feet: a deep squat has 0.4
NOSE = 0
HEAD = (0, 7, 8)  # nose and ears
SHOULDERS = (11, 12)
ELBOWS = (13, 14)
WRISTS = (15, 16)
HANDS = (15, 16, 19, 20)
HIPS = (23, 24)
KNEES = (25, 26)
ANKLES = (27, 28)
FEET = (27, 28, 29, 30, 31, 32)
MOVING = (11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)  # joints that carry an effort
LEGS = (25, 26, 27, 28)

BONES = (
    *((11, 12), (11, 13), (13, 15), (12, 14), (14, 16), (11, 23), (12, 24), (23, 24)),
    *((23, 25), (25, 27), (27, 31), (24, 26), (26, 28), (28, 32)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poses:
    """One person's landmarks in sampled frames."""

    times_s: FloatArray  # (T,), presentation time, increasing
    points_px: FloatArray  # (T, 33, 2), x and y; NaN where nobody was found
    visibility: FloatArray  # (T, 33), 0 to 1; 0 where nobody was found
    width_px: int  # of the sampled pictures
    height_px: int

    def __post_init__(self) -> None:
        """Refuse shapes that do not belong together."""
        samples = len(self.times_s)
        if self.points_px.shape != (samples, COUNT, 2):
            raise ValueError(f"points: {self.points_px.shape} for {samples} samples")
        if self.visibility.shape != (samples, COUNT):
            raise ValueError(f"visibility: {self.visibility.shape} for {samples} samples")

    @property
    def is_found(self) -> NDArray[np.bool_]:
        """Whether somebody was found, (T,)."""
        return ~np.isnan(self.points_px[:, NOSE, 0])

    @property
    def usual_torso_px(self) -> float:
        """The torso's length where the body stands upright; 0 where nobody was found."""
        torsos_px = self.torso_px()[self.is_found]
        return float(np.percentile(torsos_px, UPRIGHT_SHARE)) if len(torsos_px) else 0.0

    def middle_px(self, landmarks: tuple[int, ...]) -> FloatArray:
        """Return the mean position of some landmarks, (T, 2)."""
        middle: FloatArray = self.points_px[:, list(landmarks)].mean(axis=1)
        return middle

    def torso_px(self) -> FloatArray:
        """Return the distance between the middles of shoulders and hips, (T,), in px."""
        return torso_px(self.points_px)

    def without(self, looks: NDArray[np.int64] | NDArray[np.bool_]) -> "Poses":
        """Return the poses as if nobody had been found in some looks."""
        points, visibility = self.points_px.copy(), self.visibility.copy()
        points[looks], visibility[looks] = np.nan, 0.0
        return replace(self, points_px=points, visibility=visibility)

    def between(self, start_s: float, end_s: float) -> "Poses":
        """Return the looks of a stretch of time, both ends included."""
        inside = (self.times_s >= start_s) & (self.times_s <= end_s)
        return replace(
            self,
            times_s=self.times_s[inside],
            points_px=self.points_px[inside],
            visibility=self.visibility[inside],
        )


def torso_px(points_px: FloatArray) -> FloatArray:
    """Return the distance between the middles of shoulders and hips, in px.

    Args:
        points_px: the landmarks of one body or of many, (..., 33, 2).
    """
    shoulders, hips = (points_px[..., list(pair), :].mean(axis=-2) for pair in (SHOULDERS, HIPS))
    torso: FloatArray = np.linalg.norm(shoulders - hips, axis=-1)
    return torso


_SHOWN = (NOSE, *MOVING, 31, 32)  # what a skeleton is drawn of
_SCALE = 2000  # of the picture's width and height: finer than the model sees
_VISIBLE = 0.3


def skeleton_document(poses: Poses) -> dict[str, object]:
    """Return what a skeleton is drawn from in a player, small: some kB for a second.

    Args:
        poses: of the athlete; looks that found nobody are left out.

    Returns:
        `bones`, pairs of joints; `times_ms`, in presentation time; `points`, for each of these x
        and y of every joint in 1/`scale` of the picture, null where it is not visible.
    """
    found = np.flatnonzero(poses.is_found)
    joints = list(_SHOWN)
    size = (max(1, poses.width_px), max(1, poses.height_px))
    scaled = np.rint(poses.points_px[found][:, joints] * _SCALE / size).astype(int)
    visible = poses.visibility[found][:, joints] >= _VISIBLE
    points = [
        [
            value if is_visible else None
            for pair, is_visible in zip(look.tolist(), shown.tolist(), strict=True)
            for value in pair
        ]
        for look, shown in zip(scaled, visible, strict=True)
    ]
    return {
        "schema": 1,
        "scale": _SCALE,
        "bones": [[joints.index(a), joints.index(b)] for a, b in BONES],
        "times_ms": [round(float(time_s) * 1000) for time_s in poses.times_s[found]],
        "points": points,
    }


def resampled(poses: Poses, *, fps: float, longest_gap_s: float) -> Poses:
    """Return the poses on an even grid, found ones joined by straight lines.

    The model looks more or less often; speeds and filters want even steps.  Nobody is found in
    the grid where the next looks are further apart than `longest_gap_s`, or found nobody, or, after
    more than 0.45 s, somebody in another place: that is another body.
    """
    known = np.flatnonzero(poses.is_found)
    if not len(known):
        return poses
    at_s = poses.times_s[known]
    grid_s = np.arange(at_s[0], at_s[-1] + 0.5 / fps, 1 / fps)
    behind = np.clip(np.searchsorted(at_s, grid_s), 1, max(1, len(at_s) - 1))
    if len(at_s) == 1:
        near = np.ones(len(grid_s), dtype=bool)
    else:
        gap_s = np.diff(at_s)
        is_same = (gap_s <= _MOMENT_S) | ~_is_elsewhere(poses, known)
        near = ((gap_s <= longest_gap_s) & is_same)[behind - 1]
    flat = poses.points_px[known].reshape(len(known), -1)
    points = _interpolated(grid_s, at_s, flat).reshape(-1, COUNT, 2)
    visibility = _interpolated(grid_s, at_s, poses.visibility[known])
    points[~near] = np.nan
    visibility[~near] = 0.0
    return Poses(
        times_s=grid_s,
        points_px=points,
        visibility=visibility,
        width_px=poses.width_px,
        height_px=poses.height_px,
    )


def _is_elsewhere(poses: Poses, known: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each found look is followed by one in another place, (len(known) - 1,).

    A body that goes on as fast as before, or comes as fast as it goes on, is the same one.
    """
    hips, torso = poses.middle_px(HIPS)[known], poses.torso_px()[known]
    steps, gap_s = np.diff(hips, axis=0), np.diff(poses.times_s[known])[:, None]
    paces = np.pad(steps / gap_s, ((1, 1), (0, 0)), constant_values=np.inf)
    with np.errstate(invalid="ignore"):  # nothing is known before the first look
        off = [np.linalg.norm(steps - pace * gap_s, axis=1) for pace in (paces[:-2], paces[2:])]
    size = np.maximum(torso[1:], torso[:-1])
    is_far = np.linalg.norm(steps, axis=1) > _ELSEWHERE_TORSOS * size
    elsewhere: NDArray[np.bool_] = is_far & (np.min(off, axis=0) > _ON_ITS_WAY_TORSOS * size)
    return elsewhere


def without_strays(poses: Poses) -> Poses:
    """Return the poses without looks that show no body.

    The model sometimes takes a machine or a shadow for a body: for one picture, somewhere else
    than before and after, or with feet where the hips are, which an upright torso cannot have.
    """
    poses = poses.without(_folded(poses))
    known = np.flatnonzero(poses.is_found)
    if len(known) < 3:
        return poses
    hips, torso = poses.middle_px(HIPS)[known], np.nanmedian(poses.torso_px())
    there = np.linalg.norm(hips[1:-1] - hips[:-2], axis=1)
    back = np.linalg.norm(hips[2:] - hips[1:-1], axis=1)
    across = np.linalg.norm(hips[2:] - hips[:-2], axis=1)
    strays = known[1:-1][np.minimum(there, back) > across + _STRAY_TORSOS * torso]
    return poses.without(strays)


def _folded(poses: Poses) -> NDArray[np.int64]:
    """Return the looks in which both feet are as high as the hips under an upright torso."""
    hips, shoulders = poses.middle_px(HIPS), poses.middle_px(SHOULDERS)
    torso = poses.torso_px()
    legs = poses.points_px[:, list(ANKLES), 1].max(axis=1) - hips[:, 1]
    upright = hips[:, 1] - shoulders[:, 1] > _UPRIGHT * torso
    return np.flatnonzero(poses.is_found & upright & (legs < _LEAST_LEGS * torso))


def _interpolated(grid_s: FloatArray, at_s: FloatArray, values: FloatArray) -> FloatArray:
    return np.stack([np.interp(grid_s, at_s, column) for column in values.T], axis=1)
