"""Camera programs and how they write: `python -m tests.writers MANNER SOURCE TARGET`.

Each writes the whole of SOURCE to TARGET in the end, and until then pauses for longer than a
closed file must be quiet.
"""

import mmap
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

PAUSE_S = 1.2


def stalls(content: bytes, target: Path) -> None:
    """Write, stall with the file open, and write the rest."""
    with target.open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        time.sleep(PAUSE_S)
        file.write(content[len(content) // 2 :])


def preallocates(content: bytes, target: Path) -> None:
    """Make the file as long as it will be, and fill it from the front."""
    with target.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, len(content))
        for start in range(0, len(content), len(content) // 3):
            file.seek(start)
            file.write(content[start : start + len(content) // 3])
            file.flush()
            time.sleep(PAUSE_S / 2)


def renames_early(content: bytes, target: Path) -> None:
    """Give the file its name, and only then write most of it."""
    unfinished = target.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.write(content[:1000])
        file.flush()
        unfinished.rename(target)
        time.sleep(PAUSE_S)
        file.write(content[1000:])


def reopens(content: bytes, target: Path) -> None:
    """Open and close for every part, without much of a pause."""
    for start in range(0, len(content), 10_000):
        with target.open("ab") as file:
            file.write(content[start : start + 10_000])


def maps(content: bytes, target: Path) -> None:
    """Write through memory, with the file's own descriptor closed long since."""
    with target.open("w+b") as file:
        file.truncate(len(content))
        mapped = mmap.mmap(file.fileno(), len(content))
    mapped[:1000] = content[:1000]
    time.sleep(PAUSE_S)
    mapped[1000:] = content[1000:]
    mapped.close()


MANNERS: dict[str, Callable[[bytes, Path], None]] = {
    manner.__name__: manner for manner in (stalls, preallocates, renames_early, reopens, maps)
}

if __name__ == "__main__":
    MANNERS[sys.argv[1]](Path(sys.argv[2]).read_bytes(), Path(sys.argv[3]))
