"""Drawing the body: shaded limbs, clothes and a face, enough for a pose model to see a person."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.sandbox.drawn.body import FloatArray

Image = NDArray[np.uint8]  # (height, width, 3), RGB
Colour = tuple[int, int, int]

SKIN: Colour = (214, 168, 138)
SHIRT: Colour = (46, 104, 176)
SHORTS: Colour = (44, 46, 58)
SHOE: Colour = (236, 236, 240)
HAIR: Colour = (62, 42, 32)
_EYE: Colour = (40, 36, 34)
_LIP: Colour = (166, 92, 84)
_FRACTION_BITS = 3  # sub-pixel drawing: smooth movement needs it
_ONE = 1 << _FRACTION_BITS


@dataclass(frozen=True, slots=True)
class Figure:
    """A body to be drawn: its joints in the picture, and the length of its body in px."""

    joints: Mapping[str, FloatArray]
    size_px: float


def draw_from_side(image: Image, figure: Figure) -> None:
    """Draw a body in profile, facing right: far limbs darker and behind, near limbs in front."""
    joints, size = figure.joints, figure.size_px
    _arm(image, figure, "left", shade=0.68)
    _leg(image, figure, "left", shade=0.68)
    shoulder = (joints["left_shoulder"] + joints["right_shoulder"]) / 2
    hip = (joints["left_hip"] + joints["right_hip"]) / 2
    _capsule(image, shoulder, joints["head"], 0.062 * size, _shaded(SKIN, 0.9))
    _capsule(image, hip, hip + (shoulder - hip) * 0.25, 0.135 * size, SHORTS)
    _capsule(image, hip + (shoulder - hip) * 0.22, shoulder, 0.145 * size, SHIRT)
    _leg(image, figure, "right", shade=1.0)
    _head(image, joints["head"], _PROFILE, size, tilt_deg=_tilt(hip, shoulder))
    _arm(image, figure, "right", shade=1.0)


def draw_from_front(image: Image, figure: Figure) -> None:
    """Draw a body facing the camera."""
    joints, size = figure.joints, figure.size_px
    for side in ("left", "right"):
        _leg(image, figure, side, shade=1.0)
    corners = [
        joints["left_shoulder"] + (0.02 * size, -0.01 * size),
        joints["right_shoulder"] + (-0.02 * size, -0.01 * size),
        joints["right_hip"] + (-0.035 * size, 0.0),
        joints["left_hip"] + (0.035 * size, 0.0),
    ]
    _polygon(image, corners, SHIRT)
    _capsule(image, joints["left_hip"], joints["right_hip"], 0.11 * size, SHORTS)
    neck = (joints["left_shoulder"] + joints["right_shoulder"]) / 2
    _capsule(image, neck, joints["head"], 0.066 * size, _shaded(SKIN, 0.88))
    _head(image, joints["head"], _FACE, size)
    for side in ("left", "right"):
        _arm(image, figure, side, shade=1.0)


def _arm(image: Image, figure: Figure, side: str, *, shade: float) -> None:
    joints, size = figure.joints, figure.size_px
    shoulder, elbow = joints[f"{side}_shoulder"], joints[f"{side}_elbow"]
    wrist = joints[f"{side}_wrist"]
    _capsule(image, elbow, wrist, 0.040 * size, _shaded(SKIN, shade))
    _capsule(image, shoulder, elbow, 0.050 * size, _shaded(SKIN, shade))
    _capsule(
        image,
        shoulder,
        shoulder + (elbow - shoulder) * 0.45,
        0.068 * size,
        _shaded(SHIRT, shade * 0.93),
    )
    hand = wrist + (wrist - elbow) * 0.22
    _capsule(image, wrist, hand, 0.044 * size, _shaded(SKIN, shade * 0.96))


def _leg(image: Image, figure: Figure, side: str, *, shade: float) -> None:
    joints, size = figure.joints, figure.size_px
    hip, knee = joints[f"{side}_hip"], joints[f"{side}_knee"]
    ankle, toe = joints[f"{side}_ankle"], joints[f"{side}_toe"]
    _capsule(image, knee, ankle, 0.058 * size, _shaded(SKIN, shade * 0.97))
    _capsule(image, hip, knee, 0.082 * size, _shaded(SKIN, shade))
    _capsule(image, hip, hip + (knee - hip) * 0.55, 0.100 * size, _shaded(SHORTS, shade))
    heel = ankle + (ankle - toe) * np.array([0.25, 0.0]) + np.array([0.0, 0.012 * size])
    _capsule(image, heel, toe, 0.044 * size, _shaded(SHOE, shade))


@dataclass(frozen=True, slots=True)
class _Feature:
    """One ellipse of a head, in body heights from its middle."""

    right: float
    down: float
    half_width: float
    half_height: float
    colour: Colour


_PROFILE = (
    _Feature(-0.008, -0.012, 0.058, 0.070, HAIR),
    _Feature(0.008, 0.008, 0.050, 0.064, SKIN),
    _Feature(0.060, 0.006, 0.013, 0.011, SKIN),  # nose
    _Feature(0.034, -0.010, 0.007, 0.006, _EYE),
    _Feature(0.040, 0.036, 0.013, 0.005, _LIP),
    _Feature(-0.012, 0.004, 0.011, 0.016, (171, 134, 110)),  # ear
)
_FACE = (
    _Feature(0.0, -0.014, 0.056, 0.070, HAIR),
    _Feature(-0.050, 0.006, 0.008, 0.015, (182, 143, 117)),  # ears
    _Feature(0.050, 0.006, 0.008, 0.015, (182, 143, 117)),
    _Feature(0.0, 0.008, 0.048, 0.062, SKIN),
    _Feature(-0.019, -0.004, 0.008, 0.006, _EYE),
    _Feature(0.019, -0.004, 0.008, 0.006, _EYE),
    _Feature(0.0, 0.016, 0.007, 0.012, (175, 138, 113)),  # nose
    _Feature(0.0, 0.040, 0.018, 0.006, _LIP),
)


def _head(
    image: Image,
    centre: FloatArray,
    features: tuple[_Feature, ...],
    size: float,
    *,
    tilt_deg: float = 0.0,
) -> None:
    """Draw a head's ellipses, leaning with the body."""
    tilt = np.radians(tilt_deg)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    for feature in features:
        middle = centre + turn @ np.array([feature.right, feature.down]) * size
        axes = (
            max(_ONE, round(feature.half_width * size * _ONE)),
            max(_ONE, round(feature.half_height * size * _ONE)),
        )
        cv2.ellipse(
            image,
            _point(middle),
            axes,
            tilt_deg,
            0,
            360,
            feature.colour,
            -1,
            cv2.LINE_AA,
            _FRACTION_BITS,
        )


def _capsule(
    image: Image, start: FloatArray, end: FloatArray, thickness_px: float, colour: Colour
) -> None:
    """Draw a limb: round ends, lit from above left."""
    width = max(1, round(thickness_px))
    cv2.line(image, _point(start), _point(end), colour, width, cv2.LINE_AA, _FRACTION_BITS)
    light = np.array([-0.16, -0.16]) * thickness_px
    cv2.line(
        image,
        _point(start + light),
        _point(end + light),
        _shaded(colour, 1.14),
        max(1, round(width * 0.38)),
        cv2.LINE_AA,
        _FRACTION_BITS,
    )


def _polygon(image: Image, corners: list[FloatArray], colour: Colour) -> None:
    points = np.array([_point(corner) for corner in corners], dtype=np.int32)
    cv2.fillPoly(image, [points], colour, cv2.LINE_AA, _FRACTION_BITS)


def _point(position: FloatArray) -> tuple[int, int]:
    return round(float(position[0]) * _ONE), round(float(position[1]) * _ONE)


def _shaded(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(part * factor)) for part in colour)
    return red, green, blue


def _tilt(hip: FloatArray, shoulder: FloatArray) -> float:
    """Return how far the head leans with the torso, clockwise in the picture."""
    across, up = shoulder[0] - hip[0], hip[1] - shoulder[1]
    return float(np.degrees(np.arctan2(across, max(up, 1e-6)))) * 0.5
