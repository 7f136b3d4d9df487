"""The drawn athlete's truth: joints and timing."""

import numpy as np
import pytest

from agent.synthetic import Segment, Storyboard, draw_frame, storyboard
from agent.synthetic.body import JOINTS, SHANK, THIGH, Posture, joints_of

EFFORTS = ("snatch", "clean_and_jerk", "countermovement_jump", "drop_jump", "run")


def speed_px(story: Storyboard) -> np.ndarray:
    """How far the joints move from frame to frame, the mean over the body."""
    joints = story.truth().joints_px
    speed: np.ndarray = np.linalg.norm(np.diff(joints, axis=0), axis=2).mean(axis=1)
    return speed


@pytest.mark.parametrize("what", EFFORTS)
def test_the_joints_move_exactly_while_the_truth_says_so(what: str) -> None:
    story = storyboard.effort(what, idle_s=2.0)
    truth = story.truth()

    (effort,) = truth.efforts
    moving = speed_px(story) > 0.3
    first, last = np.flatnonzero(moving)[[0, -1]] / story.fps
    assert effort.active_start_s - 1 / story.fps <= first <= effort.active_start_s + 0.25
    assert effort.active_end_s - 0.35 <= last <= effort.active_end_s
    assert truth.duration_s == story.frame_count / story.fps


def test_standing_about_moves_less_than_any_effort() -> None:
    still, moved = speed_px(storyboard.idle()), speed_px(storyboard.effort("snatch"))

    assert 0 < still.max() < moved.max() / 20


def test_repetitions_are_efforts_of_their_own() -> None:
    efforts = storyboard.by_name("three_jumps").truth().efforts

    assert [effort.reps for effort in efforts] == [1, 1, 1]
    assert {effort.exercise for effort in efforts} == {"Countermovement Jump"}


def test_a_jump_leaves_the_floor() -> None:
    story = storyboard.effort("countermovement_jump")
    ankles = story.truth().joints_px[:, JOINTS.index("left_ankle"), 1]

    assert ankles[0] - ankles.min() > 0.1 * story.height


def test_limbs_keep_their_length_in_every_pose() -> None:
    for posture in (Posture(), Posture(hip_up=0.25, lean_deg=40), Posture(left_ankle=(0.9, 0.9))):
        joints = joints_of(posture.vector())
        thigh = np.linalg.norm((joints["left_hip"] - joints["left_knee"])[:2])
        shank = np.linalg.norm((joints["left_knee"] - joints["left_ankle"])[:2])
        assert abs(thigh - THIGH) < 2e-3 and abs(shank - SHANK) < 2e-3


def test_nobody_there_has_no_joints() -> None:
    assert np.isnan(storyboard.nobody().truth().joints_px).all()


def test_the_same_script_gives_the_same_picture_and_another_seed_another() -> None:
    def noisy(seed: int) -> np.ndarray:
        return draw_frame(Storyboard([Segment("stand", 1.0)], noise=4.0, seed=seed), 3)

    assert np.array_equal(noisy(1), noisy(1))
    assert not np.array_equal(noisy(1), noisy(2))


@pytest.mark.parametrize(
    ("segments", "width", "told"),
    [
        ([Segment("stand", 1)], 321, "even sides"),
        ([Segment("dance", 1)], 320, "no segment 'dance'"),
    ],
)
def test_what_cannot_be_filmed_is_said(segments: list[Segment], width: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Storyboard(segments, width=width)


def test_an_unknown_storyboard_is_said() -> None:
    with pytest.raises(ValueError, match="no storyboard 'x': demo"):
        storyboard.by_name("x")
