"""Waking a running daemon: a datagram socket in the state folder.

The outbox is the interface; this only says "look now".  Nobody listening is no error.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_MESSAGE = b"look"


class WakeSocket:
    """The daemon's end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path.unlink(missing_ok=True)
        with _short(path) as short:
            self._socket.bind(short)
        path.chmod(0o660)  # the group spotter may wake, nobody else

    def wait(self) -> None:
        """Return when somebody has sent a wake-up."""
        self._socket.recv(len(_MESSAGE))

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


def wake(path: Path) -> bool:
    """Wake the daemon that listens at `path`; False where none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        with contextlib.suppress(OSError), _short(path) as short:
            sender.sendto(_MESSAGE, short)
            return True
    return False


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """Name a socket by its folder's descriptor: socket addresses hold 107 bytes, paths more."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
