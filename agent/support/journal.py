"""The system's journal, read: where there is one, it has what the outbox does not keep."""

import os
import shutil
import subprocess
from collections.abc import Sequence

_WITHIN_S = 20


def journal_lines(*matches: str, unit: str | None = None, most: int = 2000) -> list[str]:
    """Return what the journal holds, oldest first; nothing where there is none to read.

    Args:
        matches: fields, as in SPOTTER_CLIP=k3x9q2m4pd; any of them.
        unit: all lines of this unit.
        most: no more than so many, the last ones.
    """
    command = shutil.which("journalctl")
    if command is None:
        return []
    wanted: list[str] = [] if unit is None else [f"--unit={unit}"]
    for number, match in enumerate(matches):
        wanted += ["+", match] if number else [match]
    return _ask([command, "--no-pager", "--output=short-iso", f"--lines={most}", *wanted])


def _ask(words: Sequence[str]) -> list[str]:
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_WITHIN_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in done.stdout.splitlines() if not line.startswith("-- ")]
