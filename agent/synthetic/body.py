"""A body in space: the positions of its joints from a few numbers.  Pure.

Lengths are in body heights: forward, up, and to the body's left; the floor is at 0.  Segment
lengths are shares of body height from R. Drillis and R. Contini, "Body Segment Parameters", 1966.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Pair = tuple[float, float]  # forward, up; of a place on the floor: forward, left

THIGH, SHANK, ANKLE_UP = 0.245, 0.246, 0.039
TORSO, UPPER_ARM, FOREARM, HAND = 0.288, 0.186, 0.160, 0.045
NECK = 0.112  # from the middle of the shoulders to the middle of the head
HEAD = 0.055  # radius of the skull
HALF_SHOULDERS, HALF_HIPS = 0.120, 0.060
STANDING_HIP_UP = THIGH + SHANK + ANKLE_UP - 0.004

_TOE, _HEEL, _SOLE = 0.105, 0.035, 0.024  # from the ankle: ahead, behind, below
_LOOSE_FOOT_DEG = 25.0  # how far a foot in the air hangs below the right angle to its shank
_HEAD_FOLLOWS = 0.45  # share of the torso's lean that the head goes along with

JOINTS = (
    "nose",
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    *("left_heel", "right_heel", "left_toe", "right_toe"),
)
# What else a drawing needs: where the fists and the head are.
POINTS = (*JOINTS, "left_hand", "right_hand", "head", "crown", "left_ear", "right_ear")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """A pose by what a body does: where it stands, and where its hips, feet and hands are."""

    place: Pair = (0.0, 0.0)  # on the floor: forward, left
    turn_deg: float = 0.0  # which way it faces: 0 forward, 90 left
    floor_up: float = 0.0  # height of what it stands on
    hip_forward: float = 0.0
    hip_up: float = STANDING_HIP_UP
    lean_deg: float = 0.0  # of the torso, forward
    twist_deg: float = 0.0  # of the shoulders against the hips, the left one back
    left_ankle: Pair = (0.0, ANKLE_UP)
    right_ankle: Pair = (0.0, ANKLE_UP)
    feet_apart: float = 0.0  # how far each foot is outside its hip
    knees_out_deg: float = 4.0  # 0: the knees bend straight ahead
    left_wrist: Pair = (0.03, -0.335)  # from its shoulder
    right_wrist: Pair = (0.03, -0.335)
    hands_apart: float = 0.03  # how far each hand is outside its shoulder
    elbows_out_deg: float = 10.0  # 0: the elbows bend straight back

    def vector(self) -> FloatArray:
        """Return the posture as numbers that can be blended, in the order of the fields."""
        return np.hstack([getattr(self, field.name) for field in fields(self)]).astype(np.float64)


def _columns() -> dict[str, slice | int]:
    """Return where each field of a posture stands in its vector."""
    columns: dict[str, slice | int] = {}
    at = 0
    for field in fields(Posture):
        is_pair = isinstance(field.default, tuple)
        columns[field.name] = slice(at, at + 2) if is_pair else at
        at += 2 if is_pair else 1
    return columns


COLUMNS = _columns()


class _Bend(NamedTuple):
    """Two bones between a fixed joint and an end to be reached."""

    upper: float
    lower: float
    way: float  # 1: the middle joint goes forward of a limb that hangs down; -1: back
    out: float  # which way is outward: 1 left, -1 right


def joints_of(vectors: FloatArray) -> dict[str, FloatArray]:
    """Return where every one of `POINTS` is, for posture vectors of shape (..., fields).

    Returns:
        Forward, up and left, (..., 3) each.  Limbs keep their length: what is out of reach is
        reached for.
    """
    hips = _at(_get(vectors, "hip_forward"), _get(vectors, "hip_up"), 0.0)
    lean = np.radians(_get(vectors, "lean_deg"))
    shoulders = hips + TORSO * _at(np.sin(lean), np.cos(lean), 0.0)
    points = _head(shoulders, lean * _HEAD_FOLLOWS)
    for side, out in (("left", 1.0), ("right", -1.0)):
        points |= _arm(vectors, shoulders, side, out)
        points |= _leg(vectors, hips, side, out)
    turn, place = np.radians(_get(vectors, "turn_deg")), _get(vectors, "place")
    return {name: placed(point, place, turn) for name, point in points.items()}


def _head(shoulders: FloatArray, lean: FloatArray) -> dict[str, FloatArray]:
    up = _at(np.sin(lean), np.cos(lean), 0.0)
    ahead = _at(np.cos(lean), -np.sin(lean), 0.0)
    head = shoulders + NECK * up + 0.012 * ahead
    ear = np.array([0.0, 0.0, HEAD * 0.9])
    return {
        "head": head,
        "nose": head + 1.15 * HEAD * ahead,
        "crown": head + HEAD * up,
        "left_ear": head + ear,
        "right_ear": head - ear,
    }


def _arm(
    vectors: FloatArray, shoulders: FloatArray, side: str, out: float
) -> dict[str, FloatArray]:
    twist = np.radians(_get(vectors, "twist_deg"))
    across = out * HALF_SHOULDERS
    shoulder = shoulders + _at(-across * np.sin(twist), 0.0 * twist, across * np.cos(twist))
    reach = _get(vectors, f"{side}_wrist")
    apart = out * _get(vectors, "hands_apart")
    target = shoulder + _at(reach[..., 0], reach[..., 1], apart)
    swivel = np.radians(_get(vectors, "elbows_out_deg"))
    elbow, wrist = _bend(shoulder, target, swivel, _Bend(UPPER_ARM, FOREARM, -1.0, out))
    hand = wrist + (wrist - elbow) * (HAND / FOREARM)
    return dict(
        zip(
            (f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist", f"{side}_hand"),
            (shoulder, elbow, wrist, hand),
            strict=True,
        )
    )


def _leg(vectors: FloatArray, hips: FloatArray, side: str, out: float) -> dict[str, FloatArray]:
    hip = hips + np.array([0.0, 0.0, out * HALF_HIPS])
    place = _get(vectors, f"{side}_ankle")
    apart = out * (HALF_HIPS + _get(vectors, "feet_apart"))
    swivel = np.radians(_get(vectors, "knees_out_deg"))
    target = _at(place[..., 0], place[..., 1], apart)
    knee, ankle = _bend(hip, target, swivel, _Bend(THIGH, SHANK, 1.0, out))
    heel, toe = _foot(knee, ankle, _get(vectors, "floor_up"))
    return dict(
        zip(
            (f"{side}_hip", f"{side}_knee", f"{side}_ankle", f"{side}_heel", f"{side}_toe"),
            (hip, knee, ankle, heel, toe),
            strict=True,
        )
    )


def _bend(
    start: FloatArray, end: FloatArray, swivel: FloatArray, limb: _Bend
) -> tuple[FloatArray, FloatArray]:
    """Return the middle joint and the end of a limb of two bones (law of cosines)."""
    reach = end - start
    wanted = np.linalg.norm(reach, axis=-1, keepdims=True)
    direction = reach / np.maximum(wanted, 1e-9)
    length = np.clip(wanted, abs(limb.upper - limb.lower) + 1e-3, (limb.upper + limb.lower) * 0.998)
    along = (limb.upper**2 - limb.lower**2 + length**2) / (2 * length)
    aside = np.sqrt(np.maximum(limb.upper**2 - along**2, 0.0))
    ahead = _unit(_at(-direction[..., 1], direction[..., 0], 0.0)) * limb.way
    outward = -limb.out * limb.way * _unit(np.cross(ahead, direction))
    pole = np.cos(swivel)[..., None] * ahead + np.sin(swivel)[..., None] * outward
    return start + direction * along + pole * aside, start + direction * length


def _foot(
    knee: FloatArray, ankle: FloatArray, floor_up: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return heel and toe: flat on the floor, on its toes a little above, loose in the air."""
    shank = knee - ankle
    lift = np.maximum(ankle[..., 1] - floor_up - ANKLE_UP, 0.0)
    on_toes = np.arcsin(np.clip(lift / _TOE, 0.0, 1.0))
    loose = np.arctan2(shank[..., 0], shank[..., 1]) + np.radians(_LOOSE_FOOT_DEG)
    share = np.clip((lift - 0.02) / 0.1, 0.0, 1.0)
    pitch = np.where(lift < _TOE, np.minimum(on_toes, (1 - share) * on_toes + share * loose), loose)
    ahead = _at(np.cos(pitch), -np.sin(pitch), 0.0)
    below = _SOLE * _at(-np.sin(pitch), -np.cos(pitch), 0.0)
    return ankle - _HEEL * ahead + below, ankle + _TOE * ahead + below


def placed(points: FloatArray, place: FloatArray, turn: FloatArray) -> FloatArray:
    """Return body points (..., 3) turned to the left (rad), and moved forward and left by `place`.

    Args:
        points: in space, (..., 3).
        place: forward and left, (..., 2).
        turn: (...).
    """
    forward, left = points[..., 0], points[..., 2]
    return _at(
        place[..., 0] + forward * np.cos(turn) - left * np.sin(turn),
        points[..., 1],
        place[..., 1] + forward * np.sin(turn) + left * np.cos(turn),
    )


def _get(vectors: FloatArray, name: str) -> FloatArray:
    values: FloatArray = vectors[..., COLUMNS[name]]
    return values


def _at(forward: FloatArray, up: FloatArray | float, left: FloatArray | float) -> FloatArray:
    return np.stack(np.broadcast_arrays(forward, up, left), axis=-1)


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: FloatArray = vectors / np.maximum(length, 1e-9)
    return unit


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
class BodyPart:
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


def _leg_parts(side: str) -> tuple[BodyPart, ...]:
    group = f"{side}_leg"
    hip, knee, ankle, heel, toe = (f"{side}_{n}" for n in ("hip", "knee", "ankle", "heel", "toe"))
    calf = (_between(knee, ankle, 0.32), 0.037)
    return (
        BodyPart(group, "skin", ((_between(ankle, knee, 0.1), 0.021), calf, ({knee: 1}, 0.033))),
        BodyPart(group, "sock", (({ankle: 1}, 0.022), (_between(ankle, knee, 0.2), 0.0245))),
        BodyPart(
            group,
            "shoe",
            (
                ({heel: 1}, 0.020),
                (_between(heel, toe, 0.6), 0.019),
                ({toe: 1}, 0.013),
                (_between(ankle, heel, 0.25), 0.022),
            ),
        ),
        BodyPart(group, "skin", (({knee: 1}, 0.034), (_between(knee, hip, 0.6), 0.050))),
        BodyPart(group, "shorts", ((_between(hip, knee, 0.62), 0.053), ({hip: 1}, 0.062))),
    )


def _arm_parts(side: str) -> tuple[BodyPart, ...]:
    group = f"{side}_arm"
    shoulder, elbow, wrist, hand = (f"{side}_{n}" for n in ("shoulder", "elbow", "wrist", "hand"))
    return (
        BodyPart(group, "skin", ((_between(shoulder, elbow, 0.3), 0.029), ({elbow: 1}, 0.023))),
        BodyPart(
            group,
            "skin",
            (({elbow: 1}, 0.023), (_between(elbow, wrist, 0.3), 0.025), ({wrist: 1}, 0.016)),
        ),
        BodyPart(group, "skin", ((_between(wrist, hand, 0.45), 0.020), ({hand: 1}, 0.023)), 0.97),
        BodyPart(
            group,
            "shirt",
            (({shoulder: 1}, 0.035), (_between(shoulder, elbow, 0.46), 0.033)),
            0.94,
        ),
    )


_TRUNK = (
    BodyPart(
        "trunk",
        "shorts",
        (
            (_trunk(0.8, 1.06), 0.060),
            (_trunk(-0.8, 1.06), 0.060),
            (_trunk(0.6, 0.82), 0.055),
            (_trunk(-0.6, 0.82), 0.055),
        ),
    ),
    BodyPart("trunk", "skin", ((_trunk(0, 0.02), 0.036), (_skull(-0.012, -0.045), 0.031)), 0.88),
    BodyPart(
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
    BodyPart("head", "hair", ((_skull(-0.012, 0.014), 0.055), (_skull(-0.028, -0.018), 0.036))),
    BodyPart("head", "skin", ((_skull(0.006, -0.002), 0.0495), (_skull(0.020, -0.048), 0.029))),
    *(
        BodyPart(
            "head",
            "hair",
            ((_skull(-0.026, 0.012, s * 0.021), 0.036), (_skull(-0.012, 0.026, s * 0.021), 0.030)),
        )
        for s in (1, -1)
    ),
    *(
        BodyPart("head", "skin", ((_skull(-0.004, -0.008, s * 0.05), 0.011),), 0.84)
        for s in (1, -1)
    ),
    BodyPart(
        "head", "skin", ((_skull(0.052, -0.014), 0.008), (_skull(0.05, 0.0), 0.005)), 0.95, True
    ),
    *(
        BodyPart("head", "eye", ((_skull(0.046, 0.002, s * 0.020), 0.0065),), 1, True)
        for s in (1, -1)
    ),
    BodyPart(
        "head",
        "lip",
        ((_skull(0.044, -0.042, 0.010), 0.005), (_skull(0.044, -0.042, -0.010), 0.005)),
        1,
        True,
    ),
)

PARTS = (
    *_leg_parts("left"),
    *_leg_parts("right"),
    *_TRUNK,
    *_HEAD,
    *_arm_parts("left"),
    *_arm_parts("right"),
)
CIRCLES: FloatArray = np.array(
    [[spot.get(name, 0.0) for name in POINTS] for part in PARTS for spot, _ in part.circles]
)  # (circles, POINTS): times the body's points, where every circle stands
RADII: FloatArray = np.array([radius for part in PARTS for _, radius in part.circles])
