"""Decode times, time stamps and moments of filming, for every order in which cameras send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.recorder.packets import (
    MOST_REORDERED,
    ArrivalClock,
    DecodeTimes,
    RestDetector,
    StreamPacket,
    TimeCheck,
    TimeFault,
    parameter_set,
)


@st.composite
def reordered(draw: st.DrawFn) -> list[int]:
    """Return presentation times in a decode order that holds back at most 16 pictures."""
    steps = draw(st.lists(st.integers(1, 60), min_size=1, max_size=80))
    times = [sum(steps[: n + 1]) for n in range(len(steps))]
    order: list[int] = []
    waiting: list[int] = []
    for time in times:
        waiting.append(time)
        while waiting and (len(waiting) > MOST_REORDERED or draw(st.booleans())):
            order.append(waiting.pop(draw(st.sampled_from((0, -1)))))
            if any(earlier < order[-1] for earlier in waiting):  # it overtook what still waits
                break
    order += waiting
    return order


def _reorder_depth(order: list[int]) -> int:
    """Return how many pictures at most come before one that is shown earlier than all of them."""
    return max(sum(earlier > time for earlier in order[:n]) for n, time in enumerate(order))


@given(reordered())
def test_decode_times_never_fall_and_are_never_later_than_the_picture(order: list[int]) -> None:
    times = DecodeTimes()
    decode = [times.next(pts) for pts in order]
    if _reorder_depth(order) > MOST_REORDERED:
        return
    assert decode == sorted(decode)
    assert all(dts <= pts for dts, pts in zip(decode, order, strict=True))


@given(reordered())
def test_what_a_codec_may_reorder_is_no_fault_and_what_it_may_not_is_one(order: list[int]) -> None:
    check = TimeCheck()
    found = [check.fault(pts / 1000, pts / 1000) for pts in order]
    assert any(found) == (_reorder_depth(order) > MOST_REORDERED)


def test_more_than_sixteen_pictures_held_back_is_a_fault() -> None:
    late = [0.0, *(1.0 + n / 100 for n in range(MOST_REORDERED)), 0.5, 0.4]
    assert _faults(list(late), [n / 100 for n in range(len(late))])[-2:] == [
        None,
        TimeFault.BACKWARD,
    ]


def _faults(times_s: list[float | None], arrivals_s: list[float]) -> list[TimeFault | None]:
    check = TimeCheck()
    return [check.fault(t, a) for t, a in zip(times_s, arrivals_s, strict=True)]


def test_times_that_jump_repeat_run_backwards_or_are_missing_are_named() -> None:
    assert _faults([0.0, 0.1, 0.1], [0.0, 0.1, 0.2])[-1] is TimeFault.REPEATED
    assert _faults([9.0, 9.1, 0.0], [0.0, 0.1, 0.2])[-1] is TimeFault.BACKWARD
    assert _faults([0.0, 0.1, 9.0], [0.0, 0.1, 0.2])[-1] is TimeFault.FORWARD
    assert _faults([0.0, None, 0.2], [0.0, 0.1, 0.2]) == [None, TimeFault.MISSING, None]


def test_a_pause_of_the_camera_is_no_jump_and_after_a_jump_all_is_well() -> None:
    assert _faults([0.0, 0.1, 9.0], [0.0, 0.1, 9.0]) == [None] * 3
    assert _faults([0.0, 9.0, 9.1], [0.0, 0.1, 0.2]) == [None, TimeFault.FORWARD, None]


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_nothing_was_filmed_after_it_arrived_and_the_least_delay_counts(
    delays: list[float],
) -> None:
    clock, step_s = ArrivalClock(), 0.04
    arrivals, latest = [], 0.0
    for n, delay_s in enumerate(delays):
        latest = max(latest, n * step_s + delay_s)
        arrivals.append(latest)
    filmed = [clock.filmed_s(100 + n * step_s, at_s) for n, at_s in enumerate(arrivals)]
    assert all(f <= a for f, a in zip(filmed, arrivals, strict=True))
    least_s = min(a - n * step_s for n, a in enumerate(arrivals))
    drift_s = 1e-3 * (arrivals[-1] - arrivals[0])
    assert filmed[-1] - (len(delays) - 1) * step_s <= least_s + drift_s + 1e-6


def _late_s(sent: list[tuple[float, float]]) -> list[float]:
    """Return by how much each packet is taken to have come late, of its stamp and its arrival."""
    clock = ArrivalClock()
    return [arrived_s - clock.filmed_s(pts_s, arrived_s) for pts_s, arrived_s in sent]


@pytest.mark.parametrize(("speed", "most_s"), [(0.999, 0.1), (0.99, 0.25), (0.9, 2.5)])
def test_stamps_slower_than_time_are_followed_for_hours(speed: float, most_s: float) -> None:
    arrivals = [n * 0.04 for n in range(4 * 3600 * 25)]
    assert max(_late_s([(at_s * speed, at_s) for at_s in arrivals])) < most_s


def test_what_a_stall_of_the_network_held_back_was_filmed_before() -> None:
    stalls = [(at_s, at_s + 120.0) for at_s in (60.0, 300.0, 600.0)]
    sent = []
    for n in range(900 * 25):
        at_s = n * 0.04
        held = [ends for begins, ends in stalls if begins < at_s < ends]
        sent.append((at_s, max([at_s, *held])))
    late = _late_s(sent)
    assert all(
        abs(late_s - (arrived_s - at_s)) < 0.2
        for late_s, (at_s, arrived_s) in zip(late, sent, strict=True)
    )


@pytest.mark.parametrize("speed", [0.5, 0.9, 0.95, 1.05, 1.2, 2.0])
def test_stamps_that_count_pictures_at_the_wrong_rate_are_a_fault_within_two_minutes(
    speed: float,
) -> None:
    times = [n * 0.04 for n in range(120 * 25)]
    found = _faults([at_s * speed for at_s in times], times)
    assert TimeFault.SPEED in found and set(found) <= {None, TimeFault.SPEED}
    assert found[: 30 * 25] == [None] * (30 * 25)  # what a network may do


@pytest.mark.parametrize("speed", [0.98, 1.0, 1.02])
def test_a_clock_that_is_a_little_off_and_a_queue_that_fills_are_none(speed: float) -> None:
    times = [n * 0.04 for n in range(3600 * 25)]
    arrivals = [at_s + min(2.0, 0.1 * max(0.0, at_s - 600.0)) for at_s in times]
    assert not any(_faults([at_s * speed for at_s in times], arrivals))


def test_reordered_pictures_keep_their_stamps_at_any_speed() -> None:
    order = [n + (0, 2, -1, -1)[n % 4] for n in range(120 * 25)]
    assert not any(_faults([n * 0.05 for n in order], [n * 0.04 for n in range(len(order))]))


def _packet(at_s: float, size: int, *, is_keyframe: bool = False) -> StreamPacket:
    return StreamPacket(b"\0" * size, at_s, 0.04, is_keyframe, at_s)


def test_rest_is_counted_from_the_end_of_a_movement() -> None:
    rest = RestDetector()
    for n in range(750):  # 10 s still, 10 s of movement, 10 s still
        moving = 250 <= n < 500
        rest.add(_packet(n * 0.04, 9000 if moving else 700 + n % 7, is_keyframe=n % 25 == 0))
    assert rest.has_moved
    assert 9.0 <= rest.still_s(30.0) <= 10.6


def test_an_athlete_who_stands_and_sways_after_an_effort_is_at_rest() -> None:
    """Half a second each, as the drawn athlete gives them: who stands changes the picture too."""
    sways, lifts = (253, 450, 217, 333, 464, 210, 507), (1072, 620, 1217, 1263, 754, 1174)
    rest, at_s = RestDetector(), 0.0
    for size in sways * 2 + lifts + sways:
        for _ in range(20):
            rest.add(_packet(at_s, size))
            at_s += 0.025
    assert rest.has_moved
    assert rest.still_s(at_s) == pytest.approx(3.5, abs=0.6)


def test_swaying_that_comes_and_goes_every_half_second_is_rest() -> None:
    rest = RestDetector()
    # Measured at 1080p30, bytes a packet in half seconds: an athlete stands, lifts, and stands.
    stands = [2770, 3253, 3818, 6489, 4276, 2623, 2359, 5341, 5811, 3578, 3711, 4070, 5184, 5526]
    lifts = [8825, 9504, 10190, 9644, 9140, 1950, 11188, 9094, 5306, 5765, 9645, 10714, 9589, 8576]
    for half_s, size in enumerate([*stands * 3, *lifts, *stands]):
        for n in range(15):
            rest.add(_packet(half_s / 2 + n / 30, size, is_keyframe=n == 0 and half_s % 2 == 0))
    assert rest.has_moved
    lifted_until_s, ended_s = 28.0, 35.0
    assert ended_s - lifted_until_s - 1.0 <= rest.still_s(ended_s) <= ended_s - lifted_until_s


def test_where_nothing_ever_moves_there_is_no_rest_after_a_movement() -> None:
    rest = RestDetector()
    for n in range(500):
        rest.add(_packet(n * 0.04, 700 + n % 90))
    assert not rest.has_moved


def test_a_keyframes_parameter_set_is_found_in_an_annex_b_stream() -> None:
    sps, pps, picture = b"\x67\x64\x00\x1e", b"\x68\xee", b"\x65\x88\x84"
    start = b"\x00\x00\x00\x01"
    payload = start + b"\x09\xf0" + start + sps + start + pps + b"\x00\x00\x01" + picture
    assert parameter_set(payload, "h264") == sps
    assert parameter_set(start + picture, "h264") is None
    assert parameter_set(start + b"\x42\x01\x01\x02" + start + b"\x26\x01", "hevc") == (
        b"\x42\x01\x01\x02"
    )
    assert parameter_set(payload, "av1") is None
