"""Which looks show one and the same stay of one body in the picture.  Pure.

The model follows one body, but it can lose it to somebody who passes close by: then the place
jumps, or drifts away with the passer and jumps back once he is gone.
"""

import numpy as np
from numpy.typing import NDArray

from analysis.landmarks import FloatArray

Visits = NDArray[np.int64]

_SWAP_TORSOS = 1.5  # from one sample to the next: that is somebody else
_SWAP_SIZE = 1.7
_RECENT = 10  # samples that tell how large a body is
_LEAST = 3  # samples: fewer are the way from one body to another
_BACK_WITHIN = 10  # samples
_PLACE = 5  # samples that tell where a body is
_AT_HOME_TORSOS = 0.5


def visits_of(hips: FloatArray, torso: FloatArray) -> Visits:
    """Return the number of the stay for each sample, (T,); -1 where nobody is found.

    A gap ends a stay, and so does a body that is suddenly elsewhere.  Where a body drifts off and
    jumps back to where it had been, the way off was somebody else's.

    Args:
        hips: the middle of the hips, (T, 2), px.
        torso: its length, (T,), px; NaN where nobody is found.
    """
    visits = _numbered(hips, torso)
    for number in range(int(visits.max(initial=-1)) + 1):
        if (visits == number).sum() < _LEAST:
            visits[visits == number] = -1
    for number in np.unique(visits[visits >= 0]):
        _void_way_off(visits, int(number), hips, torso)
    kept, dense = np.unique(visits, return_inverse=True)
    return dense.astype(np.int64) - int(bool(len(kept)) and kept[0] < 0)


def _numbered(hips: FloatArray, torso: FloatArray) -> Visits:
    found = ~np.isnan(torso)
    visits = np.full(len(torso), -1, dtype=np.int64)
    current = -1
    for index in np.flatnonzero(found):
        if current < 0 or not found[index - 1] or _is_other(hips, torso, int(index)):
            current += 1
        visits[index] = current
    return visits


def _is_other(hips: FloatArray, torso: FloatArray, index: int) -> bool:
    usual = max(1.0, float(np.nanmedian(torso[max(0, index - _RECENT) : index])))
    way = float(np.linalg.norm(hips[index] - hips[index - 1])) / usual
    ratio = max(float(torso[index]), 1.0) / usual
    return way > _SWAP_TORSOS or (way > 0.5 and not 1 / _SWAP_SIZE < ratio < _SWAP_SIZE)


def _void_way_off(visits: Visits, number: int, hips: FloatArray, torso: FloatArray) -> None:
    """Take the end of a stay away if the body is next found where it was before that end."""
    here = np.flatnonzero(visits == number)
    behind = np.flatnonzero(visits > number)
    if not len(behind) or behind[0] - here[-1] > _BACK_WITHIN:
        return
    home = np.median(hips[behind[:_PLACE]], axis=0)
    unit = max(1.0, float(np.median(torso[here])))
    away = np.abs(hips[here] - home)[:, 0] > _AT_HOME_TORSOS * unit
    at_home = np.flatnonzero(~away)
    if away[-1] and len(at_home) >= _PLACE:
        visits[here[at_home[-1] + 1 :]] = -1
