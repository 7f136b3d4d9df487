"""Our own cap, applied smoothly, and what happens when uploads close."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bandwidth_schedule import UplinkShare, parse_timetable
from agent.clock import Instant
from agent.delivery.upload import Throttle
from agent.errors import OutOfHoursError
from agent.stage import ShutdownRequested

EVENING_S = datetime(2026, 11, 23, 21, 59, 0, tzinfo=UTC).timestamp()
PART = 64 * 1024


@dataclass(slots=True)
class Line:
    """A clock that moves by what is waited for and by what the line takes."""

    schedule: str
    line_bytes_s: float = 1e9
    clock_s: float = EVENING_S
    share: UplinkShare = field(default_factory=UplinkShare)
    gone: list[tuple[float, int]] = field(default_factory=list)  # (time, bytes)
    throttle: Throttle = field(init=False)

    def __post_init__(self) -> None:
        self.throttle = Throttle(
            parse_timetable(self.schedule, zone=UTC),
            self.share,
            now=lambda: Instant(utc_s=self.clock_s),
            wait=self.wait,
            monotonic=lambda: self.clock_s - EVENING_S,
        )

    def wait(self, seconds: float) -> None:
        assert 0 < seconds <= 0.2  # a stop is seen soon, and so is a new rate
        self.clock_s += seconds

    def send(self, size_bytes: int) -> None:
        self.throttle.begin()
        while size_bytes > 0:
            part = self.throttle.pace(min(PART, size_bytes), size_bytes)
            assert 0 < part <= PART
            self.gone.append((self.clock_s, part))
            self.clock_s += part / self.line_bytes_s
            size_bytes -= part

    def most_within(self, seconds: float) -> int:
        """The most that went out within any stretch of so many seconds."""
        return max(
            sum(size for at, size in self.gone if start <= at < start + seconds)
            for start, _ in self.gone
        )


@given(st.floats(2e3, 2e7), st.integers(1, 3_000_000), st.floats(1e3, 1e9))
def test_the_cap_is_kept_on_the_whole_and_in_every_tenth_of_a_second(
    rate: float, size_bytes: int, line_bytes_s: float
) -> None:
    size_bytes = min(size_bytes, int(rate * 30))
    line = Line(f"{rate * 8 / 1e3:.3f}kbit/s", line_bytes_s)

    line.send(size_bytes)

    took_s = line.clock_s - EVENING_S
    one_part = max(rate * 0.1, 1200)
    assert took_s >= (size_bytes - 3 * one_part) / rate * 0.99
    assert line.most_within(0.5) <= rate * 0.6 + 3 * one_part
    if line_bytes_s > 10 * rate:
        assert took_s <= size_bytes / rate * 1.2 + 0.3


def test_clips_in_a_row_make_no_burst_where_they_meet() -> None:
    line = Line("800kbit/s")

    for _ in range(5):
        line.send(50_000)

    assert line.clock_s - EVENING_S >= 250_000 / 1e5 - 0.3
    assert line.most_within(0.5) <= 0.6 * 1e5 + 10_000


def test_a_new_rate_holds_from_its_minute_on_in_mid_upload() -> None:
    line = Line("daily 06:00-22:00 = 80kbit/s, else 800kbit/s")

    line.send(1_600_000)  # 60 s at 10 kB/s, and 10 s at ten times that

    assert line.clock_s - EVENING_S == pytest.approx(70, abs=1)
    before = sum(size for at, size in line.gone if at < EVENING_S + 60)
    assert before == pytest.approx(600_000, rel=0.02)


def test_a_share_of_the_uplink_holds_from_the_moment_it_is_granted_and_after_it() -> None:
    line = Line("800kbit/s")
    line.share.grant(5e4, until_s=10.0, then_bytes_s=2e4)

    line.send(1_000_000)  # 10 s at 50 kB/s, and 25 s at 20 kB/s

    assert line.clock_s - EVENING_S == pytest.approx(35, abs=1)
    before = sum(size for at, size in line.gone if at < EVENING_S + 10)
    assert before == pytest.approx(500_000, rel=0.02)


def test_a_free_line_is_not_slowed_down() -> None:
    line = Line("", line_bytes_s=1e9)

    line.send(10_000_000)

    assert len(line.gone) == -(-10_000_000 // PART)


def test_what_is_nearly_done_when_uploads_close_may_end() -> None:
    line = Line("daily 06:00-22:00 = 80kbit/s, else off")

    line.send(1_000_000)  # 100 s: 40 s of them after closing

    assert line.clock_s - EVENING_S == pytest.approx(100, abs=1)


def test_what_is_far_from_done_when_uploads_close_is_ended() -> None:
    line = Line("daily 06:00-22:00 = unlimited, else off", line_bytes_s=1e5)

    with pytest.raises(OutOfHoursError, match="upload hours are over"):
        line.send(20_000_000)

    assert line.clock_s - EVENING_S == pytest.approx(60, abs=1)


def test_grace_is_no_longer_than_a_minute_even_where_the_line_fails() -> None:
    line = Line("daily 06:00-22:00 = unlimited, else off", line_bytes_s=1e5)

    with pytest.raises(OutOfHoursError):
        line.throttle.begin()
        line.throttle.pace(PART, 9_000_000)
        line.clock_s += 59
        line.throttle.pace(PART, 60_000)  # at a thousand bytes a second
        line.clock_s += 2
        line.throttle.pace(PART, 60_000)
        line.clock_s += 61
        line.throttle.pace(PART, 10_000)


def test_a_stop_ends_the_wait() -> None:
    line = Line("800 bit/s")

    def stopping(_seconds: float) -> None:
        raise ShutdownRequested

    line.throttle._wait = stopping
    with pytest.raises(ShutdownRequested):
        line.send(100_000)
