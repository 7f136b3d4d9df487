"""Counting repetitions.  Pure.

A lift is counted when the wrists come above the head after having been below the hips' height
or the shoulders'; a jump when the hips leave their usual height upwards.  Steps are not counted.
"""

import numpy as np

from analysis.landmarks import HIPS, NOSE, SHOULDERS, WRISTS, FloatArray, Poses, torso_length_px

_JUMP_TORSOS = 0.35  # how far hips rise in a jump, in torso lengths


def count_reps(poses: Poses, activity: str | None, *, start_s: float, end_s: float) -> int | None:
    """Return the repetitions between two moments, or None where they are not counted."""
    within = (poses.times_s >= start_s) & (poses.times_s < end_s) & poses.is_found
    if not within.any():
        return None
    if activity == "weightlifting":
        head = poses.points_px[within, NOSE, 1]
        shoulders = poses.middle_px(SHOULDERS)[within, 1]
        wrists = poses.middle_px(WRISTS)[within, 1]
        return _count_crossings(-wrists, low=-shoulders, high=-head)
    if activity == "jumping":
        hips = poses.middle_px(HIPS)[within, 1]
        usual = float(np.median(hips))
        rise = (usual - hips) / torso_length_px(poses)[within]
        return _count_crossings(
            rise, low=np.full(len(rise), _JUMP_TORSOS / 3), high=np.full(len(rise), _JUMP_TORSOS)
        )
    return None


def _count_crossings(value: FloatArray, *, low: FloatArray, high: FloatArray) -> int:
    """Count how often a value rises above `high` after it was below `low`."""
    count, armed = 0, True
    for sample, bottom, top in zip(value, low, high, strict=True):
        if armed and sample > top:
            count, armed = count + 1, False
        elif sample < bottom:
            armed = True
    return count
