"""Movements: postures over time, with the moment known at which each begins and ends.  Pure.

A movement is a row of key postures; between two of them the body goes as limbs do, smoothly from
rest to rest (minimum jerk: T. Flash and N. Hogan, "The Coordination of Arm Movements", 1985).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from agent.sandbox.drawn.body import ANKLE_UP, STANDING_HIP_UP, FloatArray, Posture

PLATE_RADIUS = 0.125  # body heights: a bar on the floor is that high
STEPS_A_MINUTE = 170.0
BOX_UP = 0.18
BOX_FORWARD = -0.32

STANDING = Posture()
_GRIP = 0.16  # hands of a snatch are far apart


@dataclass(frozen=True, slots=True)
class Key:
    """A posture to be in at a moment."""

    at_s: float
    posture: Posture
    holds_bar: bool = False  # from here on


@dataclass(frozen=True, slots=True)
class Movement:
    """A movement of a known length."""

    duration_s: float
    pose: Callable[[float], FloatArray]  # posture vector at seconds from its start
    reps: int | None = None  # None: nothing is counted
    bar_held: Callable[[float], bool] = lambda _s: False
    travel: float = 0.0  # body heights a second that the body moves through the picture


def stand(duration_s: float) -> Movement:
    """Stand about: sway as people do, far below any effort."""

    def pose(s: float) -> FloatArray:
        sway = 0.004 * np.sin(2 * np.pi * 0.3 * s) * min(1.0, s, max(duration_s - s, 0.0))
        vector = STANDING.vector()
        vector[0] += sway
        vector[2] += sway * 100
        return vector

    return Movement(duration_s, pose)


def snatch() -> Movement:
    """One snatch: from standing before the bar to standing again, the bar dropped."""
    ready = replace(_hands(0.05, -0.335, apart=_GRIP), hip_forward=-0.12, hip_up=0.33, lean_deg=52)
    pulled = replace(_hands(0.06, -0.14, apart=_GRIP), lean_deg=-4)
    overhead = _hands(0.02, 0.33, apart=_GRIP)
    caught = replace(overhead, hip_forward=-0.07, hip_up=0.24, lean_deg=16)
    return _keyed(
        Key(0.0, STANDING),
        Key(0.7, ready, holds_bar=True),
        Key(0.95, ready, holds_bar=True),
        Key(1.55, pulled, holds_bar=True),
        Key(1.85, caught, holds_bar=True),
        Key(2.10, caught, holds_bar=True),
        Key(2.90, overhead, holds_bar=True),
        Key(3.30, overhead),
        Key(3.80, STANDING),
    )


def clean_and_jerk() -> Movement:
    """One clean and jerk."""
    ready = replace(_hands(0.06, -0.335), hip_forward=-0.12, hip_up=0.34, lean_deg=48)
    pulled = replace(_hands(0.08, -0.20), lean_deg=-4)
    racked = _hands(0.09, 0.02, apart=0.05)
    caught = replace(racked, hip_forward=-0.07, hip_up=0.25, lean_deg=14)
    dipped = replace(racked, hip_up=STANDING_HIP_UP - 0.07, hip_forward=-0.02)
    overhead = _hands(0.02, 0.34, apart=0.06)
    split = replace(
        overhead,
        hip_up=STANDING_HIP_UP - 0.08,
        left_ankle=(0.18, ANKLE_UP),
        right_ankle=(-0.2, ANKLE_UP + 0.02),
    )
    return _keyed(
        Key(0.0, STANDING),
        Key(0.7, ready, holds_bar=True),
        Key(0.95, ready, holds_bar=True),
        Key(1.5, pulled, holds_bar=True),
        Key(1.8, caught, holds_bar=True),
        Key(2.6, racked, holds_bar=True),
        Key(3.1, racked, holds_bar=True),
        Key(3.35, dipped, holds_bar=True),
        Key(3.65, split, holds_bar=True),
        Key(4.4, overhead, holds_bar=True),
        Key(4.8, overhead),
        Key(5.3, STANDING),
    )


def countermovement_jump() -> Movement:
    """One countermovement jump with swinging arms."""
    return _keyed(
        Key(0.0, STANDING),
        Key(0.45, _dip()),
        *_flight(0.72, up=0.16),
        Key(1.50, STANDING),
    )


def drop_jump() -> Movement:
    """One drop jump: off a box, down, and up at once."""
    on_box = _shifted(STANDING, forward=BOX_FORWARD, up=BOX_UP)
    off = _shifted(STANDING, forward=BOX_FORWARD / 2, up=BOX_UP * 0.7)
    return _keyed(
        Key(0.0, on_box),
        Key(0.35, off),
        Key(0.60, _dip(depth=0.10)),
        *_flight(0.80, up=0.14),
        Key(1.60, STANDING),
    )


def run(duration_s: float, *, travel: float = 0.0) -> Movement:
    """Run on the spot, or past the camera with `travel` body heights a second."""
    return Movement(duration_s, lambda s: _stride(s, 1.0, STEPS_A_MINUTE), travel=travel)


def walk(duration_s: float, *, travel: float) -> Movement:
    """Walk through the picture."""
    return Movement(duration_s, lambda s: _stride(s, 0.45, 110.0), travel=travel)


def on_box(movement: Movement) -> Movement:
    """Do something on the box before a drop jump."""

    def pose(s: float) -> FloatArray:
        return _raise(movement.pose(s), forward=BOX_FORWARD, up=BOX_UP)

    return replace(movement, pose=pose)


def _keyed(*keys: Key) -> Movement:
    times = np.array([key.at_s for key in keys])
    vectors = np.stack([key.posture.vector() for key in keys])

    def pose(s: float) -> FloatArray:
        index = int(np.clip(np.searchsorted(times, s, side="right") - 1, 0, len(keys) - 2))
        share = np.clip((s - times[index]) / (times[index + 1] - times[index]), 0.0, 1.0)
        smooth = share**3 * (10 - 15 * share + 6 * share**2)
        blended: FloatArray = vectors[index] + (vectors[index + 1] - vectors[index]) * smooth
        return blended

    def bar_held(s: float) -> bool:
        passed = [key.holds_bar for key in keys if key.at_s <= s]
        return bool(passed) and passed[-1]

    return Movement(keys[-1].at_s, pose, reps=1, bar_held=bar_held)


def _hands(forward: float, up: float, *, apart: float = 0.03) -> Posture:
    """Return standing upright with both hands there, seen from the shoulders."""
    return Posture(left_wrist=(forward, up), right_wrist=(forward, up), hands_apart=apart)


def _dip(depth: float = 0.13) -> Posture:
    return replace(
        _hands(-0.16, -0.28), hip_forward=-0.07, hip_up=STANDING_HIP_UP - depth, lean_deg=30
    )


def _flight(takeoff_s: float, *, up: float) -> tuple[Key, ...]:
    """Return the keys from take-off to the bottom of the landing."""
    arms = _hands(0.12, 0.28)
    landed = replace(_dip(0.10), left_wrist=(0.16, -0.2), right_wrist=(0.16, -0.2))
    return (
        Key(takeoff_s, arms),
        Key(takeoff_s + 0.20, _shifted(arms, up=up)),
        Key(takeoff_s + 0.42, arms),
        Key(takeoff_s + 0.55, landed),
    )


def _shifted(posture: Posture, *, forward: float = 0.0, up: float = 0.0) -> Posture:
    return replace(
        posture,
        hip_forward=posture.hip_forward + forward,
        hip_up=posture.hip_up + up,
        left_ankle=(posture.left_ankle[0] + forward, posture.left_ankle[1] + up),
        right_ankle=(posture.right_ankle[0] + forward, posture.right_ankle[1] + up),
    )


def _raise(vector: FloatArray, *, forward: float, up: float) -> FloatArray:
    moved = vector.copy()
    moved[[0, 3, 5]] += forward
    moved[[1, 4, 6]] += up
    return moved


def _stride(s: float, size: float, steps_a_minute: float) -> FloatArray:
    """Return a runner's or walker's posture; `size` 1 is a run."""
    phase = 2 * np.pi * s * steps_a_minute / 120
    vector = STANDING.vector()
    vector[1] -= 0.03 * size + 0.012 * size * np.cos(2 * phase)
    vector[2] = 7 * size
    for leg, hand, angle in ((3, 9, phase), (5, 7, phase + np.pi)):
        swing, lift = np.cos(angle), max(0.0, -np.sin(angle))
        vector[leg] = 0.20 * size * swing
        vector[leg + 1] = ANKLE_UP + (0.22 * size) * lift * (1.1 - 0.4 * swing)
        vector[hand] = 0.04 + 0.17 * size * swing
        vector[hand + 1] = -0.335 + 0.13 * size + 0.05 * size * swing
    return vector
