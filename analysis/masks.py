"""Runs of samples in which something holds.  Pure."""

import numpy as np
from numpy.typing import NDArray

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


def wide(mask: Mask, reach: int) -> Mask:
    """Return the mask widened by `reach` samples on each side."""
    kernel = np.ones(2 * reach + 1)
    return np.convolve(np.pad(mask.astype(float), reach), kernel, mode="valid") > 0.5
