"""A body in space: where its joints are, from a few numbers.  Pure.

Coordinates are in body heights: forward, up, and to the body's left; the floor is at 0.  Segment
lengths are shares of body height from R. Drillis and R. Contini, "Body Segment Parameters", 1966.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

THIGH, SHANK, ANKLE_UP = 0.245, 0.246, 0.039
TORSO, UPPER_ARM, FOREARM = 0.288, 0.186, 0.160
NECK, FOOT = 0.085, 0.13
HALF_SHOULDERS, HALF_HIPS = 0.120, 0.060
STANDING_HIP_UP = THIGH + SHANK + ANKLE_UP - 0.004

JOINTS = (
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_toe",
    "right_toe",
)

# What a pose is made of, in this order.
PARAMETERS = (
    *("hip_forward", "hip_up", "lean_deg"),
    *("left_ankle_forward", "left_ankle_up", "right_ankle_forward", "right_ankle_up"),
    *("left_wrist_forward", "left_wrist_up", "right_wrist_forward", "right_wrist_up"),
    "hands_apart",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """A pose by what a body does: where hips, feet and hands are."""

    hip_forward: float = 0.0
    hip_up: float = STANDING_HIP_UP
    lean_deg: float = 0.0  # of the torso, forward
    left_ankle: tuple[float, float] = (0.0, ANKLE_UP)  # forward, up
    right_ankle: tuple[float, float] = (0.0, ANKLE_UP)
    left_wrist: tuple[float, float] = (0.03, -0.335)  # from the shoulder: forward, up
    right_wrist: tuple[float, float] = (0.03, -0.335)
    hands_apart: float = 0.03  # how far each hand is outside its shoulder

    def vector(self) -> FloatArray:
        """Return the posture as numbers that can be blended, (12,)."""
        return np.array(
            [
                *(self.hip_forward, self.hip_up, self.lean_deg),
                *self.left_ankle,
                *self.right_ankle,
                *self.left_wrist,
                *self.right_wrist,
                self.hands_apart,
            ]
        )


def joints_of(vector: FloatArray) -> dict[str, FloatArray]:
    """Return every joint's position for a posture's vector: forward, up, left, (3,) each."""
    lean = np.radians(vector[2])
    hips = vector[:2]
    shoulders = hips + TORSO * np.array([np.sin(lean), np.cos(lean)])
    head = shoulders + NECK * np.array([np.sin(lean * 0.6) + 0.12, np.cos(lean * 0.6)])
    joints = {"head": _at(head, 0.0)}
    for side, sign, ankle, wrist in (
        ("left", 1.0, vector[3:5], vector[7:9]),
        ("right", -1.0, vector[5:7], vector[9:11]),
    ):
        hand = shoulders + wrist
        knee, foot = _bend(hips, ankle, THIGH, SHANK, forward=True)
        elbow, hand = _bend(shoulders, hand, UPPER_ARM, FOREARM, forward=False)
        out = HALF_SHOULDERS + vector[11]
        joints[f"{side}_shoulder"] = _at(shoulders, sign * HALF_SHOULDERS)
        joints[f"{side}_elbow"] = _at(elbow, sign * (HALF_SHOULDERS + out) / 2 * 1.06)
        joints[f"{side}_wrist"] = _at(hand, sign * out)
        joints[f"{side}_hip"] = _at(hips, sign * HALF_HIPS)
        joints[f"{side}_knee"] = _at(knee, sign * HALF_HIPS * 1.25)
        joints[f"{side}_ankle"] = _at(foot, sign * HALF_HIPS * 1.15)
        lift = max(0.0, float(foot[1]) - ANKLE_UP)
        toe = foot + np.array([FOOT * 0.75, -ANKLE_UP + 0.01 - min(lift, 0.06) * 0.8])
        joints[f"{side}_toe"] = _at(toe, sign * HALF_HIPS * 1.35)
    return joints


def _at(forward_up: FloatArray, left: float) -> FloatArray:
    return np.array([forward_up[0], forward_up[1], left])


def _bend(
    start: FloatArray, end: FloatArray, upper: float, lower: float, *, forward: bool
) -> tuple[FloatArray, FloatArray]:
    """Return the middle joint and the end of a limb of two parts (law of cosines).

    An end out of reach is brought to where the stretched limb ends.
    """
    reach = end - start
    length = float(np.linalg.norm(reach))
    longest = (upper + lower) * 0.998
    if length > longest:
        reach, length = reach / length * longest, longest
    length = max(length, abs(upper - lower) + 1e-3)
    along = (upper**2 - lower**2 + length**2) / (2 * length)
    aside = np.sqrt(max(upper**2 - along**2, 0.0))
    direction = reach / max(float(np.linalg.norm(reach)), 1e-6)
    normal = np.array([-direction[1], direction[0]]) * (1.0 if forward else -1.0)
    return start + direction * along + normal * aside, start + direction * length
