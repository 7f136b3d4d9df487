"""Moments as people read them: by the box's own clock.  Scripts get `clock.iso_utc` instead.

A moment of today is 14:03:27, one of another day 2026-11-24 14:03:27.  The zone is said once,
where a table or a text begins; a moment names its own only where its offset is another one,
before or after the clocks were changed.
"""

import time
from dataclasses import dataclass
from datetime import datetime

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
    """Return a zone's name; one that has none is told by its offset."""
    name = told.tm_zone or ""
    return f"UTC{name}" if name[:1] in {"+", "-"} else name
