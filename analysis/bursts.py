"""Where packets are larger than in a capture's calm parts: something moves there.  Pure.

An encoder spends bytes on what differs from the frames it predicts from.  How many depends on how
far these are away: a frame between two others takes fewer than one that only looks back.  So sizes
are compared within each kind.  Encoders also send a large frame now and then for reasons of their
own, on no movement at all; a movement makes most frames of half a second large.  So a window is
judged by a low percentile, which single large frames do not raise, where a mean would follow them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.intervals import Interval
from analysis.landmarks import FloatArray
from analysis.packets import Packets

WINDOW_S = 0.5
_STEP_S = 0.25
_CALM_SHARE = 35  # percentile of the packets of a kind that counts as calm
_MOST = 30  # percentile of a window's packets: so many may be small in a movement
_BURST = 1.7  # of calm: a standing body sways up to 1.6, an effort makes 2 and more
_OVERHEAD_BYTES = 100  # of headers; a packet of a few bytes twice as large tells nothing
_TELLING_BITS = 0.03  # bits a pixel above which calm packets say little: noise, or constant rate
_BUSIEST = 95


@dataclass(frozen=True, slots=True)
class Bursts:
    """How large packets are, window by window."""

    starts_s: FloatArray  # (W,), of windows of `WINDOW_S` that overlap by half
    loudness: FloatArray  # (W,), 1: as in the calm parts
    calm_bits: float  # bits a pixel of an ordinary packet in the calm parts

    @property
    def tell(self) -> bool:
        """Whether small packets prove a quiet picture in this capture."""
        if not len(self.starts_s):
            return False
        return self.calm_bits < _TELLING_BITS or bool(
            np.percentile(self.loudness, _BUSIEST) > _BURST
        )

    def within(self, stretch: Interval) -> bool:
        """Tell whether there is a burst in a stretch of the capture."""
        inside = (self.starts_s > stretch.start_s - WINDOW_S) & (self.starts_s < stretch.end_s)
        return bool((self.loudness[inside] > _BURST).any())


def bursts_of(packets: Packets) -> Bursts:
    """Return where packets are large.

    Keyframes are left out: they are large whatever happens.
    """
    delta = ~packets.is_key & packets.is_shown
    times_s = packets.times_s[delta]
    order = np.argsort(times_s, kind="stable")
    times_s = times_s[order]
    sizes = packets.sizes[delta].astype(np.float64) + _OVERHEAD_BYTES
    looks_back = _looks_back_only(packets)[delta]
    loudness = np.ones(len(sizes))
    for kind in (looks_back, ~looks_back):
        if kind.any():
            loudness[kind] = sizes[kind] / np.percentile(sizes[kind], _CALM_SHARE)
    loudness = loudness[order]
    starts_s = np.arange(packets.span.start_s, packets.span.end_s, _STEP_S)
    firsts = np.searchsorted(times_s, starts_s)
    ends = np.searchsorted(times_s, starts_s + WINDOW_S)
    return Bursts(
        starts_s=starts_s,
        loudness=np.array(
            [
                np.percentile(loudness[first:end], _MOST) if end > first else 1.0
                for first, end in zip(firsts, ends, strict=True)
            ]
        ),
        calm_bits=float(np.percentile(sizes, _CALM_SHARE)) * 8 / packets.pixels
        if len(sizes)
        else 0.0,
    )


def _looks_back_only(packets: Packets) -> NDArray[np.bool_]:
    """Return which packets are shown after all before them in the file, (N,).

    The others are shown before one that was decoded earlier: they lie between two known frames.
    """
    newest_s = np.maximum.accumulate(packets.times_s)
    looks_back: NDArray[np.bool_] = packets.times_s >= newest_s
    return looks_back
