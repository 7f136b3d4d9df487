"""Whether one recording goes on in another."""

from dataclasses import replace

import pytest

from agent.station.adjoining import adjoin
from tests.factories import NOW_S, a_capture

FIRST = replace(a_capture(), recorded_end_at=NOW_S, duration_s=60.0)


def follows(first: str, second: str, *, gap_s: float = 0.0, seconds: float = 60.0) -> bool:
    """Ask of two recordings of these names, `gap_s` apart by the station's clock."""
    one = replace(FIRST, file_name=first)
    other = replace(
        FIRST,
        id=2,
        file_name=second,
        recorded_end_at=NOW_S + gap_s + seconds,
        duration_s=seconds,
    )
    return adjoin(one, other)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2026-03-01_18-00-00.mp4", "2026-03-01_18-01-00.mp4"),
        ("cam1 20260301T180000.mp4", "cam1 20260301T180100.mp4"),
        ("2026-03-01 23.59.30.mkv", "2026-03-02 00.00.30.mkv"),
    ],
)
def test_names_that_tell_the_time_decide_whatever_the_clock_says(first: str, second: str) -> None:
    assert follows(first, second, gap_s=20.0)  # a recorder that writes late


def test_names_that_tell_of_a_gap_are_two_recordings() -> None:
    assert not follows("2026-03-01_18-00-00.mp4", "2026-03-01_18-01-04.mp4")
    assert not follows("2026-03-01_18-00-00.mp4", "2026-03-01_17-59-00.mp4")


@pytest.mark.parametrize(("gap_s", "joined"), [(0.8, True), (-0.8, True), (1.4, False)])
def test_names_that_tell_nothing_leave_it_to_the_times(gap_s: float, joined: bool) -> None:
    assert follows("squat.mp4", "other.mp4", gap_s=gap_s) is joined


@pytest.mark.parametrize(
    ("first", "second", "gap_s", "joined"),
    [
        ("GX010042.mp4", "GX020042.mp4", 4.0, True),
        ("seg-009.mp4", "seg-010.mp4", 4.0, True),
        ("seg-009.mp4", "seg-010.mp4", 6.0, False),
        ("seg-009.mp4", "seg-011.mp4", 4.0, False),
        ("cam1-009.mp4", "cam2-010.mp4", 4.0, False),
    ],
)
def test_names_that_count_on_are_believed_for_a_few_seconds(
    first: str, second: str, gap_s: float, joined: bool
) -> None:
    assert follows(first, second, gap_s=gap_s) is joined


def test_what_was_filmed_at_an_unknown_time_follows_nothing() -> None:
    unknown = replace(FIRST, recorded_end_at=None)

    assert not adjoin(unknown, replace(FIRST, id=2))
    assert not adjoin(FIRST, replace(unknown, id=2))
    assert not adjoin(replace(FIRST, duration_s=None), replace(FIRST, id=2))


def test_an_impossible_date_in_a_name_is_no_date() -> None:
    assert follows("20269999-999999.mp4", "20269999-999999b.mp4", gap_s=0.5)
