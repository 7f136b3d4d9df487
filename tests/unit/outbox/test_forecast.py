"""When the disk will be full."""

import pytest

from agent.outbox.disk import DiskSample, Forecast, forecast

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
NOW_S = 1_795_000_000.0
GB = 1_000_000_000


def room(hours_ago: float, free_gb: float, may_go_gb: float = 0.0) -> DiskSample:
    return DiskSample(
        at=NOW_S - hours_ago * HOUR_S,
        free_bytes=round(free_gb * GB),
        may_go_bytes=round(may_go_gb * GB),
    )


def ahead(*history: DiskSample, floor_gb: float = 1.0) -> Forecast:
    return forecast(history, floor_bytes=round(floor_gb * GB), now_s=NOW_S)


def test_what_was_lost_in_a_day_is_lost_every_day() -> None:
    assert ahead(room(24, 41), room(12, 40), room(0, 31)).full_in_s == pytest.approx(3 * DAY_S)


def test_what_may_go_counts_as_free() -> None:
    assert ahead(room(24, 40, 0), room(0, 20, 20)) == Forecast(known=True, full_in_s=None)


def test_a_disk_that_empties_is_full_never() -> None:
    assert ahead(room(24, 10), room(0, 12)) == Forecast(known=True, full_in_s=None)


def test_what_would_take_years_is_not_in_sight() -> None:
    assert ahead(room(24, 500), room(0, 499)).full_in_s is None


def test_less_than_an_hour_says_nothing() -> None:
    assert ahead() == Forecast(known=False, full_in_s=None)
    assert ahead(room(0.9, 50), room(0, 40)) == Forecast(known=False, full_in_s=None)


def test_a_full_disk_is_full_now_however_short_it_was_watched() -> None:
    assert ahead(room(0, 0.9)) == Forecast(known=True, full_in_s=0.0)


def test_time_since_the_last_look_counts() -> None:
    assert ahead(room(3, 4), room(2, 3)).full_in_s == pytest.approx(0.0, abs=1e-6)
    assert ahead(room(3, 5), room(1, 3)).full_in_s == pytest.approx(HOUR_S)


def test_what_is_older_than_a_day_or_from_the_future_is_left_out() -> None:
    found = ahead(room(400, 900), room(24, 41), room(0, 31), room(-9999, 0))

    assert found.full_in_s == pytest.approx(3 * DAY_S)


def test_history_may_come_in_any_order() -> None:
    assert ahead(room(0, 31), room(24, 41)) == ahead(room(24, 41), room(0, 31))
