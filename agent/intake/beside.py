"""What is known of a file besides its content: when it was created, and a recorder's sidecar."""

import ctypes
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from agent.clock import Instant
from agent.outbox.capture import SidecarTime
from agent.outbox.file_name import printable
from agent.stage import StageName

_SCHEMA = 1
_MOST_BYTES = 65536
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _STATX_BTIME = -100, 0x100, 0x800
_STATX_BYTES, _BTIME_AT = 256, 80  # of struct statx, linux/stat.h

log = structlog.get_logger(stage=StageName.INTAKE)


def born_s(path: Path) -> float | None:
    """Return when a file was created, as Unix time; None where the file system does not say."""
    found = ctypes.create_string_buffer(_STATX_BYTES)
    try:
        statx = ctypes.CDLL(None).statx
    except AttributeError:  # a C library without it
        return None
    name = os.fsencode(path)
    if statx(_AT_FDCWD, name, _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, found) != 0:
        return None
    (mask,) = struct.unpack_from("=I", found.raw, 0)
    seconds, nanoseconds = struct.unpack_from("=qI", found.raw, _BTIME_AT)
    return seconds + nanoseconds * 1e-9 if mask & _STATX_BTIME else None


def _instant(told: Mapping[str, Any]) -> Instant:
    boot_id = told.get("boot_id")
    return Instant(
        utc_s=float(told["utc_s"]),
        boot_id=None if boot_id is None else str(boot_id),
        boot_s=None if boot_id is None else float(told["boot_s"]),
        trusted=told.get("trusted") is True,
    )


def sidecar_of(path: Path) -> Path:
    """Return where a recorder writes what it knows of a file."""
    return path.with_name(f"{path.name}.json")


def read_sidecar(path: Path) -> SidecarTime | None:
    """Return when a recorder says that it recorded a file; None where it says nothing of use."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            stored = json.loads(file.read(_MOST_BYTES))
        if stored["schema"] != _SCHEMA:
            return None
        uncertainty_s = float(stored["uncertainty_ms"]) / 1000
        start, end = _instant(stored["start"]), _instant(stored["end"])
        return SidecarTime(start=start, end=end, uncertainty_s=uncertainty_s)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        log.warning("sidecar rejected", file=printable(path.name))
        return None
