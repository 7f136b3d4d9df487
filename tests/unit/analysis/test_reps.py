"""What a repetition is, activity by activity, and what a movement is taken for."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from analysis.landmarks import ANKLES, FEET, KNEES, WRISTS, Poses
from analysis.motion import motion_of
from analysis.movement import arrivals, count_reps, gait_of, name_movement
from analysis.primitives import Interval
from analysis.signs import signs_of
from tests.unit.analysis.bodies import STANDING, Posture, poses, seldom

Script = Sequence[tuple[float, Posture]]

BAR = Posture(hands_up=-0.1)  # on the back
LOW = replace(BAR, hips_down=0.8, lean=0.5)
BENT, HELD = Posture(hips_down=0.25, lean=0.9), STANDING  # over the bar, and upright with it
RACK, PRESSED = Posture(hands_up=0.0), Posture(hands_up=1.0)
HANGING, PULLED = Posture(hands_up=1.1, fly=0.6), Posture(hands_up=0.1, fly=1.6)
CURLED = Posture(hands_up=-0.45)
CAUGHT, STOOD = Posture(hips_down=0.8, hands_up=0.9), Posture(hands_up=0.9)


def whole(body: Poses) -> Interval:
    return Interval(start_s=0.0, end_s=float(body.times_s[-1]) + 0.1)


def reps(script: Script, activity: str = "weightlifting") -> int | None:
    body = poses(*script)
    return count_reps(motion_of(body), activity, whole(body))


def there_and_back(first: Posture, far: Posture, count: int, *, way_s: float = 0.9) -> Script:
    return [(0.3, first), *[(way_s, far), (0.2, far), (way_s, first), (0.3, first)] * count]


@pytest.mark.parametrize("count", [1, 2, 5, 8])
@pytest.mark.parametrize(
    ("first", "far"),
    [
        pytest.param(BAR, LOW, id="squat"),
        pytest.param(BENT, HELD, id="deadlift"),
        pytest.param(HELD, BENT, id="hinge"),
        pytest.param(RACK, PRESSED, id="press"),
        pytest.param(HANGING, PULLED, id="pull-up"),
        pytest.param(STANDING, CURLED, id="curl"),
    ],
)
def test_a_set_counts_arrivals_opposite_to_where_it_began(
    first: Posture, far: Posture, count: int
) -> None:
    script = there_and_back(first, far, count)

    assert reps(script) == count
    assert reps([*script, (0.9, far)]) == count + 1, "the last one may not come back"


def test_a_set_runs_backwards_with_the_same_count() -> None:
    body = poses(*there_and_back(BAR, LOW, 4))
    mirrored = replace(body, points_px=body.points_px[::-1], visibility=body.visibility[::-1])

    assert count_reps(motion_of(mirrored), "weightlifting", whole(body)) == 4


def test_one_deeper_movement_does_not_hide_the_others() -> None:
    shallow = replace(LOW, hips_down=0.3, lean=0.2)

    assert reps([*there_and_back(BAR, shallow, 3), *there_and_back(BAR, LOW, 1)]) == 4


def test_hands_hidden_by_the_bar_tremble_without_being_counted() -> None:
    body = poses(*there_and_back(BAR, LOW, 3))
    chance = np.random.default_rng(1)
    body.points_px[:, list(WRISTS), 1] += chance.normal(0.0, 25.0, (len(body.times_s), 2))

    assert count_reps(motion_of(body), "weightlifting", whole(body)) == 3


def test_a_snatch_is_one_though_the_body_goes_down_and_up_twice() -> None:
    lift = [(0.6, BENT), (0.5, BENT), (0.6, STANDING), (0.5, CAUGHT), (0.9, STOOD), (0.8, STOOD)]
    script = [(1.0, STANDING), *lift, (0.6, STANDING), (1.0, STANDING)]

    assert reps(script) == 1
    assert reps(script * 3) == 3


def test_a_pull_that_leaves_the_ground_is_no_jump() -> None:
    up = Posture(fly=0.2)
    pulled = [(1.0, STANDING), (0.8, BENT), (0.5, up), (0.3, CAUGHT), (1.5, STOOD), (1.0, STANDING)]
    arms = replace(up, hands_up=0.6)  # of somebody who jumps with them, and bends as far
    jumped = [(1.0, STANDING), (0.8, BENT), (0.5, arms), (0.3, replace(CAUGHT, hands_up=-0.5))]

    assert reps(pulled, "jumping") == 0
    assert named(poses(*pulled)) == "weightlifting"
    assert reps([*jumped, (1.5, STANDING)], "jumping") == 1


def test_squats_with_the_bar_overhead_are_counted_though_hands_came_up_once() -> None:
    assert reps([(0.5, STANDING), (0.8, STOOD), *there_and_back(STOOD, CAUGHT, 4)]) == 4


def test_squats_with_hands_behind_the_head_are_counted_though_these_go_up_later() -> None:
    behind, stretched = Posture(hands_up=-0.05), Posture(hands_up=0.8)
    squats = there_and_back(behind, replace(LOW, hands_up=-0.05), 2)

    assert reps([*squats, (0.6, stretched), (0.8, STANDING), (0.5, STANDING)]) == 2


def test_bending_for_the_bar_before_a_lift_is_no_repetition() -> None:
    loads = there_and_back(STANDING, BENT, 2)
    lift = [(0.6, BENT), (0.5, BENT), (0.6, STANDING), (0.5, CAUGHT), (0.9, STOOD), (0.8, STOOD)]

    assert reps([*loads, *lift, (0.6, STANDING), (1.0, STANDING)]) == 1


def test_trembling_is_no_repetition() -> None:
    body = poses((0.5, STANDING), (9.5, STANDING))
    body.points_px[:] += np.random.default_rng(2).normal(0.0, 3.0, body.points_px.shape)

    assert count_reps(motion_of(body), "weightlifting", whole(body)) == 0
    assert arrivals(np.full(3, 1.0), least=0.1) == 0


def flights(count: int, *, bend: float) -> Script:
    bent, top = Posture(hips_down=bend), Posture(fly=0.5)
    once = [(0.3, bent), (0.2, STANDING), (0.2, top), (0.2, STANDING), (0.2, bent)]
    return [(1.0, STANDING), *once * count, (0.3, STANDING), (1.0, STANDING)]


def test_a_jump_leaves_bent_legs_and_a_hop_over_a_rope_does_not() -> None:
    assert reps(flights(3, bend=0.5), "jumping") == 3
    assert reps(flights(6, bend=0.08), "jumping") == 0


@pytest.mark.parametrize(("seen", "count"), [(0.6, 2), (0.3, 0)])
def test_feet_that_are_not_seen_leave_no_ground(seen: float, count: int) -> None:
    """Behind the plates of a bar the model guesses them, and they seem to rise with it."""
    body = poses(*flights(2, bend=0.5))
    body.visibility[:, list(FEET)] = seen

    assert count_reps(motion_of(body), "jumping", whole(body)) == count


def skipping(*, up: float, hops_hz: float) -> Script:
    """Return hops over a rope, half a second on the ground before and after."""
    half_s = 0.5 / hops_hz
    once = [(half_s, Posture(hips_down=0.04)), (half_s, Posture(fly=up))]
    return [(0.5, STANDING), *once * 15, (0.5, STANDING)]


@pytest.mark.parametrize("hops_hz", [1.8, 2.2, 2.9])
def test_hops_over_a_rope_are_named_as_jumps_are(hops_hz: float) -> None:
    assert named(poses(*flights(6, bend=0.5))) == "jumping"
    assert named(poses(*skipping(up=0.15, hops_hz=hops_hz))) == "jumping"
    assert reps(skipping(up=0.15, hops_hz=hops_hz), "jumping") == 0


def test_a_camera_that_shakes_shows_no_hops() -> None:
    body = poses((8.0, STANDING))
    shake_px = np.random.default_rng(3).normal(0.0, 8.0, (len(body.times_s), 1, 2))
    body.points_px[:] += shake_px

    assert not signs_of(motion_of(body), activity="weightlifting").hopping.any()


def test_a_jump_onto_a_box_is_one_and_a_step_onto_it_is_none() -> None:
    dip, landed, on_box = Posture(hips_down=0.5), Posture(fly=0.8, hips_down=0.5), Posture(fly=0.8)
    top, foot_up = Posture(fly=1.1), Posture(hips_down=0.1)

    leap = [(1.0, STANDING), (0.4, dip), (0.2, STANDING), (0.25, top), (0.2, landed), (0.5, on_box)]
    step = [(1.0, STANDING), (0.5, foot_up), (1.0, on_box), (0.3, Posture(fly=0.75))]
    rest = [(1.0, on_box)]

    assert reps([*leap, *rest], "jumping") == 1
    assert reps([*step, *rest], "jumping") == 0


SPLIT = Posture(stride=1.2)


def named(body: Poses, *, expected: str | None = None) -> str:
    motion = motion_of(body)
    signs = signs_of(motion, activity="weightlifting")
    return name_movement(motion, signs, whole(body), expected=expected).activity


def test_who_gets_through_the_picture_faster_than_anybody_walks_runs() -> None:
    """However short that is, and though a misplaced look lets the hips go down."""
    body = poses(
        (0.0, Posture(across=2.0)),
        (0.4, Posture(across=4.0)),
        (0.1, Posture(across=4.5, hips_down=0.6)),
        (0.1, Posture(across=5.0, hips_down=0.6)),
        (0.4, Posture(across=7.0)),
    )

    assert named(body) == "running"


def test_fast_squats_are_no_run_though_the_knees_swing() -> None:
    body = poses(*there_and_back(replace(BAR, stride=0.3), LOW, 8, way_s=0.4))

    gait = gait_of(body, whole(body))
    assert gait is not None and gait.together > 0.2
    assert named(body) == "weightlifting"


def test_a_lunge_is_no_run_though_its_knees_are_apart() -> None:
    assert named(poses(*there_and_back(SPLIT, replace(SPLIT, hips_down=0.6), 6))) == "weightlifting"


@pytest.mark.parametrize("looks_fps", [5.0, 10.0])
@pytest.mark.parametrize("steps_hz", [2.5, 2.9])
def test_running_on_the_spot_is_named_from_the_front(looks_fps: float, steps_hz: float) -> None:
    step_s = 1 / steps_hz
    script = [(step_s / 2, Posture(knee=knee)) for knee in (0.5, 0.0, -0.5, 0.0)] * 12
    body = seldom(poses(*script), looks_fps)

    assert named(body) == "running"


def test_a_run_that_is_expected_is_told_by_its_strides_alone() -> None:
    """The camera follows the runner: legs come and go together, and still take their strides."""
    random = np.random.default_rng(1)
    script = [
        (0.175, Posture(stride=0.6 * stride, hips_down=float(random.uniform(0.0, 1.1))))
        for stride in (1.0, 0.0, -1.0, 0.0) * 10
    ]
    body, lunges = poses(*script), poses(*there_and_back(SPLIT, replace(SPLIT, hips_down=0.6), 6))

    assert named(body) == "weightlifting"
    assert named(body, expected="running") == "running"
    assert named(lunges, expected="running") == "weightlifting"


@pytest.mark.parametrize("mistaken", [0.0, 0.4])
def test_running_is_named_where_one_leg_is_often_taken_for_the_other(mistaken: float) -> None:
    """As in a dim or small picture: no rhythm is plain then, but that of a run is the plainest."""
    script = [(0.175, Posture(stride=stride)) for stride in (1.0, 0.0, -1.0, 0.0)] * 12
    body = poses(*script)
    swapped = np.random.default_rng(4).random(len(body.times_s)) < mistaken
    for pair in (KNEES, ANKLES):
        there = body.points_px[:, list(pair)]
        body.points_px[:, list(pair)] = np.where(swapped[:, None, None], there[:, ::-1], there)

    assert named(body) == "running"


def test_a_squat_out_of_which_the_feet_seem_to_rise_is_no_jump() -> None:
    """So it looks where the head leaves the picture; nobody takes off that slowly."""
    down, up = replace(BAR, hips_down=1.0), replace(BAR, fly=0.16)
    squat = [(0.5, BAR), (1.0, down), (1.0, up), (0.3, BAR), (0.6, replace(BAR, hips_down=0.4))]

    assert named(poses(*squat, (0.5, BAR))) == "weightlifting"


def test_hands_that_sink_on_the_way_up_have_not_come_back() -> None:
    """Of somebody who walks past, whom the model follows for a moment."""
    up, sunk, overhead = (Posture(hands_up=height) for height in (0.25, -0.46, 0.8))
    lift = [(0.4, up), (0.4, up), (0.4, sunk), (0.4, sunk), (0.4, overhead), (0.5, overhead)]

    assert reps([(0.5, STANDING), *lift, (0.8, STANDING), (0.5, STANDING)]) == 1


def test_hands_that_a_bar_hides_are_not_counted_in_place_of_the_body() -> None:
    """They seem to sink and to come back, but not as far down as hands that hang."""
    bar, low = Posture(hands_up=0.05), Posture(hands_up=-0.77, hips_down=0.8)
    seen = replace(low, hands_up=0.0)

    assert reps([(0.5, bar), (0.9, low), (0.3, low), (0.4, seen), (0.4, low), (0.9, bar)]) == 1


def test_two_slow_squats_with_hanging_hands_are_two() -> None:
    """Below the first one nobody prepares for longer than below the second."""
    low = Posture(hips_down=0.6)
    squat = ((2.0, low), (0.9, low), (2.0, STANDING), (1.0, STANDING))
    motion = motion_of(poses((1.0, STANDING), *squat, *squat, (1.0, STANDING)))

    assert count_reps(motion, "weightlifting", Interval(start_s=0.5, end_s=13.0)) == 2
