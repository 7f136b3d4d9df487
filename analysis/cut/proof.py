"""Looking at a clip before it is believed: its frames, their times, its first and last picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.image import Grey
from analysis.thumbnail import grey_thumbnail
from analysis.video import Progress, open_video

_TICK_S = 0.0011  # containers count milliseconds at the coarsest
_ALIKE = 10.0  # grey levels, mean over a small picture: even a low rate keeps within it


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What players show of a clip or of a stretch of a capture."""

    times_s: Sequence[float]
    first: Grey
    last: Grey


def look_at(path: Path, *, on_progress: Progress) -> Shown | None:
    """Decode a clip from end to end; None where it shows nothing."""
    times_s, first, last = [], None, None
    with open_video(path) as reading:
        for time_s, frame in reading.decode():
            times_s.append(time_s)
            first = frame if first is None else first
            last = frame
            on_progress(1.0)  # a long clip takes a while: that is no stall
        if first is None or last is None or reading.damaged_at_s:
            return None
        return Shown(times_s=times_s, first=grey_thumbnail(first), last=grey_thumbnail(last))


def pictures_at(path: Path, first_s: float, last_s: float, *, on_progress: Progress) -> list[Grey]:
    """Return a capture's own pictures, small, at two presentation times; fewer if not found."""
    found = (_picture_at(path, at_s, on_progress) for at_s in (first_s, last_s))
    return [picture for picture in found if picture is not None]


def _picture_at(path: Path, at_s: float, on_progress: Progress) -> Grey | None:
    with open_video(path, from_s=at_s) as reading:
        for time_s, frame in reading.decode():
            on_progress(1.0)
            if abs(time_s - at_s) < _TICK_S:
                return grey_thumbnail(frame)
            if time_s > at_s:
                break
    return None


def difference(
    shown: Shown | None, *, times_s: Sequence[float], pictures: Sequence[Grey], exact: bool
) -> str | None:
    """Return in words what is wrong with a clip, or None.

    Args:
        shown: what the clip shows.
        times_s: its frames' presentation times in the capture.
        pictures: the capture's first and last picture of it.
        exact: whether the pictures must be the very same.
    """
    if shown is None or len(shown.times_s) != len(times_s):
        return f"it would show {len(shown.times_s) if shown else 0} of {len(times_s)} frames"
    wanted_s = np.asarray(times_s) - times_s[0]
    if np.abs(np.asarray(shown.times_s) - wanted_s).max() > _TICK_S:
        return "it would show frames at other times"
    if len(pictures) != 2:
        return "its first and last picture cannot be found again"
    for own, original in zip((shown.first, shown.last), pictures, strict=True):
        if _distance(own, original) > (0.0 if exact else _ALIKE):
            return "it would begin or end with another picture"
    return None


def _distance(first: Grey, second: Grey) -> float:
    height = min(first.shape[0], second.shape[0])  # shrunk, sides round differently
    width = min(first.shape[1], second.shape[1])
    steps = first[:height, :width].astype(np.int16) - second[:height, :width].astype(np.int16)
    return float(np.abs(steps).mean())
