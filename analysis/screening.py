"""Where a capture may contain movement, without decoding it.  Pure.

A stretch is left alone only where two witnesses agree that it is quiet: its packets are no
larger than in the capture's calm parts, and the keyframes at its two ends show the same picture.
Neither alone is enough: an encoder with a constant rate makes all packets alike, and a jump
fits between two keyframes.  Where packets cannot testify, because they are large and all alike,
keyframes do, if they come often enough; else frames must be decoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.landmarks import FloatArray
from analysis.packets import Packets
from analysis.primitives import Grey, Interval, merged

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

    The others are shown before one that was decoded earlier: they are between two known frames.
    """
    newest_s = np.maximum.accumulate(packets.times_s)
    looks_back: NDArray[np.bool_] = packets.times_s >= newest_s
    return looks_back


_KEYS_TELL_S = 1.3  # keyframes that close see any effort
_GLIMPSE_EVERY_S = 2.0
_IN_BURST_EVERY_S = 8.0
_MARGIN_S = 1.5  # looked at on both sides: rest tells where an effort begins
_HELD_S = 4.0  # a body may hold still so long in the midst of an effort
_AT_EDGE_S = 0.6  # an effort that begins so near a stretch's begin may have begun before it
_FURTHER_S = 4.0
_LEAST_PIECE_S = 0.05
_BLOCK = 8  # px of a thumbnail
_OF_CONTRAST = 0.1  # a body that sways changes less than 0.08, an effort over 0.3
_LEAST = 1.5  # grey levels, whatever the contrast
_TO_NOISE = 4.0


@dataclass(frozen=True, slots=True)
class KeyframeSample:
    """One keyframe, small."""

    number: int  # of its packet
    time_s: float
    grey: Grey


def keys_to_glimpse(packets: Packets) -> list[int]:
    """Return the numbers of the keyframes worth decoding: the first, the last, and some between.

    In a burst few are: it is looked at anyway.  None is where an edit list hides every keyframe.
    """
    bursts = bursts_of(packets)
    every_s = _GLIMPSE_EVERY_S if bursts.tell else _KEYS_TELL_S - 0.4
    chosen: list[int] = []
    last_s = float("-inf")
    keys = packets.shown_keys
    for key in keys:
        at_s = float(packets.times_s[key])
        in_burst = bursts.within(Interval(start_s=at_s - _MARGIN_S, end_s=at_s + _MARGIN_S))
        wait_s = _IN_BURST_EVERY_S if in_burst else every_s
        if at_s - last_s >= wait_s - 0.05 or key == keys[-1]:
            chosen.append(int(key))
            last_s = at_s
    return chosen


def where_to_look(packets: Packets, glimpses: Sequence[KeyframeSample]) -> list[Interval]:
    """Return the stretches of the capture in which something may be happening, in order."""
    bursts = bursts_of(packets)
    marks = sorted(glimpses, key=lambda glimpse: glimpse.time_s)
    span = packets.span
    found = [_with_margin(burst, span) for burst in bursts.stretches]
    for before, after in pairwise(marks):
        between = Interval(start_s=before.time_s, end_s=after.time_s)
        trusted = bursts.tell or between.seconds <= _KEYS_TELL_S
        if not trusted or has_changed(before.grey, after.grey):
            found.append(between if bursts.within(between) else _with_margin(between, span))
    found += _unwitnessed(marks, span)
    return merged(found, rest_s=_HELD_S)


def look_further(
    stretches: Sequence[Interval], efforts: Sequence[Interval], *, within: Interval
) -> list[Interval]:
    """Return what to look at beside stretches that begin or end in the midst of an effort.

    Slow arms seen from the side hardly show in packets, and a keyframe may come whenever they
    hang: then a stretch begins with a later repetition, and the earlier ones are before it.
    """
    further = []
    for stretch in stretches:
        if any(abs(effort.start_s - stretch.start_s) < _AT_EDGE_S for effort in efforts):
            further.append(replace(stretch, start_s=stretch.start_s - _FURTHER_S))
        if any(abs(effort.end_s - stretch.end_s) < _AT_EDGE_S for effort in efforts):
            further.append(replace(stretch, end_s=stretch.end_s + _FURTHER_S))
    return [piece for wider in further for piece in _beyond(wider, stretches, within)]


def _beyond(wider: Interval, known: Sequence[Interval], within: Interval) -> list[Interval]:
    """Return the parts of an interval inside the capture that are not known yet."""
    pieces, start_s = [], max(wider.start_s, within.start_s)
    end_s = min(wider.end_s, within.end_s)
    for stretch in sorted(known, key=lambda one: one.start_s):
        if stretch.end_s > start_s and stretch.start_s < end_s:
            pieces.append(Interval(start_s=start_s, end_s=stretch.start_s))
            start_s = stretch.end_s
    pieces.append(Interval(start_s=start_s, end_s=end_s))
    return [piece for piece in pieces if piece.seconds > _LEAST_PIECE_S]


def _with_margin(stretch: Interval, span: Interval) -> Interval:
    return stretch.padded(_MARGIN_S, _MARGIN_S, within=span)


def _unwitnessed(marks: Sequence[KeyframeSample], span: Interval) -> list[Interval]:
    """Return what is before the first keyframe and behind the last: nothing to compare with."""
    if not marks:
        return [span]
    head = Interval(start_s=span.start_s, end_s=max(span.start_s, marks[0].time_s))
    tail = Interval(start_s=min(marks[-1].time_s, span.end_s), end_s=span.end_s)
    return [stretch for stretch in (head, tail) if stretch.seconds > 0]


def has_changed(before: Grey, after: Grey) -> bool:
    """Tell whether a body may have moved between two keyframes, by more than sway."""
    return before.shape != after.shape or bool(moved_blocks(before, after).any())


def moved_blocks(before: Grey, after: Grey) -> NDArray[np.bool_]:
    """Return in which blocks of two equally large pictures something moved by more than sway.

    A swaying body shifts its edges by a pixel of the small picture, so a pixel has changed only
    as far as it is darker or brighter than the other picture is anywhere next to it.
    """
    beyond = np.maximum(_beyond_neighbours(before, after), _beyond_neighbours(after, before))
    return _stand_out(block_means(beyond), after)


def changed_blocks(before: Grey, after: Grey) -> NDArray[np.bool_]:
    """Return which blocks of two equally large pictures differ, one frame behind the other."""
    return _stand_out(block_means(np.abs(after.astype(np.float32) - before)), after)


def _stand_out(blocks: NDArray[np.float32], picture: Grey) -> NDArray[np.bool_]:
    """Return which blocks differ by more than chance.

    They must differ by a share of the picture's own contrast, so that a dim picture is no calmer
    than a bright one, and by more than the usual block does, which grain and a change of all
    light raise alike.
    """
    least = max(_LEAST, _OF_CONTRAST * float(picture.std()))
    changed: NDArray[np.bool_] = blocks > max(least, _TO_NOISE * float(np.median(blocks)))
    return changed


def _beyond_neighbours(picture: Grey, other: Grey) -> Grey:
    """Return how far each pixel lies outside what the other picture has within a pixel of it."""
    darkest, brightest = other, other
    for axis in (0, 1):
        darkest = _over_neighbours(np.minimum, darkest, axis)
        brightest = _over_neighbours(np.maximum, brightest, axis)
    nearest = np.clip(picture, darkest, brightest)
    outside: Grey = np.maximum(picture, nearest) - np.minimum(picture, nearest)
    return outside


def _over_neighbours(choose: np.ufunc, picture: Grey, axis: int) -> Grey:
    """Return the chosen one of each pixel and its two neighbours in one direction."""
    lanes = np.moveaxis(picture, axis, 0)
    chosen = lanes.copy("K")
    choose(chosen[1:], lanes[:-1], out=chosen[1:])
    choose(chosen[:-1], lanes[1:], out=chosen[:-1])
    return np.moveaxis(chosen, 0, axis)


def block_means(picture: NDArray[np.float32] | Grey) -> NDArray[np.float32]:
    """Return the means of blocks of 8 by 8 px; a rest at the right and bottom is left out."""
    height, width = picture.shape
    rows, columns = max(1, height // _BLOCK), max(1, width // _BLOCK)
    tall, wide = min(height, rows * _BLOCK), min(width, columns * _BLOCK)
    kept = picture[:tall, :wide]
    blocks: NDArray[np.float32] = kept.reshape(rows, tall // rows, columns, wide // columns).mean(
        axis=(1, 3)
    )
    return blocks
