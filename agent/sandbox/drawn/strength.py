"""Slow strength movements in one place, without the bar.  Pure.

The last repetition is the slow one: a tired athlete takes more than twice as long.
"""

from dataclasses import replace

from agent.sandbox.drawn.body import Posture
from agent.sandbox.drawn.movements import STANDING, Key, Movement, through

_REPS = 3
_DOWN_S, _UP_S, _PAUSE_S = 0.9, 0.9, 0.5
_SLOWER = 2.6  # the last repetition


def squats() -> Movement:
    """Three squats with the hands before the chest."""
    hands = {"left_wrist": (0.16, -0.06), "right_wrist": (0.16, -0.06), "hands_apart": -0.09}
    ready = replace(STANDING, feet_apart=0.05, **hands)  # type: ignore[arg-type]  # by name
    bottom = replace(ready, hip_up=0.29, hip_forward=-0.12, lean_deg=30, knees_out_deg=22)
    return _set(ready, bottom)


def raises() -> Movement:
    """Three raises of both arms to the front; the feet never move."""
    return _set(STANDING, replace(STANDING, left_wrist=(0.33, 0.03), right_wrist=(0.33, 0.03)))


def _set(ready: Posture, far: Posture) -> Movement:
    """Return repetitions from one posture to another and back, and standing at both ends."""
    keys, at_s = [Key(0.0, STANDING)], 0.0
    if ready != STANDING:
        at_s = 0.7
        keys.append(Key(at_s, ready))
    for number in range(_REPS):
        slower = _SLOWER if number == _REPS - 1 else 1.0
        keys.append(Key(at_s + slower * _DOWN_S, far))
        at_s += slower * (_DOWN_S + _UP_S)
        keys.append(Key(at_s, ready))
        if number < _REPS - 1:
            at_s += _PAUSE_S
            keys.append(Key(at_s, ready))
    if ready != STANDING:
        at_s += 0.7
        keys.append(Key(at_s, STANDING))
    return through(*keys, reps=_REPS)
