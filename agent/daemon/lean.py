"""Loading a daemon's code without what it never uses.

structlog and httpx load terminal colours wherever they are installed: 70 modules, 6 MB of memory
and a fifth of a start, for a process whose lines go to the journal.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_FOR_TERMINALS = ("rich", "pygments")


@contextmanager
def lean_loading() -> Iterator[None]:
    """Load what is imported meanwhile without terminal colours; they stay out of this process.

    Code is no garbage: none is looked for meanwhile, and not in that code later.
    """
    for name in _FOR_TERMINALS:
        # An import of None fails, and both libraries go on without (import system, sys.modules).
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # typeshed knows no None there
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
