"""The packets of a video: what can be told before anything is decoded.  Pure.

Reading them costs about a fiftieth of decoding.  Their times show the true frame rate, gaps and
uneven frames; their sizes show where something may be moving, for a picture that is like the one
before it takes few bytes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.intervals import Interval
from analysis.landmarks import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Packets:
    """All packets of a video, in decoding order."""

    times_s: FloatArray  # (N,), presentation time; in decoding order not always increasing
    sizes: NDArray[np.int64]  # (N,), bytes
    is_key: NDArray[np.bool_]  # (N,), whether decoding can begin there
    is_shown: NDArray[np.bool_]  # (N,); an edit list hides some that others need
    pixels: int  # of one picture

    @property
    def shown_s(self) -> FloatArray:
        """Presentation times of the frames that players show, in order."""
        return np.sort(self.times_s[self.is_shown])

    @property
    def spacing_s(self) -> float:
        """The usual time from one frame to the next."""
        steps_s = np.diff(self.shown_s)
        steps_s = steps_s[steps_s > 0]
        return float(np.median(steps_s)) if len(steps_s) else 1 / 30

    @property
    def span(self) -> Interval:
        """From the first frame's presentation time to the end of the last one."""
        shown_s = self.shown_s
        return Interval(start_s=float(shown_s[0]), end_s=float(shown_s[-1]) + self.spacing_s)

    @property
    def keys(self) -> NDArray[np.int64]:
        """The numbers of the packets at which decoding may begin; at least the first."""
        found = np.flatnonzero(self.is_key)
        return found if len(found) else np.zeros(1, dtype=np.int64)
