"""Efforts in what the drawn athlete does, from its true joints: no picture is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from agent.synthetic.shapes import View
from agent.synthetic.storyboard import Truth
from analysis.athlete import TrackCandidate
from analysis.efforts import Evidence, efforts_of
from analysis.landmarks import COUNT, NOSE, Poses
from analysis.motion import motion_of
from analysis.movement import count_reps, name_movement
from analysis.primitives import Interval
from analysis.signs import signs_of
from analysis.takes import RULES
from tests.accuracy.captures import ALL, Capture

LOOKS_FPS = 6.0
NOISE_PX = 1.0  # of a picture 640 px wide, as the model's landmarks have
SEEN = 0.6  # of the joints inside the picture: else the model finds nobody
NUMBERS = (NOSE, *range(11, 17), *range(23, 33))  # of the joints, in their order


def looks(capture: Capture, truth: Truth, *, fps: float = LOOKS_FPS) -> Poses:
    story = capture.story()
    scale = 640 / max(capture.size)
    width_px, height_px = round(capture.size[0] * scale), round(capture.size[1] * scale)
    rows = np.arange(0, len(truth.joints_px), story.fps / fps).astype(int)
    points = np.repeat(truth.joints_px[rows, :1] * scale, COUNT, axis=1)  # the nose, if not named
    points[:, list(NUMBERS)] = truth.joints_px[rows] * scale
    points += np.random.default_rng(1).normal(0.0, NOISE_PX, points.shape)
    across = truth.joints_px[rows, :, 0]
    points[((across > 0) & (across < capture.size[0])).mean(axis=1) < SEEN] = np.nan
    return Poses(
        times_s=rows / story.fps,
        points_px=points,
        visibility=np.where(np.isnan(points[..., 0]), 0.0, 0.9),
        width_px=width_px,
        height_px=height_px,
    )


def seen(capture: Capture, truth: Truth, poses: Poses) -> TrackCandidate:
    """What is found in some looks, at a station that is set to the capture's activity."""
    motion = motion_of(poses)
    signs = signs_of(motion, activity=capture.activity)
    efforts, evidence = efforts_of(
        motion,
        signs,
        rest_s=RULES[capture.activity].rest_s,
        within=Interval(start_s=0.0, end_s=truth.duration_s),
        activity=capture.activity,
    )
    return TrackCandidate(motion, signs, efforts, evidence)


@pytest.mark.parametrize(
    "name",
    [
        *("sits", "snatch_after_loading", "singles", "singles_front", "snatch_after_chalk"),
        *("chalk_only", "fidget_walk", "squats_slow_front", "jumps_apart", "run_front"),
        *("skipping_side", "skipping_front", "jumping_jacks_side", "jumping_jacks_front"),
        *("one_armed_curls_side", "walking_lunges_side", "walking_lunges_oblique"),
        *("run_away", "walk_towards", "walk_towards_at_jumps"),
    ],
)
def test_efforts_are_found_whole_and_nothing_else_is(name: str) -> None:
    capture = ALL[name]
    truth = capture.story().truth()

    found = seen(capture, truth, looks(capture, truth))

    assert len(found.efforts) == len(truth.efforts)
    for effort, true in zip(found.efforts, truth.efforts, strict=True):
        assert effort.start_s == pytest.approx(true.active_start_s, abs=0.6)
        assert effort.end_s == pytest.approx(true.active_end_s, abs=0.6)


@pytest.mark.parametrize(
    "name",
    [
        *("push_ups_side", "push_ups_oblique", "pull_ups_side", "pull_ups_front", "rows_side"),
        *("walking_lunges_side", "walking_lunges_oblique", "one_armed_curls_side"),
        *("jumping_jacks_side", "jumping_jacks_front", "squats_oblique", "curls_side"),
        *("deadlifts_side", "deadlifts_oblique", "deadlifts_front"),
        *("romanian_deadlifts_side", "romanian_deadlifts_front"),
    ],
)
def test_repetitions_are_counted_and_the_movement_is_named(name: str) -> None:
    capture = ALL[name]
    truth = capture.story().truth()
    motion = motion_of(looks(capture, truth))
    (effort,) = truth.efforts
    active = Interval(start_s=effort.active_start_s, end_s=effort.active_end_s)
    signs = signs_of(motion, activity=capture.activity)

    assert count_reps(motion, capture.activity, active) == effort.reps
    assert name_movement(motion, signs, active).activity == capture.activity


@pytest.mark.parametrize("view", ["side", "oblique", "front"])
@pytest.mark.parametrize("what", ["talk", "wave", "arm_circles", "toe_touches", "pace"])
@pytest.mark.parametrize("activity", ["weightlifting", "running", "jumping"])
def test_what_people_do_between_two_sets_is_not_sent(what: str, view: View, activity: str) -> None:
    """Hands that come up time and again, but at no pace, straight, or one alone, lift nothing."""
    segments = [("stand", 5.0), (what, None), ("stand", 5.0)]
    capture = Capture(segments=segments, activity=activity, view=view)
    truth = capture.story().truth()

    found = seen(capture, truth, looks(capture, truth)).evidence

    might_be = {
        "weightlifting": ("talk", "wave", "arm_circles", "toe_touches"),
        "running": ("pace",),
    }
    is_looked_at = what in might_be.get(activity, ())
    assert found <= (Evidence.DOUBTFUL if is_looked_at else Evidence.NONE)


def test_a_pull_with_which_the_recording_ends_is_counted() -> None:
    """Nobody lets go of the bar in it."""
    capture = ALL["deadlifts_side"]
    truth = capture.story().truth()
    (effort,) = truth.efforts
    poses = looks(capture, truth)
    until_s = effort.active_end_s
    motion = motion_of(poses.without(poses.times_s > until_s))

    active = Interval(start_s=effort.active_start_s, end_s=until_s)
    assert count_reps(motion, "weightlifting", active) == (effort.reps or 0) + 1


def test_curls_of_one_arm_that_were_begun_earlier_are_looked_for_there() -> None:
    capture = ALL["one_armed_curls_side"]
    truth = capture.story().truth()
    (effort,) = truth.efforts
    looked_from_s = effort.active_start_s + 2.7  # in the second curl
    whole = looks(capture, truth)

    found = seen(capture, truth, whole.without(whole.times_s < looked_from_s))

    assert not found.efforts
    begun = found.under_way
    assert min(one.start_s for one in begun) == pytest.approx(looked_from_s, abs=0.5)


@pytest.mark.parametrize("act", ["run_towards", "run_away"])
def test_a_run_towards_the_camera_or_away_from_it_is_surely_one(act: str) -> None:
    capture = Capture(segments=[("nobody", 5), (act, None), ("nobody", 5)], activity="running")
    truth = capture.story().truth()
    (run,) = truth.efforts
    poses = looks(capture, truth)

    found = seen(capture, truth, poses)

    assert found.evidence is Evidence.SURE
    (effort,) = found.efforts
    assert effort.start_s <= run.active_start_s and effort.end_s >= run.active_end_s
    named = name_movement(found.motion, found.signs, effort, expected="running")
    assert named.activity == "running"


@pytest.mark.parametrize("view", ["side", "oblique", "front"])
def test_a_sprint_is_unclear_in_looks_too_far_apart_and_sure_in_closer_ones(view: View) -> None:
    capture = Capture(
        segments=[("stand", 4), ("run_255", 9), ("stand", 4)], activity="running", view=view
    )
    truth = capture.story().truth()
    (sprint,) = truth.efforts
    within = Interval(start_s=0.0, end_s=truth.duration_s)

    far_apart = seen(capture, truth, looks(capture, truth, fps=5.0))
    (unclear,) = far_apart.unclear_runs([], within=within)
    closer = seen(capture, truth, looks(capture, truth, fps=10.0))

    assert far_apart.evidence is not Evidence.SURE
    assert unclear.start_s < sprint.active_start_s and unclear.end_s > sprint.active_end_s
    assert closer.evidence is Evidence.SURE and not closer.unclear_runs([], within=within)


def test_a_sure_run_that_goes_on_is_unclear_behind_its_end() -> None:
    capture = Capture(segments=[("stand", 4), ("run", 20), ("stand", 4)], activity="running")
    truth = capture.story().truth()
    (run,) = truth.efforts
    within, moving = (
        Interval(start_s=0.0, end_s=truth.duration_s),
        [Interval(start_s=run.active_start_s, end_s=run.active_end_s)],
    )
    found = seen(capture, truth, looks(capture, truth))
    half_s = run.active_start_s + 8.0
    cut = replace(found, efforts=[replace(found.efforts[0], end_s=half_s)])

    assert not found.unclear_runs(moving, within=within)
    (unclear,) = cut.unclear_runs(moving, within=within)
    assert unclear.start_s < half_s and unclear.end_s > run.active_end_s


@pytest.mark.parametrize("view", ["side", "oblique", "front"])
def test_who_sits_down_for_some_seconds_is_a_question_for_a_person(view: View) -> None:
    sits_s = 7.0  # with 1.3 s down and 1.3 s up
    capture = Capture(
        segments=[("stand", 5), ("sit", sits_s), ("stand", 5)], activity="weightlifting", view=view
    )
    truth = capture.story().truth()

    found = seen(capture, truth, looks(capture, truth))

    assert found.evidence is Evidence.DOUBTFUL


def test_a_squat_with_a_pause_below_is_surely_one() -> None:
    capture = Capture(
        segments=[("stand", 5), ("sit", 4.6), ("stand", 5)], activity="weightlifting", view="side"
    )
    truth = capture.story().truth()

    found = seen(capture, truth, looks(capture, truth))

    assert found.evidence is Evidence.SURE
