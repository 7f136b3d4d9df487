"""What is wrong with the picture, in words a coach understands.  Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.landmarks import FEET, FloatArray, Poses
from analysis.takes import Interval

_DARK = 40.0  # mean brightness, 0 to 255, below which a missing body says nothing
_FOUND = 0.05  # share of samples with a body, below which nobody is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One remark on a capture."""

    code: str  # stable
    severity: Literal["info", "warn"]
    message: str  # one sentence with the remedy
    at_s: float | None = None  # presentation time; None: the whole capture


def judge_quality(
    poses: Poses,
    brightness: FloatArray,
    takes: Sequence[Interval],
    *,
    damaged_at_s: Sequence[float],
) -> list[Remark]:
    """Return the remarks on a capture.

    Args:
        poses: the body in the sampled frames.
        brightness: mean of each sampled frame, (T,), 0 to 255.
        takes: the stretches of movement.
        damaged_at_s: where packets could not be decoded.
    """
    remarks = []
    if damaged_at_s:
        remarks.append(
            Remark(
                code="file_damaged",
                severity="warn",
                message="The file is damaged: check the camera's disk. What can be read is used.",
                at_s=damaged_at_s[0],
            )
        )
    remarks += _presence(poses, brightness)
    remarks += [remark for take in takes for remark in _feet(poses, take)]
    return remarks


def _presence(poses: Poses, brightness: FloatArray) -> list[Remark]:
    if len(brightness) and poses.is_found.mean() >= _FOUND:
        return []
    if len(brightness) and float(np.median(brightness)) < _DARK:
        return [
            Remark(
                code="too_dark",
                severity="warn",
                message="It is too dark to see anybody: switch on more light.",
            )
        ]
    return [
        Remark(
            code="nobody",
            severity="info",
            message="Nobody is in the picture: point the camera at the athlete.",
        )
    ]


def _feet(poses: Poses, take: Interval) -> list[Remark]:
    within = (poses.times_s >= take.start_s) & (poses.times_s < take.end_s) & poses.is_found
    if not within.any():
        return []
    lowest_px = poses.points_px[within][:, list(FEET), 1].max(axis=1)
    if float(np.mean(lowest_px > poses.height_px)) < 0.5:
        return []
    return [
        Remark(
            code="feet_out_of_frame",
            severity="warn",
            message="The feet are out of the picture: tilt the camera down or move it back.",
            at_s=take.start_s,
        )
    ]
