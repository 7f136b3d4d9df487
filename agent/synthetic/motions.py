"""Postures over time, with the exact start and end of every movement.  Pure.

A movement is a row of key postures with a smooth curve through them; it begins and ends at rest,
so that movements can follow each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from agent.synthetic.body import ANKLE_UP, COLUMNS, STANDING_HIP_UP, FloatArray, Posture


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


GRAVITY = 9.81 / 1.75  # body heights a second, each second, for somebody of 1.75 m
STANDING = Posture()
_SWAY = 0.004  # body heights: 7 mm, as people do
_SWAY_HZ = (0.23, 0.61)  # slow drift and breath
_RUBS_HZ = 4.0


@dataclass(frozen=True, slots=True)
class KeyPose:
    """A posture to pass through at a moment."""

    at_s: float
    posture: Posture
    slopes: dict[str, float] = field(default_factory=dict)  # change per second; else at will


@dataclass(frozen=True, slots=True)
class Grip:
    """When the bar is in the hands."""

    picked_s: float
    released_s: float


@dataclass(frozen=True, slots=True)
class DrawnMovement:
    """A movement of a known length."""

    duration_s: float
    postures: Callable[[FloatArray], FloatArray]  # seconds from its start (T,) -> vectors (T, N)
    reps: int | None = None  # None: nothing is counted
    grip: Grip | None = None  # None: the bar is left alone


def through(*keys: KeyPose, reps: int | None = None, grip: Grip | None = None) -> DrawnMovement:
    """Return the movement through key postures."""
    at_s = np.array([key.at_s for key in keys])
    values = np.stack([key.posture.vector() for key in keys])
    slopes = np.full(values.shape, np.nan)
    for row, key in zip(slopes, keys, strict=True):
        for name, slope in key.slopes.items():
            row[COLUMNS[name]] = slope
    return DrawnMovement(keys[-1].at_s, lambda s: smooth_curve(s, at_s, values, slopes), reps, grip)


def stand(duration_s: float, *, phase: float = 0.0) -> DrawnMovement:
    """Stand about: sway and breathe as people do, far below any effort."""

    def postures(seconds: FloatArray) -> FloatArray:
        calm = ease(seconds, 0.0, 1.0) * (1 - ease(seconds, duration_s - 1.0, duration_s))
        drift, breath = (np.sin(2 * np.pi * hz * seconds + phase) * calm for hz in _SWAY_HZ)
        vectors = np.tile(STANDING.vector(), (len(seconds), 1))
        vectors[:, COLUMNS["hip_forward"]] += _SWAY * drift
        vectors[:, COLUMNS["lean_deg"]] += 40 * _SWAY * drift + 0.25 * breath
        vectors[:, COLUMNS["left_wrist"]] += 0.2 * _SWAY * breath[:, None]
        vectors[:, COLUMNS["right_wrist"]] += 0.2 * _SWAY * breath[:, None]
        return vectors

    return DrawnMovement(duration_s, postures)


def fidget(duration_s: float) -> DrawnMovement:
    """Shift the weight, wipe the hands, stretch a little: no effort."""
    to_the_left = replace(STANDING, place=(0.0, 0.02), lean_deg=3, hip_forward=-0.01)
    wiping = replace(
        to_the_left, left_wrist=(0.13, -0.24), right_wrist=(0.12, -0.22), hands_apart=-0.08
    )
    apart = replace(wiping, left_wrist=(0.13, -0.20), right_wrist=(0.13, -0.27))
    postures = (to_the_left, wiping, apart, wiping, STANDING)
    at_s = np.linspace(0.0, duration_s, len(postures) + 1)[1:]
    keys = [KeyPose(float(s), posture) for s, posture in zip(at_s, postures, strict=True)]
    return through(KeyPose(0.0, STANDING), *keys)


def chalk(duration_s: float) -> DrawnMovement:
    """Rub chalk into the hands before the belly, fast, and clap: no effort."""
    before = replace(
        STANDING, lean_deg=5, left_wrist=(0.16, -0.17), right_wrist=(0.16, -0.17), hands_apart=-0.10
    )
    rubbing = (
        replace(before, left_wrist=(0.18, -0.15), right_wrist=(0.14, -0.19)),
        replace(before, left_wrist=(0.14, -0.19), right_wrist=(0.18, -0.15)),
    )
    clapping = (replace(before, hands_apart=0.02), before)
    rubs = max(1, round((duration_s - 2.0) * _RUBS_HZ))
    moves = [rubbing[n % 2] for n in range(rubs)] + [clapping[n % 2] for n in range(4)]
    at_s = 0.5 + (duration_s - 1.0) * (np.arange(len(moves)) + 1) / (len(moves) + 1)
    keys = [KeyPose(float(s), posture) for s, posture in zip(at_s, moves, strict=True)]
    return through(KeyPose(0.0, STANDING), *keys, KeyPose(duration_s, STANDING))


def on_top(movement: DrawnMovement, *, forward: float, up: float) -> DrawnMovement:
    """Return the same movement on something `up` high that stands `forward`."""

    def postures(seconds: FloatArray) -> FloatArray:
        return lifted(movement.postures(seconds), forward=forward, up=up)

    return replace(movement, postures=postures)


def lifted(vectors: FloatArray, *, forward: float, up: float) -> FloatArray:
    """Return posture vectors (T, N) moved onto something."""
    moved = vectors.copy()
    moved[:, COLUMNS["place"]] += (forward, 0.0)
    for name in ("left_ankle", "right_ankle"):
        moved[:, COLUMNS[name]] += (0.0, up)
    for name in ("hip_up", "floor_up"):
        moved[:, COLUMNS[name]] += up
    return moved


_REPS = 3
_DOWN_S, _UP_S, _PAUSE_S = 0.9, 0.9, 0.5
_SLOWER = 2.6  # the last repetition
_HOPS, _HOPS_HZ, _HOP = 12, 2.2, 0.06  # how many, how often a second, body heights


def squats() -> DrawnMovement:
    """Three squats with the hands before the chest."""
    hands = {"left_wrist": (0.16, -0.06), "right_wrist": (0.16, -0.06), "hands_apart": -0.09}
    ready = replace(STANDING, feet_apart=0.05, **hands)  # type: ignore[arg-type]  # by name
    bottom = replace(ready, hip_up=0.29, hip_forward=-0.12, lean_deg=30, knees_out_deg=22)
    return _set(ready, bottom)


def raises() -> DrawnMovement:
    """Three raises of both arms to the front; the feet never move."""
    return _set(STANDING, replace(STANDING, left_wrist=(0.33, 0.03), right_wrist=(0.33, 0.03)))


def curls() -> DrawnMovement:
    """Three curls of both arms."""
    return _set(STANDING, replace(STANDING, left_wrist=(0.15, -0.07), right_wrist=(0.15, -0.07)))


def presses() -> DrawnMovement:
    """Three presses of both arms, from the shoulders overhead."""
    racked = replace(STANDING, left_wrist=(0.09, 0.0), right_wrist=(0.09, 0.0))
    return _set(racked, replace(racked, left_wrist=(0.02, 0.335), right_wrist=(0.02, 0.335)))


def hinges() -> DrawnMovement:
    """Three times down to a bar and up again with long arms: the hips hardly go down."""
    bent = replace(STANDING, hip_forward=-0.16, hip_up=0.47, lean_deg=68)
    return _set(STANDING, replace(bent, left_wrist=(0.02, -0.335), right_wrist=(0.02, -0.335)))


def lunges() -> DrawnMovement:
    """Three lunges with one leg ahead, the hands at the hips."""
    ready = replace(STANDING, left_wrist=(0.04, -0.25), right_wrist=(0.04, -0.25), hands_apart=0.06)
    apart = replace(ready, left_ankle=(0.22, ANKLE_UP), right_ankle=(-0.24, ANKLE_UP + 0.07))
    split = replace(apart, hip_up=STANDING_HIP_UP - 0.06)
    return _set(split, replace(apart, hip_up=0.33))


def skipping() -> DrawnMovement:
    """Twelve hops as over a rope, on nearly straight legs: none of them is a jump."""
    hands = {"left_wrist": (0.12, -0.22), "right_wrist": (0.12, -0.22), "hands_apart": 0.10}
    ready = replace(STANDING, **hands)  # type: ignore[arg-type]  # by name
    down = replace(ready, hip_up=STANDING_HIP_UP - 0.02)
    up = replace(
        ready,
        hip_up=STANDING_HIP_UP + _HOP,
        left_ankle=(0.01, ANKLE_UP + _HOP),
        right_ankle=(0.01, ANKLE_UP + _HOP),
    )
    keys = [KeyPose(0.0, STANDING), KeyPose(0.6, ready)]
    for number in range(_HOPS):
        keys += [KeyPose(0.9 + number / _HOPS_HZ, down), KeyPose(1.1 + number / _HOPS_HZ, up)]
    end_s = 1.3 + _HOPS / _HOPS_HZ
    return through(*keys, KeyPose(end_s, down), KeyPose(end_s + 0.6, STANDING), reps=0)


def _set(ready: Posture, far: Posture) -> DrawnMovement:
    """Return repetitions from one posture to another and back, and standing at both ends."""
    keys, at_s = [KeyPose(0.0, STANDING)], 0.0
    if ready != STANDING:
        at_s = 0.7
        keys.append(KeyPose(at_s, ready))
    for number in range(_REPS):
        slower = _SLOWER if number == _REPS - 1 else 1.0
        keys.append(KeyPose(at_s + slower * _DOWN_S, far))
        at_s += slower * (_DOWN_S + _UP_S)
        keys.append(KeyPose(at_s, ready))
        if number < _REPS - 1:
            at_s += _PAUSE_S
            keys.append(KeyPose(at_s, ready))
    if ready != STANDING:
        at_s += 0.7
        keys.append(KeyPose(at_s, STANDING))
    return through(*keys, reps=_REPS)


_RACKED = replace(STANDING, left_wrist=(-0.02, 0.02), right_wrist=(-0.02, 0.02), hands_apart=0.06)
_GRIP_S = 0.8
_SEATED = replace(STANDING, hip_up=0.29, hip_forward=-0.2, lean_deg=8)
_SITS_S = 1.3


def sit(duration_s: float) -> DrawnMovement:
    """Sit down on something, rest, and get up: no effort."""
    return through(
        KeyPose(0.0, STANDING),
        KeyPose(_SITS_S, _SEATED),
        KeyPose(duration_s - _SITS_S, _SEATED),
        KeyPose(duration_s, STANDING),
    )


def stretch(duration_s: float) -> DrawnMovement:
    """Raise both arms overhead once, and lower them: no effort."""
    up = replace(STANDING, left_wrist=(0.03, 0.32), right_wrist=(0.03, 0.32))
    return through(
        KeyPose(0.0, STANDING),
        KeyPose(0.35 * duration_s, up),
        KeyPose(0.65 * duration_s, up),
        KeyPose(duration_s, STANDING),
    )


def load(duration_s: float) -> DrawnMovement:
    """Bend down to the bar once, as who loads a plate: no effort."""
    down = replace(STANDING, lean_deg=75, hip_up=STANDING.hip_up - 0.05, hip_forward=-0.08)
    return through(
        KeyPose(0.0, STANDING),
        KeyPose(0.4 * duration_s, down),
        KeyPose(0.6 * duration_s, down),
        KeyPose(duration_s, STANDING),
    )


def grip() -> DrawnMovement:
    """Bring the hands to a bar that lies on the back, or behind the head: no effort."""
    return through(KeyPose(0.0, STANDING), KeyPose(_GRIP_S, _RACKED))


def let_go() -> DrawnMovement:
    """Let the hands hang again: no effort."""
    return through(KeyPose(0.0, _RACKED), KeyPose(_GRIP_S, STANDING))


def wait(duration_s: float) -> DrawnMovement:
    """Wait with the hands there: no effort."""
    return through(KeyPose(0.0, _RACKED), KeyPose(duration_s, _RACKED))


def racked_squat() -> DrawnMovement:
    """One squat with the hands there."""
    bottom = replace(_RACKED, hip_up=0.29, hip_forward=-0.12, lean_deg=30, knees_out_deg=22)
    return through(
        KeyPose(0.0, _RACKED), KeyPose(_DOWN_S, bottom), KeyPose(_DOWN_S + _UP_S, _RACKED), reps=1
    )
