"""Intervals, runs of a mask, and crops of arrays.  Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.landmarks import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch of a capture, `[start_s, end_s)`, in presentation time."""

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_s - self.start_s

    def padded(self, before_s: float, after_s: float, *, within: "Interval") -> "Interval":
        """Return the interval with so much on each side, inside another."""
        return Interval(
            start_s=max(within.start_s, self.start_s - before_s),
            end_s=min(within.end_s, self.end_s + after_s),
        )

    def overlap_s(self, other: "Interval") -> float:
        """Return for how long both last."""
        return max(0.0, min(self.end_s, other.end_s) - max(self.start_s, other.start_s))


def merged(stretches: Iterable[Interval], *, rest_s: float) -> list[Interval]:
    """Return ordered stretches, those less than `rest_s` apart made one."""
    joined: list[Interval] = []
    for stretch in sorted(stretches, key=lambda s: s.start_s):
        if joined and stretch.start_s - joined[-1].end_s < rest_s:
            last = joined[-1]
            joined[-1] = Interval(start_s=last.start_s, end_s=max(last.end_s, stretch.end_s))
        else:
            joined.append(stretch)
    return joined


Image = NDArray[np.uint8]  # (height, width, 3), RGB, C-contiguous
Grey = NDArray[np.uint8]  # (height, width), brightness, usually small


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A rectangle, in fractions of the upright frame, 0 to 1."""

    left: float
    top: float
    right: float
    bottom: float

    def of(self, image: Image) -> tuple[Image, FloatArray]:
        """Return that part of a picture, and where its corner is: (2,), x and y in px."""
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


Mask = NDArray[np.bool_]


def runs(mask: Mask) -> list[tuple[int, int]]:
    """Return first and last sample of each run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def lasting(mask: Mask, samples: int) -> Mask:
    """Return the mask without runs shorter than that."""
    kept = mask.copy()
    for first, last in runs(mask):
        if last - first + 1 < samples:
            kept[first : last + 1] = False
    return kept


def around(wide: Mask, sure: Mask) -> Mask:
    """Return the runs of a mask in which another one holds at least once."""
    kept = np.zeros_like(wide)
    for first, last in runs(wide):
        kept[first : last + 1] = sure[first : last + 1].any()
    return kept


def unbroken(mask: Mask, samples: int, *, bridging: int) -> Mask:
    """Return the mask without runs shorter than that; breaks shorter than `bridging` end none."""
    return lasting(~lasting(~mask, bridging), samples)


def bridged(mask: Mask, samples: int) -> Mask:
    """Return the mask with the breaks in it that are shorter than that; its ends stay."""
    filled, known = mask.copy(), np.flatnonzero(mask)
    if len(known):
        inner = slice(known[0], known[-1] + 1)
        filled[inner] = ~lasting(~mask[inner], samples)
    return filled


def wide(mask: Mask, reach: int) -> Mask:
    """Return the mask widened by `reach` samples on each side."""
    kernel = np.ones(2 * reach + 1)
    return np.convolve(np.pad(mask.astype(float), reach), kernel, mode="valid") > 0.5
