"""Which keys of a button or pedal mean what, as the settings write it: `pagedown = next`."""

from collections.abc import Iterable
from enum import StrEnum


class ButtonAction(StrEnum):
    """What a key does on the station."""

    DONE = "done"  # nobody is on it; in a rotation who was goes to the queue's end
    NEXT = "next"  # the next of the queue is
    STOP = "stop"  # recording stops until somebody resumes it


# linux/input-event-codes.h; enter and tab are not among them, for they end what a reader reads.
_ROWS = ((2, "1234567890"), (16, "qwertyuiop"), (30, "asdfghjkl"), (44, "zxcvbnm"))
KEY_CODES = {
    **{sign: first + place for first, signs in _ROWS for place, sign in enumerate(signs)},
    **{f"f{n}": 58 + n for n in range(1, 11)},
    **{f"f{n}": 76 + n for n in (11, 12)},
    **{f"f{n}": 170 + n for n in range(13, 25)},
    **{"esc": 1, "space": 57, "home": 102, "up": 103, "pageup": 104, "left": 105, "right": 106},
    **{"end": 107, "down": 108, "pagedown": 109, "insert": 110, "delete": 111},
    **{"mute": 113, "volumedown": 114, "volumeup": 115},
    **{"nextsong": 163, "playpause": 164, "previoussong": 165},
    **{"btn_left": 272, "btn_right": 273, "btn_middle": 274},
}


def parse_buttons(lines: Iterable[str]) -> dict[int, ButtonAction]:
    """Return the action of each key, by the key's code.

    Raises:
        ValueError: a line is not `key = action`, its key or action is unknown, or a key is there
            twice.
    """
    found: dict[int, ButtonAction] = {}
    for line in lines:
        key, _, action = (part.strip().lower() for part in line.partition("="))
        if key not in KEY_CODES:
            raise ValueError(f"unknown key {key!r}: such as pagedown, f13, b or btn_left")
        if action not in set(ButtonAction):
            raise ValueError(f"unknown action {action!r}: done, next or stop")
        if KEY_CODES[key] in found:
            raise ValueError(f"{key} is there twice")
        found[KEY_CODES[key]] = ButtonAction(action)
    return found
