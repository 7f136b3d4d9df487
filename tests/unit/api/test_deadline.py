"""How long an upload may take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.transfer import DeadlineExceededError, Timeouts, UploadDeadline, longest_answer_s

TIMES = Timeouts(min_rate_bytes_s=1000, allowance_s=60, stall_s=30, answer_s=120)


def deadline(size_bytes: int = 1_000_000) -> UploadDeadline:
    return UploadDeadline(size_bytes=size_bytes, times=TIMES)


def ends_at(rate_bytes_s: float, size_bytes: int) -> float | None:
    """When an upload at a steady rate is ended; None where it comes to its end."""
    one, now_s, sent = deadline(size_bytes), 0.0, 0.0
    while sent < size_bytes:
        now_s += 1.0
        sent = min(size_bytes, sent + rate_bytes_s)
        try:
            one.judge(now_s, arrived_bytes=int(sent), is_out=sent >= size_bytes)
        except DeadlineExceededError:
            return now_s
    return None


@given(st.floats(1001, 1e7), st.integers(1, 3_000_000))
def test_whatever_moves_at_the_least_rate_is_left_alone(rate: float, size_bytes: int) -> None:
    assert ends_at(rate, size_bytes) is None


def test_half_the_least_rate_is_ended_by_size() -> None:
    assert ends_at(500, 1_000_000) == pytest.approx(1061, abs=1)


def test_what_stands_still_is_ended_whatever_is_left() -> None:
    one = deadline(10**9)
    one.judge(1, arrived_bytes=5000, is_out=False)
    one.judge(31, arrived_bytes=5000, is_out=False)

    with pytest.raises(DeadlineExceededError, match="no bytes sent for 30 s"):
        one.judge(31.1, arrived_bytes=5000, is_out=False)


def test_the_answer_has_a_time_of_its_own_from_when_the_body_has_arrived() -> None:
    one = deadline()
    one.judge(1000, arrived_bytes=1_000_000, is_out=True)
    one.judge(1119, arrived_bytes=1_000_000, is_out=True)

    with pytest.raises(DeadlineExceededError, match="no complete answer within 120 s"):
        one.judge(1121, arrived_bytes=1_000_000, is_out=True)


def test_what_was_handed_over_late_counts_as_body_again() -> None:
    one = deadline()
    one.judge(10, arrived_bytes=900_000, is_out=True)  # the last part was still in our hands
    one.judge(20, arrived_bytes=950_000, is_out=False)
    one.judge(25, arrived_bytes=1_000_000, is_out=True)

    one.judge(144, arrived_bytes=1_000_000, is_out=True)
    with pytest.raises(DeadlineExceededError):
        one.judge(146, arrived_bytes=1_000_000, is_out=True)


def test_a_list_has_time_by_what_has_come_of_it_but_never_more_than_an_hour() -> None:
    assert longest_answer_s(TIMES, received_bytes=0) == 120
    assert longest_answer_s(TIMES, received_bytes=600_000) == 720
    assert longest_answer_s(TIMES, received_bytes=2_000_000_000) == 3600
