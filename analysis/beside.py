"""What moves where the body is and beside it, and the picture without that body.  Pure.

The model follows one body, and not always the right one: a passer near the camera may be it, while
the athlete jumps far behind.  Where the body that was followed makes no effort, but something
else moves beside it, moment by moment, the picture is looked at once more with that body painted
over: then the model finds the other one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analysis.crop import Crop
from analysis.image import Image
from analysis.landmarks import FloatArray, Poses

Moved = NDArray[np.bool_]  # which blocks of the upright picture moved, (rows, columns)

_MARGIN = 0.25  # of the body's larger side, to be painted over: hair, hands, shadow
_CLOSE = 0.08  # the same, for what is the body's own movement
_NEAR_S = 0.6  # a look tells where the body is for so long
_LEAST_SHARE = 0.01  # of the blocks: a body far away is no smaller
_OFTEN = 6  # moments at which a block must have moved
_WIDENED = 0.12  # of the frame, around what moves


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a body is at each look, as boxes."""

    times_s: FloatArray  # (T,), only looks that found it
    boxes: FloatArray  # (T, 4): left, top, right, bottom, in fractions of the frame

    @classmethod
    def of(cls, poses: Poses, *, margin: float = _MARGIN) -> Self:
        """Return where the body of these poses is, with a margin, a share of its larger side."""
        points = poses.points_px[poses.is_found] / (
            max(1, poses.width_px),
            max(1, poses.height_px),
        )
        low, high = points.min(axis=1), points.max(axis=1)
        beyond = margin * (high - low).max(axis=1, keepdims=True)
        boxes = np.concatenate([low - beyond, high + beyond], axis=1)
        return cls(poses.times_s[poses.is_found], np.clip(boxes, 0.0, 1.0))

    def at(self, time_s: float) -> FloatArray | None:
        """Return the box at a moment, (4,), or None where it is not known."""
        if not len(self.times_s):
            return None
        nearest = np.abs(self.times_s - time_s).min()
        if nearest > _NEAR_S:
            return None
        return np.array([np.interp(time_s, self.times_s, side) for side in self.boxes.T])

    def painted_over(self, image: Image, time_s: float) -> Image:
        """Return the picture without the body, in the picture's own mean colour."""
        box = self.at(time_s)
        if box is None:
            return image
        rows, columns = _within(box, image.shape[:2])
        painted = image.copy()
        painted[rows, columns] = image.reshape(-1, 3)[::97].mean(axis=0).astype(np.uint8)
        return painted


def moments_within(moves: Sequence[tuple[float, Moved]], poses: Poses) -> list[float]:
    """Return the moments at which something moved where the body is, or where it may be."""
    moments, there = [], Whereabouts.of(poses, margin=_CLOSE)
    for time_s, moved in moves:
        box = there.at(time_s)
        if moved.any() if box is None else moved[_within(box, moved.shape)].any():
            moments.append(time_s)
    return moments


def restless_beside(moves: Sequence[tuple[float, Moved]], there: Whereabouts) -> Crop | None:
    """Return the part of the picture in which something moves beside the body, or None.

    Args:
        moves: moments at which something moved, and where.
        there: where the body is.
    """
    if not moves:
        return None
    often: NDArray[np.int64] = np.zeros(moves[0][1].shape, dtype=np.int64)
    for time_s, moved in moves:
        apart = moved.copy()
        box = there.at(time_s)
        if box is not None:
            apart[_within(box, apart.shape)] = False
        often += apart
    where = np.argwhere(often >= _OFTEN)
    if len(where) < max(2.0, _LEAST_SHARE * often.size):
        return None
    rows, columns = where[:, 0], where[:, 1]
    high, wide = often.shape
    return Crop(
        left=float(columns.min()) / wide,
        top=float(rows.min()) / high,
        right=float(columns.max() + 1) / wide,
        bottom=float(rows.max() + 1) / high,
    ).widened(_WIDENED)


def _within(box: FloatArray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the rows and columns of a picture that a box touches."""
    high, wide = shape[0], shape[1]
    left, right = int(box[0] * wide), int(np.ceil(box[2] * wide))
    top, bottom = int(box[1] * high), int(np.ceil(box[3] * high))
    return slice(top, bottom), slice(left, right)
