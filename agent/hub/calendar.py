"""A plan from an iCalendar file: each event is a turn of an athlete on a station.

The place of an event (LOCATION) is the station's id, its title (SUMMARY) the athlete, by user id or
by a name of the roster.  Everything in the file is other people's: what it may cost is bounded, and
nothing of it is taken where one event that names a station cannot be read.
Source: RFC 5545, sections 3.1, 3.6.1 and 3.8.
"""

import re
from calendar import monthrange
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Any

from icalendar import Event

from agent.errors import RequestError
from agent.facility.orders import Turn
from agent.hub.planning import MOST_DAYS, HubAthlete, user_id_among
from agent.text import printable

_MOST_EVENTS = 5_000
_MOST_RECURRING = 1_000
_DEEPEST = 8  # components within each other
_MOST_LINE = 20_000  # characters, unfolded
_LONGEST = timedelta(days=31)  # of an event
_OLDEST = timedelta(days=20 * 366)  # of a recurring event that still recurs
_FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_RULE_PARTS = frozenset(
    {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH"}
)
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_USED = frozenset(
    {"UID", "SUMMARY", "LOCATION", "DESCRIPTION", "STATUS", "SEQUENCE", "RECURRENCE-ID"}
    | {"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE"}
)
_TOLD = {"exercise": "exercise", "barbell_mass": "barbell_mass", "barbell mass": "barbell_mass"}
_AT_LINE = "line {}: {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarPlan:
    """What a calendar says of the next days."""

    turns: Mapping[str, list[Turn]]  # of each station that it names, also of those without a turn
    ignored: int  # events without a place


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """The time of which turns are wanted, in Unix time."""

    begins: float
    ends: float


@dataclass(slots=True, kw_only=True)
class _Block:
    """The lines of one event that matter."""

    line: int
    lines: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)  # of the last line of each property

    @property
    def changes(self) -> str | None:
        """The id of the event of which it replaces one occurrence, as it is written."""
        if "RECURRENCE-ID" not in self.numbers:
            return None
        values = (line.partition(":")[2] for line in self.lines if line[:3].upper() == "UID")
        return next(values, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """One event, read."""

    block: _Block
    parts: Mapping[str, Any]  # by name, as the library reads them
    uid: str
    sequence: int
    replaced: float | None  # the occurrence in whose place it is, in Unix time
    is_cancelled: bool

    def refuse(self, name: str, why: str) -> RequestError:
        """Return what says why a property cannot be used, with its line."""
        number = self.block.numbers.get(name, self.block.line)
        return RequestError(_AT_LINE.format(number, printable(why, 200)))


def read_plan_calendar(
    text: str,
    *,
    now_s: float,
    days: int,
    stations: Collection[str],
    athletes: Mapping[str, HubAthlete],
) -> CalendarPlan:
    """Return the turns of an iCalendar that have not ended: all of them, or nothing.

    Args:
        text: the file's.
        now_s: Unix time.
        days: how many days from now on.
        stations: that there are.
        athletes: of the roster, by user id.

    Raises:
        RequestError: naming the line that cannot be used.
    """
    window = _Window(begins=now_s, ends=now_s + min(days, MOST_DAYS) * 86_400.0)
    events, ignored = _valid(text)
    changed = {(event.uid, event.replaced) for event in events if event.replaced is not None}
    found: dict[str, dict[float, Turn]] = {}
    for event in events:
        if "LOCATION" not in event.parts:
            continue  # it only takes an occurrence away
        station = _station(event, stations)
        turns = found.setdefault(station, {})
        try:
            occurrences = list(_occurrences(event, window))
        except (ValueError, TypeError, AttributeError, OverflowError, OSError):
            raise event.refuse("DTSTART", "its times cannot be used") from None
        for begins, ends in occurrences:
            if event.replaced is None and (event.uid, begins) in changed:
                continue
            if begins in turns:
                raise event.refuse("DTSTART", f"{station} has another turn at this moment")
            turns[begins] = _turn(event, begins, ends, athletes)
    return CalendarPlan(
        turns={station: list(turns.values()) for station, turns in found.items()}, ignored=ignored
    )


def _valid(text: str) -> tuple[list[_Event], int]:
    """Return the latest version of each event, and how many name no station.

    A changed occurrence without a place is among them where its event has one: it takes its place.

    Raises:
        RequestError: one cannot be read, or there are too many.
    """
    latest: dict[tuple[str, float | None], _Event] = {}

    def take(block: _Block) -> None:
        event = _read(block)
        key = event.uid, event.replaced
        if key not in latest or latest[key].sequence <= event.sequence:
            latest[key] = event

    without_place = []
    for block in _blocks(text):
        if "LOCATION" in block.numbers:
            take(block)
        else:
            without_place.append(block)
    planned = {event.uid for event in latest.values()}
    changes = [block for block in without_place if block.changes in planned]
    for block in changes:
        take(block)
    events, ignored = list(latest.values()), len(without_place) - len(changes)
    if sum("RRULE" in event.block.numbers for event in events) > _MOST_RECURRING:
        raise RequestError(f"more than {_MOST_RECURRING} recurring events")
    return events, ignored


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the events of a calendar; what is inside of them, such as alarms, is left out.

    Raises:
        RequestError: it is no calendar, or too long.
    """
    block, count = _Block(line=0), 0
    for path, number, line in _nested(text):
        name, _, value = line.partition(":")
        key = name.partition(";")[0].strip().upper()
        if path == ["VCALENDAR"] and line.strip().upper() == "METHOD:CANCEL":
            raise RequestError(_AT_LINE.format(number, "this is a cancellation, not a calendar"))
        if path != ["VCALENDAR", "VEVENT"]:
            continue
        if key == "BEGIN":
            block, count = _Block(line=number), count + 1
            if count > _MOST_EVENTS:
                raise RequestError(f"more than {_MOST_EVENTS} events")
        elif key == "END":
            yield block
        elif key in _USED and value:
            block.lines.append(line)
            block.numbers[key] = number


def _nested(text: str) -> Iterator[tuple[list[str], int, str]]:
    """Yield each line with its number and the components that it is in, its own included.

    Raises:
        RequestError: one does not end, or ends where it has not begun.
    """
    path: list[str] = []
    number = 0
    for number, line in _unfolded(text):
        key, _, value = (part.strip().upper() for part in line.partition(":"))
        if not path and key != "BEGIN":
            raise RequestError(_AT_LINE.format(number, "expected BEGIN:VCALENDAR"))
        if key == "BEGIN":
            path.append(value)
            if len(path) > _DEEPEST:
                raise RequestError(_AT_LINE.format(number, "nested too deeply"))
        if key == "END" and path[-1] != value:
            raise RequestError(_AT_LINE.format(number, f"END:{printable(value, 40)} is wrong"))
        yield path, number, line
        if key == "END":
            path.pop()
    if path:
        raise RequestError(_AT_LINE.format(number, f"END:{printable(path[-1], 40)} is missing"))


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with its number, joined with those that continue it."""
    joined, at = "", 1
    lines = re.split("\r\n|\n|\r", text.lstrip("\ufeff"))  # and at no other sign
    for number, line in enumerate([*lines, ""], start=1):
        if line[:1] in {" ", "\t"} and joined:
            joined += line[1:]
            continue
        if len(joined) > _MOST_LINE:
            raise RequestError(_AT_LINE.format(at, f"longer than {_MOST_LINE} characters"))
        if joined.strip():
            yield at, joined
        joined, at = line, number


def _read(block: _Block) -> _Event:
    """Return an event.

    Raises:
        RequestError: one of its properties cannot be read.
    """
    try:
        parts: Any = Event.from_ical("\r\n".join(["BEGIN:VEVENT", *block.lines, "END:VEVENT"]))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise RequestError(_AT_LINE.format(block.line, printable(str(error), 200))) from None
    for name, why in parts.errors:
        number = block.numbers.get(name or "", block.line)
        told = printable(f"{name or 'a line'} cannot be read: {why}", 200)
        raise RequestError(_AT_LINE.format(number, told))
    uid = str(parts.get("UID", f"line {block.line}"))
    status = str(parts.get("STATUS", "")).strip().upper()
    event = _Event(
        block=block,
        parts=parts,
        uid=uid,
        sequence=_whole(parts.get("SEQUENCE")),
        replaced=None,
        is_cancelled=status == "CANCELLED",
    )
    if "RECURRENCE-ID" not in parts:
        return event
    wall = _wall(event, "RECURRENCE-ID")
    if "RANGE" in parts["RECURRENCE-ID"].params:
        raise event.refuse("RECURRENCE-ID", "RANGE is not supported: one event for each change")
    replaced = _moment(wall, _zone(event, "RECURRENCE-ID"))
    return _Event(
        block=block,
        parts=parts,
        uid=uid,
        sequence=event.sequence,
        replaced=replaced,
        is_cancelled=event.is_cancelled,
    )


def _whole(value: Any) -> int:
    try:
        return int(value or 0)
    except (ValueError, TypeError):
        return 0


def _station(event: _Event, stations: Collection[str]) -> str:
    station = str(event.parts["LOCATION"]).strip()
    if station not in stations:
        raise event.refuse("LOCATION", f"no station {station!r}")
    return station


def _turn(
    event: _Event, begins: float, ends: float | None, athletes: Mapping[str, HubAthlete]
) -> Turn:
    told: dict[str, str] = {}
    for line in str(event.parts.get("DESCRIPTION", "")).splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() in _TOLD and value.strip():
            told[_TOLD[key.strip().lower()]] = value.strip()
    user_id = _athlete(event, athletes)
    try:
        return Turn.model_validate({"user_id": user_id, "begins": begins, "ends": ends, **told})
    except ValueError:
        words = ", ".join(f"{key}: {value}" for key, value in told.items())
        raise event.refuse("DESCRIPTION", f"cannot be planned: {user_id} {words}") from None


def _athlete(event: _Event, athletes: Mapping[str, HubAthlete]) -> str:
    """Return the user id of an event's title.

    Raises:
        RequestError: it names no athlete, or one who is not known.
    """
    title = " ".join(str(event.parts.get("SUMMARY", "")).split())
    if not title:
        raise event.refuse("SUMMARY", "no SUMMARY, which must name the athlete")
    try:
        return user_id_among(athletes, title)
    except RequestError as error:
        raise event.refuse("SUMMARY", str(error)) from None


def _occurrences(event: _Event, window: _Window) -> Iterator[tuple[float, float | None]]:
    """Yield when an event begins and ends, each time that it may touch the window."""
    if event.is_cancelled:
        return
    start, zone = _wall(event, "DTSTART"), _zone(event, "DTSTART")
    length = _length(event, start, zone)
    if length is not None and not timedelta() < length <= _LONGEST:
        why = (
            "ends before it begins" if length <= timedelta() else f"lasts over {_LONGEST.days} days"
        )
        raise event.refuse("DTEND" if "DTEND" in event.parts else "DURATION", f"it {why}")
    earliest = _naive(window.begins, zone) - (length or timedelta())
    latest = _naive(window.ends, zone)
    starts = {start} if "RRULE" not in event.parts else set(_recur(event, start, zone, latest))
    starts |= set(_walls(event, "RDATE", zone))
    starts -= set(_walls(event, "EXDATE", zone))
    days_off = {one for one in _listed(event, "EXDATE") if not isinstance(one, datetime)}
    for one in sorted(starts):
        if earliest <= one < latest and one.date() not in days_off:
            yield _moment(one, zone), None if length is None else _moment(one + length, zone)


def _recur(
    event: _Event, start: datetime, zone: tzinfo | None, latest: datetime
) -> Iterator[datetime]:
    """Yield when an event recurs, by the clocks of its zone.

    Raises:
        RequestError: in such a way that no athlete's turn does, or since too long ago.
    """
    if isinstance(event.parts["RRULE"], list):
        raise event.refuse("RRULE", "more than one RRULE")
    told = dict(event.parts["RRULE"])
    if start < latest - _OLDEST:
        raise event.refuse("DTSTART", "a recurring event may have begun 20 years ago at most")
    try:
        rule = Recurrence.of(told, start.date())
        (count,), (until,) = told.get("COUNT", [None]), told.get("UNTIL", [None])
    except ValueError:
        text = event.parts["RRULE"].to_ical().decode("utf-8", "replace")
        raise event.refuse("RRULE", f"such a recurrence cannot be planned: {text}") from None
    if isinstance(until, datetime):
        until = until if until.tzinfo is None else _naive(until.timestamp(), zone)
    elif isinstance(until, date):
        until = datetime.combine(until, time.max)
    last = min(until or latest, latest)
    for day in islice(rule.days(last.date()), count):
        recurs = datetime.combine(day, start.time())
        if recurs <= last:
            yield recurs


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """On which days something recurs, once a day at most.

    It looks at each day once.  Libraries look for the next day that fits up to the year 9999, which
    a rule that fits none, such as a 30 February, turns into seconds for each event.
    """

    start: date
    frequency: str
    interval: int
    weekdays: frozenset[tuple[int, int]]  # which in the month (0: each), and the day (0: Monday)
    month_days: frozenset[int]  # negative: from the month's end
    months: frozenset[int]
    week_begins: int

    @classmethod
    def of(cls, told: Mapping[str, Sequence[Any]], start: date) -> "Recurrence":
        """Return what a rule says.

        Args:
            told: the parts of the rule, as the library reads them.
            start: the first day.

        Raises:
            ValueError: it is none that can be planned.
        """
        (frequency,), (interval,) = told.get("FREQ", [""]), told.get("INTERVAL", [1])
        (count,) = told.get("COUNT", [1])
        weekdays = frozenset(_weekday(str(one)) for one in told.get("BYDAY", ()))
        rule = cls(
            start=start,
            frequency=frequency,
            interval=interval,
            weekdays=weekdays,
            month_days=frozenset(map(int, told.get("BYMONTHDAY", ()))),
            months=frozenset(map(int, told.get("BYMONTH", ()))),
            week_begins=_weekday(str(*told.get("WKST", ["MO"])))[1],
        )
        in_month = frequency == "MONTHLY" or (frequency == "YEARLY" and rule.months)
        if (
            not set(told) <= _RULE_PARTS
            or frequency not in _FREQUENCIES
            or min(interval, count) < 1
            or (any(which for which, _ in weekdays) and not in_month)
            or (frequency == "WEEKLY" and rule.month_days)
        ):
            raise ValueError("not supported")
        return rule

    def days(self, last: date) -> Iterator[date]:
        """Yield every day up to a last one."""
        for number in range((last - self.start).days + 1):
            day = self.start + timedelta(days=number)
            if self._is_in_step(day) and self._fits(day):
                yield day

    def _is_in_step(self, day: date) -> bool:
        if self.frequency == "DAILY":
            passed = (day - self.start).days
        elif self.frequency == "WEEKLY":
            into = (self.start.weekday() - self.week_begins) % 7
            passed = ((day - self.start).days + into) // 7
        elif self.frequency == "MONTHLY":
            passed = 12 * (day.year - self.start.year) + day.month - self.start.month
        else:
            passed = day.year - self.start.year
        return passed % self.interval == 0

    def _fits(self, day: date) -> bool:
        if self.months and day.month not in self.months:
            return False
        left = monthrange(day.year, day.month)[1] - day.day  # days in the month
        if self.month_days and not {day.day, -1 - left} & self.month_days:
            return False
        if self.weekdays:
            which = {0, (day.day - 1) // 7 + 1, -1 - left // 7}
            return any((one, day.weekday()) in self.weekdays for one in which)
        if self.month_days or self.frequency == "DAILY":
            return True
        if self.frequency == "WEEKLY":
            return day.weekday() == self.start.weekday()
        is_month = self.frequency == "MONTHLY" or self.months or day.month == self.start.month
        return bool(is_month) and day.day == self.start.day


def _weekday(text: str) -> tuple[int, int]:
    """Return which day of a month is meant by 2MO, -1FR or TU.

    Raises:
        ValueError: none.
    """
    which, name = text[:-2], text[-2:].upper()
    return int(which or 0), _WEEKDAYS.index(name)


def _length(event: _Event, start: datetime, zone: tzinfo | None) -> timedelta | None:
    """Return how long an event lasts; None where it does not say."""
    if "DTEND" in event.parts:
        ends = _moment(_wall(event, "DTEND"), _zone(event, "DTEND"))
        return _naive(ends, zone) - start
    if "DURATION" in event.parts:
        length = event.parts["DURATION"].dt
        if not isinstance(length, timedelta):
            raise event.refuse("DURATION", "DURATION cannot be read")
        return length
    is_day = not isinstance(event.parts["DTSTART"].dt, datetime)
    return timedelta(days=1) if is_day else None


def _wall(event: _Event, name: str) -> datetime:
    """Return what the clocks of its zone show at a time of an event; a day begins at midnight."""
    if name not in event.parts:
        raise event.refuse(name, f"no {name}")
    value = event.parts[name]
    if isinstance(value, list):
        raise event.refuse(name, f"more than one {name}")
    return _of(event, name, value.dt)


def _of(event: _Event, name: str, moment: object) -> datetime:
    if isinstance(moment, tuple):  # a period
        moment = moment[0]
    if isinstance(moment, datetime):
        return moment.replace(tzinfo=None)
    if isinstance(moment, date):
        return datetime.combine(moment, time.min)
    raise event.refuse(name, f"{name} is not a time")


def _walls(event: _Event, name: str, zone: tzinfo | None) -> Iterator[datetime]:
    """Yield the times of a list of them, by the clocks of a zone."""
    for moment in _listed(event, name):
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            yield _naive(moment.timestamp(), zone)
        else:
            yield _of(event, name, moment)


def _listed(event: _Event, name: str) -> Iterator[object]:
    """Yield the times of a list of them, and the days; of a period, when it begins."""
    told = event.parts.get(name, [])
    for given in told if isinstance(told, list) else [told]:
        for one in given.dts:
            yield one.dt[0] if isinstance(one.dt, tuple) else one.dt


def _zone(event: _Event, name: str) -> tzinfo | None:
    """Return the zone of a time; None for that of this machine.

    Raises:
        RequestError: nobody knows it.
    """
    value = event.parts[name]
    moment = value.dt
    zone = moment.tzinfo if isinstance(moment, datetime) else None
    if zone is None and "TZID" in value.params:
        told = f"unknown time zone {value.params['TZID']!r}; use one such as Europe/Berlin"
        raise event.refuse(name, told)
    return zone


def _moment(wall: datetime, zone: tzinfo | None) -> float:
    """Return the Unix time at which the clocks of a zone show a time."""
    try:
        aware = wall.astimezone() if zone is None else wall.replace(tzinfo=zone)
        return aware.timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _naive(at_s: float, zone: tzinfo | None) -> datetime:
    """Return what the clocks of a zone show at a Unix time."""
    return datetime.fromtimestamp(at_s, zone).replace(tzinfo=None)
