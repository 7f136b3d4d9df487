"""Named points at which a test may kill or stop the process.

`SPOTTER_CRASH_AT=after-answer` kills at the first pass, `after-answer:3` at the third.
`SPOTTER_STUCK_AT=intake-hashed` holds the thread in native code there for an hour, and with
`:gil` behind it every other thread too.  Nothing happens without these variables.
"""

import ctypes
import os
import signal
from collections import Counter

VARIABLE = "SPOTTER_CRASH_AT"
STUCK_VARIABLE = "SPOTTER_STUCK_AT"
_STUCK_S = 3600

_passed: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """End the process by SIGKILL, or hold it, if the environment asks for it at `name`."""
    _hold(name)
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    point, _, count = wanted.partition(":")
    if point != name:
        return
    _passed[name] += 1
    if _passed[name] == int(count or 1):
        os.kill(os.getpid(), signal.SIGKILL)


def _hold(name: str) -> None:
    point, _, how = os.environ.get(STUCK_VARIABLE, "").partition(":")
    if point == name:
        library = ctypes.PyDLL(None) if how == "gil" else ctypes.CDLL(None)
        library.sleep(_STUCK_S)
