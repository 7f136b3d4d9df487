"""Whose turn it is: nobody starves, and small clips need not wait for a huge one."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.delivery.scheduling import UplinkCapacity, UploadScheduler
from agent.outbox.entries import DueClip

MB = 1_000_000
THIN = UplinkCapacity(pace_bytes_s=125_000)


def clips(*sizes_mb: float) -> list[DueClip]:
    return [DueClip(id=n, size_bytes=int(mb * MB)) for n, mb in enumerate(sizes_mb, start=1)]


def drained(due: Sequence[DueClip], line: UplinkCapacity) -> list[int]:
    """The order in which clips go that are all due."""
    turns, left, order = UploadScheduler(), list(due), []
    while (chosen := turns.next_of(left, line)) is not None:
        order.append(chosen.id)
        left.remove(chosen)
    return order


def test_on_a_fast_line_the_longest_due_goes_first() -> None:
    assert drained(clips(100, 1, 50, 2), UplinkCapacity(pace_bytes_s=100 * MB)) == [1, 2, 3, 4]


def test_on_a_line_never_measured_the_longest_due_goes_first() -> None:
    assert drained(clips(100, 1, 50, 2), UplinkCapacity()) == [1, 2, 3, 4]


def test_on_a_thin_line_much_smaller_ones_pass_oldest_first() -> None:
    assert drained(clips(100, 20, 3, 50, 1), THIN) == [3, 5, 1, 2, 4]


def test_those_that_pass_come_to_no_more_than_the_one_they_pass() -> None:
    order = drained(clips(16, *[2] * 20), THIN)

    assert order.index(1) == 8


def test_a_quick_one_is_never_passed() -> None:
    assert drained(clips(2, 0.1, 0.1), THIN) == [1, 2, 3]


@settings(max_examples=200)
@given(
    st.lists(st.floats(0.001, 500), min_size=1, max_size=30),
    st.floats(1e3, 1e8),
    st.lists(st.tuples(st.integers(0, 30), st.floats(0.001, 500)), max_size=30),
)
def test_nobody_waits_more_than_twice_as_long_as_in_a_plain_queue(
    sizes_mb: list[float], pace: float, later: list[tuple[int, float]]
) -> None:
    """Whatever comes meanwhile: it is due later, and can pass by the same right only."""
    turns, left, line = UploadScheduler(), clips(*sizes_mb), UplinkCapacity(pace_bytes_s=pace)
    in_queue: dict[int, int] = {}  # bytes that were due before, and its own
    for one in left:
        in_queue[one.id] = one.size_bytes + (max(in_queue.values(), default=0))
    arrivals = sorted(later, key=lambda one: one[0])
    sent_bytes, step, number = 0, 0, len(left)
    began_at: dict[int, int] = {}
    while left:
        while arrivals and arrivals[0][0] <= step:
            _, size_mb = arrivals.pop(0)
            number += 1
            left.append(DueClip(id=number, size_bytes=int(size_mb * MB)))
        chosen = turns.next_of(left, line)
        assert chosen is not None
        began_at[chosen.id] = sent_bytes
        sent_bytes += chosen.size_bytes
        left.remove(chosen)
        step += 1

    for clip_id, queued_bytes in in_queue.items():
        assert began_at[clip_id] <= 2 * queued_bytes


def test_what_ends_before_uploads_close_goes_first() -> None:
    line = UplinkCapacity(pace_bytes_s=125_000, room_bytes=40 * MB, most_room_bytes=900 * MB)

    assert drained(clips(100, 30, 60, 3), line) == [4, 2]


def test_what_no_opening_has_room_for_is_tried_in_a_fresh_one_after_all_else() -> None:
    fresh = UplinkCapacity(pace_bytes_s=125_000, room_bytes=880 * MB, most_room_bytes=900 * MB)
    late = UplinkCapacity(pace_bytes_s=125_000, room_bytes=400 * MB, most_room_bytes=900 * MB)

    assert drained(clips(2000, 30), fresh) == [2, 1]
    assert drained(clips(2000, 500, 30), late) == [3]


@given(
    st.lists(st.floats(0.001, 5000), max_size=40),
    st.floats(1e3, 1e7),
    st.floats(1, 1e10),
    st.floats(0, 1),
)
def test_nothing_is_begun_that_would_fit_another_day_but_not_now(
    sizes_mb: list[float], pace: float, most_room: float, share: float
) -> None:
    line = UplinkCapacity(
        pace_bytes_s=pace, room_bytes=most_room * share, most_room_bytes=most_room
    )

    chosen = UploadScheduler().next_of(clips(*sizes_mb), line)

    if chosen is not None and chosen.size_bytes > line.room_bytes:
        assert chosen.size_bytes > 0.9 * most_room and share >= 0.9
        assert all(one.size_bytes > line.room_bytes for one in clips(*sizes_mb))
