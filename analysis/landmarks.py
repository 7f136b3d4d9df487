"""Body landmarks over time, as arrays.

Pure.  Landmark numbers are those of MediaPipe's pose model (33 points).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

COUNT = 33
NOSE = 0
SHOULDERS = (11, 12)
WRISTS = (15, 16)
HIPS = (23, 24)
ANKLES = (27, 28)
FEET = (27, 28, 29, 30, 31, 32)
MOVING = (11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)  # joints that carry an effort

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
    height_px: int  # of the sampled pictures

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

    def middle_px(self, landmarks: tuple[int, ...]) -> FloatArray:
        """Return the mean position of some landmarks, (T, 2)."""
        middle: FloatArray = self.points_px[:, list(landmarks)].mean(axis=1)
        return middle


def torso_length_px(poses: Poses) -> FloatArray:
    """Return the distance between the middles of shoulders and hips, (T,), in px.

    Never less than half of the capture's usual length: a bent torso shortens in the picture, and
    the unit must not shrink with it.  NaN where nobody was found.
    """
    length: FloatArray = np.linalg.norm(poses.middle_px(SHOULDERS) - poses.middle_px(HIPS), axis=1)
    if not poses.is_found.any():
        return length
    usual = float(np.nanmedian(length))
    return np.maximum(length, usual / 2)  # NaN stays NaN
