"""Postures over time, each movement with its exact start and end, and the path of the bar.  Pure.

A movement is a row of key postures with a smooth curve through them; it begins and ends at rest,
so that movements can follow each other.  The phases of Olympic lifts and their order follow
J. Garhammer, "Biomechanical Profiles of Olympic Weightlifters", 1985: first pull, transition,
second pull, turnover, catch, recovery.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from agent.synthetic.body import (
    ANKLE_UP,
    COLUMNS,
    HALF_SHOULDERS,
    STANDING_HIP_UP,
    FloatArray,
    Pair,
    Posture,
    joints_of,
)


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


def both(**places: Pair) -> dict[str, Any]:
    """Return the fields of a posture in which both sides do the same, as `wrist` and `ankle`."""
    return {f"{side}_{part}": place for part, place in places.items() for side in ("left", "right")}


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
    postures = (STANDING, to_the_left, wiping, apart, wiping, STANDING)
    return through(*keys_at(np.linspace(0.0, duration_s, len(postures)), postures))


def chalk(duration_s: float) -> DrawnMovement:
    """Rub chalk into the hands before the belly, fast, and clap: no effort."""
    before = replace(STANDING, lean_deg=5, **both(wrist=(0.16, -0.17)), hands_apart=-0.10)
    rubbing = (
        replace(before, left_wrist=(0.18, -0.15), right_wrist=(0.14, -0.19)),
        replace(before, left_wrist=(0.14, -0.19), right_wrist=(0.18, -0.15)),
    )
    clapping = (replace(before, hands_apart=0.02), before)
    rubs = max(1, round((duration_s - 2.0) * _RUBS_HZ))
    moves = [rubbing[n % 2] for n in range(rubs)] + [clapping[n % 2] for n in range(4)]
    at_s = 0.5 + (duration_s - 1.0) * (np.arange(len(moves)) + 1) / (len(moves) + 1)
    return through(KeyPose(0.0, STANDING), *keys_at(at_s, moves), KeyPose(duration_s, STANDING))


def keys_at(at_s: Iterable[float], postures: Sequence[Posture]) -> list[KeyPose]:
    """Return the keys of postures, each at its moment."""
    return [KeyPose(float(s), posture) for s, posture in zip(at_s, postures, strict=True)]


def on_box(movement: DrawnMovement) -> DrawnMovement:
    """Return the same movement on the box."""

    def postures(seconds: FloatArray) -> FloatArray:
        moved = movement.postures(seconds).copy()
        moved[:, COLUMNS["place"]] += (BOX_FORWARD, 0.0)
        for name in ("left_ankle", "right_ankle"):
            moved[:, COLUMNS[name]] += (0.0, BOX_UP)
        for name in ("hip_up", "floor_up"):
            moved[:, COLUMNS[name]] += BOX_UP
        return moved

    return replace(movement, postures=postures)


PLATE_RADIUS = {"iron": 0.16 / 1.75, "bumper": 0.225 / 1.75}  # body heights
_REST_FORWARD = 0.06  # where the bar lies: over the middle of the feet
_BOUNCE = 0.22  # share of its speed that a dropped bar keeps
_SNATCH_APART, _CLEAN_APART = 0.12, 0.03  # how far the hands are outside the shoulders
SHORTEST_SET_S = 0.2  # stillness before a lift
_CORRECTIONS = 6  # leave less than 1 mm
_DROP_S = 1.3  # from letting go to standing as before
_PULLED = Posture(hip_up=0.56, **both(ankle=(0.015, ANKLE_UP + 0.045)))  # on the toes


@dataclass(frozen=True, slots=True)
class _Phase:
    """One phase of a lift, from the moment the bar leaves the floor."""

    after_s: float
    body: Posture
    bar: Pair  # forward, up: where the bar is to be
    elbows_out_deg: float = 10.0


def snatch(set_s: float = SHORTEST_SET_S, *, bar_up: float) -> DrawnMovement:
    """One snatch: down to the bar, still for `set_s`, up in one, and the bar dropped."""
    squat = Posture(hip_forward=-0.09, hip_up=0.235, lean_deg=20, feet_apart=0.05, knees_out_deg=32)
    ready = Posture(hip_forward=-0.155, hip_up=bar_up + 0.19, lean_deg=56, knees_out_deg=18)
    stood = replace(STANDING, feet_apart=0.05)
    phases = (
        _Phase(0.00, ready, (_REST_FORWARD, bar_up)),
        _Phase(0.50, replace(ready, hip_forward=-0.16, hip_up=0.44, lean_deg=53), (0.04, 0.27)),
        _Phase(0.78, Posture(hip_forward=-0.03, hip_up=0.50, lean_deg=14), (0.06, 0.43), 20),
        _Phase(0.92, replace(_PULLED, hip_forward=0.02, lean_deg=-7), (0.08, 0.56), 45),
        _Phase(1.08, replace(squat, hip_up=0.46, lean_deg=2, feet_apart=0.03), (0.10, 0.78), 70),
        _Phase(1.30, replace(squat, hip_up=0.29, lean_deg=15), (0.03, 0.93), 30),
        _Phase(1.55, squat, (0.0, 0.862)),
        _Phase(1.75, squat, (0.0, 0.862)),
        _Phase(2.65, stood, (0.0, 1.175)),
        _Phase(3.05, stood, (0.0, 1.175)),
        _Phase(3.25, replace(stood, lean_deg=-3), (0.17, 1.10)),
    )
    return _lift(phases, apart=_SNATCH_APART, set_s=set_s)


def clean_and_jerk(set_s: float = SHORTEST_SET_S, *, bar_up: float) -> DrawnMovement:
    """One clean and jerk: to the shoulders, then overhead with split feet, and dropped."""
    ready = Posture(hip_forward=-0.14, hip_up=bar_up + 0.195, lean_deg=50, knees_out_deg=16)
    squat = Posture(hip_forward=-0.08, hip_up=0.25, lean_deg=12, feet_apart=0.05, knees_out_deg=30)
    racked = replace(STANDING, feet_apart=0.05, lean_deg=-2)
    dip = replace(racked, hip_up=0.455, hip_forward=-0.01, knees_out_deg=14)
    split = replace(
        racked,
        hip_up=0.435,
        left_ankle=(0.20, ANKLE_UP),
        right_ankle=(-0.22, ANKLE_UP + 0.06),
        lean_deg=1,
    )
    halfway = replace(
        racked, hip_up=0.50, left_ankle=(0.10, ANKLE_UP + 0.03), right_ankle=(-0.20, 0.08)
    )
    phases = (
        _Phase(0.00, ready, (_REST_FORWARD, bar_up)),
        _Phase(0.50, replace(ready, hip_forward=-0.15, hip_up=0.45, lean_deg=45), (0.04, 0.28)),
        _Phase(0.80, Posture(hip_forward=-0.03, hip_up=0.50, lean_deg=12), (0.06, 0.44), 20),
        _Phase(0.93, replace(_PULLED, hip_forward=0.02, lean_deg=-6), (0.08, 0.55), 50),
        _Phase(1.10, replace(squat, hip_up=0.42, feet_apart=0.03), (0.11, 0.66), 60),
        _Phase(1.35, replace(squat, hip_up=0.29), (0.085, 0.565)),
        _Phase(1.55, squat, (0.085, 0.52)),
        _Phase(1.70, squat, (0.085, 0.52)),
        _Phase(2.55, racked, (0.085, 0.81)),
        _Phase(3.10, racked, (0.085, 0.81)),
        _Phase(3.35, dip, (0.085, 0.735)),
        _Phase(3.57, replace(_PULLED, feet_apart=0.05), (0.06, 0.93), 25),
        _Phase(3.80, split, (0.0, 1.10)),
        _Phase(4.15, split, (0.0, 1.10)),
        _Phase(4.50, halfway, (0.0, 1.165)),
        _Phase(4.95, racked, (0.0, 1.19)),
        _Phase(5.35, racked, (0.0, 1.19)),
        _Phase(5.55, replace(racked, lean_deg=-4), (0.17, 1.10)),
    )
    return _lift(phases, apart=_CLEAN_APART, set_s=set_s)


def bar_path(
    grip: Grip | None, seconds: FloatArray, hands: FloatArray, *, bar_up: float
) -> FloatArray:
    """Return where the middle of the bar is: (T, 3), forward, up, left.

    Args:
        grip: when it is held; None: never.
        seconds: from the movement's start, (T,).
        hands: the middle between the fists at those moments, (T, 3).
        bar_up: how high it lies, which is the plates' radius.
    """
    rest = np.array([_REST_FORWARD, bar_up, 0.0])
    path = np.tile(rest, (len(seconds), 1))
    if grip is None or not (seconds >= grip.picked_s).any():
        return path
    held = (seconds >= grip.picked_s) & (seconds < grip.released_s)
    path[held] = hands[held]
    dropped = seconds >= grip.released_s
    if dropped.any() and held.any():
        path[dropped] = _fall(seconds[dropped] - grip.released_s, hands[held][-1], rest)
    return path


def _fall(seconds: FloatArray, start: FloatArray, rest: FloatArray) -> FloatArray:
    """Return the way of a dropped bar: down, up once a little, and still."""
    fall_s = np.sqrt(2 * (start[1] - rest[1]) / GRAVITY)
    bounce_s = 2 * _BOUNCE * fall_s
    since_s = np.clip(seconds - fall_s, 0.0, bounce_s)
    up = np.where(
        seconds < fall_s,
        start[1] - GRAVITY * seconds**2 / 2,
        rest[1] + GRAVITY * since_s * (bounce_s - since_s) / 2,
    )
    share = np.clip(seconds / (fall_s + bounce_s), 0.0, 1.0)[:, None]
    path: FloatArray = start + (rest - start) * share
    path[:, 1] = up
    return path


def _lift(phases: Sequence[_Phase], *, apart: float, set_s: float) -> DrawnMovement:
    """Return the whole lift: bend down, be still, the phases, and stand as before."""
    bend_s = 0.8
    off_s = bend_s + set_s
    postures = [_gripping(phase, apart) for phase in phases]
    end_s = off_s + phases[-1].after_s
    let_go = replace(
        STANDING,
        lean_deg=2,
        **both(wrist=(0.22, -0.18)),
        hands_apart=0.08,
        elbows_out_deg=25,
    )
    return through(
        KeyPose(0.0, STANDING),
        KeyPose(bend_s, postures[0]),
        *(KeyPose(off_s + p.after_s, posture) for p, posture in zip(phases, postures, strict=True)),
        KeyPose(end_s + 0.45, let_go),
        KeyPose(end_s + _DROP_S, STANDING),
        reps=1,
        grip=Grip(off_s, end_s),
    )


def _gripping(phase: _Phase, apart: float) -> Posture:
    """Return the phase's posture with the fists at the bar, as far as the arms reach."""
    posture = replace(phase.body, elbows_out_deg=phase.elbows_out_deg)
    shoulder = joints_of(posture.vector())["left_shoulder"]
    bar = np.array([*phase.bar, HALF_SHOULDERS + apart])
    wrist = bar - shoulder
    for _ in range(_CORRECTIONS):  # the fist is beyond the wrist, whichever way the forearm points
        place = (float(wrist[0]), float(wrist[1]))
        posture = replace(posture, **both(wrist=place), hands_apart=float(wrist[2]))
        wrist += bar - joints_of(posture.vector())["left_hand"]
    return posture


BOX_UP = 0.2  # body heights: 35 cm
BOX_FORWARD = -0.42  # where somebody on the box stands
_TAKE_OFF_UP = 0.565  # of the hips, on the toes
_DOWN, _AHEAD, _UP = (0.05, -0.31), (0.29, -0.06), (0.15, 0.24)  # wrists, from the shoulders
_ON_TOES = (0.01, ANKLE_UP + 0.05)
_ON_BOX = replace(
    STANDING,
    place=(BOX_FORWARD, 0.0),
    floor_up=BOX_UP,
    hip_up=STANDING.hip_up + BOX_UP,
    **both(ankle=(0.0, ANKLE_UP + BOX_UP)),
)


def countermovement_jump(*, height: float = 0.2) -> DrawnMovement:
    """One countermovement jump with swinging arms; `height` is that of the flight."""
    bottom = replace(_dip(0.36, lean_deg=40), **both(wrist=(-0.20, -0.24)))
    return through(
        KeyPose(0.0, STANDING),
        KeyPose(0.55, bottom),
        KeyPose(0.69, replace(_dip(0.45, lean_deg=22), **both(wrist=_DOWN))),
        *_flight(0.81, height, landing_up=0.41),
        reps=1,
    )


def drop_jump(*, height: float = 0.17) -> DrawnMovement:
    """One drop jump: a step off a box, down, and up again at once."""
    fall_s = (2 * (BOX_UP + STANDING_HIP_UP - _TAKE_OFF_UP) / GRAVITY) ** 0.5
    landed_s = 0.62 + fall_s
    step = replace(
        _ON_BOX,
        hip_forward=0.05,
        right_ankle=(0.25, BOX_UP + ANKLE_UP),
        lean_deg=3,
        **both(wrist=_DOWN),
    )
    fallen = _airborne(_TAKE_OFF_UP, arms=(-0.10, -0.30))
    return through(
        KeyPose(0.0, _ON_BOX),
        KeyPose(0.45, step),
        KeyPose(
            0.62, replace(step, hip_forward=0.16, place=(BOX_FORWARD + 0.1, 0.0), floor_up=0.0)
        ),
        KeyPose(landed_s, fallen, {"hip_up": -GRAVITY * fall_s, "hip_forward": 0.0}),
        KeyPose(landed_s + 0.13, replace(_dip(0.45, lean_deg=24), **both(wrist=_DOWN))),
        *_flight(landed_s + 0.27, height, landing_up=0.42),
        reps=1,
    )


def step_up() -> DrawnMovement:
    """Step back up onto the box, from before it: no effort."""
    high = BOX_UP + ANKLE_UP
    back = replace(STANDING, left_ankle=(-0.30, high + 0.06), hip_forward=-0.06, lean_deg=10)
    up = replace(
        _ON_BOX,
        hip_up=BOX_UP + 0.49,
        right_ankle=(0.10, high - 0.1),
        lean_deg=14,
        floor_up=0.1,
    )
    return through(
        KeyPose(0.0, STANDING),
        KeyPose(0.6, back),
        KeyPose(0.9, replace(back, left_ankle=(BOX_FORWARD, high), hip_forward=-0.14, lean_deg=16)),
        KeyPose(1.5, up),
        KeyPose(2.0, _ON_BOX),
    )


def _flight(take_off_s: float, height: float, *, landing_up: float) -> tuple[KeyPose, ...]:
    """Return the keys from take-off to standing still.

    Between two keys with the slopes of a throw, the curve is the parabola of the throw.
    """
    speed = (2 * GRAVITY * height) ** 0.5
    landing_s = take_off_s + 2 * speed / GRAVITY
    return (
        KeyPose(take_off_s, _airborne(_TAKE_OFF_UP, arms=_AHEAD), {"hip_up": speed}),
        KeyPose((take_off_s + landing_s) / 2, _airborne(_TAKE_OFF_UP + height, arms=_UP)),
        KeyPose(landing_s, _airborne(_TAKE_OFF_UP, arms=_AHEAD), {"hip_up": -speed}),
        KeyPose(landing_s + 0.24, _dip(landing_up, lean_deg=30)),
        KeyPose(landing_s + 0.95, STANDING),
    )


def _airborne(hip_up: float, *, arms: tuple[float, float]) -> Posture:
    return Posture(
        hip_up=hip_up,
        lean_deg=2,
        **both(ankle=_ON_TOES, wrist=arms),
        hands_apart=0.05,
        elbows_out_deg=20,
    )


def _dip(hip_up: float, *, lean_deg: float) -> Posture:
    return Posture(
        hip_forward=-0.30 * (STANDING_HIP_UP - hip_up) - 0.02,
        hip_up=hip_up,
        lean_deg=lean_deg,
        knees_out_deg=12,
        **both(wrist=(0.10, -0.28)),
        hands_apart=0.05,
    )
