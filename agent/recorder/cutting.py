"""What of a stream is stored: whether the recorder is armed, where files begin and end.  Pure.

Armed:

- `assigned`: while the station's last order says so, and `tail_s` longer once nobody is on the
  station.  An order holds until its `until`; then, with the daemon away, the recorder disarms.
- `always`, and within its hours a timetable: without being asked.
- "Stop filming" disarms at once, in every mode and without a tail, until the next order.  A stop
  with an end of its own is over then, also with the daemon away.

Files: idle (no file), and filming (one file).  What holds at every moment:

- A packet reaches a file only if it was filmed while armed, or in the `pre_roll_s` before; and it
  reaches one file only.
- Idle, packets are in memory alone, in a ring that holds no more than `pre_roll_s` and
  `ring_bytes`; what is older than the pre-roll is dropped when the next packet comes.
- A file begins with a keyframe.  It ends before a keyframe, once it is `segment_s` long or
  everything was at rest for `quiet_s` after a movement; and at once when disarmed, or when the
  stream breaks off.  A file that ended before a keyframe is continued by the next one.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from agent.bandwidth_schedule import Timetable
from agent.camera_link import FilmingOrder, OrderReason
from agent.clock import Instant
from agent.recorder.packets import RestDetector, StreamPacket

_SHORTEST_S = 5.0  # of a file that ends at rest
_ROUNDING_S = 0.1  # by which time stamps and arrivals are off


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmingPolicy:
    """What arms a recorder."""

    assigned: bool = True  # the station's orders; else the timetable alone
    tail_s: float = 0.0  # how long filming continues once nobody is on the station
    hours: Timetable | None = None  # None: always


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmedState:
    """Whether to store, by what, and since when (seconds since boot)."""

    armed_by: str | None  # None: disarmed
    since_s: float


class Arming:
    """Follows orders and time."""

    def __init__(self, policy: ArmingPolicy) -> None:
        self._policy = policy
        self._order: FilmingOrder | None = None
        self._assigned_until_s: float | None = None  # the tail of an assignment that has ended
        self._state = ArmedState(armed_by=None, since_s=float("-inf"))

    def hear(self, order: FilmingOrder) -> None:
        """Take an order; it counts from the next check on."""
        was_assigned = self._order is not None and self._order.armed
        if order.reason is not OrderReason.UNASSIGNED:
            self._assigned_until_s = None
        elif was_assigned and self._state.armed_by is not None and order.said.boot_s is not None:
            self._assigned_until_s = order.said.boot_s + self._policy.tail_s
        self._order = order

    def look(self, now: Instant) -> ArmedState:
        """Return whether what arrives now is to be stored; moments must not run backwards."""
        assert now.boot_s is not None  # the clock of this process
        armed_by = self._armed_by(now.boot_s, now.utc_s)
        was = self._state
        if armed_by != was.armed_by:
            is_new = was.armed_by is None or armed_by is None
            since_s = now.boot_s if is_new else was.since_s
            self._state = ArmedState(armed_by=armed_by, since_s=since_s)
        return self._state

    def _armed_by(self, now_s: float, utc_s: float) -> str | None:
        order = self._order
        over = order is not None and order.until is not None and _boot_s(order.until) <= now_s
        if order is not None and order.reason is OrderReason.STOPPED and not over:
            return None
        if not self._policy.assigned:
            hours = self._policy.hours
            if hours is None:
                return "always"
            return "timetable" if hours.rate_at(utc_s) > 0 else None
        if order is not None and order.armed and not over:
            return "assigned"
        until_s = self._assigned_until_s
        return "tail" if until_s is not None and now_s < until_s else None


def _boot_s(moment: Instant) -> float:
    """Return a moment on the clock since boot; one of another boot is long past."""
    return float("-inf") if moment.boot_s is None else moment.boot_s


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPolicy:
    """How much is kept, and how long files are."""

    pre_roll_s: float
    segment_s: float
    quiet_s: float
    ring_bytes: int


class EndReason(StrEnum):
    """Why a file ended."""

    SEGMENT = "segment"
    REST = "rest"
    DISARMED = "disarmed"
    STREAM = "stream"  # it broke off, or changed
    NOT_STORED = "not_stored"  # the disk refused
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class BeginFile:
    """A file begins with these packets."""

    packets: tuple[StreamPacket, ...]
    armed_by: str
    continues: bool  # what the last one held, without a gap


@dataclass(frozen=True, slots=True)
class AppendPacket:
    """A packet goes on the file."""

    packet: StreamPacket


@dataclass(frozen=True, slots=True)
class EndFile:
    """The file is whole."""

    reason: EndReason


Action = BeginFile | AppendPacket | EndFile


class PacketRing:
    """The last seconds of a stream, in memory."""

    def __init__(self, *, seconds: float, most_bytes: int) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._packets: deque[StreamPacket] = deque()
        self.size_bytes = 0

    def add(self, packet: StreamPacket) -> None:
        """Take the next packet, and drop what no file can begin with any more."""
        self._packets.append(packet)
        self.size_bytes += len(packet.payload)
        self.drop_before(packet.filmed_s - self._seconds)
        while self.size_bytes > self._most_bytes:
            self._pop()
            self.drop_before(float("-inf"))

    def drop_before(self, horizon_s: float) -> None:
        """Drop all before the first keyframe that was filmed from that moment on."""
        while self._packets and not (
            self._packets[0].is_keyframe and self._packets[0].filmed_s >= horizon_s
        ):
            self._pop()

    def take_all(self) -> tuple[StreamPacket, ...]:
        """Return what the ring holds, which is empty from then on."""
        packets = tuple(self._packets)
        self.clear()
        return packets

    def clear(self) -> None:
        """Drop everything."""
        self._packets.clear()
        self.size_bytes = 0

    @property
    def seconds(self) -> float:
        """How much the ring holds."""
        if not self._packets:
            return 0.0
        return max(0.0, self._packets[-1].filmed_s - self._packets[0].filmed_s)

    def _pop(self) -> None:
        self.size_bytes -= len(self._packets.popleft().payload)


class RecordingPlan:
    """Decides for each packet what is done with it."""

    def __init__(self, policy: CutPolicy) -> None:
        self._policy = policy
        self.ring = PacketRing(seconds=policy.pre_roll_s, most_bytes=policy.ring_bytes)
        self._rest = RestDetector()
        self._begun_s: float | None = None  # when the first packet of the file was filmed

    @property
    def is_filming(self) -> bool:
        """Whether there is a file."""
        return self._begun_s is not None

    @property
    def has_moved(self) -> bool:
        """Whether something has moved in the file that grows."""
        return self.is_filming and self._rest.has_moved

    def take(self, packet: StreamPacket, armed: ArmedState) -> list[Action]:
        """Return what to do for the next packet."""
        self._rest.add(packet)
        actions = self.look(armed)
        if self._begun_s is None:
            self.ring.add(packet)
            return actions + self._begin(armed)
        if not packet.is_keyframe:
            return [AppendPacket(packet)]
        why = self._why_end(packet.filmed_s - self._begun_s, packet.filmed_s)
        if why is None:
            return [AppendPacket(packet)]
        self._begun_s = packet.filmed_s
        self._rest.forget_movement()
        assert armed.armed_by is not None  # else `look` had ended the file
        return [EndFile(why), BeginFile((packet,), armed.armed_by, continues=True)]

    def look(self, armed: ArmedState) -> list[Action]:
        """Return what to do though no packet came: a file ends as soon as the station disarms."""
        if armed.armed_by is None and self._begun_s is not None:
            return self.end(EndReason.DISARMED)
        return []

    def end(self, reason: EndReason) -> list[Action]:
        """End the file, if there is one; what comes next begins with a keyframe of its own."""
        was_filming, self._begun_s = self.is_filming, None
        if reason in (EndReason.STREAM, EndReason.SHUTDOWN):
            self.ring.clear()
        return [EndFile(reason)] if was_filming else []

    def _begin(self, armed: ArmedState) -> list[Action]:
        if armed.armed_by is None:
            return []
        self.ring.drop_before(armed.since_s - self._policy.pre_roll_s)
        packets = self.ring.take_all()
        if not packets:
            return []
        self._begun_s = packets[0].filmed_s
        self._rest.forget_movement()
        return [BeginFile(packets, armed.armed_by, continues=False)]

    def _why_end(self, length_s: float, now_s: float) -> EndReason | None:
        if length_s >= self._policy.segment_s - _ROUNDING_S:
            return EndReason.SEGMENT
        at_rest = self._rest.has_moved and self._rest.still_s(now_s) >= self._policy.quiet_s
        return EndReason.REST if at_rest and length_s >= _SHORTEST_S else None
