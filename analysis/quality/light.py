"""Light and sharpness.  Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.landmarks import HIPS, SHOULDERS, FloatArray
from analysis.quality.remarks import Remark, remark

_DARK = 40.0  # mean brightness, 0 to 255, below which a missing body says nothing
_FOUND = 0.05  # share of looks with a body, below which nobody is there
_BLOWN = 0.40  # share of the picture at the upper end
_SHADE, _AGAINST = 50.0, 110.0  # brightness of the body, and how much brighter the rest is
_SOFT = 0.27  # of `sharpness`: real pictures have 0.5 to 0.67; smeared by 2 px of 640, 0.23
_WHITE = 250
_FAR_PX = 8
_EVERY_ROW = 3  # is enough
_EDGE = 24.0  # grey levels: less is no edge


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFacts:
    """What one keyframe shows of the light."""

    time_s: float
    brightness: float  # mean, 0 to 255
    blown: float  # share of the picture that is nearly white
    body_brightness: float | None  # of the body's middle, where somebody was found
    sharpness: float
    found: bool  # whether the model found somebody


def picture_facts(
    time_s: float,
    luma: NDArray[np.uint8],
    *,
    points: FloatArray | None,
) -> PictureFacts:
    """Return the facts of one picture.

    Args:
        time_s: its presentation time.
        luma: brightness, (height, width), as many px as the model saw.
        points: the body's landmarks in px of that picture, (33, 2), or None.
    """
    return PictureFacts(
        time_s=time_s,
        brightness=float(luma.mean()),
        blown=float((luma >= _WHITE).mean()),
        body_brightness=None if points is None else _body_brightness(luma, points),
        sharpness=sharpness(luma),
        found=points is not None,
    )


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Return which share of an edge's step its steepest px does, 0.1 to 1.

    A sharp edge does all of its step at once, a smeared one bit by bit.  1 where there is no
    edge at all.
    """
    picture = luma[::_EVERY_ROW].astype(np.int16)
    if picture.shape[1] <= _FAR_PX:
        return 1.0
    near = np.abs(np.diff(picture, axis=1))
    far = np.abs(picture[:, _FAR_PX:] - picture[:, :-_FAR_PX])
    rows, columns = np.nonzero(far >= max(float(np.percentile(far[::4], 90)), _EDGE))
    if not len(rows):
        return 1.0  # nothing there that could be sharp
    steps = near[rows[:, None], columns[:, None] + np.arange(_FAR_PX)]
    return float(np.median(steps.max(axis=1) / far[rows, columns]))


def judge_light(pictures: Sequence[PictureFacts], *, found_share: float) -> list[Remark]:
    """Return the remarks on light and sharpness, and on an empty picture.

    Args:
        pictures: some of the capture's.
        found_share: of all looks, in how many somebody was found.
    """
    if not pictures:
        return []
    brightness = float(np.median([picture.brightness for picture in pictures]))
    remarks = []
    if found_share < _FOUND:
        remarks.append(remark("too_dark" if brightness < _DARK else "nobody"))
    remarks += _mostly("too_bright", pictures, lambda p: p.blown > _BLOWN)
    remarks += _mostly("against_light", pictures, _is_against_light)
    if float(np.median([picture.sharpness for picture in pictures])) < _SOFT:
        remarks.append(remark("blurred"))
    return remarks


def _mostly(
    code: str, pictures: Sequence[PictureFacts], is_so: Callable[[PictureFacts], bool]
) -> list[Remark]:
    """Return the remark if it is so in most pictures, with the moment of the first."""
    times_s = [picture.time_s for picture in pictures if is_so(picture)]
    return [remark(code, at_s=times_s[0])] if len(times_s) > len(pictures) / 2 else []


def _is_against_light(picture: PictureFacts) -> bool:
    body = picture.body_brightness
    return body is not None and body < _SHADE and picture.brightness - body > _AGAINST


def _body_brightness(luma: NDArray[np.uint8], points: FloatArray) -> float | None:
    """Return the mean brightness between shoulders and hips, or None out of the picture."""
    corners = points[[*SHOULDERS, *HIPS]]
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    part = luma[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1]
    return float(part.mean()) if part.size else None
