"""From pictures to landmarks, by MediaPipe's pose model.

MediaPipe prints to standard output, wants strictly increasing timestamps, and reads arrays as
if they were contiguous; all of that stays in here.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import resources
from pathlib import Path
from types import ModuleType

import numpy as np

from analysis.landmarks import COUNT, FloatArray
from analysis.primitives import Image

MODEL_NAME = "pose_landmarker_lite.task"
_APART_MS = 1000  # between two videos
_STEP_MS = 100
# Imported by MediaPipe for its drawings and its microphone: half of its start, 37 MB of memory, and
# 100 MB of the disk, for they are not installed at all (pyproject.toml).
_NEVER_USED = ("matplotlib", "matplotlib.pyplot", "sounddevice")


def shipped_model() -> Path:
    """Return the path of the pose model that comes with the package."""
    return Path(str(resources.files("analysis").joinpath("models", MODEL_NAME)))


class PoseFinder(AbstractContextManager["PoseFinder"]):
    """Finds one body in the successive frames of one video after another."""

    def __init__(self, model: Path | None = None) -> None:
        os.environ.setdefault("GLOG_minloglevel", "2")
        with _nothing_in_place_of(_NEVER_USED):
            # Only here, so that these stand-ins are not seen by anything else.
            from mediapipe import Image as MediaPipeImage
            from mediapipe import ImageFormat
            from mediapipe.tasks.python import BaseOptions, vision

        self._wrap: Callable[[Image], object] = lambda image: MediaPipeImage(
            image_format=ImageFormat.SRGB, data=image
        )
        self._began_ms = 0  # of this video, on the model's own clock
        self._last_ms = -1
        self.looks = 0  # pictures that the model has seen
        self._landmarker = vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(model or shipped_model())),
                running_mode=vision.RunningMode.VIDEO,
            )
        )

    def begin(self) -> None:
        """Begin with another video."""
        self.forget()
        self.looks = 0

    def forget(self) -> None:
        """Forget the body that was followed; times may begin anew."""
        if self._last_ms >= 0:
            self._began_ms = self._last_ms + _APART_MS
            self.find(np.zeros((64, 64, 3), dtype=np.uint8), time_s=0.0)
            self._began_ms = self._last_ms + _APART_MS

    def find(
        self, image: Image, *, time_s: float | None = None
    ) -> tuple[FloatArray, FloatArray] | None:
        """Return one body's landmarks in the next frame, or None where nobody is found.

        Args:
            image: upright, (height, width, 3), RGB, C-contiguous.
            time_s: its presentation time; None: a little after the last one.  The model wants
                whole, increasing milliseconds; a time that does not increase is moved on by one.

        Returns:
            Positions, (33, 2), x and y in px of this image; visibility, (33,), 0 to 1.
        """
        if not image.flags.c_contiguous:
            raise ValueError("MediaPipe needs a contiguous array")
        wanted_ms = self._last_ms + _STEP_MS
        if time_s is not None:
            wanted_ms = self._began_ms + round(1000 * time_s)
        self._last_ms = max(self._last_ms + 1, wanted_ms)
        self.looks += 1
        found = self._landmarker.detect_for_video(self._wrap(image), self._last_ms)
        if not found.pose_landmarks:
            return None
        height, width = image.shape[:2]
        marks = found.pose_landmarks[0]
        points = np.array([(mark.x * width, mark.y * height) for mark in marks], dtype=np.float64)
        visibility = np.array([mark.visibility for mark in marks], dtype=np.float64)
        assert points.shape == (COUNT, 2)  # the model's own count
        return points, visibility

    def close(self) -> None:
        """Give the model's memory back."""
        self._landmarker.close()

    def __exit__(self, *_ended: object) -> None:
        self.close()


@contextmanager
def _nothing_in_place_of(names: tuple[str, ...]) -> Iterator[None]:
    """Let what imports these modules meanwhile have empty ones, where nobody has the real ones."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update({name: ModuleType(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
