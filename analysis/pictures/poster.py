"""The poster: a take's decisive moment, with the skeleton drawn on it."""

from pathlib import Path

import cv2
import numpy as np

from analysis.errors import Fault, VideoError
from analysis.image import Image
from analysis.landmarker import PoseFinder
from analysis.landmarks import BONES, FloatArray
from analysis.pictures.jpeg import write_jpeg
from analysis.video import Progress, open_video

_LONGEST_PX = 960
_SEEN = 0.5  # joints seen worse than that are not drawn
_BONE_COLOUR, _JOINT_COLOUR = (80, 230, 120), (255, 255, 255)
_LOOKS = 4  # the model follows a body: it settles on it after a few looks


def draw_poster(
    path: Path, *, at_s: float, out: Path, finder: PoseFinder, on_progress: Progress
) -> tuple[int, int]:
    """Write the frame at a moment as a JPEG, with the skeleton on it; return width and height.

    Raises:
        VideoError: no frame can be decoded.
    """
    image = _frame_at(path, at_s, on_progress)
    finder.forget()
    for _ in range(_LOOKS):
        found = finder.find(image)
    if found is not None:
        _draw_skeleton(image, *found)
    write_jpeg(image, out)
    return image.shape[1], image.shape[0]


def _frame_at(path: Path, at_s: float, on_progress: Progress) -> Image:
    """Return the last frame shown at `at_s`, upright."""
    with open_video(path, from_s=at_s) as reading:
        chosen = None
        for time_s, frame in reading.decode():
            if chosen is not None and time_s > at_s:
                break
            chosen = frame
            on_progress(time_s / max(at_s, 1e-3))
        if chosen is None:
            raise VideoError("not one picture in it can be decoded", fault=Fault.UNREADABLE)
        return reading.upright(chosen, longest_px=_LONGEST_PX)


def _draw_skeleton(image: Image, points_px: FloatArray, visibility: FloatArray) -> None:
    thickness = max(2, image.shape[0] // 180)
    points = np.round(points_px).astype(int)
    for first, second in BONES:
        if min(visibility[first], visibility[second]) >= _SEEN:
            ends = (tuple(map(int, points[first])), tuple(map(int, points[second])))
            cv2.line(image, *ends, _BONE_COLOUR, thickness, cv2.LINE_AA)
    for joint in sorted({joint for bone in BONES for joint in bone}):
        if visibility[joint] >= _SEEN:
            centre = (int(points[joint][0]), int(points[joint][1]))
            cv2.circle(image, centre, thickness + 1, _JOINT_COLOUR, -1, cv2.LINE_AA)
