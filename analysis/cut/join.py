"""Joins consecutive recordings: packets of each, in one MP4.

A recorder that splits its recordings, or begins each some seconds early, cuts an effort in two.
What is made here holds just enough of all for one clip; it is cut like any capture.  Only times
are changed, so the recordings must be encoded alike.  What two of them share is taken from the
later one, from its first keyframe on; what lies between them and was not filmed stays a gap.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from analysis.cut.copy import COPYABLE, CannotCopy, decoding_times
from analysis.cut.target import CutOptions, add_copied_stream, open_target
from analysis.display import Appearance
from analysis.video import Progress, VideoPacket, VideoReading, codec_name, index_of, open_video

_LOOK_AHEAD_S = 1.0  # further than any encoder reorders frames
_NEARLY_S = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinPart:
    """What is wanted of one recording, in its own presentation time."""

    path: Path
    start_s: float  # of all but the first: where the part before ends
    end_s: (
        float  # of all but the last: where the next begins, even if nothing was filmed until then
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The packets of one recording that are wanted."""

    reading: VideoReading
    times_s: NDArray[np.float64]  # of the wanted ones, in decoding order
    wanted: NDArray[np.bool_]  # of all packets


def join_recordings(parts: Sequence[JoinPart], out: Path, *, on_progress: Progress) -> list[float]:
    """Write several recordings as one and return what to add to each one's times.

    Args:
        parts: in order; the first is written from the keyframe before its start.
        out: the MP4 to write.
        on_progress: told the share that is done.

    Raises:
        CannotCopy: they are not encoded alike, packets of theirs are hidden or have no times, or
            one cannot end where the next begins.
        VideoError: one of them cannot be read.
    """
    for part in parts:
        index_of(part.path, on_progress=on_progress)
    with ExitStack() as stack:
        readings = [stack.enter_context(open_video(parts[0].path, from_s=parts[0].start_s))]
        readings += [stack.enter_context(open_video(part.path)) for part in parts[1:]]
        for reading in readings[1:]:
            _refuse_unlike(readings[0].stream, reading.stream)
        chosen = [
            _choose(reading, part, is_first=part is parts[0], is_last=part is parts[-1])
            for reading, part in zip(readings, parts, strict=True)
        ]
        shifts_s = _shifts(chosen, parts)
        times_s = [one.times_s + shift_s for one, shift_s in zip(chosen, shifts_s, strict=True)]
        base = float(readings[0].index.base)
        pts = np.round(np.concatenate(times_s) / base).astype(np.int64)
        if len(np.unique(pts)) < len(pts):
            raise CannotCopy("frames of the recordings would share a time")
        look = _shared_look([part.path for part in parts])
        target = stack.enter_context(open_target(out, readings[0].container, CutOptions(), look))
        stream = add_copied_stream(target, readings[0].stream, look)
        _write(target, stream, chosen, pts, on_progress)
    return shifts_s


def _shifts(chosen: Sequence[_Chosen], parts: Sequence[JoinPart]) -> list[float]:
    """Return what to add to each recording's times, so that the first frame of all is at 0."""
    shifts_s = [-float(chosen[0].times_s.min())]
    for (one, other), part in zip(pairwise(chosen), parts, strict=False):
        packets, ends_s = one.reading.index.packets, part.end_s
        if abs(ends_s - packets.span.end_s) < packets.spacing_s / 2:
            ends_s = packets.span.end_s  # the frames tell it more exactly
        shifts_s.append(shifts_s[-1] + ends_s - float(other.times_s.min()))
    return shifts_s


def _write(
    target: OutputContainer,
    stream: VideoStream,
    chosen: Sequence[_Chosen],
    pts: NDArray[np.int64],
    on_progress: Progress,
) -> None:
    base, packets = chosen[0].reading.index.base, _wanted(chosen)
    for number, (at, dts) in enumerate(zip(pts, decoding_times(pts), strict=True)):
        packet = next(packets, None)
        if packet is None:
            raise CannotCopy("a recording is damaged here")
        packet.time_base, packet.pts, packet.dts = base, int(at), int(dts)
        packet.stream = stream
        target.mux(packet)
        on_progress(number / len(pts))


def _shared_look(paths: Sequence[Path]) -> Appearance:
    """Return how players show all recordings."""
    looks = []
    for path in paths:
        with open_video(path) as reading:
            next(reading.decode(), None)
            if reading.appearance is None:
                raise CannotCopy("a recording has no picture that can be decoded")
            looks.append(reading.appearance)
    if any(look != looks[0] for look in looks):
        raise CannotCopy("the recordings are shown in different ways")
    return looks[0]


def _refuse_unlike(first: VideoStream, second: VideoStream) -> None:
    one, other = first.codec_context, second.codec_context
    if codec_name(first) not in COPYABLE:
        raise CannotCopy(f"MP4 cannot hold {codec_name(first)}")
    for what, mine, theirs in (
        ("codecs", codec_name(first), codec_name(second)),
        ("sizes", (one.width, one.height), (other.width, other.height)),
        ("encoder settings", one.extradata, other.extradata),
    ):
        if mine != theirs:
            raise CannotCopy(f"the recordings have different {what}")


def _choose(reading: VideoReading, part: JoinPart, *, is_first: bool, is_last: bool) -> _Chosen:
    packets = reading.index.packets
    times_s = packets.times_s
    wanted = np.ones(len(times_s), dtype=np.bool_)
    if is_first:
        first = packets.key_before(part.start_s + _NEARLY_S)
        if not packets.is_key[first] or times_s[first] > part.start_s + _NEARLY_S:
            raise CannotCopy("there is no keyframe before the start")
        wanted = times_s >= times_s[first]  # none shown before it: they need what is left out
        wanted[:first] = False
    elif not packets.is_key[0]:
        raise CannotCopy("a recording does not begin with a keyframe")
    if is_last:
        behind = np.flatnonzero(times_s > part.end_s + _LOOK_AHEAD_S)
        wanted[behind[0] if len(behind) else len(times_s) :] = False
    else:
        wanted &= _shown_before(times_s, part.end_s - packets.spacing_s / 2)
    if not wanted.any():
        raise CannotCopy("nothing of a recording is needed")
    if np.any(wanted & (reading.index.is_doubtful | ~packets.is_shown)):
        raise CannotCopy("a recording hides or damages frames")
    return _Chosen(reading, times_s[wanted], wanted)


def _shown_before(times_s: NDArray[np.float64], end_s: float) -> NDArray[np.bool_]:
    """Choose the packets shown before a moment; none of them may need one that is not."""
    before = times_s < end_s
    last = np.flatnonzero(before)
    if len(last) and not before[: last[-1] + 1].all():
        raise CannotCopy("a recording cannot end where the next begins")
    return before


def _wanted(chosen: Sequence[_Chosen]) -> Iterator[VideoPacket]:
    """Yield the wanted packets: they may be larger than the memory."""
    for one in chosen:
        for number, packet in one.reading.packets():
            if one.wanted[number]:
                yield packet
