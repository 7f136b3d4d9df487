"""Upload hours and bandwidth caps over the week."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bandwidth_schedule import UNLIMITED, Timetable, parse_rate, parse_timetable

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 11, 23, tzinfo=BERLIN)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WEEK_S = 7 * 86400
SCHEDULE = "Mon-Fri 06:00-22:00 = 2Mbit/s, else unlimited"
NIGHTS = "daily 22:00-06:00 = unlimited, Sun = 80kbit/s, else off"


def table(text: str, zone: object = BERLIN) -> Timetable:
    return parse_timetable(text, zone=zone)  # type: ignore[arg-type]  # a tzinfo


def at(day: int, clock: str) -> float:
    hour, minute = map(int, clock.split(":"))
    return (MONDAY + timedelta(days=day)).replace(hour=hour, minute=minute).timestamp()


@pytest.mark.parametrize(
    ("text", "day", "clock", "rate"),
    [
        (SCHEDULE, 0, "05:59", UNLIMITED),
        (SCHEDULE, 0, "06:00", 250_000),
        (SCHEDULE, 4, "21:59", 250_000),
        (SCHEDULE, 4, "22:00", UNLIMITED),
        (SCHEDULE, 5, "12:00", UNLIMITED),
        (NIGHTS, 0, "12:00", 0),
        (NIGHTS, 0, "23:00", UNLIMITED),
        (NIGHTS, 1, "05:59", UNLIMITED),
        (NIGHTS, 6, "12:00", 10_000),
        (NIGHTS, 7, "05:59", UNLIMITED),  # Monday morning belongs to Sunday's night
        ("Fri-Mon = off, else 1MB/s", 0, "12:00", 0),
        ("Fri-Mon = off, else 1MB/s", 1, "12:00", 1e6),
        ("Mon Wed 10:00-24:00 = off", 2, "23:59", 0),
        ("Mon Wed 10:00-24:00 = off", 1, "12:00", UNLIMITED),
        ("sat sun=off,ELSE 1.5Mbit/s", 6, "00:00", 0),
        ("500 kbit/s", 3, "03:00", 62_500),
        ("", 3, "03:00", UNLIMITED),
    ],
)
def test_the_first_rule_that_fits_holds(text: str, day: int, clock: str, rate: float) -> None:
    assert table(text).rate_at(at(day, clock)) == rate


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Mon-Fri 06:00-22:00 = 2Mb/s", "'2Mb/s' is not a rate; expected e.g. 2Mbit/s"),
        ("Mon-Fri = 0kbit/s", "is not a rate"),
        ("Mo-Fr = off, else unlimited", "'Mo-Fr': expected e.g. 'Mon-Fri 06:00-22:00'"),
        ("Mon-Fri 6-22 = off", "'Mon-Fri 6-22': expected e.g. 'Mon-Fri 06:00-22:00'"),
        ("Mon 25:00-26:00 = off", "times must be from 00:00 to 24:00"),
        ("Mon 10:00-12:75 = off", "times must be from 00:00 to 24:00"),
        ("else off, Mon = 2Mbit/s", "must come last"),
        ("off", "never be enabled"),
        ("Mon-Fri = off, else off", "never be enabled"),
        ("Mon-Fri 06:00-22:00 2Mbit/s", "expected e.g. 'Mon-Fri 06:00-22:00 = 2Mbit/s'"),
        ("Mon 06:00-08:00 10:00-12:00 = off", "commas between rules"),
    ],
)
def test_a_mistake_says_what_would_be_right(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_timetable(text)


rates = st.sampled_from(["off", "unlimited", "2Mbit/s", "64kbit/s"])
clocks = st.tuples(st.integers(0, 23), st.integers(0, 59))


@st.composite
def rules(draw: st.DrawFn) -> tuple[str, int, int, int, int, float]:
    """One rule as text and as numbers: days from and to, minutes from and to, rate."""
    first, last = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    (h1, m1), (h2, m2) = draw(clocks), draw(clocks)
    rate = draw(rates)
    text = f"{DAYS[first]}-{DAYS[last]} {h1:02}:{m1:02}-{h2:02}:{m2:02} = {rate}"
    return text, first, last, h1 * 60 + m1, h2 * 60 + m2, parse_rate(rate)


def covers(rule: tuple[str, int, int, int, int, float], day: int, minute: int) -> bool:
    """The plain reading of a rule, without a week laid out."""
    _, first, last, start, end, _ = rule

    def named(which: int) -> bool:
        return (which - first) % 7 <= (last - first) % 7

    if start < end:
        return named(day) and start <= minute < end
    return (named(day) and minute >= start) or (named((day - 1) % 7) and minute < end)


@given(st.lists(rules(), max_size=4), st.integers(0, WEEK_S - 1))
def test_the_week_is_laid_out_as_the_rules_read(
    drawn: list[tuple[str, int, int, int, int, float]], second: int
) -> None:
    text = ", ".join([*(rule[0] for rule in drawn), "else 1MB/s"])
    try:
        one = table(text, UTC)
    except ValueError as error:
        assert "never be enabled" in str(error)
        return
    now_s = datetime(2026, 11, 23, tzinfo=UTC).timestamp() + second
    day, minute = second // 86400, second % 86400 // 60

    expected = next((rule[5] for rule in drawn if covers(rule, day, minute)), 1e6)

    assert one.rate_at(now_s) == expected


@given(st.lists(rules(), min_size=1, max_size=4), st.integers(0, 60 * 86400))
def test_what_lies_ahead_agrees_with_every_moment(
    drawn: list[tuple[str, int, int, int, int, float]], second: int
) -> None:
    """Over a change of clocks too: the days drawn from lie about the end of summer time."""
    try:
        one = table(", ".join(rule[0] for rule in drawn))
    except ValueError:
        return
    now_s = datetime(2026, 10, 1, tzinfo=UTC).timestamp() + second
    changes_at, opens_at = one.changes_at(now_s), one.opens_at(now_s)
    for moment in (now_s, *(now_s + step * 1800 for step in range(336))):
        rate = one.rate_at(moment)
        if changes_at is None or moment < changes_at:
            assert rate == one.rate_at(now_s)
        if opens_at is not None and moment < opens_at:
            assert rate == 0
    for border in (changes_at, opens_at):
        if border is not None and border > now_s:
            assert one.rate_at(border) != one.rate_at(border - 0.001)


def test_hours_go_with_the_wall_clock_through_both_changes() -> None:
    one = table("daily 02:30-04:00 = off, else unlimited")
    for night in (datetime(2026, 3, 29, tzinfo=BERLIN), datetime(2026, 10, 25, tzinfo=BERLIN)):
        start = night.timestamp()
        closed = [m for m in range(6 * 60) if one.rate_at(start + m * 60) == 0]
        walls = [datetime.fromtimestamp(start + m * 60, BERLIN) for m in closed]
        assert {f"{wall:%H}" for wall in walls} <= {"02", "03"}
        opens_at = one.opens_at(start + closed[0] * 60)
        assert opens_at is not None
        assert f"{datetime.fromtimestamp(opens_at, BERLIN):%H:%M}" in {"04:00", "02:00"}
    # In spring the clock goes from 02:00 to 03:00: closed for one hour; in autumn 02:30 to 03:00
    # comes twice, with half an hour between.
    assert len(closed) == 120


def test_room_and_time_follow_rates_and_hours() -> None:
    one = table("daily 22:00-06:00 = 800kbit/s, else off")
    noon, evening = at(0, "12:00"), at(0, "22:00")

    assert one.room_bytes(noon, line_bytes_s=1e6) == 0
    assert one.room_bytes(at(0, "23:00"), line_bytes_s=1e6) == 7 * 3600 * 1e5
    assert one.room_bytes(at(0, "23:00"), line_bytes_s=1e4) == 7 * 3600 * 1e4
    assert one.longest_open_s() == 8 * 3600
    assert one.sent_at(1e5, noon, line_bytes_s=1e6) == evening + 1
    two_nights = 8 * 3600 * 1e5 + 1e5
    assert one.sent_at(two_nights, noon, line_bytes_s=1e6) == evening + 86400 + 1
    assert one.sent_at(1e15, noon, line_bytes_s=1e6) is None
    assert table("").sent_at(1e6, noon, line_bytes_s=1e5) == noon + 10


@given(st.floats(1, 1e11), st.floats(1, 1e11))
def test_more_bytes_never_take_less_time(one: float, other: float) -> None:
    plan = table(NIGHTS)
    times = [plan.sent_at(size, at(2, "12:00"), line_bytes_s=1e6) for size in sorted((one, other))]

    for before, after in pairwise(times):
        assert after is None or (before is not None and before <= after)
