"""Delays between tries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import RetryError, Retrying, stop_after_attempt

from agent.retry import Backoff


@given(st.integers(1, 10**9), st.floats(0, 10**12) | st.none())
def test_no_delay_is_longer_than_an_hour_whatever_is_asked(
    failures: int, retry_after_s: float | None
) -> None:
    delay_s = Backoff(base_s=5.0, longest_s=3600.0).delay_s(failures, retry_after_s=retry_after_s)

    assert 0 < delay_s <= 3600


@given(st.integers(1, 60), st.floats(0, 3600))
def test_the_servers_wish_is_never_undercut(failures: int, retry_after_s: float) -> None:
    assert Backoff().delay_s(failures, retry_after_s=retry_after_s) >= retry_after_s


def test_delays_grow_with_failures() -> None:
    backoff = Backoff(base_s=5.0, longest_s=3600.0)

    longest = [max(backoff.delay_s(failures) for _ in range(200)) for failures in (1, 4, 9)]

    assert longest[0] <= 5 < longest[1] <= 40 < longest[2] <= 1280


def test_tenacity_waits_by_it() -> None:
    waited_s: list[float] = []
    retrying = Retrying(
        wait=Backoff(base_s=4.0, longest_s=16.0), stop=stop_after_attempt(5), sleep=waited_s.append
    )

    with pytest.raises(RetryError):
        retrying(lambda: 1 // 0)

    assert len(waited_s) == 4
    assert all(1 <= wait <= cap for wait, cap in zip(waited_s, (4, 8, 16, 16), strict=True))
