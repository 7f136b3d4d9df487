"""Plans from iCalendar files, as calendars write them and as somebody hostile would."""

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import vRecur

from agent.errors import RequestError
from agent.facility.orders import Turn
from agent.hub.calendar import CalendarPlan, Recurrence, read_plan_calendar
from agent.hub.planning import HubAthlete, is_calendar

_BERLIN = ZoneInfo("Europe/Berlin")
_NOW = datetime(2026, 3, 27, 9, 0, tzinfo=_BERLIN)  # a Friday; summer time begins on Sunday
_ATHLETES = {
    "ada": HubAthlete(user_id="ada", name="Ada Lovelace"),
    "g1": HubAthlete(user_id="g1", name="Grace"),
    "g2": HubAthlete(user_id="g2", name="grace"),
}


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine be in Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _event(*lines: str, place: str = "rack-1", title: str = "ada") -> str:
    return "\r\n".join(
        ["BEGIN:VEVENT", f"LOCATION:{place}", f"SUMMARY:{title}", *lines, "END:VEVENT"]
    )


def _calendar(*events: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *events, "END:VCALENDAR", ""])


def _read(*events: str, days: int = 7) -> CalendarPlan:
    return read_plan_calendar(
        _calendar(*events),
        now_s=_NOW.timestamp(),
        days=days,
        stations={"rack-1", "rack-2"},
        athletes=_ATHLETES,
    )


def _begins(*events: str, days: int = 7) -> list[str]:
    """When the turns of rack-1 begin in Berlin."""
    turns = _read(*events, days=days).turns["rack-1"]
    return [f"{datetime.fromtimestamp(one.begins, _BERLIN):%d %H:%M}" for one in turns]


@pytest.mark.parametrize(
    ("lines", "begins"),
    [
        (("DTSTART:20260327T143000",), ["27 14:30"]),  # by this machine's clock
        (("DTSTART:20260327T143000Z",), ["27 15:30"]),
        (("DTSTART;TZID=America/New_York:20260327T080000",), ["27 13:00"]),
        (("DTSTART;TZID=W. Europe Standard Time:20260327T100000",), ["27 10:00"]),
        (("DTSTART;VALUE=DATE:20260328",), ["28 00:00"]),
        (("DTSTART:20260326T100000", "DTEND:20260326T110000"), []),  # over
        (("DTSTART:20260404T100000",), []),  # behind the next days
        (("DTSTART:20260327T140000", "STATUS:CANCELLED"), []),
        # Over the change to summer time the clock shows the same; across zones the other's does.
        (
            ("DTSTART;TZID=Europe/Berlin:20260301T100000", "RRULE:FREQ=DAILY", "DURATION:PT1H"),
            [f"{day} 10:00" for day in ("27", "28", "29", "30", "31", "01", "02")],
        ),
        (
            ("DTSTART:20260327T090000Z", "RRULE:FREQ=DAILY;COUNT=4"),
            ["27 10:00", "28 10:00", "29 11:00", "30 11:00"],
        ),
        (
            ("DTSTART:20260327T100000", "RRULE:FREQ=DAILY;UNTIL=20260328T230000Z"),
            ["27 10:00", "28 10:00"],
        ),
        (("DTSTART:20260327T100000", "RRULE:FREQ=WEEKLY;BYDAY=MO,FR"), ["27 10:00", "30 10:00"]),
        (
            (
                *("DTSTART:20260327T100000", "RRULE:FREQ=DAILY;COUNT=3"),
                *("EXDATE:20260328T090000Z", "RDATE:20260331T120000"),
            ),
            ["27 10:00", "29 10:00", "31 12:00"],
        ),
        (
            (
                *("DTSTART:20260327T100000", "RRULE:FREQ=DAILY;COUNT=4"),
                "EXDATE;VALUE=DATE:20260328,20260330",  # as some calendars write a whole day
            ),
            ["27 10:00", "29 10:00"],
        ),
        (("DTSTART;VALUE=DATE:20260320", "RRULE:FREQ=WEEKLY"), ["27 00:00", "03 00:00"]),
        (("DTSTART:20060401T100000", "RRULE:FREQ=YEARLY"), ["01 10:00"]),
    ],
)
def test_an_event_is_a_turn_when_the_clock_of_its_zone_says_so(
    lines: tuple[str, ...], begins: list[str]
) -> None:
    assert _begins(_event(*lines)) == begins


def test_a_changed_or_cancelled_occurrence_takes_the_place_of_its_own() -> None:
    daily = _event("UID:1", "DTSTART:20260327T100000", "DTEND:20260327T110000", "RRULE:FREQ=DAILY")
    later = _event(
        *("UID:1", "RECURRENCE-ID:20260328T100000", "DTSTART:20260328T150000"), title="Grace2"
    )
    no_day = _event(
        *("UID:1", "RECURRENCE-ID:20260329T080000Z", "DTSTART:20260329T100000"),
        "STATUS:CANCELLED",
    )
    found = _read(daily, later, no_day, days=3).turns["rack-1"]
    told = [
        (f"{datetime.fromtimestamp(one.begins, _BERLIN):%d %H:%M}", one.user_id) for one in found
    ]
    assert sorted(told) == [("27 10:00", "ada"), ("28 15:00", "Grace2")]


def test_an_occurrence_that_has_lost_its_place_is_not_planned() -> None:
    daily = _event("UID:1", "DTSTART:20260327T100000", "DTEND:20260327T110000", "RRULE:FREQ=DAILY")
    place = "LOCATION:rack-1\r\n"
    elsewhere = _event("UID:1", "RECURRENCE-ID:20260328T100000", "DTSTART:20260328T150000")
    cancelled = _event("UID:1", "RECURRENCE-ID:20260329T080000Z", "STATUS:CANCELLED")
    another = _event("UID:2", "RECURRENCE-ID:20260330T100000", "DTSTART:20260330T150000")
    events = (elsewhere.replace(place, ""), cancelled.replace(place, ""), daily)
    assert _begins(*events, another.replace(place, ""), days=4) == ["27 10:00", "30 10:00"]
    assert _read(*events, another.replace(place, "")).ignored == 1


def test_a_later_version_of_an_event_counts() -> None:
    first, second = (
        _event("UID:1", f"SEQUENCE:{number}", f"DTSTART:20260327T1{number}0000")
        for number in (2, 1)
    )
    assert _begins(first, second) == ["27 12:00"]


def test_who_does_what_until_when() -> None:
    plan = _read(
        _event(
            *("DTSTART:20260327T080000", "DTEND:20260327T100000"),
            *(r"DESCRIPTION:Warm up\nExercise: snatch\nBarbell mass: 62.5", "BEGIN:VALARM"),
            *("DESCRIPTION:exercise: none", "TRIGGER:-PT10M", "END:VALARM"),
            title="ada love\r\n lace",
        ),
        _event("DTSTART;VALUE=DATE:20260327", "STATUS:CANCELLED", place="rack-2"),
        "BEGIN:VEVENT\r\nSUMMARY:Holiday\r\nDTSTART;VALUE=DATE:20260327\r\nEND:VEVENT",
    )
    begins = datetime(2026, 3, 27, 8, tzinfo=_BERLIN).timestamp()
    turn = Turn(
        user_id="ada", begins=begins, ends=begins + 7200, exercise="snatch", barbell_mass=62.5
    )
    assert plan == CalendarPlan(turns={"rack-1": [turn], "rack-2": []}, ignored=1)
    assert is_calendar("\ufeff" + _calendar()) and not is_calendar("station,user_id,begins\n")


_AT = "DTSTART:20260327T100000"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (_event("DTSTART:2026"), "line 6: DTSTART cannot be read"),
        (_event("UID:1"), "line 3: no DTSTART"),
        (_event(_AT, "SEQUENCE:" + "9" * 1000), "line 7: SEQUENCE cannot be read"),
        (
            _event("DTSTART;TZID=Mars/Olympus:20260327T100000"),
            "line 6: unknown time zone 'Mars/Oly",
        ),
        (_event(_AT, "DTEND:20260327T090000"), "line 7: it ends before it begins"),
        (_event(_AT, place="rack-9"), "line 4: no station 'rack-9'"),
        (_event(_AT, title="Nobody Known"), "line 5: 'Nobody Known' is not in the roster"),
        (_event(_AT, title="GRACE"), "line 5: several athletes are called 'GRACE'"),
        (_event(_AT, title=""), "line 3: no SUMMARY"),
        (_event(_AT, "DESCRIPTION:barbell mass: heavy"), "line 7: cannot be planned"),
        (_event(_AT, "RRULE:FREQ=SECONDLY"), "line 7: such a recurrence cannot"),
        (_event(_AT, "RRULE:FREQ=DAILY;BYSECOND=1,2,3"), "line 7: such a recurrence cannot"),
        (_event(_AT, "RRULE:FREQ=DAILY;INTERVAL=0"), "line 7: such a rec"),
        (_event(_AT, "RRULE:FREQ=NEVER"), "line 7: RRULE cannot be read"),
        (_event(_AT, "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"), "line 8: more than one RRULE"),
        (_event(_AT, "RRULE:FREQ=DAILY;BYDAY=2MO"), "line 7: such a recurrence cannot"),
        (_event(_AT, "RRULE:FREQ=YEARLY;BYWEEKNO=20"), "line 7: such a recurrence cannot"),
        (_event(_AT, "RRULE:FREQ=DAILY;COUNT=-1"), "line 7: such a recurrence cannot"),
        (_event(_AT, "DURATION:P900000000D"), "line 7: it lasts over 31 days"),
        (_event(_AT, "DURATION:PT1H", "DURATION:PT2H"), "line 6: its times cannot be used"),
        (_event(_AT, f"RECURRENCE-ID{_AT[7:]}", f"RECURRENCE-ID{_AT[7:]}"), "line 8: more than"),
        (_event(_AT, title="ada\u2028LOCATION:rack-2"), "line 5: "),
        (_event("DTSTART:00010101T000000", "RRULE:FREQ=DAILY"), "line 6: a recurring event may"),
        (_event("UID:" + "x" * 21_000), "line 6: longer than"),
        ("BEGIN:VEVENT\r\nEND:VTODO", "line 4: END:VTODO is wrong"),
        ("BEGIN:VEVENT", "line 4: END:VCALENDAR is wrong"),
        ("BEGIN:X\r\n" * 9, "line 10: nested too deeply"),
        ("METHOD:CANCEL", "line 3: this is a cancellation"),
        (f"{_event(_AT)}\r\n{_event(_AT)}", "line 11: rack-1 has another turn at this moment"),
    ],
)
def test_what_cannot_be_planned_is_said_with_its_line(event: str, said: str) -> None:
    with pytest.raises(RequestError) as raised:
        _read(event)
    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 300


_RULES = (
    *("FREQ=DAILY", "FREQ=DAILY;INTERVAL=3", "FREQ=DAILY;BYDAY=MO,WE", "FREQ=DAILY;BYMONTHDAY=-1"),
    *("FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU", "FREQ=WEEKLY;WKST=SU;BYDAY=SU,MO"),
    *("FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,MO", "FREQ=WEEKLY;BYMONTH=1,2;BYDAY=FR"),
    *("FREQ=MONTHLY", "FREQ=MONTHLY;INTERVAL=2;BYDAY=2MO,-1FR", "FREQ=MONTHLY;BYMONTHDAY=1,-2,31"),
    *("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "FREQ=MONTHLY;BYMONTH=3,6;BYDAY=SA"),
    *("FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=3,7", "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"),
    *("FREQ=YEARLY;INTERVAL=2;BYMONTHDAY=15", "FREQ=YEARLY;BYDAY=TH", "FREQ=DAILY;COUNT=40"),
)


@pytest.mark.parametrize("rule", _RULES)
def test_days_are_those_that_another_implementation_finds(rule: str) -> None:
    told = vRecur.from_ical(rule)
    for start in (date(2024, 2, 29), date(2025, 1, 31), date(2026, 3, 4)):
        last = start + timedelta(days=1500)
        ours = Recurrence.of(told, start).days(last)
        first = datetime.combine(start, datetime.min.time())
        theirs = takewhile(lambda at: at.date() <= last, rrulestr(rule, dtstart=first))  # noqa: B023
        assert list(islice(ours, *told.get("COUNT", [None]))) == [at.date() for at in theirs]


_PIECES = (
    *("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "UID", "STATUS"),
    *("SUMMARY", "LOCATION", "SEQUENCE", ":", ";", "=", ",", "VALUE", "DATE", "PERIOD", "TZID"),
    *("20260327T100000", "20260327", "Z", "00010101T000000", "99991231T235959", "PT1H", "-P1W"),
    *(
        "FREQ",
        "DAILY",
        "WEEKLY",
        "COUNT",
        "UNTIL",
        "INTERVAL",
        "BYDAY",
        "-1FR",
        "0",
        "-5",
        "9" * 30,
    ),
    *("Europe/Berlin", "UTC", "/", "ada", "rack-1", "\r\n", "\r\n ", '"', "\\n", "\x00", "\u2028"),
    *("BEGIN:VEVENT", "END:VEVENT", "BEGIN:VALARM", "END:VALARM", "é", "RANGE=THISANDFUTURE"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=30))
def test_whatever_is_in_a_file_it_is_planned_or_refused_in_one_line(pieces: list[str]) -> None:
    text = "".join(pieces)
    for event in (text, _event(_AT, text), _event(text, _AT)):
        try:
            _read(event)
        except RequestError as error:
            assert "\n" not in str(error)


def test_a_calendar_that_is_made_to_last_ends_soon() -> None:
    never = _event("DTSTART:20070101T000000", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=9")
    began_s = time.process_time()
    assert _begins(*[never.replace("DTSTART", f"UID:{n}\r\nDTSTART") for n in range(20)]) == []
    assert time.process_time() - began_s < 5
    with pytest.raises(RequestError, match="more than 5000 events"):
        _read(*[_event(_AT)] * 5001)
    with pytest.raises(RequestError, match="more than 1000 recurring"):
        _read(*[_event(_AT, "RRULE:FREQ=DAILY")] * 1001)
    with pytest.raises(RequestError):
        _read("BEGIN:VEVENT\r\n" * 20_000)
