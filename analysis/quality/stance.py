"""Whether the camera still stands as it did when the station was set up, and still films.  Pure.

The shift between two pictures is found by phase correlation (C. D. Kuglin and D. C. Hines, "The
phase correlation image alignment method", 1975): what is the same in both makes one sharp peak at
the shift, people who come and go only spread a little noise.
"""

from collections.abc import Sequence

import numpy as np

from analysis.image import Grey
from analysis.landmarks import FloatArray
from analysis.quality.remarks import Remark, remark

_MOVED_SHARE = 0.02  # of the picture's width
_FEWEST, _FROZEN_S = 4, 15.0  # pictures, and the time they span, to judge that nothing moves
_SURE = 0.03  # height of the peak: below it the pictures have nothing in common


def judge_stance(reference: Grey | None, pictures: Sequence[tuple[float, Grey]]) -> list[Remark]:
    """Return the remark that the camera was moved since the reference picture.

    Args:
        reference: small, grey; None: there is none.
        pictures: of the capture, with their times, of the reference's size.
    """
    if reference is None or not pictures:
        return []
    shifts = [
        (time_s, *shift_between(reference, picture))
        for time_s, picture in pictures
        if picture.shape == reference.shape
    ]
    limit_px = max(2.0, _MOVED_SHARE * reference.shape[1])
    moved = [time_s for time_s, shift_px, peak in shifts if shift_px > limit_px or peak < _SURE]
    same_size = bool(shifts)
    if same_size and len(moved) <= len(shifts) / 2:
        return []
    return [remark("camera_moved", at_s=moved[0] if moved else None)]


def judge_frozen(pictures: Sequence[tuple[float, Grey]]) -> list[Remark]:
    """Return the remark that the picture stops changing: the camera goes on sending one frame.

    An empty hall changes, too: by the sensor's noise, which no two pictures share to the bit.

    Args:
        pictures: of the capture, small, with their times.
    """
    began = 0
    for index in range(1, len(pictures)):
        if not np.array_equal(pictures[index][1], pictures[began][1]):
            began = index
        lasted_s = pictures[index][0] - pictures[began][0]
        if index - began + 1 >= _FEWEST and lasted_s >= _FROZEN_S:
            return [remark("picture_frozen", at_s=pictures[began][0])]
    return []


def shift_between(first: Grey, second: Grey) -> tuple[float, float]:
    """Return by how many px the second picture is shifted, and how sure that is (0 to 1)."""
    a, b = (np.fft.rfft2(_windowed(picture)) for picture in (first, second))
    cross = a * np.conj(b)
    surface = np.fft.irfft2(cross / (np.abs(cross) + 1e-9), s=first.shape)
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    down = min(int(row), first.shape[0] - int(row))
    right = min(int(column), first.shape[1] - int(column))
    return float(np.hypot(down, right)), float(surface[row, column])


def _windowed(picture: Grey) -> FloatArray:
    """Return the picture fading to nothing at its borders, which else make an edge of their own."""
    values = picture.astype(np.float64)
    fade = np.outer(np.hanning(values.shape[0]), np.hanning(values.shape[1]))
    faded: FloatArray = (values - values.mean()) * fade
    return faded
