"""Named moments at which a test may kill the process, to prove that the next start goes on.

`SPOTTER_CRASH_AT=after-answer` kills at the first pass, `after-answer:3` at the third.
Nothing happens without that variable.
"""

import os
import signal
from collections import Counter

VARIABLE = "SPOTTER_CRASH_AT"

_passed: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """End the process by SIGKILL if the environment asks for it at `name`."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    point, _, count = wanted.partition(":")
    if point != name:
        return
    _passed[name] += 1
    if _passed[name] == int(count or 1):
        os.kill(os.getpid(), signal.SIGKILL)
