"""Decodes only what matters: single keyframes, and sampled frames of some sections.

The file is read from front to back, so that containers that cannot seek are no special case;
packets that are not needed are passed over without being decoded.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from analysis.packets import Packets
from analysis.primitives import Grey, Interval
from analysis.video import Progress, VideoPacket, VideoReading

_FULL_RATE_FPS = 20.0  # from there on frames that no other needs may be left out
# Blocks that are not smoothed cost a quarter less, and change nothing that is still to be seen when
# the picture is made small; frames built on them drift apart, until the next keyframe.
_UNSMOOTHED = {"skip_loop_filter": "all"}
_LARGE_PX = 1280 * 720  # from there on the model sees a picture half as large, or smaller
_DRIFTS_S = 5.0  # between keyframes; after 20 s it is more than a grey level
_NEARLY_TICKS = 1e-3
_SKIPS_AT_ONCE = frozenset({"h264", "hevc"})  # AV1's decoder skips for ever what it begins with
_REORDERED_S = 0.5  # frames shown before a moment come at most so much later in the file


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded frame and when it is shown."""

    number: int  # of the packet it came with
    time_s: float
    frame: VideoFrame


def decode_keys(reading: VideoReading, numbers: Collection[int]) -> Iterator[Decoded]:
    """Yield single keyframes, each decoded separately, and large ones unsmoothed.

    Args:
        reading: an open video, not yet read from.
        numbers: of their packets.
    """
    wanted = frozenset(numbers)
    last = max(wanted, default=-1)
    context = reading.stream.codec_context
    if reading.index.packets.pixels >= _LARGE_PX:
        leave_unsmoothed(reading)
    for number, packet in reading.packets():
        if number in wanted:
            for frame in [*_decoded(reading, packet), *_rest(reading)]:
                if frame.pts is not None:
                    yield Decoded(number, reading.note(frame, frame.pts), frame)
            context.flush_buffers()
        if number >= last:
            return


def frame_shown_at(reading: VideoReading, at_s: float, *, on_progress: Progress) -> Decoded | None:
    """Return the last frame shown at a moment; frames that it does not need are passed over.

    Where that one cannot be decoded it is one before; where none is shown by then, the first.

    Args:
        reading: a video opened at that moment, not yet read from.
        at_s: presentation time.
        on_progress: called while the work continues.
    """
    index, context = reading.index, reading.stream.codec_context
    latest = at_s / index.base + _NEARLY_TICKS
    due = index.pts[index.pts <= latest]
    wanted = int(due.max()) if len(due) else int(index.pts.min())
    begins = wanted - round(index.packets.spacing_s / index.base)  # its first field may be a packet
    chosen: Decoded | None = None
    for number, packet in chain(reading.packets(), ((-1, None),)):
        is_wanted = packet is not None and begins < int(index.pts[number]) <= wanted
        if reading.codec in _SKIPS_AT_ONCE:
            context.skip_frame = "DEFAULT" if is_wanted else "NONREF"
        for frame in _rest(reading) if packet is None else _decoded(reading, packet):
            if frame.pts is None:
                continue
            if frame.pts > wanted and chosen is not None:
                return chosen
            chosen = Decoded(number, reading.note(frame, frame.pts), frame)
            if frame.pts >= wanted:
                return chosen
        on_progress(1.0)
    return chosen


def decode_stretches(
    reading: VideoReading, packets: Packets, stretches: Sequence[Interval]
) -> Iterator[Decoded]:
    """Yield the frames of some stretches, in order of presentation.

    In fast recordings frames that no other frame needs are left out: the rest is dense enough.

    Args:
        reading: an open video, not yet read from.
        packets: all of its packets.
        stretches: which parts are wanted.
    """
    context = reading.stream.codec_context
    if packets.pixels >= _LARGE_PX and packets.longest_group_s <= _DRIFTS_S:
        leave_unsmoothed(reading)
    if packets.spacing_s <= 1 / _FULL_RATE_FPS:
        context.skip_frame = "NONREF"
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
            context.flush_buffers()
    if decoding:
        yield from _inside(reading, len(wanted), _rest(reading), stretches)


def leave_unsmoothed(reading: VideoReading) -> None:
    """Let a decoder that was not used yet leave out its filter between blocks, if it can."""
    if reading.codec == "h264":
        reading.stream.codec_context.options = _UNSMOOTHED


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
    reading: VideoReading, number: int, frames: Sequence[VideoFrame], stretches: Sequence[Interval]
) -> Iterator[Decoded]:
    for frame in frames:
        if frame.pts is None:
            continue
        time_s = reading.note(frame, frame.pts)
        if any(stretch.start_s <= time_s < stretch.end_s for stretch in stretches):
            yield Decoded(number, time_s, frame)


def _decoded(reading: VideoReading, packet: VideoPacket) -> Sequence[VideoFrame]:
    try:
        return packet.decode()
    except av.error.FFmpegError:
        reading.damaged_at_s.append(float((packet.pts or 0) * reading.index.base))
        return ()


def _rest(reading: VideoReading) -> Sequence[VideoFrame]:
    """Return what the decoder still holds."""
    try:
        return reading.stream.codec_context.decode(None)
    except av.error.FFmpegError:
        return ()


LONGEST_PX = 160
_ROWS = 5  # averaged into one: more cost time and show nothing else
_EIGHT_BIT_LUMA = frozenset(
    {"yuv420p", "yuvj420p", "nv12", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray"}
)
_TEN_BIT_LUMA = frozenset({"yuv420p10le", "yuv422p10le", "yuv444p10le"})


def grey_thumbnail(
    frame: VideoFrame, *, longest_px: int = LONGEST_PX, like: tuple[int, int] | None = None
) -> Grey:
    """Return the brightness of a frame as it is stored, averaged to at most `longest_px` a side.

    A damaged recording may change its size midway; `like`, a width and height, keeps the small
    pictures alike.

    The frame's own brightness plane is read in place, of a large one only some rows, which is
    many times cheaper than a conversion of the whole frame.
    """
    width, height = like or (frame.width, frame.height)
    scale = min(1.0, longest_px / max(width, height, 1))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    step = max(1, frame.height // (_ROWS * size[1]))
    plane = frame.planes[0]
    if frame.format.name in _EIGHT_BIT_LUMA:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]  # a plane is a buffer
        luma = rows[: frame.height : step, : frame.width]
    elif frame.format.name in _TEN_BIT_LUMA:
        deep = np.frombuffer(plane, "<u2").reshape(-1, plane.line_size // 2)  # type: ignore[call-overload]  # a plane is a buffer
        luma = (deep[: frame.height : step, : frame.width] >> 2).astype(np.uint8)
    else:
        luma = frame.to_ndarray(format="gray")
    small: Grey = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return small
