"""One token bucket for uploads, downloads, requests and guesses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.token_bucket import TokenBucket


def test_what_is_saved_up_can_be_spent_at_once_and_no_more() -> None:
    bucket = TokenBucket(capacity_s=10)
    for _ in range(2):
        assert bucket.wait_s(100, cost_s=5) == 0
        bucket.take(5, 100)
    assert bucket.wait_s(100, cost_s=5) == 5
    assert bucket.wait_s(103, cost_s=5) == 2
    assert bucket.saved_s(1000) == 10


def test_a_debt_is_waited_for() -> None:
    bucket = TokenBucket(capacity_s=1, empty_at_s=0)
    bucket.take(30, 0)
    assert bucket.saved_s(0) == -30
    assert bucket.wait_s(10) == pytest.approx(20)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 3)), min_size=1, max_size=40),
    st.floats(0.1, 5),
)
def test_whoever_waits_never_spends_more_than_time_and_capacity(
    steps: list[tuple[float, float]], capacity_s: float
) -> None:
    bucket, now_s, spent_s = TokenBucket(capacity_s=capacity_s), 0.0, 0.0
    for passed_s, cost_s in steps:
        now_s += passed_s
        now_s += bucket.wait_s(now_s)
        bucket.take(cost_s, now_s)
        spent_s += cost_s
        assert spent_s - cost_s <= now_s + capacity_s + 1e-6
