"""Movements: postures over time, with the moment known at which each begins and ends.  Pure.

A movement is a row of key postures with a smooth curve through them; it begins and ends at rest,
so that movements can follow each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from agent.sandbox.drawn.body import COLUMNS, FloatArray, Posture
from agent.sandbox.drawn.curves import ease, smooth_curve

GRAVITY = 9.81 / 1.75  # body heights a second, each second, for somebody of 1.75 m
STANDING = Posture()
_SWAY = 0.004  # body heights: 7 mm, as people do
_SWAY_HZ = (0.23, 0.61)  # slow drift and breath
_RUBS_HZ = 4.0


@dataclass(frozen=True, slots=True)
class Key:
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
class Movement:
    """A movement of a known length."""

    duration_s: float
    postures: Callable[[FloatArray], FloatArray]  # seconds from its start (T,) -> vectors (T, N)
    reps: int | None = None  # None: nothing is counted
    grip: Grip | None = None  # None: the bar is left alone


def through(*keys: Key, reps: int | None = None, grip: Grip | None = None) -> Movement:
    """Return the movement through key postures."""
    at_s = np.array([key.at_s for key in keys])
    values = np.stack([key.posture.vector() for key in keys])
    slopes = np.full(values.shape, np.nan)
    for row, key in zip(slopes, keys, strict=True):
        for name, slope in key.slopes.items():
            row[COLUMNS[name]] = slope
    return Movement(keys[-1].at_s, lambda s: smooth_curve(s, at_s, values, slopes), reps, grip)


def stand(duration_s: float, *, phase: float = 0.0) -> Movement:
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

    return Movement(duration_s, postures)


def fidget(duration_s: float) -> Movement:
    """Shift the weight, wipe the hands, stretch a little: no effort."""
    to_the_left = replace(STANDING, place=(0.0, 0.02), lean_deg=3, hip_forward=-0.01)
    wiping = replace(
        to_the_left, left_wrist=(0.13, -0.24), right_wrist=(0.12, -0.22), hands_apart=-0.08
    )
    apart = replace(wiping, left_wrist=(0.13, -0.20), right_wrist=(0.13, -0.27))
    postures = (to_the_left, wiping, apart, wiping, STANDING)
    at_s = np.linspace(0.0, duration_s, len(postures) + 1)[1:]
    keys = [Key(float(s), posture) for s, posture in zip(at_s, postures, strict=True)]
    return through(Key(0.0, STANDING), *keys)


def chalk(duration_s: float) -> Movement:
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
    keys = [Key(float(s), posture) for s, posture in zip(at_s, moves, strict=True)]
    return through(Key(0.0, STANDING), *keys, Key(duration_s, STANDING))


def on_top(movement: Movement, *, forward: float, up: float) -> Movement:
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
