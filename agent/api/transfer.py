"""One HTTP exchange: streamed upload body, total deadline, and a watchdog that aborts it.

httpx bounds every single wait, and nothing bounds their sum: a server that takes or gives a byte
now and then would keep an exchange alive for ever.  And a thread that is blocked in a socket can
look at no flag.  So a second thread watches, and shuts the socket down once the exchange must
end; a blocked reader gets the end of the stream.
"""

import fcntl
import io
import os
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from types import TracebackType

from agent.heartbeat import own_heartbeat

# Is called with how many bytes may go next and how many are left; waits for as long as they must,
# and returns how many may go.  What it raises ends the upload.
Pace = Callable[[int, int], int]


def no_cookies() -> CookieJar:
    """Return what keeps no cookie of any answer.

    A client is open for months: each answer could add one, until requests are too large for the
    host; and a request says by its key alone whose it is, not by whom another key was.
    """
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


class ClipBody(io.FileIO):
    """A clip file, read part by part by the HTTP client.

    Before the last part is handed out, `on_last_part` is called and must have made its mark
    durable: an upload without that mark was certainly not made.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_last_part: Callable[[], None],
        pace: Pace | None = None,
    ) -> None:
        """Open the clip.

        Args:
            path: the clip.
            on_last_part: called once, before the last part is handed out.
            pace: called before every part; None: as fast as the line takes it.
        """
        super().__init__(path)
        self.size_bytes = path.stat().st_size
        self._on_last_part = on_last_part
        self._pace = pace
        self.sent_bytes = 0  # handed to the network
        self.is_complete = False  # the last part was handed out
        self.throttled_s = 0.0  # waited because of our own cap
        self.began_at_s: float | None = None  # when the first part was asked for
        self.out_at_s: float | None = None  # when the whole body was seen to have arrived

    def read(self, size: int | None = -1) -> bytes:
        """Return the next part of the clip, as large as the pace allows."""
        if self.is_complete:
            return b""
        if self.began_at_s is None:
            self.began_at_s = time.monotonic()
        rest_bytes = self.size_bytes - self.sent_bytes
        wanted_bytes = rest_bytes if size is None or size < 0 else size
        part = super().read(self._admitted(wanted_bytes, rest_bytes)) or b""
        if self.sent_bytes + len(part) >= self.size_bytes:
            self._on_last_part()
            self.is_complete = True
        self.sent_bytes += len(part)
        return part

    def sending_s(self) -> float | None:
        """Return the seconds that the body took until now or until it had arrived."""
        if self.began_at_s is None:
            return None
        ended_at_s = time.monotonic() if self.out_at_s is None else self.out_at_s
        return ended_at_s - self.began_at_s

    def _admitted(self, wanted_bytes: int, rest_bytes: int) -> int:
        if self._pace is None:
            return wanted_bytes
        asked_at_s = time.monotonic()
        try:
            return self._pace(wanted_bytes, rest_bytes)
        finally:
            self.throttled_s += time.monotonic() - asked_at_s


_LOOK_EVERY_S = 0.2
_CONNECTED = "connect_tcp.complete"  # httpx, "Extensions": the events of its `trace`
_MOST_UNSENT_BYTES = 256 * 1024  # what the system may take of us beyond what is on its way

Judge = Callable[[int], None]


class ExchangeWatchdog(AbstractContextManager["ExchangeWatchdog"]):
    """Watches while its own block makes one exchange; hand `trace` to the request."""

    def __init__(self, judge: Judge) -> None:
        """Prepare to watch.

        Args:
            judge: is called repeatedly with how many bytes were handed over and not yet
                acknowledged by the other side.  What it raises ends the exchange, and is
                raised where the exchange is made.
        """
        self._judge = judge
        self._cause: Exception | None = None
        self._wire: socket.socket | None = None  # a second handle on the exchange's socket
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._heartbeat = own_heartbeat()  # of the exchange, which the judge bounds
        self._thread = threading.Thread(target=self._look_on, name="watch", daemon=True)

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Take note of the exchange's socket: httpx calls this at every step it takes."""
        if not event.endswith(_CONNECTED):
            return
        stream = info["return_value"]
        wire = stream.get_extra_info("socket")  # type: ignore[attr-defined]  # httpcore.NetworkStream
        # What is in the system's buffer is neither sent nor ours: keep little there.  What is
        # on its way does not count, so that this slows nothing down.
        with suppress(OSError):  # the other side may have gone already
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT_BYTES)
        with self._lock:
            # A handle of our own: the other may be closed, and its number be another's, at any
            # moment; and it stays the same when the stream changes to TLS.
            self._wire = socket.socket(fileno=os.dup(wire.fileno()))
            if self._cause is not None:
                self._cut()

    def __enter__(self) -> "ExchangeWatchdog":
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
        while not self._over.wait(_LOOK_EVERY_S):
            try:
                self._judge(self._unacknowledged_bytes())
                if self._heartbeat is not None:
                    self._heartbeat.beat()
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


_LEAST_ANSWER_BYTES_S = 1000.0
_LONGEST_ANSWER_S = 3600.0


class DeadlineExceededError(Exception):
    """An exchange took longer than it may; what that means is for its maker to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each part of an exchange may take, in seconds."""

    connect_s: float = 10.0
    min_rate_bytes_s: float = 8000.0  # of an upload, on the average of its whole body
    allowance_s: float = 60.0  # on top: for connecting, and for small clips
    stall_s: float = 60.0  # while the body goes out: without a single byte's progress
    answer_s: float = 120.0  # for the whole answer, once the whole body has arrived


@dataclass(slots=True, kw_only=True)
class UploadDeadline:
    """The time that one upload has left."""

    size_bytes: int
    times: Timeouts
    _out_at_s: float | None = field(default=None, init=False)  # when the body had arrived
    _arrived_bytes: int = field(default=-1, init=False)
    _moved_at_s: float = field(default=0.0, init=False)

    def judge(self, busy_s: float, *, arrived_bytes: int, is_out: bool) -> None:
        """Check a running upload; call this repeatedly.

        Args:
            busy_s: the upload's age in busy seconds.
            arrived_bytes: acknowledged by the other side, in any count that grows with it.
            is_out: whether the whole body has been.

        Raises:
            DeadlineExceededError: the upload must end.
        """
        if arrived_bytes > self._arrived_bytes:
            self._arrived_bytes, self._moved_at_s = arrived_bytes, busy_s
        if is_out:
            self._judge_answer(busy_s)
            return
        self._out_at_s = None
        times = self.times
        longest_s = times.allowance_s + self.size_bytes / times.min_rate_bytes_s
        if busy_s > longest_s:
            raise DeadlineExceededError(f"slower than {times.min_rate_bytes_s:g} bytes/s")
        if busy_s - self._moved_at_s > times.stall_s:
            raise DeadlineExceededError(f"no bytes sent for {times.stall_s:g} s")

    def _judge_answer(self, busy_s: float) -> None:
        if self._out_at_s is None:
            self._out_at_s = busy_s
        if busy_s - self._out_at_s > self.times.answer_s:
            raise DeadlineExceededError(f"no complete answer within {self.times.answer_s:g} s")


@dataclass(slots=True, kw_only=True)
class DownloadDeadline:
    """The time that one download has left; its size may be a lie, so what has come counts."""

    times: Timeouts
    _received_bytes: int = field(default=0, init=False)
    _moved_at_s: float = field(default=0.0, init=False)

    def judge(self, busy_s: float, *, received_bytes: int) -> None:
        """Check a running download; call this repeatedly.

        Args:
            busy_s: its age in busy seconds.
            received_bytes: so far.

        Raises:
            DeadlineExceededError: it must end.
        """
        if received_bytes > self._received_bytes:
            self._received_bytes, self._moved_at_s = received_bytes, busy_s
        times = self.times
        if busy_s > times.allowance_s + received_bytes / times.min_rate_bytes_s:
            raise DeadlineExceededError(f"slower than {times.min_rate_bytes_s:g} bytes/s")
        if busy_s - self._moved_at_s > times.stall_s:
            raise DeadlineExceededError(f"no bytes received for {times.stall_s:g} s")


def longest_answer_s(times: Timeouts, *, received_bytes: int) -> float:
    """Return how old an exchange that is not an upload may become, by what has come of its answer.

    A list may come slowly, but not byte by byte; and none is worth an hour.
    """
    return min(_LONGEST_ANSWER_S, times.answer_s + received_bytes / _LEAST_ANSWER_BYTES_S)
