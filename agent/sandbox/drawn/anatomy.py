"""What a drawn body is made of: a table of round parts.  Pure.

Each part is the hull of circles, and each circle stands at a weighted mean of body points, so
that one table serves every pose, every view and every size.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agent.sandbox.drawn.body import HEAD, POINTS, FloatArray

Colour = tuple[int, int, int]  # red, green, blue
Spot = Mapping[str, float]  # weights of body points; they add up to 1
Circle = tuple[Spot, float]  # and its radius in body heights

# How much nearer than it is a group counts, so that a shirt hangs over shorts and a face over it.
GROUPS = {
    "left_leg": 0.0,
    "right_leg": 0.0,
    "trunk": 0.03,
    "head": 0.05,
    "left_arm": 0.06,
    "right_arm": 0.06,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """What somebody looks like."""

    skin: Colour = (218, 172, 142)
    hair: Colour = (70, 48, 38)
    shirt: Colour = (18, 126, 128)
    shorts: Colour = (44, 48, 62)
    sock: Colour = (226, 226, 224)
    shoe: Colour = (196, 62, 48)
    eye: Colour = (44, 38, 36)
    lip: Colour = (176, 104, 94)


@dataclass(frozen=True, slots=True)
class Part:
    """One round part of a body."""

    group: str  # drawn together: in the order of the table, the head's by how near they are
    wears: str  # which of the outfit's colours
    circles: tuple[Circle, ...]
    light: float = 1.0
    only_facing: bool = False  # a feature of the face: not drawn from behind


def _between(first: str, second: str, share: float) -> Spot:
    return {first: 1 - share, second: share}


def _trunk(across: float, down: float) -> Spot:
    """Return a spot of the trunk: 1 left to -1 right, 0 shoulders to 1 hips."""
    left, right = (1 + across) / 2, (1 - across) / 2
    return {
        "left_shoulder": left * (1 - down),
        "right_shoulder": right * (1 - down),
        "left_hip": left * down,
        "right_hip": right * down,
    }


def _skull(ahead: float, up: float, left: float = 0.0) -> Spot:
    """Return a spot of the head, in body heights from its middle."""
    nose, crown, ear = ahead / (1.15 * HEAD), up / HEAD, left / (1.8 * HEAD)
    return {
        "head": 1 - nose - crown,
        "nose": nose,
        "crown": crown,
        "left_ear": ear,
        "right_ear": -ear,
    }


def _leg(side: str) -> tuple[Part, ...]:
    group = f"{side}_leg"
    hip, knee, ankle, heel, toe = (f"{side}_{n}" for n in ("hip", "knee", "ankle", "heel", "toe"))
    calf = (_between(knee, ankle, 0.32), 0.037)
    return (
        Part(group, "skin", ((_between(ankle, knee, 0.1), 0.021), calf, ({knee: 1}, 0.033))),
        Part(group, "sock", (({ankle: 1}, 0.022), (_between(ankle, knee, 0.2), 0.0245))),
        Part(
            group,
            "shoe",
            (
                ({heel: 1}, 0.020),
                (_between(heel, toe, 0.6), 0.019),
                ({toe: 1}, 0.013),
                (_between(ankle, heel, 0.25), 0.022),
            ),
        ),
        Part(group, "skin", (({knee: 1}, 0.034), (_between(knee, hip, 0.6), 0.050))),
        Part(group, "shorts", ((_between(hip, knee, 0.62), 0.053), ({hip: 1}, 0.062))),
    )


def _arm(side: str) -> tuple[Part, ...]:
    group = f"{side}_arm"
    shoulder, elbow, wrist, hand = (f"{side}_{n}" for n in ("shoulder", "elbow", "wrist", "hand"))
    return (
        Part(group, "skin", ((_between(shoulder, elbow, 0.3), 0.029), ({elbow: 1}, 0.023))),
        Part(
            group,
            "skin",
            (({elbow: 1}, 0.023), (_between(elbow, wrist, 0.3), 0.025), ({wrist: 1}, 0.016)),
        ),
        Part(group, "skin", ((_between(wrist, hand, 0.45), 0.020), ({hand: 1}, 0.023)), 0.97),
        Part(
            group,
            "shirt",
            (({shoulder: 1}, 0.035), (_between(shoulder, elbow, 0.46), 0.033)),
            0.94,
        ),
    )


_TRUNK = (
    Part(
        "trunk",
        "shorts",
        (
            (_trunk(0.8, 1.06), 0.060),
            (_trunk(-0.8, 1.06), 0.060),
            (_trunk(0.6, 0.82), 0.055),
            (_trunk(-0.6, 0.82), 0.055),
        ),
    ),
    Part("trunk", "skin", ((_trunk(0, 0.02), 0.036), (_skull(-0.012, -0.045), 0.031)), 0.88),
    Part(
        "trunk",
        "shirt",
        (
            (_trunk(0.0, -0.03), 0.040),
            *((_trunk(s * 0.92, 0.05), 0.034) for s in (1, -1)),
            *((_trunk(s * 0.55, 0.28), 0.068) for s in (1, -1)),
            *((_trunk(s * 0.80, 0.90), 0.056) for s in (1, -1)),
        ),
    ),
)
_HEAD = (
    Part("head", "hair", ((_skull(-0.012, 0.014), 0.055), (_skull(-0.028, -0.018), 0.036))),
    Part("head", "skin", ((_skull(0.006, -0.002), 0.0495), (_skull(0.020, -0.048), 0.029))),
    *(
        Part(
            "head",
            "hair",
            ((_skull(-0.026, 0.012, s * 0.021), 0.036), (_skull(-0.012, 0.026, s * 0.021), 0.030)),
        )
        for s in (1, -1)
    ),
    *(Part("head", "skin", ((_skull(-0.004, -0.008, s * 0.05), 0.011),), 0.84) for s in (1, -1)),
    Part("head", "skin", ((_skull(0.052, -0.014), 0.008), (_skull(0.05, 0.0), 0.005)), 0.95, True),
    *(Part("head", "eye", ((_skull(0.046, 0.002, s * 0.020), 0.0065),), 1, True) for s in (1, -1)),
    Part(
        "head",
        "lip",
        ((_skull(0.044, -0.042, 0.010), 0.005), (_skull(0.044, -0.042, -0.010), 0.005)),
        1,
        True,
    ),
)

PARTS = (*_leg("left"), *_leg("right"), *_TRUNK, *_HEAD, *_arm("left"), *_arm("right"))
CIRCLES: FloatArray = np.array(
    [[spot.get(name, 0.0) for name in POINTS] for part in PARTS for spot, _ in part.circles]
)  # (circles, POINTS): times the body's points, where every circle stands
RADII: FloatArray = np.array([radius for part in PARTS for _, radius in part.circles])
