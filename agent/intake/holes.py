"""Files that are mostly holes: they say how large they are, and hardly anything was written.

A crashed recorder that had asked for its space, or anybody who may write into the folder, can
leave a file of many terabytes in a moment.  Reading its nothing would take hours, in which
nothing else is taken in.
"""

import errno
import os
from pathlib import Path

_MOST_HOLES_BYTES = 8 << 30  # read as zeros within half a minute
_MOST_PARTS = 10_000  # of one file; between so many, holes are what they are
_BLOCK_BYTES = 512  # of st_blocks, on every file system


def refuse_hollow(path: Path) -> None:
    """Refuse a file with more holes than anybody wants to read.

    Raises:
        OSError: it is one, or cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        seems_bytes = found.st_size - found.st_blocks * _BLOCK_BYTES
        if seems_bytes > _MOST_HOLES_BYTES and _holes_bytes(fd, found.st_size) > _MOST_HOLES_BYTES:
            raise OSError(errno.EINVAL, "it is mostly holes: nothing was ever written there")
    finally:
        os.close(fd)


def _holes_bytes(fd: int, size_bytes: int) -> int:
    """Return what of a file is holes; none where the file system cannot tell (lseek(2))."""
    holes = at = 0
    for _ in range(_MOST_PARTS):
        try:
            data_at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                return 0
            data_at = size_bytes  # nothing but holes from here on
        holes += data_at - at
        if data_at >= size_bytes:
            break
        at = os.lseek(fd, data_at, os.SEEK_HOLE)
    return holes
