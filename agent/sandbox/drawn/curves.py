"""Smooth curves through key values.  Pure."""

import numpy as np

from agent.sandbox.drawn.body import FloatArray


def smooth_curve(
    seconds: FloatArray, at_s: FloatArray, values: FloatArray, slopes: FloatArray | None = None
) -> FloatArray:
    """Return values between keys: smooth, never beyond the keys, at rest at both ends.

    Args:
        seconds: when the values are wanted, (T,); outside the keys the nearest one holds.
        at_s: the keys' moments, (K,), increasing.
        values: the keys' values, (K, N).
        slopes: change per second at the keys, (K, N); NaN where the curve is free to choose.

    Returns:
        (T, N).

    Source: F. N. Fritsch and J. Butland, "A Method for Constructing Local Monotone Piecewise
    Cubic Interpolants", 1984.
    """
    step_s = np.diff(at_s)[:, None]
    free = _monotone_slopes(np.diff(values, axis=0) / step_s)
    slope = free if slopes is None else np.where(np.isnan(slopes), free, slopes)
    index = np.clip(np.searchsorted(at_s, seconds, side="right") - 1, 0, len(at_s) - 2)
    length_s = step_s[index]
    share = np.clip((seconds - at_s[index])[:, None] / length_s, 0.0, 1.0)
    start, end = values[index], values[index + 1]
    blend = share**2 * (3 - 2 * share)
    bow = share * (1 - share) * length_s
    curve: FloatArray = (
        start
        + (end - start) * blend
        + bow * ((1 - share) * slope[index] - share * slope[index + 1])
    )
    return curve


def ease(seconds: FloatArray, begin_s: float, end_s: float) -> FloatArray:
    """Return a share that rises smoothly from 0 to 1 between two moments, (T,)."""
    share = np.clip((seconds - begin_s) / (end_s - begin_s), 0.0, 1.0)
    eased: FloatArray = share**2 * (3 - 2 * share)
    return eased


def _monotone_slopes(rises: FloatArray) -> FloatArray:
    """Return slopes at the keys: harmonic means of the rises beside them, 0 at turns and ends."""
    before, after = rises[:-1], rises[1:]
    goes_on = before * after > 0
    total = np.where(goes_on, before + after, 1.0)
    inner = np.where(goes_on, 2 * before * after / total, 0.0)
    rest = np.zeros((1, rises.shape[1]))
    return np.concatenate([rest, inner, rest])
