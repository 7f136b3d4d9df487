"""Jumps: the hips fly as a thrown body does, and the feet hang where the legs end.  Pure."""

from dataclasses import replace

from agent.sandbox.drawn.body import ANKLE_UP, STANDING_HIP_UP, Posture
from agent.sandbox.drawn.movements import GRAVITY, STANDING, Key, Movement, through

BOX_UP = 0.2  # body heights: 35 cm
BOX_FORWARD = -0.42  # where somebody on the box stands
_TAKE_OFF_UP = 0.565  # of the hips, on the toes
_DOWN, _AHEAD, _UP = (0.05, -0.31), (0.29, -0.06), (0.15, 0.24)  # wrists, from the shoulders
_ON_TOES = (0.01, ANKLE_UP + 0.05)


def countermovement_jump(*, height: float = 0.2) -> Movement:
    """One countermovement jump with swinging arms; `height` is that of the flight."""
    bottom = replace(_dip(0.36, lean_deg=40), left_wrist=(-0.20, -0.24), right_wrist=(-0.20, -0.24))
    return through(
        Key(0.0, STANDING),
        Key(0.55, bottom),
        Key(0.69, replace(_dip(0.45, lean_deg=22), left_wrist=_DOWN, right_wrist=_DOWN)),
        *_flight(0.81, height, landing_up=0.41),
        reps=1,
    )


def drop_jump(*, height: float = 0.17) -> Movement:
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
        Key(0.0, on_box),
        Key(0.45, step),
        Key(0.62, replace(step, hip_forward=0.16, place=(BOX_FORWARD + 0.1, 0.0), floor_up=0.0)),
        Key(landed_s, fallen, {"hip_up": -GRAVITY * fall_s, "hip_forward": 0.0}),
        Key(landed_s + 0.13, replace(_dip(0.45, lean_deg=24), left_wrist=_DOWN, right_wrist=_DOWN)),
        *_flight(landed_s + 0.27, height, landing_up=0.42),
        reps=1,
    )


def step_up() -> Movement:
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
        Key(0.0, STANDING),
        Key(0.6, back),
        Key(0.9, replace(back, left_ankle=(BOX_FORWARD, high), hip_forward=-0.14, lean_deg=16)),
        Key(1.5, up),
        Key(2.0, _on_box(STANDING)),
    )


def _flight(take_off_s: float, height: float, *, landing_up: float) -> tuple[Key, ...]:
    """Return the keys from take-off to standing still.

    Between two keys with the slopes of a throw, the curve is the parabola of the throw.
    """
    speed = (2 * GRAVITY * height) ** 0.5
    landing_s = take_off_s + 2 * speed / GRAVITY
    return (
        Key(take_off_s, _airborne(_TAKE_OFF_UP, arms=_AHEAD), {"hip_up": speed}),
        Key((take_off_s + landing_s) / 2, _airborne(_TAKE_OFF_UP + height, arms=_UP)),
        Key(landing_s, _airborne(_TAKE_OFF_UP, arms=_AHEAD), {"hip_up": -speed}),
        Key(landing_s + 0.24, _dip(landing_up, lean_deg=30)),
        Key(landing_s + 0.95, STANDING),
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
