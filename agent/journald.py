"""The system's journal, spoken to in its own protocol, so that fields stay fields.

Each field of an event becomes one of the journal's: `journalctl SPOTTER_CLIP=k3x9q2m4pd` is the
log of one clip.  Source: systemd.io, Native Journal Protocol.
"""

import contextlib
import os
import re
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

SOCKET = Path("/run/systemd/journal/socket")
FIELD = "SPOTTER_"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_MOST_BYTES = 32768  # of one value: a datagram that is too large would be lost whole
_TIMESTAMP, _EVENT, _LEVEL = "timestamp", "event", "level"


def is_ours(environ: Mapping[str, str], fd: int) -> bool:
    """Tell whether a descriptor is the journal's, as the service manager says in JOURNAL_STREAM."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def encode(event: Mapping[str, object]) -> bytes:
    """Return an event as the journal reads it."""
    return b"".join(_field(name, value) for name, value in _fields(event))


class JournalLogger:
    """What structlog writes to where systemd runs Spotter; standard error if that fails."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def msg(self, **event: object) -> None:
        """Write one event."""
        try:
            self._socket.sendto(encode(event), self._path)
        except OSError:
            priority = PRIORITIES.get(str(event.get(_LEVEL)), 6)
            with contextlib.suppress(OSError):
                print(f"<{priority}>{_message(event)}", file=sys.stderr, flush=True)  # noqa: T201  # the log itself

    def close(self) -> None:
        """Write no more."""
        self._socket.close()

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


def _fields(event: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    yield "MESSAGE", _message(event)
    yield "PRIORITY", str(PRIORITIES.get(str(event.get(_LEVEL)), 6))
    yield "SYSLOG_IDENTIFIER", "spotter"
    for name, value in event.items():
        if name not in (_TIMESTAMP, _EVENT, _LEVEL):
            clean = re.sub(r"[^A-Z0-9_]", "_", name.upper()).strip("_")[:48]
            yield f"{FIELD}{clean}", str(value)


def _message(event: Mapping[str, object]) -> str:
    """Return an event as a line for people: what happened, then what it happened to."""
    hidden = (_TIMESTAMP, _EVENT, _LEVEL, "exception")
    told = " ".join(f"{name}={value}" for name, value in event.items() if name not in hidden)
    line = f"{event.get(_EVENT, '')} {told}".strip()
    trace = event.get("exception")
    return line if trace is None else f"{line}\n{trace}"


def _field(name: str, value: str) -> bytes:
    content = value.encode("utf-8", "replace")[:_MOST_BYTES]
    if b"\n" not in content:
        return name.encode() + b"=" + content + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(content)) + content + b"\n"
