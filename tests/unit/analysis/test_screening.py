"""Where to look: two witnesses, packets and keyframes, and what neither may miss or make up."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.packets import Packets
from analysis.primitives import Grey, Interval
from analysis.screening import (
    KeyframeSample,
    bursts_of,
    has_changed,
    keys_to_glimpse,
    look_further,
    where_to_look,
)

FPS, SECONDS, PIXELS = 30, 40, 1920 * 1080
KEY, BACK, BETWEEN = 100_000, 2_000, 400
EFFORT = Interval(start_s=20.0, end_s=22.0)


def packets(
    *, effort: Interval | None = EFFORT, key_every_s: float = 2.0, between: bool = True
) -> Packets:
    """Return a recorder's packets: frames that look back, and between them, frames that do not."""
    key_every = round(key_every_s * FPS)
    shown = np.arange(FPS * SECONDS)
    if between:  # every second frame is stored behind the one that is shown after it
        shown = np.concatenate([[0], shown[1:-1].reshape(-1, 2)[:, ::-1].ravel(), shown[-1:]])
    times_s = shown / FPS
    is_key = shown % key_every == 0
    sizes = np.where(np.maximum.accumulate(shown) == shown, BACK, BETWEEN)
    if effort is not None:
        sizes = np.where((times_s >= effort.start_s) & (times_s < effort.end_s), 3 * sizes, sizes)
    return Packets(
        times_s=times_s.astype(np.float64),
        sizes=np.where(is_key, KEY, sizes).astype(np.int64),
        is_key=is_key,
        is_shown=np.ones(len(shown), dtype=np.bool_),
        pixels=PIXELS,
    )


def hall() -> Grey:
    """Return a picture of a hall with somebody in it."""
    picture = np.full((90, 160), 90, np.uint8)
    picture[60:] = 50
    picture[30:75, 70:85] = 200
    return picture


def glimpses(of: Packets, *, moved_s: float = float("inf")) -> list[KeyframeSample]:
    before, after = hall(), np.roll(hall(), 25, axis=1)
    return [
        KeyframeSample(number, at_s, before if at_s < moved_s else after)
        for number in keys_to_glimpse(of)
        for at_s in [float(of.times_s[number])]
    ]


@pytest.mark.parametrize("between", [False, True])
def test_large_packets_are_looked_at_and_the_rest_is_left_alone(between: bool) -> None:
    capture = packets(between=between)

    first, *rest = where_to_look(capture, glimpses(capture))

    assert 16.0 <= first.start_s <= EFFORT.start_s - 1.0
    assert EFFORT.end_s + 1.0 <= first.end_s <= 26.0
    assert all(stretch.start_s > 36.0 for stretch in rest), "behind the last keyframe"


def test_a_picture_that_changed_without_large_packets_is_looked_at() -> None:
    capture = packets(effort=None)

    first, *_ = where_to_look(capture, glimpses(capture, moved_s=13.0))

    assert first.start_s <= 11.0
    assert first.end_s >= 15.0


def test_nothing_is_left_alone_between_keyframes_far_apart_if_packets_do_not_tell() -> None:
    at_a_rate = packets(effort=None)
    at_a_rate = replace(at_a_rate, sizes=np.full(len(at_a_rate.sizes), 12_500))

    assert not bursts_of(at_a_rate).tell
    assert where_to_look(at_a_rate, glimpses(at_a_rate)) == [at_a_rate.span]


def test_with_one_keyframe_everything_is_looked_at() -> None:
    capture = packets(key_every_s=1000)

    assert where_to_look(capture, glimpses(capture)) == [capture.span]


@pytest.mark.parametrize("first", range(5))
def test_single_large_packets_are_no_burst(first: int) -> None:
    """An encoder sends some large frames in a still picture."""
    capture = packets(effort=None)
    sizes = capture.sizes.copy()
    sizes[first::5] *= 12
    sprinkled = replace(capture, sizes=sizes)

    assert not bursts_of(sprinkled).within(sprinkled.span)


@settings(deadline=None)  # a busy machine is no failure
@given(start_s=st.floats(2.5, 37.0), seconds=st.floats(0.75, 10.0))
def test_no_movement_of_three_quarters_of_a_second_is_missed(
    start_s: float, seconds: float
) -> None:
    effort = Interval(start_s=start_s, end_s=min(start_s + seconds, SECONDS - 0.5))
    capture = packets(effort=effort)

    stretches = where_to_look(capture, glimpses(capture))

    assert any(
        stretch.start_s <= effort.start_s and effort.end_s <= stretch.end_s for stretch in stretches
    )


def test_sway_is_no_change_and_a_raised_arm_is() -> None:
    swaying = np.roll(hall(), 1, axis=1)
    raised = hall()
    raised[30:34, 85:100] = 200

    assert not has_changed(hall(), swaying)
    assert has_changed(hall(), raised)


def test_pictures_of_two_sizes_are_not_the_same() -> None:
    assert has_changed(hall(), hall()[:80])


def test_where_an_effort_begins_with_the_look_it_is_looked_for_before() -> None:
    looked = [Interval(start_s=2.0, end_s=5.0), Interval(start_s=12.0, end_s=20.0)]
    within = Interval(start_s=0.0, end_s=40.0)

    def further(start_s: float, end_s: float) -> list[tuple[float, float]]:
        efforts = [Interval(start_s=start_s, end_s=end_s)]
        return [(s.start_s, s.end_s) for s in look_further(looked, efforts, within=within)]

    assert further(13.4, 18.5) == []
    assert further(12.3, 18.5) == [(8.0, 12.0)]
    assert further(13.4, 20.1) == [(20.0, 24.0)]
    assert further(1.9, 4.0) == [(0.0, 2.0)]
    assert further(2.9, 5.0) == [(5.0, 9.0)]
