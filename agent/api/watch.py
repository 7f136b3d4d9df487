"""Ending an exchange from outside.

httpx bounds every single wait, and nothing bounds their sum: a server that takes or gives a byte
now and then would keep an exchange alive for ever.  And a thread that is blocked in a socket can
look at no flag.  So a second thread looks on, and shuts the socket down once the exchange must
end; whoever is blocked in it meets the end of the stream.
"""

import fcntl
import os
import socket
import struct
import termios
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from types import TracebackType

from agent.pulse import own_pulse

_LOOK_EVERY_S = 0.2
_CONNECTED = "connect_tcp.complete"  # httpx, "Extensions": the events of its `trace`
_MOST_UNSENT_BYTES = 256 * 1024  # what the system may take of us beyond what is on its way

Judge = Callable[[int], None]


class Watch(AbstractContextManager["Watch"]):
    """Looks on while its own block makes one exchange; hand `trace` to the request."""

    def __init__(self, judge: Judge, *, every_s: float = _LOOK_EVERY_S) -> None:
        """Prepare to look on.

        Args:
            judge: is told again and again how many bytes were handed over and not yet
                acknowledged by the other side.  What it raises ends the exchange, and is
                raised where the exchange is made.
            every_s: how often.
        """
        self._judge = judge
        self._every_s = every_s
        self._cause: Exception | None = None
        self._wire: socket.socket | None = None  # a second handle on the exchange's socket
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._pulse = own_pulse()  # of the exchange, which the judge bounds
        self._thread = threading.Thread(target=self._look_on, name="watch", daemon=True)

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Take note of the exchange's socket: httpx calls this at every step it takes."""
        if not event.endswith(_CONNECTED):
            return
        stream = info["return_value"]
        wire = stream.get_extra_info("socket")  # type: ignore[attr-defined]  # httpcore.NetworkStream
        # What lies in the system's buffer is neither sent nor ours: keep little there.  What is
        # on its way does not count, so that this slows nothing down.
        with suppress(OSError):  # the other side may have gone already
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT_BYTES)
        with self._lock:
            # A handle of our own: the other may be closed, and its number be another's, at any
            # moment; and it stays the same when the stream changes to TLS.
            self._wire = socket.socket(fileno=os.dup(wire.fileno()))
            if self._cause is not None:
                self._cut()

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._wire is not None:
            self._wire.close()
        if error is not None and self._cause is not None:
            raise self._cause from error  # an answer that came all the same stands

    def _look_on(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                self._judge(self._unacknowledged_bytes())
                if self._pulse is not None:
                    self._pulse.beat()
            except Exception as cause:  # noqa: BLE001  # whatever it is: the exchange must meet it
                with self._lock:
                    self._cause = cause
                    self._cut()
                return

    def _unacknowledged_bytes(self) -> int:
        with self._lock:
            if self._wire is None:
                return 0
            with suppress(OSError):
                told = fcntl.ioctl(self._wire, termios.TIOCOUTQ, struct.pack("i", 0))
                return int(struct.unpack("i", told)[0])
        return 0

    def _cut(self) -> None:
        if self._wire is not None:
            with suppress(OSError):  # it may have ended meanwhile
                self._wire.shutdown(socket.SHUT_RDWR)
