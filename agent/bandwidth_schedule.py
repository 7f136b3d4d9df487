"""Upload hours and bandwidth limits over the week, in the station's time zone.  Pure.

    Mon-Fri 06:00-22:00 = 2Mbit/s, Sat Sun = off, else unlimited

The first rule that fits a moment holds; where none does, uploads are unlimited.  Times are those
of the wall clock, so that rules go with summer time; a stretch over midnight belongs to the day
on which it begins.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import groupby, pairwise

UNLIMITED = float("inf")  # a rate in bytes per second, as 0 is: off

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_QUARTER_S = 900.0  # clocks are changed at whole quarters of an hour, everywhere
_FAR_S = 8 * 24 * 3600.0  # a week, and a day for a change of clocks
_YEAR_IN_STEPS = 46
_UNITS = {
    **{"bit/s": 1 / 8, "kbit/s": 1e3 / 8, "Mbit/s": 1e6 / 8, "Gbit/s": 1e9 / 8},
    **{"kB/s": 1e3, "MB/s": 1e6},  # a lower b would leave open what is meant
}
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([A-Za-z/]{1,9})")
_TIMES = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What holds on some days, from one minute of the day to another."""

    days: frozenset[int]  # 0 is Monday
    start_minute: int
    end_minute: int  # up to 24 h later: beyond midnight it continues into the next day
    rate_bytes_s: float

    def covers(self, minute: int) -> bool:
        """Tell whether a minute of the week is inside."""
        day, of_day = divmod(minute, _DAY_MINUTES)
        if day in self.days and self.start_minute <= of_day < self.end_minute:
            return True
        return (day - 1) % 7 in self.days and of_day + _DAY_MINUTES < self.end_minute

    def borders(self) -> set[int]:
        """Return the minutes of the week at which it begins or ends to hold."""
        minutes = (self.start_minute, self.end_minute)
        return {(day * _DAY_MINUTES + m) % _WEEK_MINUTES for day in self.days for m in minutes}


class UplinkShare:
    """How much of the site's uplink this station may use, in bytes per second.

    Unlimited unless a hub shares the uplink out.  One thread grants, others read.
    """

    def __init__(self) -> None:
        self.release()

    def grant(self, rate_bytes_s: float, *, until_s: float, then_bytes_s: float) -> None:
        """Take over what the hub says.

        Args:
            rate_bytes_s: what holds now.
            until_s: how long, by the monotonic clock.
            then_bytes_s: what holds afterwards, while nothing more is heard.
        """
        self._granted = (rate_bytes_s, until_s, then_bytes_s)

    def release(self) -> None:
        """Take note that no hub shares anything out any more."""
        self.grant(UNLIMITED, until_s=float("inf"), then_bytes_s=UNLIMITED)

    def rate(self, now_s: float) -> float:
        """Return what holds at a moment of the monotonic clock."""
        rate_bytes_s, until_s, then_bytes_s = self._granted
        return rate_bytes_s if now_s < until_s else then_bytes_s


class Timetable:
    """Which rate holds when."""

    def __init__(self, rules: tuple[Rule, ...] = (), *, zone: tzinfo | None = None) -> None:
        """Lay the week out.

        Args:
            rules: the first that covers a minute holds.
            zone: of the wall clock; None for the box's own.
        """
        self._zone = zone
        borders = sorted({0}.union(*(rule.borders() for rule in rules)))
        rates = [
            next((rule.rate_bytes_s for rule in rules if rule.covers(minute)), UNLIMITED)
            for minute in borders
        ]
        kept = [n for n, rate in enumerate(rates) if n == 0 or rate != rates[n - 1]]
        self._starts = [borders[n] for n in kept]  # in minutes of the week
        self._rates = [rates[n] for n in kept]

    @property
    def is_plain(self) -> bool:
        """Whether nothing is ever capped or closed."""
        return self._rates == [UNLIMITED]

    @property
    def caps(self) -> set[float]:
        """Every rate that ever holds, but for off and unlimited."""
        return {rate for rate in self._rates if self.is_cap(rate)}

    @property
    def ever_opens(self) -> bool:
        """Whether anything may ever be sent."""
        return any(self._rates)

    @property
    def never_closes(self) -> bool:
        """Whether something may be sent at any time."""
        return all(self._rates)

    @staticmethod
    def is_cap(rate_bytes_s: float) -> bool:
        """Tell whether a rate is neither off nor unlimited."""
        return 0 < rate_bytes_s < UNLIMITED

    def rate_at(self, at_s: float) -> float:
        """Return the rate that holds at a Unix time, in bytes per second."""
        return self._rates[self._span_at(at_s)[0]]

    def changes_at(self, at_s: float) -> float | None:
        """Return when another rate holds for the first time after `at_s`; None for never."""
        rate = self.rate_at(at_s)
        return next((start for start, other in self._ahead(at_s) if other != rate), None)

    def opens_at(self, at_s: float) -> float | None:
        """Return when uploads may go, from `at_s` on: at once, later, or never (None)."""
        return next((start for start, rate in self._ahead(at_s) if rate > 0), None)

    def closed_until(self, at_s: float) -> float | None:
        """Return when closed hours end; None where uploads may go at `at_s`."""
        return None if self.rate_at(at_s) else self.opens_at(at_s)

    def longest_open_s(self) -> float:
        """Return the longest stretch of the week without closed hours, in seconds."""
        if all(self._rates):
            return UNLIMITED
        ends = [*self._starts[1:], _WEEK_MINUTES]
        week = list(zip(self._rates, self._starts, ends, strict=True))
        runs = groupby(week * 2, key=lambda span: span[0] > 0)  # twice: Sunday continues in Monday
        longest = max(sum(end - start for _, start, end in run) for is_open, run in runs if is_open)
        return longest * 60.0

    def room_bytes(self, at_s: float, *, line_bytes_s: float) -> float:
        """Return how much goes out from a moment on until uploads may not go any more."""
        if all(self._rates):
            return UNLIMITED
        room = 0.0
        for start, end, rate in self._stretches(at_s):
            if rate == 0:
                break
            room += min(rate, line_bytes_s) * (end - start)
        return room

    def sent_at(self, size_bytes: float, at_s: float, *, line_bytes_s: float) -> float | None:
        """Return when so many bytes will have gone out; None for not within a year.

        Args:
            size_bytes: to be sent from `at_s` on.
            at_s: Unix time.
            line_bytes_s: what the line itself takes.
        """
        if self.is_plain:
            return at_s + size_bytes / line_bytes_s
        for _ in range(_YEAR_IN_STEPS):
            for start, end, rate in self._stretches(at_s):
                pace = min(rate, line_bytes_s)
                if size_bytes <= pace * (end - start):
                    return start + (size_bytes / pace if pace else 0.0)
                size_bytes -= pace * (end - start)
            at_s += _FAR_S
        return None

    def _stretches(self, at_s: float) -> Iterator[tuple[float, float, float]]:
        """Yield start, end and rate of the stretches of a week and a day."""
        borders = [*self._ahead(at_s), (at_s + _FAR_S, 0.0)]
        for (start, rate), (end, _) in pairwise(borders):
            yield start, end, rate

    def _span_at(self, at_s: float) -> tuple[int, float]:
        """Return which span of the week holds, and the seconds until it ends by the wall clock."""
        local = datetime.fromtimestamp(at_s, self._zone)
        minute = local.weekday() * _DAY_MINUTES + local.hour * 60 + local.minute
        span = bisect_right(self._starts, minute) - 1
        end = self._starts[span + 1] if span + 1 < len(self._starts) else _WEEK_MINUTES
        return span, (end - minute) * 60.0 - local.second - local.microsecond / 1e6

    def _ahead(self, at_s: float) -> Iterator[tuple[float, float]]:
        """Yield the stretches of a week and a day from a moment on: their starts and rates.

        It goes from border to border, but never over more than a quarter of an hour at once:
        the clocks may be changed on the way.
        """
        now_s, last_rate = at_s, None
        while now_s < at_s + _FAR_S:
            span, left_s = self._span_at(now_s)
            if self._rates[span] != last_rate:
                last_rate = self._rates[span]
                yield now_s, last_rate
            if len(self._rates) == 1:
                return
            quarter_s = (now_s // _QUARTER_S + 1) * _QUARTER_S
            now_s = min(now_s + left_s, quarter_s)


def parse_timetable(text: str, *, zone: tzinfo | None = None) -> Timetable:
    """Return the timetable that a text describes; an empty one is always unlimited.

    Raises:
        ValueError: it is invalid; the message says what is expected.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    rules = [_rule(part) for part in parts]
    for part in parts[:-1]:
        if part.lower().startswith("else"):
            raise ValueError(f"{part!r} must come last: rules after it would never apply")
    table = Timetable(tuple(rules), zone=zone)
    if not table.ever_opens:
        raise ValueError("uploads would never be enabled")
    return table


def parse_hours(texts: Sequence[str], *, zone: tzinfo | None = None) -> Timetable | None:
    """Return the hours that texts such as "Mon-Fri 06:00-22:00" describe; None of none.

    Raises:
        ValueError: they are invalid; the message says what is expected.
    """
    if not texts:
        return None
    for text in texts:
        if "=" in text or "," in text or not text.strip()[:1].isalpha():
            raise ValueError(f"{text!r}: expected e.g. 'Mon-Fri 06:00-22:00'")
    rules = ", ".join(f"{text} = unlimited" for text in texts)
    return parse_timetable(f"{rules}, else off", zone=zone)


def parse_rate(text: str) -> float:
    """Return bytes per second: `unlimited`, `off`, or a number with its unit.

    Raises:
        ValueError: it is none of these.
    """
    words = text.strip()
    if words.lower() in {"unlimited", "off"}:
        return UNLIMITED if words.lower() == "unlimited" else 0.0
    match = _RATE.fullmatch(words)
    if match is None or match[2] not in _UNITS or not float(match[1]):
        known = "2Mbit/s, 500kbit/s, 250kB/s, unlimited or off"
        raise ValueError(f"{words!r} is not a rate; expected e.g. {known}")
    return float(match[1]) * _UNITS[match[2]]


def _rule(part: str) -> Rule:
    always = part[5:] if part.lower().startswith("else ") else part
    if always != part or part[0].isdigit() or part.lower() in {"off", "unlimited"}:
        return Rule(
            days=frozenset(range(7)),
            start_minute=0,
            end_minute=_DAY_MINUTES,
            rate_bytes_s=parse_rate(always),
        )
    when, separator, rate = part.partition("=")
    if not separator:
        raise ValueError(f"{part!r}: expected e.g. 'Mon-Fri 06:00-22:00 = 2Mbit/s' or 'else off'")
    times = _TIMES.search(when)
    days = when if times is None else when[: times.start()]
    if times is not None and when[times.end() :].strip():
        raise ValueError(f"{part!r}: expected '=' after the times, and commas between rules")
    start, end = (0, _DAY_MINUTES) if times is None else _minutes_of(times)
    return Rule(
        days=_days(days, when.strip()),
        start_minute=start,
        end_minute=end,
        rate_bytes_s=parse_rate(rate),
    )


def _minutes_of(times: re.Match[str]) -> tuple[int, int]:
    hours = [int(times[1]), int(times[3])]
    minutes = [int(times[2]), int(times[4])]
    start, end = (hour * 60 + minute for hour, minute in zip(hours, minutes, strict=True))
    if max(minutes) > 59 or start >= _DAY_MINUTES or end > _DAY_MINUTES:
        raise ValueError(f"{times[0]!r}: times must be from 00:00 to 24:00")
    return start, end if end > start else end + _DAY_MINUTES


def _days(days_text: str, text: str) -> frozenset[int]:
    words = days_text.replace("/", " ").lower().split()
    if not words or words == ["daily"]:
        return frozenset(range(7))
    days: set[int] = set()
    for word in words:
        first, dash, last = word.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ValueError(f"{text!r}: expected e.g. 'Mon-Fri 06:00-22:00' or 'Sat Sun'")
        start = _DAYS.index(first)
        length = (_DAYS.index(last) - start) % 7 + 1 if dash else 1
        days |= {(start + n) % 7 for n in range(length)}
    return frozenset(days)
