"""Whether the recorder may store what the camera sends.  Pure.

- `assigned`: while the station's last order says so, and `tail_s` longer once nobody is on the
  station.  An order holds until its `until`; then, with the daemon away, the recorder disarms.
- `always`, and within its hours a timetable: without being asked.
- "Stop filming" disarms at once, in every mode and without a tail, until the next order.  A stop
  with an end of its own is over then, also with the daemon away.
"""

from dataclasses import dataclass

from agent.bandwidth_schedule import Timetable
from agent.camera_link import FilmingOrder, OrderReason
from agent.clock import Instant


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
