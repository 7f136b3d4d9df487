"""What the pose model is spared, and that it sees a video the same whatever it saw before."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.synthetic import Segment, Storyboard, draw_frame
from analysis import pose_model
from analysis.landmarks import ANKLES, HIPS, SHOULDERS, FloatArray
from analysis.pose_model import PoseFinder, shipped_model, without_mask
from analysis.primitives import Image


@pytest.fixture(scope="module")
def running() -> list[Image]:
    story = Storyboard([Segment("run", 1.0)], width=640, height=360)
    return [draw_frame(story, number) for number in range(0, 24, 3)]


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Iterator[PoseFinder]:
    with monkeypatch.context() as patch:
        patch.setattr(pose_model, "without_mask", lambda task: task)
        finder = PoseFinder()
    with finder:
        yield finder


def test_without_the_mask_every_landmark_is_the_same(
    running: list[Image], whole: PoseFinder
) -> None:
    task = shipped_model().read_bytes()
    assert without_mask(task) != task  # else nothing is compared

    with PoseFinder() as without:
        for number, image in enumerate(running):
            expected = whole.find(image, time_s=number / 10)
            found = without.find(image, time_s=number / 10)
            assert expected is not None and found is not None
            assert np.array_equal(found[0], expected[0])
            assert np.array_equal(found[1], expected[1])


def test_a_model_of_another_make_is_left_as_it_is(tmp_path: Path) -> None:
    task = shipped_model().read_bytes()
    foreign = tmp_path / "foreign.task"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("pose_landmarks_detector.tflite", bytes(64))
    for odd in (b"", b"no archive", task[: len(task) // 2], foreign.read_bytes()):
        assert without_mask(odd) == odd
    assert without_mask(without_mask(task)) == without_mask(task)


@pytest.mark.parametrize(("degrees", "looks"), [(180, 1), (115, 3)])
def test_who_seemed_to_be_upside_down_is_found_upright_in_the_next_look(
    degrees: int, looks: int, running: list[Image], finder: PoseFinder
) -> None:
    """The model looks for a body as it lay in the look before, whatever the picture shows."""
    high, wide = running[0].shape[:2]
    about = cv2.getRotationMatrix2D((wide / 2, high / 2), degrees, 1.0)
    turned = cv2.warpAffine(running[0], about, (wide, high), borderMode=cv2.BORDER_REPLICATE)
    finder.begin()

    for number in range(looks):
        first = finder.find(turned.astype(np.uint8), time_s=number / 10)
    second = finder.find(np.ascontiguousarray(running[0]), time_s=looks / 10)

    assert first is not None and second is not None
    assert first[0][list(ANKLES), 1].mean() < first[0][list(HIPS), 1].mean()  # its feet are up
    assert is_upright(second[0]) is True
    assert second[0][list(ANKLES), 1].mean() > second[0][list(HIPS), 1].mean()


def is_upright(points: FloatArray) -> bool:
    return bool(points[list(SHOULDERS), 1].mean() < points[list(HIPS), 1].mean())


def test_only_a_body_that_is_followed_costs_a_look_to_forget(
    running: list[Image], finder: PoseFinder
) -> None:
    nobody = np.zeros_like(running[0])
    finder.begin()

    assert finder.find(running[0], time_s=0.0) is not None
    finder.forget()
    assert finder.looks == 2
    assert finder.find(nobody, time_s=0.0) is None
    finder.forget()
    assert finder.looks == 3


def test_a_video_is_seen_the_same_whichever_came_before(running: list[Image]) -> None:
    """MediaPipe's smoothing of visibility is never reset: half of this body is hidden before."""
    hidden = [image.copy() for image in running]
    for image in hidden:
        image[image.shape[0] // 2 :] = 0

    def looks(finder: PoseFinder, images: list[Image]) -> list[tuple[FloatArray, FloatArray]]:
        finder.begin()
        seen = [finder.find(image, time_s=number / 10) for number, image in enumerate(images)]
        return [found for found in seen if found is not None]

    with PoseFinder() as finder:
        first = looks(finder, running)
        others = looks(finder, hidden)
        again = looks(finder, running)

    assert len(first) == len(again) == len(running) and others
    for (points, visibility), (points_again, visibility_again) in zip(first, again, strict=True):
        assert np.array_equal(points, points_again)
        assert np.abs(visibility - visibility_again).max() < 1e-4
    assert np.abs(others[-1][1] - again[0][1]).max() > 0.3  # what would have been left of them
