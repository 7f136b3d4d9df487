"""People read the box's own clock: its date where that matters, its zone where it is another."""

from datetime import datetime

import pytest

from agent.clock import LocalTime, seconds_of
from tests.conftest import InZone

# The rules of these zones themselves: a box need not have the zones' files.
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
ST_JOHNS = "NST3:30NDT,M3.2.0,M11.1.0"
ISTANBUL = "<+03>-3"


def at(moment: str) -> float:
    return datetime.fromisoformat(f"{moment}Z").timestamp()


@pytest.mark.parametrize(
    ("zone", "now", "moment", "told"),
    [
        ("UTC0", "2026-11-25T03:40:00", "2026-11-25T00:00:00", "00:00:00"),
        (BERLIN, "2026-11-25T03:40:00", "2026-11-24T23:00:00", "00:00:00"),
        (BERLIN, "2026-11-25T03:40:00", "2026-11-24T22:59:59", "2026-11-24 23:59:59"),
        (BERLIN, "2026-11-25T03:40:00", "2025-11-25T03:40:00", "2025-11-25 04:40:00"),
        (ST_JOHNS, "2026-11-25T03:40:00", "2026-11-25T03:29:59", "2026-11-24 23:59:59"),
        (ST_JOHNS, "2026-11-25T03:40:00", "2026-11-25T03:30:00", "00:00:00"),
        # The clocks were changed in between: the moment names the zone that held then.
        (BERLIN, "2026-11-25T03:40:00", "2026-07-01T10:00:00", "2026-07-01 12:00:00 CEST"),
        (ST_JOHNS, "2026-07-01T12:00:00", "2026-11-25T12:00:00", "2026-11-25 08:30:00 NST"),
        # The hour that comes twice.
        (BERLIN, "2026-10-25T01:45:00", "2026-10-25T00:30:00", "02:30:00 CEST"),
        (BERLIN, "2026-10-25T01:45:00", "2026-10-25T01:30:00", "02:30:00"),
        (BERLIN, "2026-10-25T00:45:00", "2026-10-25T01:30:00", "02:30:00 CET"),
        # The hour that is left out.
        (BERLIN, "2026-03-29T01:00:00", "2026-03-29T00:59:59", "01:59:59 CET"),
        (BERLIN, "2026-03-29T01:00:00", "2026-03-29T01:00:00", "03:00:00"),
    ],
)
def test_a_moment_is_told_by_the_boxs_own_clock(
    in_zone: InZone, zone: str, now: str, moment: str, told: str
) -> None:
    in_zone(zone)

    assert LocalTime(at(now)).moment(at(moment)) == told
    assert LocalTime(at(now)).moment_or(f"{moment}Z") == told


def test_a_document_without_a_moment_is_told_in_other_words(in_zone: InZone) -> None:
    in_zone(BERLIN)

    assert LocalTime(0.0).moment_or(None, "none yet") == "none yet"
    assert seconds_of("2026-11-25T04:40:00+01:00") == at("2026-11-25T03:40:00")


@pytest.mark.parametrize(
    ("zone", "now", "name", "full"),
    [
        (BERLIN, "2026-11-25T03:40:00", "CET", "2026-11-25 04:40:00 CET"),
        (BERLIN, "2026-07-01T03:40:00", "CEST", "2026-07-01 05:40:00 CEST"),
        (ST_JOHNS, "2026-11-25T03:20:00", "NST", "2026-11-24 23:50:00 NST"),
        (ISTANBUL, "2026-11-25T03:40:00", "UTC+03", "2026-11-25 06:40:00 UTC+03"),
        ("UTC0", "2026-11-25T03:40:00", "UTC", "2026-11-25 03:40:00 UTC"),
    ],
)
def test_the_zone_has_a_name(in_zone: InZone, zone: str, now: str, name: str, full: str) -> None:
    in_zone(zone)

    here = LocalTime(at(now))

    assert (here.zone, here.full(here.now_s)) == (name, full)


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("2026-10-23T20:00:00", "22:00"),
        ("2026-10-24T04:00:00", "Sat 06:00"),
        ("2026-10-26T05:00:00", "Mon 06:00 CET"),  # after the change of the clocks
        ("2026-11-09T05:00:00", "2026-11-09 06:00 CET"),
    ],
)
def test_an_hour_of_the_plan_has_its_weekday(in_zone: InZone, moment: str, told: str) -> None:
    in_zone(BERLIN)

    assert LocalTime(at("2026-10-23T10:00:00")).hour(at(moment)) == told
