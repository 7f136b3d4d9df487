"""Olympic lifts, jumps, and the path of the bar.  Pure.

Phases and their order follow J. Garhammer, "Biomechanical Profiles of Olympic Weightlifters",
1985: first pull, transition, second pull, turnover, catch, recovery.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from agent.synthetic.body import (
    ANKLE_UP,
    HALF_SHOULDERS,
    STANDING_HIP_UP,
    FloatArray,
    Pair,
    Posture,
    joints_of,
)
from agent.synthetic.motions import GRAVITY, STANDING, DrawnMovement, Grip, KeyPose, through

PLATE_RADIUS = {"iron": 0.16 / 1.75, "bumper": 0.225 / 1.75}  # body heights
_REST_FORWARD = 0.06  # where the bar lies: over the middle of the feet
_BOUNCE = 0.22  # share of its speed that a dropped bar keeps
_SNATCH_APART, _CLEAN_APART = 0.12, 0.03  # how far the hands are outside the shoulders
SHORTEST_SET_S = 0.2  # stillness before a lift
_CORRECTIONS = 6  # leave less than 1 mm
_DROP_S = 1.3  # from letting go to standing as before


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
        _Phase(0.92, _on_toes(hip_forward=0.02, hip_up=0.56, lean_deg=-7), (0.08, 0.56), 45),
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
        _Phase(0.93, _on_toes(hip_forward=0.02, hip_up=0.56, lean_deg=-6), (0.08, 0.55), 50),
        _Phase(1.10, replace(squat, hip_up=0.42, feet_apart=0.03), (0.11, 0.66), 60),
        _Phase(1.35, replace(squat, hip_up=0.29), (0.085, 0.565)),
        _Phase(1.55, squat, (0.085, 0.52)),
        _Phase(1.70, squat, (0.085, 0.52)),
        _Phase(2.55, racked, (0.085, 0.81)),
        _Phase(3.10, racked, (0.085, 0.81)),
        _Phase(3.35, dip, (0.085, 0.735)),
        _Phase(3.57, _on_toes(hip_up=0.56, feet_apart=0.05), (0.06, 0.93), 25),
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
        left_wrist=(0.22, -0.18),
        right_wrist=(0.22, -0.18),
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
        posture = replace(posture, left_wrist=place, right_wrist=place, hands_apart=float(wrist[2]))
        wrist += bar - joints_of(posture.vector())["left_hand"]
    return posture


def _on_toes(
    *, hip_up: float, hip_forward: float = 0.0, lean_deg: float = 0.0, feet_apart: float = 0.0
) -> Posture:
    ankle = (0.015, ANKLE_UP + 0.045)
    return Posture(
        hip_forward=hip_forward,
        hip_up=hip_up,
        lean_deg=lean_deg,
        left_ankle=ankle,
        right_ankle=ankle,
        feet_apart=feet_apart,
    )


BOX_UP = 0.2  # body heights: 35 cm
BOX_FORWARD = -0.42  # where somebody on the box stands
_TAKE_OFF_UP = 0.565  # of the hips, on the toes
_DOWN, _AHEAD, _UP = (0.05, -0.31), (0.29, -0.06), (0.15, 0.24)  # wrists, from the shoulders
_ON_TOES = (0.01, ANKLE_UP + 0.05)


def countermovement_jump(*, height: float = 0.2) -> DrawnMovement:
    """One countermovement jump with swinging arms; `height` is that of the flight."""
    bottom = replace(_dip(0.36, lean_deg=40), left_wrist=(-0.20, -0.24), right_wrist=(-0.20, -0.24))
    return through(
        KeyPose(0.0, STANDING),
        KeyPose(0.55, bottom),
        KeyPose(0.69, replace(_dip(0.45, lean_deg=22), left_wrist=_DOWN, right_wrist=_DOWN)),
        *_flight(0.81, height, landing_up=0.41),
        reps=1,
    )


def drop_jump(*, height: float = 0.17) -> DrawnMovement:
    """One drop jump: a step off a box, down, and up again at once."""
    fall_s = (2 * (BOX_UP + STANDING_HIP_UP - _TAKE_OFF_UP) / GRAVITY) ** 0.5
    landed_s = 0.62 + fall_s
    on_box = _on_box(STANDING)
    step = replace(
        on_box,
        hip_forward=0.05,
        right_ankle=(0.25, BOX_UP + ANKLE_UP),
        lean_deg=3,
        left_wrist=_DOWN,
        right_wrist=_DOWN,
    )
    fallen = _airborne(_TAKE_OFF_UP, arms=(-0.10, -0.30))
    return through(
        KeyPose(0.0, on_box),
        KeyPose(0.45, step),
        KeyPose(
            0.62, replace(step, hip_forward=0.16, place=(BOX_FORWARD + 0.1, 0.0), floor_up=0.0)
        ),
        KeyPose(landed_s, fallen, {"hip_up": -GRAVITY * fall_s, "hip_forward": 0.0}),
        KeyPose(
            landed_s + 0.13, replace(_dip(0.45, lean_deg=24), left_wrist=_DOWN, right_wrist=_DOWN)
        ),
        *_flight(landed_s + 0.27, height, landing_up=0.42),
        reps=1,
    )


def step_up() -> DrawnMovement:
    """Step back up onto the box, from before it: no effort."""
    high = BOX_UP + ANKLE_UP
    back = replace(STANDING, left_ankle=(-0.30, high + 0.06), hip_forward=-0.06, lean_deg=10)
    up = replace(
        _on_box(STANDING),
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
        KeyPose(2.0, _on_box(STANDING)),
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
        left_ankle=_ON_TOES,
        right_ankle=_ON_TOES,
        left_wrist=arms,
        right_wrist=arms,
        hands_apart=0.05,
        elbows_out_deg=20,
    )


def _dip(hip_up: float, *, lean_deg: float) -> Posture:
    return Posture(
        hip_forward=-0.30 * (STANDING_HIP_UP - hip_up) - 0.02,
        hip_up=hip_up,
        lean_deg=lean_deg,
        knees_out_deg=12,
        left_wrist=(0.10, -0.28),
        right_wrist=(0.10, -0.28),
        hands_apart=0.05,
    )


def _on_box(posture: Posture) -> Posture:
    up = BOX_UP
    return replace(
        posture,
        place=(BOX_FORWARD, 0.0),
        floor_up=up,
        hip_up=posture.hip_up + up,
        left_ankle=(posture.left_ankle[0], posture.left_ankle[1] + up),
        right_ankle=(posture.right_ankle[0], posture.right_ankle[1] + up),
    )
