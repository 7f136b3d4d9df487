"""The drawn athlete before the real pose model, and the camera's real files."""

from pathlib import Path

import av
import numpy as np
import pytest

from agent.sandbox.drawn import Camera, Segment, Storyboard, draw_frame, storyboards
from agent.sandbox.drawn.body import JOINTS
from analysis.inspection import inspect_video
from analysis.landmarker import PoseFinder
from analysis.takes import TakeOptions

MODEL = {"shoulder": (11, 12), "hip": (23, 24), "knee": (25, 26), "ankle": (27, 28)}
NEAR_PX = {"shoulder": 10, "hip": 10, "knee": 12, "ankle": 40}


@pytest.mark.parametrize("view", ["side", "front"])
@pytest.mark.parametrize("what", ["snatch", "clean_and_jerk", "countermovement_jump", "run"])
def test_the_pose_model_finds_the_body_where_it_was_drawn(what: str, view: str) -> None:
    story = storyboards.effort(what, idle_s=0.5, view="side" if view == "side" else "front")
    truth = story.truth()
    frames = range(0, story.frame_count, max(1, story.frame_count // 24))
    off: dict[str, list[float]] = {name: [] for name in MODEL}
    found = 0

    with PoseFinder() as finder:
        for index in frames:
            pose = finder.find(draw_frame(story, index))
            found += pose is not None
            for name, numbers in MODEL.items() if pose is not None else ():
                assert pose is not None
                drawn = [JOINTS.index(f"{side}_{name}") for side in ("left", "right")]
                middle = truth.joints_px[index, drawn].mean(axis=0)
                off[name].append(
                    float(np.linalg.norm(pose[0][list(numbers)].mean(axis=0) - middle))
                )

    assert found >= 0.95 * len(frames)
    assert {
        name: np.median(values) <= NEAR_PX[name] for name, values in off.items()
    } == dict.fromkeys(MODEL, True)


def test_an_empty_place_holds_nobody() -> None:
    story = storyboards.nobody()

    with PoseFinder() as finder:
        assert [finder.find(draw_frame(story, i)) for i in range(0, 30, 6)] == [None] * 5


@pytest.mark.parametrize(
    ("name", "fps", "width", "height", "fragmented"),
    [
        ("a.mp4", 30, 320, 180, False),
        ("b.mkv", 29.97, 178, 100, False),
        ("c.mov", 60, 90, 160, False),
        ("d.mp4", 12.5, 320, 180, True),
    ],
)
def test_the_camera_writes_every_frame_at_any_size_and_rate(
    tmp_path: Path, name: str, fps: float, width: int, height: int, fragmented: bool
) -> None:
    story = Storyboard([Segment("run", 1.0)], fps=fps, width=width, height=height)

    Camera(story, fragmented=fragmented).record(tmp_path / name)

    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", width, height)
    assert len(frames) == story.frame_count
    assert frames[-1].time == pytest.approx((story.frame_count - 1) / fps, abs=0.01)


def test_the_file_grows_while_the_camera_films(tmp_path: Path) -> None:
    path, sizes = tmp_path / "grows.mp4", []
    story = Storyboard([Segment("run", 4.0)], width=640, height=360, noise=3.0)

    Camera(story).record(path, on_frame=lambda _done: sizes.append(path.stat().st_size))

    assert len(sizes) == story.frame_count
    assert len({size for size in sizes if size}) > 5


@pytest.mark.parametrize("what", ["snatch", "countermovement_jump"])
def test_the_analysis_finds_the_true_effort_and_little_else(tmp_path: Path, what: str) -> None:
    story = storyboards.effort(what, idle_s=3.0)
    Camera(story).record(tmp_path / "x.mp4")
    (effort,) = story.truth().efforts

    report = inspect_video(
        tmp_path / "x.mp4", TakeOptions(activity=effort.activity), on_progress=lambda _done: None
    )

    (take,) = report.takes
    assert take.start_s <= effort.active_start_s and take.end_s >= effort.active_end_s
    assert take.end_s - take.start_s < effort.active_end_s - effort.active_start_s + 3.0
    assert take.reps == 1
