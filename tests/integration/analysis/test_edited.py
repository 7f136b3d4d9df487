"""Edited recordings: several places cut together."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

import tests.drawn_movements  # noqa: F401  # its movements join the repertoire
from agent.synthetic import SceneCamera, Segment, Storyboard
from analysis.inspection import inspect_video
from analysis.pose_model import PoseFinder
from analysis.primitives import Image
from analysis.takes import TakeOptions
from analysis.video import open_video

_FPS = 15
_WIDE, _HIGH = 640, 360
_CUT_S = 4.4
# The light of a window at the right, or none: to a camera these are two places.
_WINDOW = np.linspace(0, 160, _WIDE)[:, None]


@pytest.fixture(scope="module")
def squats(tmp_path_factory: pytest.TempPathFactory) -> list[Image]:
    """The pictures of some squats."""
    path = tmp_path_factory.mktemp("squats") / "squats.mp4"
    story = Storyboard(
        [Segment("stand", 1.5), Segment("squats"), Segment("stand", 2.0)],
        width=_WIDE,
        height=_HIGH,
        fps=_FPS,
    )
    SceneCamera(story).record(path)
    with open_video(path) as reading:
        return [reading.upright(frame, longest_px=_WIDE) for _, frame in reading.decode()]


def edited(path: Path, squats: list[Image], *, elsewhere: bool) -> Path:
    """Write the squats up to the cut, and all of them behind it, in another place or the same."""
    there = [
        np.clip(0.5 * picture + _WINDOW, 0, 255).astype(np.uint8) if elsewhere else picture
        for picture in squats
    ]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=_FPS, options={"preset": "superfast", "g": "30"})
        stream.width, stream.height, stream.pix_fmt = _WIDE, _HIGH, "yuv420p"
        for picture in [*squats[: round(_CUT_S * _FPS)], *there]:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def test_no_take_lasts_into_another_scene(
    tmp_path: Path, squats: list[Image], finder: PoseFinder
) -> None:
    path = edited(tmp_path / "edited.mp4", squats, elsewhere=True)

    report = inspect_video(path, TakeOptions(activity="weightlifting"), finder=finder)

    first, second = report.takes
    assert first.start_s == pytest.approx(0.0, abs=1.0)
    assert first.end_s == pytest.approx(_CUT_S, abs=0.1)
    assert _CUT_S - 0.1 < second.start_s < _CUT_S + 1.0 and second.end_s > _CUT_S + 8.0
    assert [first.reps, second.reps] == [1, 3]
    assert not any(take.goes_on or take.begins_before for take in report.takes)
    assert report.verdict == "upload"


def test_one_place_is_one_scene_whatever_is_done_there(
    tmp_path: Path, squats: list[Image], finder: PoseFinder
) -> None:
    path = edited(tmp_path / "again.mp4", squats, elsewhere=False)

    takes = inspect_video(path, TakeOptions(activity="weightlifting"), finder=finder).takes

    assert sum(take.reps or 0 for take in takes) == 4
    assert any(take.start_s < _CUT_S < take.end_s for take in takes)
    assert all(one.end_s <= other.start_s for one, other in pairwise(takes))
