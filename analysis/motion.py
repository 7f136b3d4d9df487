"""How much a body moves.  Pure.

The speed of a body is the mean speed of its joints, weighted by how well each is seen, in torso
lengths a second: the same number for a tall athlete near the camera and a small one far away.
A 3-sample median takes out single misplacements, a 3-sample mean the rest of the jitter.
"""

from itertools import pairwise

import numpy as np

from analysis.landmarks import MOVING, FloatArray, Poses, torso_length_px

_LONGEST_GAP_S = 1.0  # a body lost for that long while moving is taken to go on moving


def body_speed(poses: Poses) -> FloatArray:
    """Return the body's speed at each sample, (T,), in torso lengths per second.

    0 where nobody is found.
    """
    if len(poses.times_s) < 2:
        return np.zeros(len(poses.times_s))
    joints = poses.points_px[:, list(MOVING)]
    seen = poses.visibility[:, list(MOVING)]
    step_px = np.linalg.norm(np.diff(joints, axis=0), axis=2)
    weight = np.minimum(seen[1:], seen[:-1])
    total = weight.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_px = np.nansum(step_px * weight, axis=1) / np.where(total > 0, total, np.nan)
        speed = mean_px / np.diff(poses.times_s) / torso_length_px(poses)[1:]
    speed = np.concatenate([speed[:1], speed])
    filled = _fill_short_gaps(speed, poses.times_s)
    return _mean3(_median3(np.nan_to_num(filled, nan=0.0, posinf=0.0)))


def _fill_short_gaps(speed: FloatArray, times_s: FloatArray) -> FloatArray:
    """Bridge short losses of the body by the faster of the two sides."""
    filled = speed.copy()
    known = np.flatnonzero(~np.isnan(speed))
    for before, after in pairwise(known):
        if after - before > 1 and times_s[after] - times_s[before] <= _LONGEST_GAP_S:
            filled[before + 1 : after] = max(speed[before], speed[after])
    return filled


def _median3(values: FloatArray) -> FloatArray:
    padded = np.pad(values, 1, mode="edge")
    median: FloatArray = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    return median


def _mean3(values: FloatArray) -> FloatArray:
    padded = np.pad(values, 1, mode="edge")
    mean: FloatArray = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return mean
