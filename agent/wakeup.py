"""Wakes a running daemon: a datagram socket in the state folder.

The outbox is the interface; this only says "check now".  Nobody listening is no error.
"""

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

_MESSAGE = b"look"
_MANY = 4096  # interruptions or wake-ups taken note of at once
_REST_S = 0.1  # between two rounds of wake-ups, which somebody may send without end


class WakeSocket:
    """The daemon's end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own, self.interrupt_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._next_s = 0.0  # monotonic: wake-ups are taken from then on
        path.unlink(missing_ok=True)
        with short_path(path) as short:
            self._socket.bind(short)
        path.chmod(0o660)  # the group spotter may wake, nobody else

    def wait(self) -> None:
        """Return when somebody has sent a wake-up, or all that came together were taken.

        However many come, it returns for them ten times a second at most; an interruption ends
        it at once.
        """
        rest_s = max(0.0, self._next_s - time.monotonic())
        ready, _, _ = select.select([self._own], [], [], min(rest_s, _REST_S))
        if not ready:
            ready, _, _ = select.select([self._socket.fileno(), self._own], [], [])
        if self._own in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._own, _MANY)
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MANY):
                self._socket.recv(len(_MESSAGE), socket.MSG_DONTWAIT)
        self._next_s = time.monotonic() + _REST_S

    def interrupt(self) -> None:
        """Let `wait` return; may be called from a signal handler, and needs no path.

        The path leads nowhere once the disk of the state folder is taken away.
        """
        with contextlib.suppress(OSError):  # closed meanwhile, or full: then it returns anyway
            os.write(self.interrupt_fd, b"\0")

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
        os.close(self._own)
        os.close(self.interrupt_fd)
        self._path.unlink(missing_ok=True)


def wake(path: Path) -> bool:
    """Wake the daemon that listens at `path`; False where none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        with contextlib.suppress(OSError), short_path(path) as short:
            sender.sendto(_MESSAGE, short)
            return True
    return False


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Name a socket by its folder's descriptor: socket addresses hold 107 bytes, paths more."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
