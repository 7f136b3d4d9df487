"""The timeline of what is shown, from whatever timestamps a container has."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.packets import LONGEST_STILL_S, PacketTimeline, shown_timeline, usual_ticks

BASE = Fraction(1, 1000)
STEP = 40


def line(stamps: np.ndarray, is_key: np.ndarray | None = None, **told: bool) -> PacketTimeline:
    keys = np.arange(len(stamps)) % 30 == 0 if is_key is None else is_key
    shown = np.ones(len(stamps), dtype=np.bool_)
    reorders = told.get("reorders", False)
    return shown_timeline(stamps, BASE, is_key=keys, is_shown=shown, reorders=reorders)


def in_decoding_order(frames: int, depth: int) -> np.ndarray:
    """Return frames' numbers as a codec stores them: each group's last one first."""
    shown = np.arange(frames)
    groups = [shown[first : first + depth + 1] for first in range(1, frames, depth + 1)]
    return np.concatenate([shown[:1], *(np.roll(group, 1) for group in groups)])


@given(
    start=st.integers(-(10**9), 10**12),
    frames=st.integers(1, 300),
    depth=st.integers(0, 5),
)
def test_even_frames_stay_even_wherever_they_begin(start: int, frames: int, depth: int) -> None:
    order = in_decoding_order(frames, depth)
    nobody = np.zeros(frames, dtype=np.bool_)

    found = line(start + STEP * order, nobody, reorders=depth > 0)

    assert found.shift == -start and not found.jumps
    assert np.array_equal(found.pts, STEP * order)


@given(
    lengths=st.lists(st.integers(20, 90), min_size=2, max_size=5),
    depth=st.integers(0, 3),
    data=st.data(),
)
def test_jumps_take_no_time_and_no_frame_changes_its_place(
    lengths: list[int], depth: int, data: st.DataObject
) -> None:
    stamps, keys, wanted, shown = [], [], [], 0
    at = data.draw(st.integers(-(10**6), 10**9))
    for frames in lengths:
        order = in_decoding_order(frames, depth)
        stamps.append(at + STEP * order)
        keys.append(np.arange(frames) == 0)
        wanted.append(STEP * (shown + order))
        shown += frames
        forward = st.integers(round(1000 * LONGEST_STILL_S) + STEP, 10**8)
        back = st.integers(-(10**8), -2 * STEP)
        at += STEP * (frames - 1) + data.draw(st.one_of(forward, back))

    found = line(np.concatenate(stamps), np.concatenate(keys), reorders=depth > 0)

    assert np.array_equal(found.pts, np.concatenate(wanted))
    assert len(found.jumps) == len(lengths) - 1


def test_stamps_that_jump_back_between_earlier_ones_leave_the_distance_of_frames() -> None:
    """20 frames 40 ms apart, then 20 that begin 399 ms before the last one's end."""
    first = STEP * np.arange(20)
    second = first + first[-1] - 399

    found = line(np.concatenate([first, second]), np.arange(40) % 20 == 0)

    assert np.array_equal(found.pts, STEP * np.arange(40))


@given(
    stamps=st.lists(st.integers(-(10**7), 10**7), min_size=1, max_size=200), reorders=st.booleans()
)
def test_whatever_the_time_stamps_no_step_is_longer_than_a_pause(
    stamps: list[int], reorders: bool
) -> None:
    found = line(np.array(stamps), np.zeros(len(stamps), dtype=np.bool_), reorders=reorders)

    steps = np.diff(np.sort(found.pts))
    usual = usual_ticks(np.array(stamps), BASE)
    assert found.pts.min() == 0
    assert len(steps) == 0 or steps.max() <= max(1000 * LONGEST_STILL_S, 10 * usual)


def test_hidden_frames_go_with_those_that_need_them() -> None:
    stamps = np.array([-80, -40, 0, 40, 80, 0, 40, 120, 160])  # the second edit needs two again
    is_shown = np.array([False, False, True, True, True, False, False, True, True])

    found = shown_timeline(
        stamps, BASE, is_key=np.zeros(9, dtype=np.bool_), is_shown=is_shown, reorders=False
    )

    assert found.pts.tolist() == stamps.tolist() and found.shift == 0 and not found.jumps
