"""How long an upload or a download may take: from its size and a least rate.  Pure.

A slow line that moves is left alone; what stands still, or is slower than the least rate, is
ended.  Times are busy seconds: since the upload began, without those in which our own cap made
it wait.
"""

from dataclasses import dataclass, field

_LEAST_ANSWER_BYTES_S = 1000.0
_LONGEST_ANSWER_S = 3600.0


class OutOfTimeError(Exception):
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
        """Look at an upload that goes on; call this again and again.

        Args:
            busy_s: the upload's age in busy seconds.
            arrived_bytes: acknowledged by the other side, in any count that grows with it.
            is_out: whether the whole body has been.

        Raises:
            OutOfTimeError: the upload must end.
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
            raise OutOfTimeError(f"slower than {times.min_rate_bytes_s:g} bytes/s")
        if busy_s - self._moved_at_s > times.stall_s:
            raise OutOfTimeError(f"nothing moved for {times.stall_s:g} s")

    def _judge_answer(self, busy_s: float) -> None:
        if self._out_at_s is None:
            self._out_at_s = busy_s
        if busy_s - self._out_at_s > self.times.answer_s:
            raise OutOfTimeError(f"no whole answer within {self.times.answer_s:g} s")


@dataclass(slots=True, kw_only=True)
class DownloadDeadline:
    """The time that one download has left; its size may be a lie, so what has come counts."""

    times: Timeouts
    _received_bytes: int = field(default=0, init=False)
    _moved_at_s: float = field(default=0.0, init=False)

    def judge(self, busy_s: float, *, received_bytes: int) -> None:
        """Look at a download that goes on; call this again and again.

        Args:
            busy_s: its age in busy seconds.
            received_bytes: so far.

        Raises:
            OutOfTimeError: it must end.
        """
        if received_bytes > self._received_bytes:
            self._received_bytes, self._moved_at_s = received_bytes, busy_s
        times = self.times
        if busy_s > times.allowance_s + received_bytes / times.min_rate_bytes_s:
            raise OutOfTimeError(f"slower than {times.min_rate_bytes_s:g} bytes/s")
        if busy_s - self._moved_at_s > times.stall_s:
            raise OutOfTimeError(f"nothing came for {times.stall_s:g} s")


def longest_answer_s(times: Timeouts, *, received_bytes: int) -> float:
    """Return how old an exchange that is not an upload may become, by what has come of its answer.

    A list may come slowly, but not byte by byte; and none is worth an hour.
    """
    return min(_LONGEST_ANSWER_S, times.answer_s + received_bytes / _LEAST_ANSWER_BYTES_S)
