"""The filmstrip: a take at a glance, moment beside moment."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from analysis.errors import Fault, VideoError
from analysis.image import Image
from analysis.pictures.jpeg import write_jpeg
from analysis.video import Progress, open_video

_MOMENTS = 6
_LONGEST_PX = 240  # of one moment
_GAP_PX = 4


def draw_filmstrip(
    path: Path, *, start_s: float, end_s: float, out: Path, on_progress: Progress
) -> tuple[int, int]:
    """Write evenly spaced moments of `[start_s, end_s)` as one JPEG; return width and height.

    Raises:
        VideoError: no frame can be decoded.
    """
    step_s = (end_s - start_s) / _MOMENTS
    moments_s = [start_s + (number + 0.5) * step_s for number in range(_MOMENTS)]
    pictures = list(_pictures(path, moments_s, on_progress))
    if not pictures:
        raise VideoError("not one picture in it can be decoded", fault=Fault.UNREADABLE)
    strip = _side_by_side(pictures)
    write_jpeg(strip, out)
    return strip.shape[1], strip.shape[0]


def _pictures(path: Path, moments_s: list[float], on_progress: Progress) -> Iterator[Image]:
    """Yield the frame shown at each moment, in order; one pass from the keyframe before."""
    waiting = list(moments_s)
    with open_video(path, from_s=waiting[0]) as reading:
        last = None
        for time_s, frame in reading.decode():
            while waiting and time_s > waiting[0]:
                waiting.pop(0)
                chosen = frame if last is None else last
                yield reading.upright(chosen, longest_px=_LONGEST_PX)
            if not waiting:
                return
            last = frame
            on_progress(1 - len(waiting) / len(moments_s))
        if last is not None:
            picture = reading.upright(last, longest_px=_LONGEST_PX)
            yield from (picture for _ in waiting)


def _side_by_side(pictures: list[Image]) -> Image:
    height, width = pictures[0].shape[:2]
    gap = np.full((height, _GAP_PX, 3), 24, dtype=np.uint8)
    row: list[Image] = []
    for picture in pictures:
        same = picture.shape == pictures[0].shape
        fitted = picture if same else cv2.resize(picture, (width, height)).astype(np.uint8)
        row += [fitted, gap]
    return np.hstack(row[:-1])
