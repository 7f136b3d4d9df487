"""A part of the picture, in fractions of the frame."""

from dataclasses import dataclass

import numpy as np

from analysis.image import Image
from analysis.landmarks import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A rectangle, in fractions of the upright frame, 0 to 1."""

    left: float
    top: float
    right: float
    bottom: float

    def of(self, image: Image) -> tuple[Image, FloatArray]:
        """Return that part of a picture, and where its corner lies: (2,), x and y in px."""
        height, width = image.shape[:2]
        left, right = _ends(self.left, self.right, width)
        top, bottom = _ends(self.top, self.bottom, height)
        return np.ascontiguousarray(image[top:bottom, left:right]), np.array([left, top], float)

    def widened(self, share: float) -> "Crop":
        """Return it larger by a share of the frame on each side, inside the frame."""
        return Crop(
            left=max(0.0, self.left - share),
            top=max(0.0, self.top - share),
            right=min(1.0, self.right + share),
            bottom=min(1.0, self.bottom + share),
        )


def _ends(first: float, last: float, size: int) -> tuple[int, int]:
    low = min(max(0, int(first * size)), size - 2)
    return low, max(low + 2, min(size, int(np.ceil(last * size))))
