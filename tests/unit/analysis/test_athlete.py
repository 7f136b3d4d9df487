"""Which of two people is the athlete."""

from dataclasses import replace

import pytest

from analysis.athlete import TrackCandidate, choose_athlete
from analysis.efforts import efforts_of
from analysis.motion import motion_of
from analysis.primitives import Interval
from analysis.signs import signs_of
from tests.unit.analysis.bodies import STANDING, Posture, poses

ACTIVITY = "weightlifting"
SQUAT = Posture(hips_down=0.8)


def candidate(*done: tuple[float, Posture], across: float, size: float = 1.0) -> TrackCandidate:
    motion = motion_of(
        poses(*((s, replace(posture, across=across, size=size)) for s, posture in done))
    )
    signs, within = signs_of(motion, activity="weightlifting"), Interval(start_s=0.0, end_s=99.0)
    efforts, evidence = efforts_of(motion, signs, rest_s=3.0, within=within, activity=ACTIVITY)
    return TrackCandidate(motion, signs, efforts, evidence)


def squats(begins_s: float, *, across: float = 3.0, size: float = 1.0) -> TrackCandidate:
    once = ((0.8, SQUAT), (0.8, STANDING))
    return candidate(
        (begins_s, STANDING), *once, *once, (6.0 - begins_s, STANDING), across=across, size=size
    )


def standing(across: float = 3.0) -> TrackCandidate:
    return candidate((9.0, STANDING), across=across)


def bows(across: float = 9.0) -> TrackCandidate:
    bow = Posture(lean=0.98)
    return candidate((3.0, STANDING), (1.0, bow), (1.0, STANDING), (4.0, STANDING), across=across)


def test_who_is_alone_is_the_athlete() -> None:
    alone = squats(3.0)

    assert choose_athlete(alone, None) == (alone, True)
    assert choose_athlete(alone, standing(9.0)) == (alone, True)


def test_who_makes_the_surer_effort_is_the_athlete_whoever_was_followed() -> None:
    athlete = squats(3.0)

    assert choose_athlete(standing(9.0), athlete) == (athlete, True)
    assert choose_athlete(bows(), athlete) == (athlete, True)
    assert choose_athlete(athlete, bows()) == (athlete, True)


@pytest.mark.parametrize("nearer", [1.0, 1.6])
def test_two_who_lift_at_the_same_time_are_not_decided_whoever_is_nearer(nearer: float) -> None:
    _, is_sure = choose_athlete(squats(3.0), squats(3.7, across=9.0 / nearer, size=nearer))

    assert not is_sure


def test_who_is_far_behind_is_not_on_the_station() -> None:
    athlete, behind = squats(3.0), squats(3.7, across=20.0, size=0.4)

    assert choose_athlete(behind, athlete) == (athlete, True)


def test_a_mirror_image_is_nobody_else() -> None:
    athlete, image = squats(3.0), squats(3.0, across=12.0, size=0.7)

    assert choose_athlete(image, athlete) == (athlete, True)


def test_of_two_views_of_one_body_the_one_that_shows_more_effort_counts() -> None:
    """The other turned to a bystander on the way, whom it then saw all the time."""
    once = ((0.8, SQUAT), (0.8, STANDING))
    whole = candidate((1.0, STANDING), *once * 5, (1.0, STANDING), across=3.0)
    turned = candidate((1.0, STANDING), *once * 3, (4.6, STANDING), across=3.0)

    lost = candidate((1.0, STANDING), *once * 3, across=3.0)
    lost = replace(lost, efforts=[replace(lost.efforts[0], end_s=14.0)])  # taken to continue unseen

    assert whole.motion.is_found.sum() < turned.motion.is_found.sum()
    assert lost.efforts[0].seconds > whole.efforts[0].seconds
    assert choose_athlete(lost, whole) == (whole, True)
    assert choose_athlete(turned, whole) == (whole, True)
    assert choose_athlete(whole, turned) == (whole, True)
