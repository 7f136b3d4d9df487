"""Where packets are larger than in a capture's calm parts: something moves there.  Pure.

An encoder spends bytes on what differs from the frames it predicts from.  How many depends on how
far these are away: a frame between two others takes fewer than one that only looks back.  So sizes
are compared within each kind.  Encoders also send a large frame now and then for reasons of their
own, on no movement at all; a movement makes most frames of a moment large.  So a window is
judged by a low percentile, which single large frames do not raise, where a mean would follow them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.intervals import Interval, merged
from analysis.landmarks import FloatArray
from analysis.packets import Packets

_WINDOW_S = 0.75
_STEP_S = 0.25
_CALM_SHARE = 35  # percentile of the packets of a kind that counts as calm
_MOST = 30  # percentile of a window's packets: so many may be small in a movement
_BURST = 1.7  # of calm: a standing body sways up to 1.6, an effort makes 2 and more
_OVERHEAD_BYTES = 100  # of headers; a packet of a few bytes twice as large tells nothing
_TELLING_BITS = 0.03  # bits a pixel above which calm packets say little: noise, or constant rate
_BUSIEST = 95


@dataclass(frozen=True, slots=True)
class Bursts:
    """Where packets are large."""

    stretches: list[Interval]
    tell: bool  # whether small packets prove a quiet picture in this capture

    def within(self, stretch: Interval) -> list[Interval]:
        """Return the bursts that touch a stretch of the capture."""
        return [
            burst
            for burst in self.stretches
            if burst.start_s < stretch.end_s and burst.end_s > stretch.start_s
        ]


def bursts_of(packets: Packets) -> Bursts:
    """Return where packets are large.

    Keyframes are left out: they are large whatever happens.
    """
    delta = ~packets.is_key & packets.is_shown
    sizes = packets.sizes[delta].astype(np.float64) + _OVERHEAD_BYTES
    if not len(sizes):
        return Bursts([], tell=False)
    looks_back = _looks_back_only(packets)[delta]
    over_calm = np.ones(len(sizes))
    for kind in (looks_back, ~looks_back):
        if kind.any():
            over_calm[kind] = sizes[kind] / np.percentile(sizes[kind], _CALM_SHARE)
    starts_s, loudness = _windows(packets.times_s[delta], over_calm)
    loud = [
        Interval(start_s=float(start_s), end_s=float(start_s) + _WINDOW_S)
        for start_s in starts_s[loudness > _BURST]
    ]
    calm_bits = 8 * float(np.percentile(sizes, _CALM_SHARE)) / packets.pixels
    spread = float(np.percentile(loudness, _BUSIEST))
    return Bursts(merged(loud, rest_s=0.0), tell=calm_bits < _TELLING_BITS or spread > _BURST)


def _windows(times_s: FloatArray, over_calm: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the windows' starts, (W,), and how large most packets in each are, (W,)."""
    order = np.argsort(times_s, kind="stable")
    times_s, over_calm = times_s[order], over_calm[order]
    starts_s = np.arange(times_s[0], times_s[-1] + _STEP_S, _STEP_S)
    firsts = np.searchsorted(times_s, starts_s)
    ends = np.searchsorted(times_s, starts_s + _WINDOW_S)
    loudness = [
        float(np.percentile(over_calm[first:end], _MOST)) if end > first else 0.0
        for first, end in zip(firsts, ends, strict=True)
    ]
    return starts_s, np.array(loudness, dtype=np.float64)


def _looks_back_only(packets: Packets) -> NDArray[np.bool_]:
    """Return which packets are shown after all before them in the file, (N,).

    The others are shown before one that was decoded earlier: they lie between two known frames.
    """
    newest_s = np.maximum.accumulate(packets.times_s)
    looks_back: NDArray[np.bool_] = packets.times_s >= newest_s
    return looks_back
