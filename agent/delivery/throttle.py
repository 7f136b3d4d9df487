"""How fast clips go out: our own cap by the timetable, applied smoothly, and closed hours.

An upload that is under way when uploads close is ended as not made, unless the rest goes out
within a minute.  It could neither wait for hours in mid-body, for no server keeps an exchange
open for so long, nor go on at a trickle, for `off` was chosen for a reason.  That costs what was
sent in vain; so `agent.delivery.turn` begins none that is not likely to end in time.
"""

import time
from collections.abc import Callable

from agent.clock import Now
from agent.errors import OutOfHoursError
from agent.timetable import UNLIMITED, Timetable

_BURST_S = 0.1  # so much of the rate goes out at once, at most
_LEAST_PART_BYTES = 1200  # a packet's worth
_SHORTEST_WAIT_S = 0.001  # less is made up for by the next
_LONGEST_WAIT_S = 0.2  # then the rate is looked at again
_GRACE_S = 60.0


class Bucket:
    """When the next part may go, for any rate that may change on the way.  Pure.

    Source: the generic cell rate algorithm, as virtual scheduling (ITU-T I.371, annex A).
    """

    def __init__(self) -> None:
        self._free_at_s = float("-inf")

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until the next part may go."""
        return max(0.0, self._free_at_s - now_s)

    def take(self, size_bytes: int, rate_bytes_s: float, now_s: float) -> None:
        """Let a part go; one that went late makes up for it by no more than a burst."""
        from_s = max(self._free_at_s, now_s - _BURST_S)
        self._free_at_s = from_s + size_bytes / rate_bytes_s


class Throttle:
    """The pace of one lane's uploads."""

    def __init__(
        self,
        timetable: Timetable,
        *,
        now: Now,
        wait: Callable[[float], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep to a timetable.

        Args:
            timetable: by the wall clock.
            now: the wall clock.
            wait: waits for so many seconds; what it raises ends the upload.
            monotonic: the clock of the waits.
        """
        self._timetable = timetable
        self._now = now
        self._wait = wait
        self._monotonic = monotonic
        self._bucket = Bucket()
        self.begin()

    def begin(self) -> None:
        """Take note that another upload begins."""
        self._began_s = self._monotonic()
        self._gone_bytes = 0
        self._last_rate = UNLIMITED
        self._ends_at_s: float | None = None  # once uploads have closed

    def pace(self, wanted_bytes: int, rest_bytes: int) -> int:
        """Wait until the next part of an upload may go, and return how large it may be.

        Args:
            wanted_bytes: how large it should be.
            rest_bytes: how much of the upload is left.

        Raises:
            OutOfHoursError: uploads have closed, and too much is left.
        """
        if self._timetable.is_plain:
            return wanted_bytes
        while True:
            rate = self._timetable.rate_at(self._now().utc_s)
            if rate == 0:
                rate = self._rate_past_closing(rest_bytes)
            wait_s = self._bucket.wait_s(self._monotonic())
            if wait_s < _SHORTEST_WAIT_S or rate == UNLIMITED:
                return self._let_go(wanted_bytes, rate)
            self._wait(min(wait_s, _LONGEST_WAIT_S))

    def _let_go(self, wanted_bytes: int, rate: float) -> int:
        size = wanted_bytes
        if rate != UNLIMITED:
            size = min(wanted_bytes, max(int(rate * _BURST_S), _LEAST_PART_BYTES))
            self._bucket.take(size, rate, self._monotonic())
        self._last_rate = rate
        self._gone_bytes += size
        return size

    def _rate_past_closing(self, rest_bytes: int) -> float:
        """Return the rate at which an upload that is nearly done may end."""
        now_s = self._monotonic()
        if self._ends_at_s is None:
            own_pace = self._gone_bytes / max(now_s - self._began_s, 1e-3)
            self._ends_at_s = now_s + _GRACE_S if rest_bytes <= own_pace * _GRACE_S else now_s
        if now_s >= self._ends_at_s:
            raise OutOfHoursError(f"upload hours are over, with {rest_bytes} bytes left")
        return self._last_rate
