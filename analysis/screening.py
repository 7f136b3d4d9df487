"""Where in a capture something may be happening, told without decoding it.  Pure.

A stretch is left alone only where two witnesses agree that it is quiet: its packets are no
larger than in the capture's calm parts, and the keyframes at its two ends show the same picture.
Neither alone is enough: an encoder with a constant rate makes all packets alike, and a jump
fits between two keyframes.  Where packets cannot testify, because they are large and all alike,
keyframes do, if they come often enough; else frames must be decoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.image import Grey
from analysis.intervals import Interval, merged
from analysis.landmarks import FloatArray
from analysis.packets import Packets

WINDOW_S = 0.5  # bytes are summed over that long
_BURST = 1.6  # of the calm rate: something moves (a standing body sways up to 1.4)
_CALM_SHARE = 35  # percentile of the windows that counts as calm
_TELLING_BITS = 0.03  # bits a pixel above which calm packets say little: noise, or constant rate
_SPREAD_TELLS = 1.5  # busiest over calm: the encoder does spend bytes on movement
_KEYS_TELL_S = 1.3  # keyframes that close see any effort
_GLIMPSE_EVERY_S = 2.0
_MARGIN_S = 1.0  # looked at on both sides: rest tells where an effort begins
_BLOCK = 8  # px of a thumbnail
_BETWEEN_KEYS = 0.3  # of the picture's contrast: a swaying body changes 0.2, an effort over 1
_BETWEEN_FRAMES = 0.1
_LEAST = 1.5  # grey levels, whatever the contrast
_TO_NOISE = 4.0


@dataclass(frozen=True, slots=True)
class Glimpse:
    """One keyframe, small."""

    number: int  # of its packet
    time_s: float
    grey: Grey


def bursts(packets: Packets) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the windows' starts, (W,), and whether the packets in them are large, (W,).

    Keyframes are left out: they are large whatever happens.
    """
    start_s = packets.span.start_s
    count = max(1, int(np.ceil(packets.span.seconds / WINDOW_S)))
    windows_s: FloatArray = start_s + WINDOW_S * np.arange(count, dtype=np.float64)
    delta = ~packets.is_key & packets.is_shown
    if not delta.any():
        return windows_s, np.zeros(count, dtype=np.bool_)
    number = np.clip(((packets.times_s[delta] - start_s) / WINDOW_S).astype(int), 0, count - 1)
    total = np.bincount(number, weights=packets.sizes[delta], minlength=count)
    frames = np.bincount(number, minlength=count)
    mean = total / np.maximum(frames, 1)
    calm = max(1.0, float(np.percentile(mean[frames > 0], _CALM_SHARE)))
    is_burst: NDArray[np.bool_] = mean > _BURST * calm
    return windows_s, is_burst


def packets_tell(packets: Packets) -> bool:
    """Tell whether small packets prove a quiet picture in this capture."""
    delta = packets.sizes[~packets.is_key & packets.is_shown]
    if not len(delta):
        return False
    calm = float(np.percentile(delta, _CALM_SHARE))
    busy = float(np.percentile(delta, 98))
    return calm * 8 / packets.pixels < _TELLING_BITS or busy > _SPREAD_TELLS * calm


def keys_to_glimpse(packets: Packets) -> list[int]:
    """Return the numbers of the keyframes worth decoding: the first, the last, and some between."""
    every_s = _GLIMPSE_EVERY_S if packets_tell(packets) else 0.9
    windows_s, is_burst = bursts(packets)
    chosen: list[int] = []
    last_s = float("-inf")
    keys = packets.keys
    for key in keys:
        at_s = float(packets.times_s[key])
        in_burst = bool(is_burst[min(int((at_s - windows_s[0]) / WINDOW_S), len(is_burst) - 1)])
        wait_s = _GLIMPSE_EVERY_S if in_burst else every_s
        if at_s - last_s >= wait_s - 0.05 or key == keys[-1]:
            chosen.append(int(key))
            last_s = at_s
    return chosen


def where_to_look(packets: Packets, glimpses: Sequence[Glimpse]) -> list[Interval]:
    """Return the stretches of the capture in which something may be happening, in order."""
    windows_s, is_burst = bursts(packets)
    telling = packets_tell(packets)
    marks = sorted(glimpses, key=lambda glimpse: glimpse.time_s)
    span = packets.span
    edges_s = [span.start_s, *(mark.time_s for mark in marks), span.end_s]
    pairs = [None, *pairwise(marks), None]
    found = []
    for start_s, end_s, pair in zip(edges_s, edges_s[1:], pairs, strict=False):
        if end_s <= start_s:
            continue
        inside = (windows_s > start_s - WINDOW_S) & (windows_s < end_s)
        trusted = telling or end_s - start_s <= _KEYS_TELL_S
        same = pair is not None and not has_changed(pair[0].grey, pair[1].grey)
        if not (trusted and same) or is_burst[inside].any():
            found.append(Interval(start_s=start_s, end_s=end_s))
    wide = [stretch.padded(_MARGIN_S, _MARGIN_S, within=span) for stretch in found]
    return merged(wide, rest_s=_MARGIN_S)


def has_changed(before: Grey, after: Grey) -> bool:
    """Tell whether a body may have moved between two keyframes, by more than sway."""
    return before.shape != after.shape or bool(
        changed_blocks(before, after, sensitivity=_BETWEEN_KEYS).any()
    )


def changed_blocks(
    before: Grey, after: Grey, *, sensitivity: float = _BETWEEN_FRAMES
) -> NDArray[np.bool_]:
    """Return which blocks of two equally large pictures differ.

    They must differ by a share of the picture's own contrast, so that a dim picture is no calmer
    than a bright one, and by more than the usual block does, which grain and a change of all
    light raise alike.
    """
    blocks = block_means(np.abs(after.astype(np.float32) - before.astype(np.float32)))
    least = max(_LEAST, sensitivity * float(after.std()))
    changed: NDArray[np.bool_] = blocks > max(least, _TO_NOISE * float(np.median(blocks)))
    return changed


def block_means(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the means of blocks of 8 by 8 px; a rest at the right and bottom is left out."""
    height, width = picture.shape
    rows, columns = max(1, height // _BLOCK), max(1, width // _BLOCK)
    tall, wide = min(height, rows * _BLOCK), min(width, columns * _BLOCK)
    kept = picture[:tall, :wide]
    blocks: NDArray[np.float32] = kept.reshape(rows, tall // rows, columns, wide // columns).mean(
        axis=(1, 3)
    )
    return blocks
