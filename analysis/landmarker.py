"""From pictures to landmarks, by MediaPipe's pose model.

MediaPipe prints to standard output, wants strictly increasing timestamps, and reads arrays as
if they were contiguous; all of that stays in here.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path

import numpy as np

from analysis.landmarks import COUNT, FloatArray
from analysis.video import Image

MODEL_NAME = "pose_landmarker_lite.task"


def shipped_model() -> Path:
    """Return the path of the pose model that comes with the package."""
    return Path(str(resources.files("analysis").joinpath("models", MODEL_NAME)))


class PoseFinder(AbstractContextManager["PoseFinder"]):
    """Finds one body in the successive frames of one video."""

    def __init__(self, model: Path | None = None, *, sample_fps: float = 10.0) -> None:
        os.environ.setdefault("GLOG_minloglevel", "2")
        from mediapipe import Image as MediaPipeImage
        from mediapipe import ImageFormat
        from mediapipe.tasks.python import BaseOptions, vision

        self._wrap: Callable[[Image], object] = lambda image: MediaPipeImage(
            image_format=ImageFormat.SRGB, data=image
        )
        self._step_ms = 1000 / sample_fps
        self._frames = 0
        self._landmarker = vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(model or shipped_model())),
                running_mode=vision.RunningMode.VIDEO,
            )
        )

    def find(self, image: Image) -> tuple[FloatArray, FloatArray] | None:
        """Return one body's landmarks in the next frame, or None where nobody is found.

        Returns:
            Positions, (33, 2), x and y in px of this image; visibility, (33,), 0 to 1.
        """
        if not image.flags.c_contiguous:
            raise ValueError("MediaPipe finds nobody in an array that is not contiguous")
        at_ms = round(self._frames * self._step_ms)
        found = self._landmarker.detect_for_video(self._wrap(image), at_ms)
        self._frames += 1
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
