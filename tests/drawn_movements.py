"""Movements of the drawn athlete that only tests need: gym exercises, and what resembles them.

Importing this module adds them to the repertoire, by the names of their functions.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from agent.synthetic.body import ANKLE_UP, COLUMNS, STANDING_HIP_UP, FloatArray, Posture
from agent.synthetic.motions import STANDING, DrawnMovement, KeyPose, both, keys_at, through
from agent.synthetic.performance import AT_WILL_S, REPERTOIRE, Act, run

_REPS = 3
_DOWN_S, _UP_S, _PAUSE_S = 0.9, 0.9, 0.5
_SLOWER = 2.6  # the last repetition
_JACKS, _QUARTER_S = 10, 0.24  # how many, and how long from one posture of them to the next
_HOPS, _HOPS_HZ, _HOP = 12, 2.2, 0.06  # how many, how often a second, body heights


def squats() -> DrawnMovement:
    """Three squats with the hands before the chest."""
    ready = replace(STANDING, feet_apart=0.05, hands_apart=-0.09, **both(wrist=(0.16, -0.06)))
    bottom = replace(ready, hip_up=0.29, hip_forward=-0.12, lean_deg=30, knees_out_deg=22)
    return _set(ready, bottom)


def raises() -> DrawnMovement:
    """Three raises of both arms to the front; the feet never move."""
    return _set(STANDING, replace(STANDING, **both(wrist=(0.33, 0.03))))


def curls() -> DrawnMovement:
    """Three curls of both arms."""
    return _set(STANDING, replace(STANDING, **both(wrist=(0.15, -0.07))))


def presses() -> DrawnMovement:
    """Three presses of both arms, from the shoulders overhead."""
    racked = replace(STANDING, **both(wrist=(0.09, 0.0)))
    return _set(racked, replace(racked, **both(wrist=(0.02, 0.335))))


def hinges() -> DrawnMovement:
    """Three times down to a bar and up again with long arms: the hips hardly go down."""
    bent = replace(STANDING, hip_forward=-0.16, hip_up=0.47, lean_deg=68)
    return _set(STANDING, replace(bent, **both(wrist=(0.02, -0.335))))


_PREPARES_S, _LETS_GO_S = 2.0, 0.7  # at the floor
_PULL_S = 1.3 * _UP_S  # with a bar
_AT_FLOOR = replace(
    STANDING, hip_forward=-0.14, hip_up=0.37, lean_deg=52, **both(wrist=(0.02, -0.335))
)


def deadlifts() -> DrawnMovement:
    """Three pulls from the floor: bend down, prepare at the bar, and in the end let go of it."""
    lift = [(_PULL_S, STANDING), (_PAUSE_S, STANDING), (_DOWN_S, _AT_FLOOR), (0.4, _AT_FLOOR)]
    return _after_one_another(
        *((_DOWN_S, _AT_FLOOR), (_PREPARES_S, _AT_FLOOR), *_REPS * lift),
        *((_LETS_GO_S, _AT_FLOOR), (_UP_S, STANDING)),
    )


def romanian_deadlifts() -> DrawnMovement:
    """Take a bar from the floor, lower it three times to the shins, and put it back."""
    bent = replace(STANDING, hip_forward=-0.16, hip_up=0.45, lean_deg=60)
    shins = replace(bent, **both(wrist=(0.02, -0.335)))
    lift = [(_DOWN_S, shins), (_PULL_S, STANDING), (_PAUSE_S, STANDING)]
    return _after_one_another(
        *((_DOWN_S, _AT_FLOOR), (_PAUSE_S, _AT_FLOOR), (_PULL_S, STANDING), (_PAUSE_S, STANDING)),
        *(*_REPS * lift, (_DOWN_S, _AT_FLOOR), (_LETS_GO_S, _AT_FLOOR), (_UP_S, STANDING)),
    )


def _after_one_another(*steps: tuple[float, Posture]) -> DrawnMovement:
    """Return three repetitions that begin standing: so many seconds to each posture."""
    at_s = np.cumsum([seconds for seconds, _ in steps])
    keys = keys_at(at_s, [posture for _, posture in steps])
    return through(KeyPose(0.0, STANDING), *keys, reps=_REPS)


def lunges() -> DrawnMovement:
    """Three lunges with one leg ahead, the hands at the hips."""
    ready = replace(STANDING, **both(wrist=(0.04, -0.25)), hands_apart=0.06)
    apart = replace(ready, left_ankle=(0.22, ANKLE_UP), right_ankle=(-0.24, ANKLE_UP + 0.07))
    split = replace(apart, hip_up=STANDING_HIP_UP - 0.06)
    return _set(split, replace(apart, hip_up=0.33))


def one_armed_curls() -> DrawnMovement:
    """Three curls of the left arm; the other one rests."""
    return _set(STANDING, replace(STANDING, left_wrist=(0.14, -0.05)))


def rows() -> DrawnMovement:
    """Three times the hands to the belly and down again, bent over."""
    bent = replace(
        STANDING, hip_forward=-0.14, hip_up=0.46, lean_deg=58, **both(wrist=(0.02, -0.33))
    )
    return _set(bent, replace(bent, **both(wrist=(-0.08, -0.12))))


def push_ups() -> DrawnMovement:
    """Three push-ups: down to the floor first, and up from it in the end."""
    level = replace(STANDING, hip_up=0.27, lean_deg=78, **both(wrist=(0.0, -0.33)))
    above = replace(level, **both(ankle=(-0.44, 0.05)))
    down = replace(above, hip_up=0.13, lean_deg=88, **both(wrist=(0.02, -0.12)))
    return _set(above, replace(down, **both(ankle=(-0.47, 0.05))))


def pull_ups() -> DrawnMovement:
    """Three pull-ups at a bar that the hands reach for first."""
    hangs = replace(STANDING, hip_up=0.58, hands_apart=0.06, elbows_out_deg=60)
    below = replace(hangs, **both(ankle=(-0.12, 0.12)))
    above = replace(hangs, hip_up=0.84, **both(ankle=(-0.12, 0.38)))
    return _set(
        replace(below, **both(wrist=(0.02, 0.335))),
        replace(above, **both(wrist=(0.08, 0.08))),
        by=replace(STANDING, elbows_out_deg=30, **both(wrist=(0.24, -0.05))),
    )


def walking_lunges() -> DrawnMovement:
    """Three lunges forward, one after the other, and three back to where they began."""
    keys, at_s, place = [KeyPose(0.0, STANDING)], 0.0, 0.0
    for way, turn_deg in ((1, 0.0), (-1, 180.0)):
        for number in range(_REPS):
            ahead, behind = ("left", "right") if number % 2 == 0 else ("right", "left")
            middle = replace(STANDING, place=(place + way * 0.22, 0.0), turn_deg=turn_deg)
            feet = {
                f"{ahead}_ankle": (0.22, ANKLE_UP),
                f"{behind}_ankle": (-0.24, ANKLE_UP + 0.07),
            }
            low = replace(middle, hip_up=0.33, **feet)  # type: ignore[arg-type]  # by name
            place += way * 0.44
            stands = replace(middle, place=(place, 0.0))
            keys += [KeyPose(at_s + _DOWN_S, low), KeyPose(at_s + _DOWN_S + _UP_S, stands)]
            at_s += _DOWN_S + _UP_S
        at_s += 1.0
        keys.append(KeyPose(at_s, replace(stands, turn_deg=180.0 if way > 0 else 0.0)))
    return through(*keys, reps=2 * _REPS)


def jumping_jacks() -> DrawnMovement:
    """Ten jumping jacks: arms and legs out and in; none of them is a jump."""
    apart = replace(
        STANDING, feet_apart=0.18, hands_apart=0.05, elbows_out_deg=80, **both(wrist=(0.03, 0.31))
    )
    between = replace(
        STANDING,
        feet_apart=0.09,
        hip_up=STANDING_HIP_UP + 0.03,
        hands_apart=0.31,
        elbows_out_deg=45,
        **both(ankle=(0.0, ANKLE_UP + 0.03), wrist=(0.1, 0.0)),
    )
    postures = [between, apart, between, STANDING] * _JACKS
    at_s = 0.3 + _QUARTER_S * (1 + np.arange(len(postures)))
    still = (KeyPose(0.0, STANDING), KeyPose(0.3, STANDING))
    return through(*still, *keys_at(at_s, postures), reps=0)


def skipping() -> DrawnMovement:
    """Twelve hops as over a rope, on nearly straight legs: none of them is a jump."""
    ready = replace(STANDING, hands_apart=0.10, **both(wrist=(0.12, -0.22)))
    down = replace(ready, hip_up=STANDING_HIP_UP - 0.02)
    up = replace(
        ready,
        hip_up=STANDING_HIP_UP + _HOP,
        **both(ankle=(0.01, ANKLE_UP + _HOP)),
    )
    keys = [KeyPose(0.0, STANDING), KeyPose(0.6, ready)]
    for number in range(_HOPS):
        keys += [KeyPose(0.9 + number / _HOPS_HZ, down), KeyPose(1.1 + number / _HOPS_HZ, up)]
    end_s = 1.3 + _HOPS / _HOPS_HZ
    return through(*keys, KeyPose(end_s, down), KeyPose(end_s + 0.6, STANDING), reps=0)


def _set(ready: Posture, far: Posture, *, by: Posture | None = None) -> DrawnMovement:
    """Return repetitions from one posture to another and back, and standing at both ends.

    Args:
        ready: in which a repetition begins and ends.
        far: the other end of it.
        by: a posture on the way from standing to the first one, and back.
    """
    keys, at_s = [KeyPose(0.0, STANDING)], 0.0
    ways = [] if ready == STANDING else [posture for posture in (by, ready) if posture is not None]
    for posture in ways:
        at_s += 0.7
        keys.append(KeyPose(at_s, posture))
    for number in range(_REPS):
        slower = _SLOWER if number == _REPS - 1 else 1.0
        keys.append(KeyPose(at_s + slower * _DOWN_S, far))
        at_s += slower * (_DOWN_S + _UP_S)
        keys.append(KeyPose(at_s, ready))
        if number < _REPS - 1:
            at_s += _PAUSE_S
            keys.append(KeyPose(at_s, ready))
    for posture in [*reversed(ways[:-1]), STANDING] if ways else []:
        at_s += 0.7
        keys.append(KeyPose(at_s, posture))
    return through(*keys, reps=_REPS)


_RACKED = replace(STANDING, **both(wrist=(-0.02, 0.02)), hands_apart=0.06)
_GRIP_S = 0.8
_SEATED = replace(STANDING, hip_up=0.29, hip_forward=-0.2, lean_deg=8)
_SITS_S = 1.3


def _once(posture: Posture, duration_s: float, *, by_s: float) -> DrawnMovement:
    """Return the way from standing into a posture within `by_s`, and back as fast in the end."""
    at_s = np.array([0.0, by_s, duration_s - by_s, duration_s])
    return through(*keys_at(at_s, (STANDING, posture, posture, STANDING)))


def sit(duration_s: float) -> DrawnMovement:
    """Sit down on something, rest, and get up: no effort."""
    return _once(_SEATED, duration_s, by_s=_SITS_S)


def stretch(duration_s: float) -> DrawnMovement:
    """Raise both arms overhead once, and lower them: no effort."""
    up = replace(STANDING, **both(wrist=(0.03, 0.32)))
    return _once(up, duration_s, by_s=0.35 * duration_s)


_CIRCLES, _CIRCLES_HZ, _ARM = 6, 0.7, 0.334  # how many, how fast, and how long an arm is
_HANGS = STANDING.left_wrist
_GESTURES = (  # seconds until the hands are there, left and right: at no pace, and never alike
    (0.7, _HANGS, (0.06, -0.1)),
    (1.1, (0.22, -0.28), (0.07, -0.06)),
    (0.4, (0.07, -0.1), (0.1, -0.1)),
    (0.4, (0.14, -0.12), (0.22, -0.08)),
    (0.8, (0.05, -0.06), (0.11, -0.08)),
    (0.4, (0.09, -0.21), (0.18, -0.15)),
    (0.4, _HANGS, (0.18, -0.24)),
    (0.4, (0.19, -0.03), (0.18, -0.09)),
    (1.3, (0.07, -0.1), (0.11, -0.24)),
    (0.9, _HANGS, (0.09, -0.12)),
    (0.5, (0.2, -0.13), (0.06, -0.21)),
    (0.9, (0.09, -0.23), (0.1, -0.07)),
    (1.2, (0.15, -0.27), _HANGS),
    (1.0, (0.16, -0.29), (0.07, -0.11)),
)


def talk() -> DrawnMovement:
    """Talk with both hands, some of the time up to the shoulders: no effort."""
    at_s = np.cumsum([seconds for seconds, _, _ in _GESTURES])
    hands = [replace(STANDING, left_wrist=left, right_wrist=right) for _, left, right in _GESTURES]
    end = KeyPose(float(at_s[-1]) + _GRIP_S, STANDING)
    return through(KeyPose(0.0, STANDING), *keys_at(at_s, hands), end)


def wave() -> DrawnMovement:
    """Wave with one hand, three times: no effort."""
    to_and_fro = [replace(STANDING, right_wrist=(0.06 + 0.04 * (n % 2), 0.14)) for n in range(4)]
    postures = [STANDING, *to_and_fro, STANDING]
    at_s = np.cumsum([0.4, 0.6, 0.25, 0.25, 0.25, 0.6])
    keys = [key for n in range(3) for key in keys_at(at_s + n * (at_s[-1] + 0.4), postures)]
    return through(*keys)


def arm_circles() -> DrawnMovement:
    """Swing straight arms round and round, as who warms up: no effort."""

    def postures(seconds: FloatArray) -> FloatArray:
        turned = 2 * np.pi * _CIRCLES_HZ * np.clip(seconds - 0.5, 0.0, _CIRCLES / _CIRCLES_HZ)
        vectors = np.tile(STANDING.vector(), (len(seconds), 1))
        for name in ("left_wrist", "right_wrist"):
            vectors[:, COLUMNS[name]] = _ARM * np.column_stack([np.sin(turned), -np.cos(turned)])
        return vectors

    return DrawnMovement(_CIRCLES / _CIRCLES_HZ + 1.0, postures)


def toe_touches() -> DrawnMovement:
    """Bend down to the feet twice and stay there, as who stretches: no effort."""
    down = replace(
        STANDING, hip_up=0.46, hip_forward=-0.14, lean_deg=85, **both(wrist=(0.08, -0.33))
    )
    at_s = np.array([0.0, 1.0, 5.5, 6.5, 8.5, 9.5, 14.0, 15.0])
    postures = (STANDING, down, down, STANDING, STANDING, down, down, STANDING)
    return through(*keys_at(at_s, postures))


def load(duration_s: float) -> DrawnMovement:
    """Bend down to the bar once, as who loads a plate: no effort."""
    down = replace(STANDING, lean_deg=75, hip_up=STANDING.hip_up - 0.05, hip_forward=-0.08)
    return _once(down, duration_s, by_s=0.4 * duration_s)


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


def _acts(activity: str | None, *makes: Callable[[], DrawnMovement]) -> dict[str, Act]:
    """Return acts that always take as long as they do, by the names of their functions."""

    def always(make: Callable[[], DrawnMovement]) -> Act:
        return Act(lambda _stage: make(), activity)

    return {make.__name__: always(make) for make in makes}


def _run_at(steps_a_minute: float) -> Act:
    """Return a run on a treadmill with a rhythm of its own."""
    return Act(
        lambda stage: run(stage.seconds or AT_WILL_S, steps_a_minute=steps_a_minute), "running"
    )


REPERTOIRE |= {
    **{f"run_{steps}": _run_at(steps) for steps in (200, 255, 270)},  # steps a minute
    "sit": Act(lambda stage: sit(stage.seconds or AT_WILL_S + 9)),
    "stretch": Act(lambda stage: stretch(stage.seconds or AT_WILL_S)),
    "load": Act(lambda stage: load(stage.seconds or AT_WILL_S)),
    "wait": Act(lambda stage: wait(stage.seconds or AT_WILL_S)),
    **_acts(None, talk, wave, arm_circles, toe_touches, grip, let_go),
    **_acts(
        "weightlifting",
        *(racked_squat, squats, raises, curls, presses, hinges, lunges, one_armed_curls, rows),
        *(push_ups, pull_ups, walking_lunges, deadlifts, romanian_deadlifts),
    ),
    **_acts("jumping", jumping_jacks, skipping),
}
