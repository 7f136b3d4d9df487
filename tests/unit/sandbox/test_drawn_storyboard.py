"""What a storyboard tells: efforts, sets, bystanders, and a picture that can be disturbed."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from agent.synthetic import Bystander, Segment, Storyboard, draw_frame, storyboard
from agent.synthetic.body import JOINTS
from agent.synthetic.shapes import PictureLayer
from tests.disturbances import Light, Shake

EFFORTS = {
    "snatch": ("weightlifting", "snatch"),
    "clean_and_jerk": ("weightlifting", "clean_and_jerk"),
    "countermovement_jump": ("jumping", "Countermovement Jump"),
    "drop_jump": ("jumping", "Drop Jump"),
    "run": ("running", None),
}
SMALL = Storyboard([Segment("stand", 2.0)], width=320, height=180)


@pytest.mark.parametrize("name", storyboard.BY_NAME)
def test_every_named_script_tells_its_efforts_in_order(name: str) -> None:
    truth = storyboard.by_name(name).truth()

    assert truth.joints_px.shape[1:] == (len(JOINTS), 2)
    bounds = [s for e in truth.efforts for s in (e.active_start_s, e.active_end_s)]
    assert all(a < b for a, b in pairwise(bounds))
    assert all(0 <= s <= truth.duration_s for s in bounds)
    kind = name.removesuffix("_front")
    assert [(e.activity, e.exercise) for e in truth.efforts] == [
        EFFORTS.get(kind, (e.activity, e.exercise)) for e in truth.efforts
    ]


def test_the_demo_is_mostly_idle_with_one_snatch_in_the_middle() -> None:
    story = storyboard.demo()
    (effort,) = story.truth().efforts

    assert 20 <= story.duration_s <= 26
    assert (effort.exercise, effort.reps) == ("snatch", 1)
    assert 8 < effort.active_start_s < effort.active_end_s < story.duration_s - 7


def test_repetitions_without_rest_are_one_set() -> None:
    jump, rest = Segment("countermovement_jump"), Segment("stand", 2.0)
    truth = Storyboard([rest, jump, jump, jump, rest, jump]).truth()

    assert [effort.reps for effort in truth.efforts] == [3, 1]
    assert truth.efforts[0].active_start_s == 2.0


@pytest.mark.parametrize("view", ["side", "front"])
def test_who_runs_past_makes_an_effort_while_he_is_in_sight(view: str) -> None:
    story = storyboard.by_name("run_past" if view == "side" else "run_past_front")
    truth = story.truth()
    (effort,) = truth.efforts

    x = truth.joints_px[..., 0]
    in_sight = np.flatnonzero(((x >= 0) & (x < story.width)).any(axis=1)) / story.fps
    assert effort.active_start_s == pytest.approx(in_sight[0])
    assert effort.active_end_s == pytest.approx(in_sight[-1] + 1 / story.fps)
    assert 1.0 < effort.active_start_s < effort.active_end_s < truth.duration_s - 1.0


def test_what_is_no_effort_is_not_told_as_one() -> None:
    idle = [Segment(what) for what in ("nobody", "walk_in", "stand", "fidget", "walk_out")]

    assert Storyboard(idle).truth().efforts == ()


def test_a_bystander_is_seen_but_is_no_part_of_the_truth() -> None:
    jumping = Bystander(segments=[Segment("countermovement_jump")], place=(0.9, 0.3))
    crowded = replace(SMALL, bystanders=[jumping])

    assert not np.array_equal(draw_frame(crowded, 20), draw_frame(SMALL, 20))
    assert crowded.truth().efforts == ()
    assert np.array_equal(crowded.truth().joints_px, SMALL.truth().joints_px)


@pytest.mark.parametrize("layer", [Light(0.2, from_s=1.0), Shake(4.0, from_s=1.0)])
def test_a_disturbance_comes_when_it_is_told_and_again_the_same(layer: PictureLayer) -> None:
    disturbed = replace(SMALL, layers=[layer])

    assert np.array_equal(draw_frame(disturbed, 29), draw_frame(SMALL, 29))
    assert not np.array_equal(draw_frame(disturbed, 31), draw_frame(SMALL, 31))
    assert np.array_equal(draw_frame(disturbed, 31), draw_frame(replace(disturbed), 31))


def test_light_and_noise_are_as_strong_as_asked_for() -> None:
    clean = draw_frame(SMALL, 3).astype(float)
    noisy = draw_frame(replace(SMALL, noise=5.0), 3).astype(float)
    dark = draw_frame(replace(SMALL, layers=[Light(0.1)]), 3).astype(float)

    assert (noisy - clean).std() == pytest.approx(5.0, rel=0.1)
    assert dark.mean() == pytest.approx(0.1 * clean.mean(), rel=0.05)


@pytest.mark.parametrize("size", [(178, 100), (90, 160), (16, 16), (1280, 720)])
def test_a_frame_is_a_plain_array_of_the_size_asked_for(size: tuple[int, int]) -> None:
    width, height = size
    frame = draw_frame(replace(SMALL, width=width, height=height), 0)

    assert frame.shape == (height, width, 3)
    assert frame.dtype == np.uint8
    assert frame.flags.c_contiguous


def test_a_frame_beyond_the_end_is_refused() -> None:
    for index in (-1, SMALL.frame_count):
        with pytest.raises(IndexError):
            draw_frame(SMALL, index)


@pytest.mark.parametrize("fps", [0.0, -5.0, 0.1])
def test_a_rate_without_frames_is_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="frames per second"):
        replace(SMALL, fps=fps)


def test_the_body_never_stays_in_the_room_once_it_was_drawn() -> None:
    empty = Storyboard([Segment("nobody", 1.0)], width=320, height=180)
    before = draw_frame(empty, 0)

    draw_frame(SMALL, 0)

    assert np.array_equal(draw_frame(empty, 0), before)


def test_the_sandbox_alone_brings_no_camera_and_no_brush() -> None:
    probe = "import agent.sandbox, sys; print(*{'cv2', 'av', 'numpy'} & set(sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)

    assert (loaded.returncode, loaded.stdout.strip()) == (0, "")
