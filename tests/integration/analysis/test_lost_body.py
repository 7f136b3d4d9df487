"""The model may lose the athlete, and stay with whoever else is in the picture."""

from pathlib import Path

import numpy as np
import pytest

import tests.drawn_movements  # noqa: F401  # its movements join the repertoire
from agent.synthetic import Bystander, SceneCamera, Segment, Storyboard
from analysis.inspection import inspect_video
from analysis.landmarks import HIPS, FloatArray, Poses
from analysis.pose_model import PoseFinder
from analysis.primitives import Image
from analysis.takes import TakeOptions

_WIDE, _HIGH = 640, 360
_STANDING_S = 3.0


class _LosingFinder(PoseFinder):
    """The real model, for which the athlete is hidden from a moment on, if all is to be seen.

    A rack in front of him does that: he would be found in a picture of his place alone.
    """

    def __init__(self, *, from_s: float) -> None:
        super().__init__()
        self._from_s = from_s
        self._place: list[FloatArray] = []

    def find(
        self, image: Image, *, time_s: float | None = None
    ) -> tuple[FloatArray, FloatArray] | None:
        """Return the body that is found, as the model does."""
        is_whole = image.shape[1] == _WIDE
        if is_whole and time_s is not None and time_s >= self._from_s:
            low, high = np.min(self._place, axis=(0, 1)), np.max(self._place, axis=(0, 1))
            image = image.copy()
            left, right = max(0, int(low[0]) - 40), int(high[0]) + 40
            image[:, left:right] = image.reshape(-1, 3).mean(axis=0).astype(np.uint8)
        found = super().find(image, time_s=time_s)
        if found is not None and is_whole and (time_s or 0.0) < self._from_s:
            self._place.append(found[0])
        return found


@pytest.fixture(scope="module")
def squats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some squats beside somebody who stands there, from 3 s on."""
    path = tmp_path_factory.mktemp("squats") / "squats.mp4"
    story = Storyboard(
        [Segment("stand", _STANDING_S), Segment("squats"), Segment("stand", 2.0)],
        view="side",
        width=_WIDE,
        height=_HIGH,
        fps=15,
        bystanders=[Bystander(segments=[Segment("stand", 30.0)], place=(-1.6, 0.8))],
    )
    SceneCamera(story).record(path)
    return path


def test_who_was_followed_is_followed_on(squats: Path, finder: PoseFinder) -> None:
    options = TakeOptions(activity="weightlifting")
    (whole,) = inspect_video(squats, options, finder=finder).takes
    looked: list[Poses] = []

    with _LosingFinder(from_s=_STANDING_S + 2.0) as losing:
        report = inspect_video(squats, options, finder=losing, on_looked=looked.append)

    (take,) = report.takes
    assert (take.reps, take.looks_like) == (whole.reps, whole.looks_like) == (3, "weightlifting")
    assert take.active_start_s == pytest.approx(whole.active_start_s, abs=0.2)
    assert take.active_end_s == pytest.approx(whole.active_end_s, abs=0.3)
    across = looked[0].middle_px(HIPS)[looked[0].is_found, 0]
    assert np.ptp(across) < looked[0].usual_torso_px  # nobody else's landmarks are among his
