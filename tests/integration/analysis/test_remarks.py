"""Remarks from pictures, through the real model: one jump, filmed badly in several ways."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from agent.synthetic import Bystander, SceneCamera, Segment, Storyboard
from agent.synthetic.render import draw_frame
from analysis.inspection import inspect_video
from analysis.pose_model import PoseFinder
from analysis.primitives import Crop, Image, Interval
from analysis.takes import TakeOptions
from analysis.tracking import Track, TrackingOptions, follow_body, look_for_others
from analysis.video import read_packets

FPS, WIDTH, HEIGHT = 24, 640, 360
JUMP = Storyboard(
    [Segment("stand", 2.0), Segment("countermovement_jump"), Segment("stand", 2.0)],
    view="oblique",
    width=WIDTH,
    height=HEIGHT,
    fps=FPS,
    noise=1.5,
)


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    return [draw_frame(JUMP, index) for index in range(JUMP.frame_count)]


def as_drawn(picture: Image) -> Image:
    return picture


def far_away(picture: Image) -> Image:
    wall = np.full_like(picture, 120)
    small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    top, left = (HEIGHT - small.shape[0]) // 2, (WIDTH - small.shape[1]) // 2
    wall[top : top + small.shape[0], left : left + small.shape[1]] = small
    return wall


def without_head(picture: Image) -> Image:
    part = picture[round(0.42 * HEIGHT) :, round(0.1 * WIDTH) : round(0.9 * WIDTH)]
    return cv2.resize(part, (WIDTH, HEIGHT)).astype(np.uint8, copy=False)


def out_of_focus(picture: Image) -> Image:
    return cv2.GaussianBlur(picture, (0, 0), 4.0).astype(np.uint8, copy=False)


def upside_down(picture: Image) -> Image:
    return np.ascontiguousarray(picture[::-1, ::-1])


def nearly_dark(picture: Image) -> Image:
    return (picture * 0.04).astype(np.uint8)


def film(path: Path, pictures: Sequence[Image]) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "superfast", "g": str(2 * FPS)}
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("change", "expected", "takes"),
    [
        (as_drawn, None, 1),
        (far_away, "too_small", 1),  # too small for a look at the whole picture
        (without_head, "head_out_of_frame", 1),
        (out_of_focus, "blurred", 1),
        (upside_down, "picture_turned", None),
        (nearly_dark, "too_dark", 0),
    ],
)
def test_what_is_wrong_with_the_picture_is_said(
    change: Callable[[Image], Image],
    expected: str | None,
    takes: int | None,
    pictures: Sequence[Image],
    finder: PoseFinder,
    tmp_path: Path,
) -> None:
    path = film(tmp_path / "jump.mp4", [change(picture) for picture in pictures])

    report = inspect_video(path, TakeOptions(activity="jumping"), finder=finder)

    found = {remark.code for remark in report.quality} - {"too_few_pixels"}  # it has 360 lines
    assert expected in found if expected else not found, found
    assert "nobody" not in found
    assert takes is None or len(report.takes) == takes


@pytest.mark.parametrize("beside", [False, True])
def test_somebody_beside_the_athlete_is_said(
    beside: bool, finder: PoseFinder, tmp_path: Path
) -> None:
    story = Storyboard(
        [Segment("stand", 2.0), Segment("snatch"), Segment("stand", 2.0)],
        width=WIDTH,
        height=HEIGHT,
        fps=15,
        bystanders=[Bystander(segments=[Segment("stand", 20)], place=(-1.1, 0.2))] * beside,
    )
    path = tmp_path / "lift.mp4"
    SceneCamera(story, keyframe_every_s=1.0).record(path)

    report = inspect_video(path, TakeOptions(activity="weightlifting"), finder=finder)

    assert len(report.takes) == 1
    assert ("others_in_picture" in {remark.code for remark in report.quality}) is beside


def test_who_the_athlete_is_is_known_where_others_are_looked_for(
    finder: PoseFinder, tmp_path: Path
) -> None:
    """The larger of two bodies is somebody else where the smaller one was followed."""
    story = Storyboard(
        [Segment("stand", 3.0)],
        width=WIDTH,
        height=HEIGHT,
        fps=15,
        bystanders=[Bystander(segments=[Segment("stand", 3.0)], place=(-1.1, 0.2))],
    )
    path = tmp_path / "two.mp4"
    SceneCamera(story, keyframe_every_s=1.0).record(path)
    packets, whole = read_packets(path), Interval(start_s=0.0, end_s=3.0)
    track = Track()
    follow_body(
        path,
        packets,
        [whole],
        finder,
        track,
        crop=Crop(left=0.0, top=0.0, right=0.45, bottom=1.0),
        options=TrackingOptions(),
        on_progress=lambda _done: None,
    )
    finder.begin()

    seen = look_for_others(
        path, packets, [whole], track.poses(), finder, on_progress=lambda _done: None
    )

    assert track.poses().is_found.any()
    assert len(seen) == 3
    assert all(share > 1.0 for _, share in seen)
    assert finder.looks <= 2 * len(seen)  # each with one to forget the last body


def test_two_lifts_without_rest_are_two_clips(finder: PoseFinder, tmp_path: Path) -> None:
    story = Storyboard(
        [
            *(Segment("stand", 2.0), Segment("snatch"), Segment("stand", 0.8)),
            *(Segment("snatch"), Segment("stand", 2.0)),
        ],
        width=WIDTH // 2,
        height=HEIGHT // 2,
        fps=15,
    )
    path = tmp_path / "lifts.mp4"
    SceneCamera(story).record(path)
    options = TakeOptions(activity="weightlifting", severities={"others_in_picture": "ignore"})
    together = replace(options, rules={"weightlifting": {"one_lift_per_clip": False}})

    first, second = inspect_video(path, options, finder=finder).takes
    (both,) = inspect_video(path, together, finder=finder).takes

    assert (first.reps, second.reps, both.reps) == (1, 1, 2)
    assert first.end_s == second.start_s
    assert (first.start_s, second.end_s) == (both.start_s, both.end_s)
    truth = [effort.active_end_s for effort in story.truth().efforts]
    assert truth[0] <= first.end_s + 0.05


@pytest.mark.parametrize(
    ("change", "said"), [(as_drawn, "begins_before"), (without_head, "head_out_of_frame")]
)
def test_a_body_without_its_head_is_not_said_to_be_under_way(
    change: Callable[[Image], Image],
    said: str,
    pictures: list[Image],
    tmp_path: Path,
    finder: PoseFinder,
) -> None:
    """How high any of it is at the first moment is a guess."""
    cut_off = [change(picture) for picture in pictures[round(2.7 * FPS) :]]

    path = film(tmp_path / "cut.mp4", cut_off)
    report = inspect_video(path, TakeOptions(activity="jumping"), finder=finder)

    codes = {one.code for one in report.quality}
    assert codes & {"begins_before", "head_out_of_frame"} == {said}
