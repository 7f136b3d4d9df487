"""The pose model takes the drawn athlete for a person, whatever he does; and real files of it."""

import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from agent.synthetic import SceneCamera, Segment, Storyboard, draw_frame
from agent.synthetic.body import JOINTS
from agent.synthetic.shapes import View
from analysis.pose_model import PoseFinder, shipped_model
from analysis.primitives import Image
from tests.disturbances import Light

SAMPLE_FPS = 7.5
SIDES = ("left", "right")
MODEL = {
    "shoulder": (11, 12),
    "elbow": (13, 14),
    "wrist": (15, 16),
    "hip": (23, 24),
    "knee": (25, 26),
    "ankle": (27, 28),
}
# Median distance of a joint from where it was drawn, in hundredths of the body's height.
NEAR = {"shoulder": 3, "elbow": 5, "wrist": 7, "hip": 4, "knee": 4, "ankle": 7}


@pytest.mark.parametrize(
    ("what", "view"),
    [
        *(("stand", "side"), ("stand", "front"), ("fidget", "side"), ("fidget", "front")),
        *(("drop_jump", "side"), ("drop_jump", "front"), ("step_up", "front")),
        *(("snatch", "side"), ("snatch", "oblique"), ("clean_and_jerk", "oblique")),
        *(("countermovement_jump", "oblique"), ("run", "side"), ("run", "oblique")),
    ],
)
def test_every_joint_is_found_where_it_was_drawn(what: str, view: View, finder: PoseFinder) -> None:
    story = Storyboard([Segment(what)], view=view)
    joints_px = story.truth().joints_px
    frames = range(0, story.frame_count, round(story.fps / SAMPLE_FPS))
    off: dict[str, list[float]] = {name: [] for name in MODEL}

    for index in frames:
        pose = finder.find(draw_frame(story, index))
        assert pose is not None, f"nobody in frame {index}"
        for name, numbers in MODEL.items():
            drawn = joints_px[index, [JOINTS.index(f"{side}_{name}") for side in SIDES]]
            step_px = np.linalg.norm(pose[0][list(numbers)] - drawn, axis=1)
            off[name] += list(step_px / story.lens.size_px * 100)

    median = {name: float(np.median(values)) for name, values in off.items()}
    assert {name: value for name, value in median.items() if value > NEAR[name]} == {}


@pytest.mark.parametrize("view", ["side", "front"])
@pytest.mark.parametrize("what", ["run_past", "walk_in", "walk_out"])
def test_who_crosses_the_picture_is_followed_through_its_middle(
    what: str, view: View, finder: PoseFinder
) -> None:
    story = Storyboard([Segment(what)], view=view)
    x = story.truth().joints_px[..., 0]
    inside = np.flatnonzero(((x > 40) & (x < story.width - 40)).all(axis=1))
    noses = []

    for index in inside[:: len(inside) // 6]:
        pose = finder.find(draw_frame(story, int(index)))
        if pose is not None:
            noses.append(abs(pose[0][0, 0] - x[index, JOINTS.index("nose")]))

    assert len(noses) >= 6
    assert np.median(noses) < 0.06 * story.lens.size_px


@pytest.mark.parametrize("view", ["side", "front", "oblique"])
def test_a_bar_and_a_box_without_anybody_hold_nobody(view: View, finder: PoseFinder) -> None:
    empty = Segment("nobody", 0.5)
    gym = Storyboard([empty, Segment("snatch")], view=view)
    box = Storyboard([empty, Segment("drop_jump")], view=view)

    assert [finder.find(draw_frame(story, i)) for story in (gym, box) for i in (0, 7, 14)] == [
        None
    ] * 6


def test_in_the_dark_nobody_can_be_found(finder: PoseFinder) -> None:
    story = Storyboard([Segment("run")], layers=[Light(0.03)], noise=6.0)

    assert [finder.find(draw_frame(story, i)) for i in range(20, 50, 6)] == [None] * 5


def test_the_picture_for_the_self_check_holds_somebody_who_stands() -> None:
    picture = cv2.imread(str(shipped_model().with_name("known_good_frame.png")))
    assert picture is not None
    image: Image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype("uint8")

    with PoseFinder() as fresh:
        found = fresh.find(image)

    assert found is not None
    points, visibility = found
    assert visibility[[11, 12, 23, 24, 25, 26]].min() > 0.8
    assert points[[11, 12], 1].max() < points[[23, 24], 1].min() < points[[27, 28], 1].min()


def test_a_capture_may_have_a_single_keyframe(tmp_path: Path) -> None:
    story = Storyboard([Segment("run", 2.0)], width=160, height=120, fps=15)

    SceneCamera(story, keyframe_every_s=3600).record(tmp_path / "one.mp4")
    SceneCamera(story, keyframe_every_s=0.4).record(tmp_path / "many.mp4")

    keyframes = {}
    for name in ("one", "many"):
        with av.open(str(tmp_path / f"{name}.mp4")) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        keyframes[name] = sum(packet.is_keyframe for packet in packets)
        assert len(packets) == story.frame_count
    assert keyframes == {"one": 1, "many": 5}


def test_what_is_decoded_is_what_was_drawn(tmp_path: Path) -> None:
    story = Storyboard([Segment("countermovement_jump")], width=320, height=180)
    SceneCamera(story).record(tmp_path / "jump.mkv")

    with av.open(str(tmp_path / "jump.mkv")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]

    for index in (0, 30, story.frame_count - 1):
        difference = np.abs(frames[index].astype(int) - draw_frame(story, index))
        assert difference.mean() < 4


def test_a_fragmented_file_can_be_read_before_it_is_finished(tmp_path: Path) -> None:
    story = Storyboard([Segment("run", 3.0)], width=160, height=120, fps=15)
    path, readable = tmp_path / "growing.mp4", []

    def look(done: int) -> None:
        if done == 40:
            with av.open(str(path)) as container:
                readable.append(sum(1 for _ in container.decode(video=0)))

    SceneCamera(story, fragmented=True).record(path, on_frame=look)

    assert 15 <= readable[0] <= 40


def test_the_camera_program_films_and_photographs(tmp_path: Path) -> None:
    def run(*words: str) -> None:
        program = [sys.executable, "-m", "agent.synthetic", "--storyboard", "idle", *words]
        subprocess.run(program, check=True)

    run("--out", str(tmp_path / "idle.png"), "--view", "front", "--size", "480x360")
    run("--out", str(tmp_path / "idle.mp4"), "--size", "160x90", "--fps", "5")

    picture = cv2.imread(str(tmp_path / "idle.png"))
    assert picture is not None and picture.shape == (360, 480, 3)
    with av.open(str(tmp_path / "idle.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (160, 90)
        assert sum(1 for _ in container.decode(video=0)) == 30
