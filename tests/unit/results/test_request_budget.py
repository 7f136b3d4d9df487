"""The station's budget of requests: on average, over restarts, and whatever the clock does."""

from dataclasses import dataclass, field
from typing import cast

from agent.clock import Instant
from agent.outbox.roster import StationFlags
from agent.results.follow_up import RequestBudget

PER_MINUTE = 2.5


@dataclass
class Record:
    """Where the level is kept; a clock beside it."""

    now_s: float = 1_000_000.0
    kept: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        return self.kept.get(name)

    def set(self, name: str, value: str) -> None:
        self.kept[name] = value

    def pace(self) -> RequestBudget:
        return RequestBudget(cast(StationFlags, self), now=lambda: Instant(utc_s=self.now_s))


def test_requests_are_so_many_a_minute_and_restarts_make_no_more() -> None:
    record, requests = Record(), 0

    for _ in range(600):
        pace = record.pace()  # a restart at every step
        if pace.wait_s() == 0:
            pace.spend()
            requests += 1
        record.now_s += 6.0

    assert 60 * PER_MINUTE - 2 <= requests <= 60 * PER_MINUTE + 1


def test_a_rest_saves_up_little_and_a_debt_is_paid() -> None:
    record = Record()
    record.pace().spend()
    record.now_s += 86_400.0
    pace = record.pace()

    for _ in range(4):  # nobody asked whether they may
        pace.spend()

    assert pace.wait_s() == 3 * 60 / PER_MINUTE


def test_a_hold_outlives_a_restart_and_no_wish_is_longer_than_an_hour() -> None:
    record = Record()
    record.pace().hold(600.0)
    record.pace().hold(5.0)
    assert record.pace().wait_s() == 600.0
    record.pace().hold(7 * 86_400.0)
    assert record.pace().wait_s() == 3600.0

    record.now_s += 3600.0
    assert record.pace().wait_s() == 0.0


def test_a_clock_that_goes_back_blocks_nothing_for_long() -> None:
    record = Record()
    record.pace().spend()
    record.now_s -= 400 * 86_400.0
    wait_s = record.pace().wait_s()
    assert 0 < wait_s <= 60 / PER_MINUTE
    record.now_s += wait_s
    assert record.pace().wait_s() == 0.0
