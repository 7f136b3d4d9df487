"""A camera's packets: when each was filmed, whether its time stamps are sound, and what a file
needs of them.  Pure.
"""

import heapq
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

MOST_REORDERED = 16  # pictures that a codec may hold back for a later one (H.264, HEVC, AV1)
_DRIFT = 1e-3  # seconds per second: cameras' clocks are off by less
_WINDOW_S = 10.0  # by stamps and by arrival: a stall, after which packets pile up, is none
_WRONG_SPEED, _WRONG_BY_S, _WRONG_WINDOWS = 0.03, 3.0, 4  # longer than a network's queue grows
_JUMP_S = 2.0  # by so much more than the time that passed, time stamps do not run forward


@dataclass(frozen=True, slots=True)
class StreamPacket:
    """One encoded picture, as the camera sent it."""

    payload: bytes
    pts_s: float  # when it is to be shown, on the camera's own clock
    duration_s: float  # 0 where the stream does not say
    is_keyframe: bool
    filmed_s: float  # seconds since boot, as far as its arrival and its timestamp show


class _Windows:
    """Finds the least delay of packets, one window after the other."""

    def __init__(self) -> None:
        self._begun: tuple[float, float] | None = None  # its first stamp, and when that came
        self._least_s = 0.0

    def ended(self, pts_s: float, arrived_s: float) -> float | None:
        """Return the least delay of the window that this packet ends; None where it ends none."""
        delay_s = arrived_s - pts_s
        if self._begun is None:
            self._begun, self._least_s = (pts_s, arrived_s), delay_s
            return None
        least_s = self._least_s = min(self._least_s, delay_s)
        if min(pts_s - self._begun[0], arrived_s - self._begun[1]) < _WINDOW_S:
            return None
        self._begun, self._least_s = (pts_s, arrived_s), delay_s
        return least_s


class ArrivalClock:
    """Estimates when packets were filmed, by those that came with the least delay.

    Network and camera hold packets back, and never send one early.  So the least difference of
    arrival and time stamp is nearest to the truth; it may rise slowly, as two clocks drift apart.
    Where it has been higher for a whole window, the stamps run slower than that.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._seen_s = 0.0
        self._windows = _Windows()

    def filmed_s(self, pts_s: float, arrived_s: float) -> float:
        """Return when a packet was filmed that arrived now: never later than its arrival."""
        offset_s = arrived_s - pts_s
        if self._offset_s is not None:
            highest_s = self._offset_s + _DRIFT * max(0.0, arrived_s - self._seen_s)
            if (least_s := self._windows.ended(pts_s, arrived_s)) is not None:
                highest_s = max(highest_s, least_s)
            offset_s = min(offset_s, highest_s)
        self._offset_s, self._seen_s = offset_s, arrived_s
        return min(pts_s + offset_s, arrived_s)


class TimeFault(StrEnum):
    """What is wrong with a packet's time stamp."""

    MISSING = "missing"
    REPEATED = "repeated"
    BACKWARD = "backward"
    FORWARD = "forward"  # further than time has passed
    SPEED = "at another speed than time"


class TimeCheck:
    """Follows the time stamps of one stream, in the order in which packets come.

    It keeps the 16 latest times.  A time that is not later than one which has left them could not
    be given a decode time in order: so much no codec reorders.

    Cameras that count pictures instead of reading a clock send more or fewer than they say, as in
    the dark.  Where pictures are reordered, nothing better than their stamps is known.
    """

    def __init__(self) -> None:
        self._latest: list[float] = []  # a heap
        self._left_s: float | None = None
        self._arrived_s = 0.0
        self._windows = _Windows()
        self._least_s: list[float] = []  # delays of the last windows, as long as they rise or fall
        self._reorders = False

    def fault(self, pts_s: float | None, arrived_s: float) -> TimeFault | None:
        """Return what is wrong with the next packet's time stamp; None where nothing is.

        After a fault everything starts again: the packet is the first of another time.
        """
        found = TimeFault.MISSING if pts_s is None else self._compare(pts_s, arrived_s)
        if found is not None:
            self._latest, self._left_s = [], None
            self._windows, self._least_s = _Windows(), []
        if pts_s is not None:
            heapq.heappush(self._latest, pts_s)
            if len(self._latest) > MOST_REORDERED:
                self._left_s = heapq.heappop(self._latest)
        self._arrived_s = arrived_s
        return found

    def _compare(self, pts_s: float, arrived_s: float) -> TimeFault | None:
        if not self._latest:
            return None
        if pts_s in self._latest or pts_s == self._left_s:
            return TimeFault.REPEATED
        latest_s = max(self._latest)
        has_left = self._left_s is not None and pts_s < self._left_s
        if has_left or latest_s - pts_s > _JUMP_S:
            return TimeFault.BACKWARD
        passed_s = arrived_s - self._arrived_s
        if pts_s - latest_s > passed_s + _JUMP_S:
            return TimeFault.FORWARD
        self._reorders = self._reorders or pts_s < latest_s
        return TimeFault.SPEED if self._has_wrong_speed(pts_s, arrived_s) else None

    def _has_wrong_speed(self, pts_s: float, arrived_s: float) -> bool:
        """Tell whether delays have grown, or shrunk, in window after window."""
        least_s = self._windows.ended(pts_s, arrived_s)
        if least_s is None or self._reorders:
            return False
        before, limit_s = self._least_s, _WRONG_SPEED * _WINDOW_S
        change_s = least_s - before[-1] if before else 0.0
        continues = len(before) < 2 or (change_s > 0) == (before[-1] > before[-2])
        self._least_s = [*before, least_s] if abs(change_s) > limit_s and continues else [least_s]
        so_far_s = abs(self._least_s[-1] - self._least_s[0])
        return len(self._least_s) > _WRONG_WINDOWS and so_far_s > _WRONG_BY_S


_BEFORE_ALL = 60_000  # more than any stream reorders, in milliseconds


class DecodeTimes:
    """Rebuilds decode times, which RTSP does not carry, from the order of the packets of a file.

    A packet's decode time is the least of the times that came so far and has not been given away,
    16 packets late.  So decode times never fall, and none is later than its packet is shown,
    however the camera reorders up to 16 pictures.
    """

    def __init__(self) -> None:
        self._heap: list[int] = []
        self._before: int | None = None

    def next(self, pts: int) -> int:
        """Return the decode time of the next packet, which is shown at `pts`, in milliseconds."""
        if self._before is None:
            self._before = pts - _BEFORE_ALL
        heapq.heappush(self._heap, pts)
        if len(self._heap) > MOST_REORDERED:
            return heapq.heappop(self._heap)
        self._before += 1
        return self._before


_START_CODE = b"\x00\x00\x01"
_SETS = {"h264": (0x1F, 0, 7), "hevc": (0x3F, 1, 33)}  # mask, shift and kind of a sequence's set


def parameter_set(payload: bytes, codec: str) -> bytes | None:
    """Return the sequence parameter set that a keyframe of an Annex B stream carries, or None."""
    if codec not in _SETS:
        return None
    mask, shift, kind = _SETS[codec]
    at = payload.find(_START_CODE)
    while at >= 0 and at + 3 < len(payload):
        end = payload.find(_START_CODE, at + 3)
        if (payload[at + 3] >> shift) & mask == kind:
            return payload[at + 3 : end if end >= 0 else None].rstrip(b"\x00")
        if (payload[at + 3] >> shift) & mask in (1, 5) and codec == "h264":
            return None  # the picture itself: sets come before it
        at = end
    return None


_BUCKET_S = 0.5
_KEPT_BUCKETS = 240  # two minutes
_LEAST_BUCKETS = 6
_LEVEL_BUCKETS = 3  # over which the level is taken: who stands sways, in one bucket more than usual
_SOONER_BUCKETS, _CLEARLY = 2, 1.15  # a level so many times as high shows a movement sooner
_MOVES, _SURELY_MOVES = 1.6, 2.5  # so many times the usual least may be, and is, movement
_LEAST_BYTES = 60.0  # a packet of a picture in which nothing changes


class RestDetector:
    """Estimates since when nothing moved, by the sizes of the packets between keyframes.

    What changes in a picture costs bytes, and a person who stands changes it, too: movement is a
    level that is nearer to the usual most than to the usual least.  It decides only where a file
    ends: a wrong guess, as with a camera that sends a constant rate, costs seconds and never a
    take.
    """

    def __init__(self) -> None:
        self._means: deque[tuple[float, float]] = deque(maxlen=_LEVEL_BUCKETS)  # when begun, bytes
        self._levels: deque[float] = deque(maxlen=_KEPT_BUCKETS)
        self._begun_s: float | None = None
        self._bytes = self._count = 0
        self._still_since_s: float | None = None
        self.has_moved = False  # since it was last asked to forget

    def add(self, packet: StreamPacket) -> None:
        """Take note of the next packet."""
        if packet.is_keyframe:
            return
        if self._begun_s is None:
            self._begun_s = packet.filmed_s
        self._bytes += len(packet.payload)
        self._count += 1
        if packet.filmed_s - self._begun_s >= _BUCKET_S:
            self._close_bucket(packet.filmed_s)

    def still_s(self, now_s: float) -> float:
        """Return for how many seconds nothing has moved."""
        return 0.0 if self._still_since_s is None else max(0.0, now_s - self._still_since_s)

    def forget_movement(self) -> None:
        """Wait for the next movement: a new file has begun."""
        self.has_moved = False

    def _close_bucket(self, now_s: float) -> None:
        assert self._begun_s is not None  # with its first packet
        self._means.append((self._begun_s, self._bytes / self._count))
        self._begun_s, self._bytes, self._count = now_s, 0, 0
        level = self._level(_LEVEL_BUCKETS)
        self._levels.append(level)
        if len(self._levels) < _LEAST_BUCKETS:
            return
        by_size = sorted(self._levels)
        least, most = by_size[len(by_size) // 10], by_size[len(by_size) * 9 // 10]
        middle = min(max((least * most) ** 0.5, _MOVES * least), _SURELY_MOVES * least)
        middle = max(middle, least + _LEAST_BYTES)
        if level > middle or self._level(_SOONER_BUCKETS) > _CLEARLY * middle:
            self.has_moved, self._still_since_s = True, None
        elif self._still_since_s is None:
            self._still_since_s = self._quiet_since_s(middle)

    def _level(self, buckets: int) -> float:
        """Return the mean of the last buckets."""
        means = [mean for _, mean in self._means][-buckets:]
        return sum(means) / len(means)

    def _quiet_since_s(self, middle: float) -> float:
        """Return when the last buckets began that are all below a level; the last one counts."""
        since_s = self._means[-1][0]
        for begun_s, mean in reversed(self._means):
            if mean > middle:
                break
            since_s = begun_s
        return since_s
