"""One picture of the station shows whether the framing is good, and what to correct."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.synthetic import Segment
from agent.synthetic.render import draw_frame
from agent.synthetic.shapes import View
from agent.synthetic.storyboard import Storyboard
from analysis.framing import FramingRules, judge_picture
from analysis.pose_model import PoseFinder
from analysis.primitives import Image

_LIFTING = FramingRules(activity="weightlifting")


@cache
def standing(view: View = "side") -> Image:
    """An athlete who stands at the station, in 720p."""
    story = Storyboard([Segment("stand", 1.0)], view=view, width=1280, height=720, fps=8.0)
    return np.asarray(draw_frame(story, 4), dtype=np.uint8)


def written(path: Path, image: Image) -> Path:
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return path


def codes(image: Image, rules: FramingRules, folder: Path, finder: PoseFinder) -> set[str]:
    """What is to be mended."""
    told = judge_picture(written(folder / "seen.png", image), rules, finder=finder, out=None)
    remarks = told["remarks"]
    assert isinstance(remarks, list) and all(": " in one["message"] for one in remarks)
    return {one["code"] for one in remarks} - {"too_few_pixels"}  # a cut-out has


def test_a_camera_that_stands_well_has_no_remark_and_the_skeleton_is_drawn(
    tmp_path: Path, finder: PoseFinder
) -> None:
    reference = written(tmp_path / "reference.png", standing())
    rules = FramingRules(activity="weightlifting", reference=str(reference))
    out = tmp_path / "out.jpg"
    told = judge_picture(written(tmp_path / "seen.png", standing()), rules, finder=finder, out=out)

    assert told == {"found": True, "width": 1280, "height": 720, "remarks": []}
    drawn = cv2.imread(str(out))
    assert drawn is not None and drawn.shape == (720, 1280, 3)
    plain = cv2.cvtColor(standing(), cv2.COLOR_RGB2BGR).astype(int)
    assert (np.abs(drawn.astype(int) - plain).max(axis=2) > 90).sum() > 500


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda image: image[:560], "feet_out_of_frame"),
        (lambda image: image[140:], "no_room_above"),
        (lambda image: (image * 0.1).astype(np.uint8), "too_dark"),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 6), "blurred"),
        (lambda image: np.full_like(image, 128), "nobody"),
        (lambda image: np.ascontiguousarray(image[::-1, ::-1]), "picture_turned"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(
    change: Callable[[Image], Image], code: str, tmp_path: Path, finder: PoseFinder
) -> None:
    assert code in codes(change(standing()), _LIFTING, tmp_path, finder)


def test_only_what_the_activity_needs_is_asked_for(tmp_path: Path, finder: PoseFinder) -> None:
    front, close = standing("front"), standing()[140:]
    jumping, running = (FramingRules(activity=name) for name in ("jumping", "running"))

    assert codes(front, _LIFTING, tmp_path, finder) == {"not_from_the_side"}
    assert codes(front, jumping, tmp_path, finder) == set()
    assert codes(close, running, tmp_path, finder) == set()


def test_a_camera_that_was_moved_is_noticed_by_its_reference(
    tmp_path: Path, finder: PoseFinder
) -> None:
    reference = str(written(tmp_path / "reference.png", standing()))
    rules = FramingRules(activity="weightlifting", reference=reference)

    moved = np.roll(standing(), 120, axis=1)
    assert codes(moved, rules, tmp_path, finder) == {"camera_moved"}
    upright = np.ascontiguousarray(standing()[:, 400:900])
    assert "camera_moved" in codes(upright, rules, tmp_path, finder)


def test_a_reference_that_is_kept_shows_nobody_and_serves_all_the_same(
    tmp_path: Path, finder: PoseFinder
) -> None:
    empty = tmp_path / "empty.jpg"
    picture = written(tmp_path / "here.png", standing())
    judge_picture(picture, _LIFTING, finder=finder, out=None, empty=empty)
    rules = FramingRules(activity="weightlifting", reference=str(empty))

    told = judge_picture(empty, _LIFTING, finder=finder, out=None)
    assert told["found"] is False
    assert codes(standing(), rules, tmp_path, finder) == set()
    assert codes(np.roll(standing(), 120, axis=1), rules, tmp_path, finder) == {"camera_moved"}


def test_who_stands_outside_the_zone_is_not_the_athlete(tmp_path: Path, finder: PoseFinder) -> None:
    left = ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0))
    middle = ((0.3, 0.0), (0.7, 0.0), (0.7, 1.0), (0.3, 1.0))

    here = FramingRules(activity="weightlifting", zone=middle)
    elsewhere = FramingRules(activity="weightlifting", zone=left)
    assert codes(standing(), here, tmp_path, finder) == set()
    assert codes(standing(), elsewhere, tmp_path, finder) == {"nobody"}
