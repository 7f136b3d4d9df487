"""Decoding only what matters: single keyframes, and sampled frames of some stretches.

The file is read from front to back, so that containers that cannot seek are no special case;
packets that are not needed are passed over without being decoded.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from analysis.intervals import Interval
from analysis.packets import Packets
from analysis.video import Reading, VideoPacket

_FULL_RATE_FPS = 20.0  # from there on frames that no other needs may be left out
_REORDERED_S = 0.5  # frames shown before a moment come at most so much later in the file


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded frame and when it is shown."""

    number: int  # of the packet it came with
    time_s: float
    frame: VideoFrame


def decode_keys(reading: Reading, numbers: Collection[int]) -> Iterator[Decoded]:
    """Yield single keyframes, each decoded by itself.

    Args:
        reading: an open video, not yet read from.
        numbers: of their packets.
    """
    wanted = frozenset(numbers)
    last = max(wanted, default=-1)
    context = reading.stream.codec_context
    for number, packet in reading.packets():
        if number in wanted:
            for frame in [*_decoded(reading, packet), *_rest(reading)]:
                if frame.pts is not None:
                    yield Decoded(number, reading.note(frame, frame.pts), frame)
            context.flush_buffers()
        if number >= last:
            return


def decode_stretches(
    reading: Reading, packets: Packets, stretches: Sequence[Interval]
) -> Iterator[Decoded]:
    """Yield the frames of some stretches, in order of presentation.

    In fast recordings frames that no other frame needs are left out: the rest is dense enough.

    Args:
        reading: an open video, not yet read from.
        packets: all of its packets.
        stretches: which parts are wanted.
    """
    if packets.spacing_s <= 1 / _FULL_RATE_FPS:
        reading.stream.codec_context.skip_frame = "NONREF"
    wanted = _needed(packets, stretches)
    decoding = False
    for number, packet in reading.packets():
        if number >= len(wanted):
            return
        if wanted[number]:
            decoding = True
            yield from _inside(reading, number, _decoded(reading, packet), stretches)
        elif decoding:
            decoding = False
            yield from _inside(reading, number, _rest(reading), stretches)
            reading.stream.codec_context.flush_buffers()
    if decoding:
        yield from _inside(reading, len(wanted), _rest(reading), stretches)


def _needed(packets: Packets, stretches: Sequence[Interval]) -> NDArray[np.bool_]:
    """Return which packets must be decoded, (N,): from a stretch's keyframe to its end."""
    needed = np.zeros(len(packets.sizes), dtype=np.bool_)
    keys = [*packets.keys.tolist(), len(packets.sizes)]
    if keys[0] != 0:
        keys.insert(0, 0)
    for first, behind in pairwise(keys):
        times_s = packets.times_s[first:behind]
        begins_s, ends_s = float(times_s.min()), float(times_s.max()) + packets.spacing_s
        touching = [s for s in stretches if s.start_s < ends_s and s.end_s > begins_s]
        if touching:
            last_s = max(stretch.end_s for stretch in touching) + _REORDERED_S
            inside = np.flatnonzero(times_s <= last_s)
            needed[first : first + int(inside[-1]) + 1] = True
    return needed


def _inside(
    reading: Reading, number: int, frames: Sequence[VideoFrame], stretches: Sequence[Interval]
) -> Iterator[Decoded]:
    for frame in frames:
        if frame.pts is None:
            continue
        time_s = reading.note(frame, frame.pts)
        if any(stretch.start_s <= time_s < stretch.end_s for stretch in stretches):
            yield Decoded(number, time_s, frame)


def _decoded(reading: Reading, packet: VideoPacket) -> Sequence[VideoFrame]:
    try:
        return packet.decode()
    except av.error.FFmpegError:
        reading.damaged_at_s.append(float((packet.pts or 0) * reading.index.base))
        return ()


def _rest(reading: Reading) -> Sequence[VideoFrame]:
    """Return what the decoder still holds."""
    try:
        return reading.stream.codec_context.decode(None)
    except av.error.FFmpegError:
        return ()
