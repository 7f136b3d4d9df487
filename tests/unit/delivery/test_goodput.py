"""What the line takes, from the uploads on record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.delivery.scheduling import measure
from agent.outbox.entries import TransferSample


def sending(
    size_bytes: int, sending_s: float, *, throttled_s: float = 0.0, answer_s: float = 0.5
) -> TransferSample:
    return TransferSample(
        size_bytes=size_bytes,
        sending_s=sending_s,
        throttled_s=throttled_s,
        seconds=sending_s + answer_s,
        is_delivered=True,
    )


def bytes_s(*sendings: TransferSample) -> float:
    measured = measure(sendings)
    assert measured is not None
    return measured.bytes_s


def test_nothing_is_known_before_the_first_upload() -> None:
    assert measure([]) is None


def test_a_steady_line_is_what_it_is() -> None:
    measured = measure([sending(1_048_576, 8.0)] * 5)

    assert measured is not None
    assert measured.bytes_s == pytest.approx(131_072)
    assert measured.overhead_s == pytest.approx(0.5)


def test_small_clips_do_not_outweigh_a_large_one() -> None:
    assert bytes_s(*[sending(70_000, 7.0)] * 3, sending(100_000_000, 100.0)) > 500_000


def test_the_latest_count_most() -> None:
    slow, fast = sending(1_000_000, 100.0), sending(1_000_000, 1.0)

    assert bytes_s(*[slow] * 10, *[fast] * 10) < 13_000


def test_our_own_cap_never_makes_the_line_look_slow() -> None:
    capped = sending(1_000_000, 100.0, throttled_s=95.0)

    assert bytes_s(*[capped] * 10, sending(1_000_000, 1.0)) == pytest.approx(1e6)
    assert bytes_s(capped) == pytest.approx(10_000)


def test_a_line_below_the_cap_is_measured_all_the_same() -> None:
    assert bytes_s(sending(1_000_000, 100.0, throttled_s=5.0)) == pytest.approx(10_000)


@given(
    st.lists(
        st.tuples(st.integers(65536, 10**9), st.floats(0.001, 1e5), st.floats(0, 1)), min_size=1
    )
)
def test_it_lies_between_the_slowest_and_the_fastest(
    drawn: list[tuple[int, float, float]],
) -> None:
    sendings = [sending(size, s, throttled_s=share * s) for size, s, share in drawn]
    rates = [one.size_bytes / one.sending_s for one in sendings]

    assert min(rates) * 0.999 <= bytes_s(*sendings) <= max(rates) * 1.001
