"""Which movements are efforts, and what they are."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.efforts import efforts_of, signs_of
from analysis.landmarks import Poses
from analysis.motion import motion_of
from analysis.movement import name_movement
from analysis.primitives import Interval
from analysis.reps import count_reps
from tests.unit.analysis.bodies import STANDING, Posture, nobody, poses

SQUAT = Posture(hips_down=0.8)
OVERHEAD = Posture(hands_up=0.7)
TOP = Posture(fly=0.7, hands_up=0.2)
DIP = Posture(hips_down=0.4)
REST = (3.0, STANDING)


def efforts(body: Poses, *, rest_s: float = 2.0, busy: bool = False) -> list[Interval]:
    motion = motion_of(body)
    within = Interval(start_s=0.0, end_s=float(body.times_s.max(initial=0.0)) + 0.1)
    return efforts_of(motion, signs_of(motion, count_busy=busy), rest_s=rest_s, within=within)


def reps(body: Poses, activity: str) -> int | None:
    (effort,) = efforts(body)
    return count_reps(motion_of(body), activity, effort)


def jump() -> tuple[tuple[float, Posture], ...]:
    return ((0.4, DIP), (0.3, STANDING), (0.3, TOP), (0.3, STANDING), (0.2, DIP), (0.5, STANDING))


def stride(seconds: float, *, hz: float = 1.45) -> tuple[tuple[float, Posture], ...]:
    """Run on the spot: a stride is two steps."""
    half = 0.25 / hz
    one = (
        *((half, Posture(stride=1.2, fly=0.05)), (half, Posture(stride=0.0))),
        *((half, Posture(stride=-1.2, fly=0.05)), (half, Posture(stride=0.0))),
    )
    return one * round(seconds * hz)


def test_standing_about_is_no_effort() -> None:
    sway = replace(STANDING, across=5.03)

    assert efforts(poses(REST, (2.0, sway), (2.0, STANDING), (2.0, sway))) == []


def test_nobody_makes_no_effort() -> None:
    assert efforts(nobody(10.0)) == []


@pytest.mark.parametrize("looks", range(10))
def test_a_capture_that_breaks_off_at_once_holds_no_effort(looks: int) -> None:
    for whole in (nobody(2.0), poses(REST)):
        body = Poses(
            times_s=whole.times_s[:looks],
            points_px=whole.points_px[:looks],
            visibility=whole.visibility[:looks],
            width_px=whole.width_px,
            height_px=whole.height_px,
        )
        assert efforts(body, busy=True) == []


def test_walking_through_the_picture_is_no_effort() -> None:
    steps = [(0.25, Posture(across=1 + 0.5 * n, stride=0.5 * (-1) ** n)) for n in range(20)]

    assert efforts(poses((1.0, replace(STANDING, across=1.0)), *steps)) == []


def test_fidgeting_hands_are_no_effort() -> None:
    rubbing = [(0.3, Posture(hands_up=-0.55 + 0.1 * (-1) ** n)) for n in range(12)]

    assert efforts(poses(REST, *rubbing, REST)) == []


@pytest.mark.parametrize("posture", [SQUAT, OVERHEAD], ids=["squat", "raise"])
def test_an_effort_lies_inside_its_interval_and_little_else_does(posture: Posture) -> None:
    (effort,) = efforts(poses(REST, (1.0, posture), (1.0, STANDING), REST))

    assert 2.5 < effort.start_s <= 3.05 and 4.95 <= effort.end_s < 5.6


def test_a_motionless_set_up_belongs_to_the_lift() -> None:
    set_up = Posture(hips_down=0.6, hands_up=-1.0)

    (effort,) = efforts(
        poses(REST, (0.8, set_up), (3.0, set_up), (0.8, OVERHEAD), (0.8, STANDING), REST)
    )

    assert effort.start_s <= 3.1 and effort.end_s >= 8.3


def test_a_long_rest_in_a_low_posture_is_no_effort() -> None:
    sitting = Posture(hips_down=0.7)

    found = efforts(poses(REST, (1.0, sitting), (30.0, sitting), (1.0, STANDING), REST))

    assert sum(effort.seconds for effort in found) < 15


def test_a_slow_last_repetition_is_not_cut_off() -> None:
    quick = ((0.6, SQUAT), (0.6, STANDING))

    (effort,) = efforts(poses(REST, *quick, *quick, (3.0, SQUAT), (4.0, STANDING), REST))

    assert effort.end_s >= 12.0


def test_raises_in_which_the_feet_never_move_are_found_and_counted() -> None:
    body = poses(REST, *(((0.8, Posture(hands_up=0.0)), (0.8, STANDING)) * 4), REST)

    (effort,) = efforts(body)

    assert effort.start_s <= 3.1 and effort.end_s >= 9.2
    assert reps(body, "weightlifting") == 4


@pytest.mark.parametrize("count", [1, 2, 5])
def test_jumps_are_counted_by_their_flights(count: int) -> None:
    body = poses(REST, *(jump() * count), REST)

    assert reps(body, "jumping") == count
    (effort,) = efforts(body)
    motion = motion_of(body)
    named = name_movement(motion, signs_of(motion, count_busy=False), effort)
    assert named.activity == "jumping"


def test_squats_are_counted_by_the_hips() -> None:
    body = poses(REST, *(((0.9, SQUAT), (0.9, STANDING)) * 3), REST)

    assert reps(body, "weightlifting") == 3
    assert reps(body, "jumping") == 0


@pytest.mark.parametrize("hz", [1.2, 1.45, 1.6])
def test_steps_are_counted_by_their_frequency(hz: float) -> None:
    body = poses(*stride(20.0, hz=hz))

    (effort,) = efforts(body)
    motion = motion_of(body)

    assert effort.seconds > 19
    assert count_reps(motion, "running", effort) == pytest.approx(40 * hz, abs=1)
    named = name_movement(motion, signs_of(motion, count_busy=False), effort)
    assert named.activity == "running"


def test_a_body_lost_for_a_moment_goes_on_moving() -> None:
    body = poses(REST, *(((0.9, SQUAT), (0.9, STANDING)) * 3), REST)
    body.points_px[55:61] = float("nan")

    assert len(efforts(body)) == 1


def test_somebody_else_in_another_place_does_not_make_a_leap() -> None:
    first = poses((4.0, replace(STANDING, across=2.0)))
    then = poses((4.0, replace(STANDING, across=9.0, size=0.7)))
    both = replace(
        first,
        times_s=np.arange(len(first.times_s) + len(then.times_s)) / 10,
        points_px=np.concatenate([first.points_px, then.points_px]),
        visibility=np.concatenate([first.visibility, then.visibility]),
    )

    assert efforts(both) == []


def test_going_on_for_long_counts_only_where_nothing_is_known() -> None:
    pottering = [
        (0.5, Posture(hands_up=-0.75 + 0.3 * (-1) ** n, stride=0.6 * (-1) ** n)) for n in range(40)
    ]
    body = poses(REST, *pottering, REST)

    assert efforts(body) == []
    assert len(efforts(body, busy=True)) == 1


def test_squats_are_counted_while_the_hands_stay_at_the_bar() -> None:
    up, down = Posture(hands_up=-0.1), Posture(hands_up=-0.1, hips_down=0.7)
    one = ((0.8, down), (0.8, up), (0.5, up))

    assert (
        reps(poses(REST, (0.6, up), *one, *one, *one, (0.6, STANDING), REST), "weightlifting") == 3
    )


def test_landmarks_that_tremble_on_a_still_picture_prolong_no_effort() -> None:
    trembling = [(0.2, Posture(hands_up=0.7 + 0.12 * (-1) ** n)) for n in range(60)]
    motion = motion_of(poses(REST, (1.0, OVERHEAD), *trembling))
    within = Interval(start_s=0.0, end_s=16.0)
    signs = signs_of(motion, count_busy=False)

    def found(moving: list[Interval] | None) -> list[Interval]:
        return efforts_of(motion, signs, rest_s=2.0, within=within, moving=moving)

    (believed,) = found(None)
    (checked,) = found([Interval(start_s=3.1, end_s=4.5)])
    assert believed.end_s > 8.0 and 4.5 <= checked.end_s <= 5.1
    assert checked.start_s == believed.start_s
    assert found([]) == []
