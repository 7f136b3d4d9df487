"""From movement to takes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.landmarks import COUNT, HIPS, SHOULDERS, FloatArray, Poses
from analysis.motion import body_speed
from analysis.quality import judge_quality
from analysis.reps import count_reps
from analysis.takes import Interval, TakeOptions, find_takes

OPTIONS = TakeOptions()


def speeds(*stretches: tuple[float, float]) -> tuple[FloatArray, FloatArray, float]:
    """Speeds sampled ten times a second, from (seconds, speed) stretches."""
    values = np.concatenate([np.full(round(10 * s), v) for s, v in stretches])
    return values, np.arange(len(values)) / 10, len(values) / 10


def takes(*stretches: tuple[float, float], options: TakeOptions = OPTIONS) -> list[Interval]:
    speed, times, duration_s = speeds(*stretches)
    return find_takes(speed, times, duration_s=duration_s, options=options)


def test_standing_about_is_no_take() -> None:
    assert takes((10, 0.1)) == []


def test_the_slow_beginning_and_end_belong_to_the_take() -> None:
    (take,) = takes((5, 0.05), (1, 0.3), (2, 1.5), (1, 0.3), (5, 0.05))

    assert take.start_s <= 5.0 and take.end_s >= 9.0
    assert take.end_s - take.start_s < 4.5


def test_fidgeting_below_the_threshold_is_no_take() -> None:
    assert takes((3, 0.05), (1, 0.4), (3, 0.05)) == []


def test_close_repetitions_are_one_take_and_distant_ones_two() -> None:
    close = takes((3, 0), (2, 1), (1, 0), (2, 1), (3, 0))
    distant = takes((3, 0), (2, 1), (5, 0), (2, 1), (3, 0))

    assert (len(close), len(distant)) == (1, 2)


def test_movement_at_the_edges_reaches_the_edges() -> None:
    assert takes((5, 1.0)) == [Interval(start_s=0.0, end_s=5.0)]


def test_a_twitch_is_no_take() -> None:
    assert takes((3, 0), (0.2, 2.0), (3, 0)) == []


@given(st.lists(st.floats(0, 3), min_size=2, max_size=200))
def test_takes_are_ordered_apart_and_inside(values: list[float]) -> None:
    speed = np.array(values)
    found = find_takes(
        speed, np.arange(len(values)) / 10, duration_s=len(values) / 10, options=OPTIONS
    )

    edges = [edge for take in found for edge in (take.start_s, take.end_s)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= len(values) / 10 for edge in edges)
    rests = [after.start_s - before.end_s for before, after in pairwise(found)]
    assert all(rest_s >= OPTIONS.rest_s - 1e-9 for rest_s in rests)


def test_padding_stays_inside_the_capture() -> None:
    padded = Interval(start_s=0.5, end_s=9.8).padded(1.0, duration_s=10.0)

    assert padded == Interval(start_s=0.0, end_s=10.0)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValueError, match="no option 'speed'"):
        TakeOptions.from_json({"speed": 1})


def body(shift_px: FloatArray, *, found: bool = True) -> Poses:
    """A body of 100 px torso, moved as a whole, ten samples a second."""
    samples = len(shift_px)
    points = np.full((samples, COUNT, 2), 200.0)
    points[:, list(SHOULDERS), 1] = 100.0
    points[:, list(HIPS), 1] = 200.0
    points[:, :, 0] += shift_px[:, None]
    if not found:
        points[:] = np.nan
    return Poses(
        times_s=np.arange(samples) / 10,
        points_px=points,
        visibility=np.full((samples, COUNT), 0.9 if found else 0.0),
        height_px=400,
    )


def test_speed_is_in_torso_lengths_a_second() -> None:
    speed = body_speed(body(np.arange(0.0, 200.0, 10.0)))  # 100 px a second

    assert np.allclose(speed, 1.0)


def test_nobody_has_no_speed() -> None:
    assert np.all(body_speed(body(np.zeros(10), found=False)) == 0)


def test_a_body_lost_for_a_moment_goes_on_moving() -> None:
    poses = body(np.arange(0.0, 200.0, 10.0))
    poses.points_px[8:11] = np.nan

    assert body_speed(poses)[9] > 0.5


def test_jumps_are_counted_by_the_hips() -> None:
    poses = body(np.zeros(60))
    for start in (10, 30, 50):
        poses.points_px[start : start + 4, :, 1] -= 60.0

    assert count_reps(poses, "jumping", start_s=0, end_s=6) == 3
    assert count_reps(poses, "running", start_s=0, end_s=6) is None


def test_too_dark_is_never_nobody() -> None:
    empty = body(np.zeros(10), found=False)

    dark = judge_quality(empty, np.full(10, 8.0), [], damaged_at_s=[])
    light = judge_quality(empty, np.full(10, 120.0), [], damaged_at_s=[])

    assert [remark.code for remark in dark] == ["too_dark"]
    assert [remark.code for remark in light] == ["nobody"]


def test_feet_below_the_picture_are_remarked_with_the_moment() -> None:
    poses = body(np.zeros(20))
    poses.points_px[:, 27:33, 1] = 450.0
    take = Interval(start_s=0.5, end_s=1.5)

    (remark,) = judge_quality(poses, np.full(20, 120.0), [take], damaged_at_s=[])

    assert (remark.code, remark.severity, remark.at_s) == ("feet_out_of_frame", "warn", 0.5)
