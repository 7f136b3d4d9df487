"""Which file system a folder is on, and which file of it a file is."""

import ctypes
import os
import struct
from pathlib import Path

_AT_FDCWD = -100
_STATX_BTIME = 0x800
_STATX_BYTES = 256
_MASK_AT, _BTIME_AT = 0, 80  # in struct statx


def device_of(folder: Path) -> int | None:
    """Return which file system a folder is on, or None where it is not there."""
    try:
        return folder.stat().st_dev
    except OSError:
        return None


def born_ns_of(path: Path) -> int | None:
    """Return when a file was made, which no copy takes over; None where the system keeps it not.

    A number that an inode had before may be given to another file; this one is not.
    Source: statx(2).
    """
    found = ctypes.create_string_buffer(_STATX_BYTES)
    try:
        failed = ctypes.CDLL(None).statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, found)
    except AttributeError:  # a C library from before 2018
        return None
    if failed or not struct.unpack_from("=I", found, _MASK_AT)[0] & _STATX_BTIME:
        return None
    seconds, nanoseconds = struct.unpack_from("=qI", found, _BTIME_AT)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
