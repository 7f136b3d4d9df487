"""Clocks: UTC for stored times, time since boot for comparisons, local time for people.

UTC on a box without a battery clock jumps when the network comes; the time since boot does
not. So an `Instant` carries both, and two instants are compared by UTC only where nothing
better is known.
"""

import ctypes
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNC_STAMP = "/run/systemd/timesync/synchronized"
_CLOCK_SET_FROM_RTC = Path("/sys/class/rtc/rtc0/hctosys")
_TIME_ERROR = 5  # adjtimex(2): the kernel's clock is not synchronised
_TIMEX_BYTES = 512  # struct timex is 208 bytes on 64-bit Linux; room to spare

Now = Callable[[], "Instant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """One moment on the station's clocks."""

    utc_s: float  # Unix time
    boot_id: str | None = None  # the boot in which it was observed; None: known by UTC only
    boot_s: float | None = None  # seconds since that boot, suspend included
    trusted: bool = True  # whether UTC could be trusted at that moment

    def shifted(self, seconds: float) -> "Instant":
        """Return the moment `seconds` later (earlier where negative)."""
        return Instant(
            utc_s=self.utc_s + seconds,
            boot_id=self.boot_id,
            boot_s=None if self.boot_s is None else self.boot_s + seconds,
            trusted=self.trusted,
        )

    def elapsed_s(self, now: "Instant") -> float:
        """Return the seconds from this moment to a later one: as many as are sure.

        Across a boot, UTC decides; where it was not trusted, only the time since this boot is sure.
        """
        if self.boot_id is not None and self.boot_id == now.boot_id:
            assert self.boot_s is not None and now.boot_s is not None  # goes with boot_id
            return now.boot_s - self.boot_s
        up_s = now.boot_s or 0.0
        if self.trusted and now.trusted:
            return max(now.utc_s - self.utc_s, up_s)
        return up_s


BEGINNING = Instant(utc_s=0.0)  # before anything a station can have seen


def read_clock() -> Instant:
    """Return this moment as the box knows it."""
    return Instant(
        utc_s=time.time(),
        boot_id=_boot_id(),
        boot_s=time.clock_gettime(time.CLOCK_BOOTTIME),
        trusted=_is_trusted(),
    )


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How a part reads the time and waits; the station's own unless a test plays another."""

    now: Now = read_clock
    monotonic: Callable[[], float] = time.monotonic  # seconds, for waits alone
    wait: Callable[[float], None] = _wait


def iso_utc(utc_s: float | None) -> str | None:
    """Return a Unix time as ISO 8601 in UTC, whole seconds; None stays None."""
    if utc_s is None:
        return None
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@cache
def _boot_id() -> str:
    """Return this boot's name, which no process outlives."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def _is_trusted() -> bool:
    """Tell whether the clock was set from the network or from a battery clock."""
    if _was_set_from_battery_clock() or os.access(_TIMESYNC_STAMP, os.F_OK):
        return True
    return _kernel_state()() not in (_TIME_ERROR, -1)


@cache
def _was_set_from_battery_clock() -> bool:
    """Tell whether the kernel set the clock when it booted."""
    try:
        return _CLOCK_SET_FROM_RTC.read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False  # no battery clock: the kernel's own word decides


@cache
def _kernel_state() -> Callable[[], int]:
    """Return what asks the kernel about its clock; looking it up costs more than asking."""
    adjtimex: Callable[[object], int] = ctypes.CDLL(None).adjtimex
    return lambda: adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))


_WEEK_S = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class LocalTime:
    """The box's wall clock, read at one moment."""

    now_s: float  # Unix time

    @property
    def zone(self) -> str:
        """Return the name of the zone that holds now, as in CET or UTC+03."""
        return _zone(time.localtime(self.now_s))

    def moment(self, at_s: float) -> str:
        """Return a moment: with its date where that is another day, with its zone if another."""
        told = time.localtime(at_s)
        return self._with_zone(
            "%H:%M:%S" if self._is_today(told) else "%Y-%m-%d %H:%M:%S",
            told,
        )

    def moment_or(self, iso: object, otherwise: str = "at an unknown time") -> str:
        """Return a document's ISO 8601 moment as people read it; or other words for none."""
        return otherwise if iso is None else self.moment(seconds_of(iso))

    def hour(self, at_s: float) -> str:
        """Return an hour of this week, as plans name it: 22:00, Mon 06:00."""
        told = time.localtime(at_s)
        if self._is_today(told):
            return self._with_zone("%H:%M", told)
        is_near = abs(at_s - self.now_s) < _WEEK_S
        return self._with_zone("%a %H:%M" if is_near else "%Y-%m-%d %H:%M", told)

    def full(self, at_s: float) -> str:
        """Return a moment that stands alone: with date and zone."""
        told = time.localtime(at_s)
        return f"{time.strftime('%Y-%m-%d %H:%M:%S', told)} {_zone(told)}"

    def day(self, at_s: float) -> str:
        """Return the day of a moment."""
        return time.strftime("%Y-%m-%d", time.localtime(at_s))

    def _is_today(self, told: time.struct_time) -> bool:
        today = time.localtime(self.now_s)
        return (told.tm_year, told.tm_yday) == (today.tm_year, today.tm_yday)

    def _with_zone(self, form: str, told: time.struct_time) -> str:
        words = time.strftime(form, told)
        is_as_now = told.tm_gmtoff == time.localtime(self.now_s).tm_gmtoff
        return words if is_as_now else f"{words} {_zone(told)}"


def seconds_of(iso: object) -> float:
    """Return the Unix time of a document's ISO 8601 moment."""
    return datetime.fromisoformat(str(iso)).timestamp()


def _zone(told: time.struct_time) -> str:
    """Return a zone's name; one without a name is given by its offset."""
    name = told.tm_zone or ""
    return f"UTC{name}" if name[:1] in {"+", "-"} else name
