"""Two recordings that adjoin, as one: packets of the end of the first, then of the second.

A recorder that splits its recordings cuts an effort in two.  What is made here holds just enough
of both for one clip; it is cut like any capture.  Only times are changed, so both recordings must
be encoded alike.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from analysis.cut.copying import COPYABLE, CannotCopy, decoding_times
from analysis.cut.options import CutOptions
from analysis.cut.target import open_target
from analysis.video import Progress, Reading, VideoPacket, open_video, read_packets

_LOOK_AHEAD_S = 1.0  # further than any encoder reorders frames
_NEARLY_S = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """How the times of two recordings became one."""

    first_shift_s: float  # to add to a presentation time of the first recording
    second_shift_s: float


@dataclass(frozen=True, slots=True)
class _Part:
    """The packets of one recording that are wanted."""

    reading: Reading
    pts: NDArray[np.int64]  # of the wanted ones, in decoding order
    wanted: NDArray[np.bool_]  # of all packets

    @property
    def base(self) -> Fraction:
        """Seconds of a tick."""
        return self.reading.index.base


def join_recordings(
    first: Path,
    second: Path,
    out: Path,
    *,
    from_s: float,
    until_s: float,
    on_progress: Progress,
) -> Joined:
    """Write the first recording from before `from_s` on, then the second one up to `until_s`.

    Args:
        first: the earlier recording.
        second: the one that begins where it ends.
        out: the MP4 to write; it begins with the keyframe before `from_s`.
        from_s: presentation time in the first.
        until_s: presentation time in the second.
        on_progress: told the share that is done.

    Raises:
        CannotCopy: they are not encoded alike, or packets of theirs are hidden or have no times.
        VideoError: one of them cannot be read.
    """
    spacing_s = read_packets(first).spacing_s
    with ExitStack() as stack:
        one = stack.enter_context(open_video(first, from_s=from_s))
        other = stack.enter_context(open_video(second))
        _refuse_unlike(one.stream, other.stream)
        head, tail = _from(one, from_s), _until(other, until_s)
        zero, base = int(head.pts.min()), head.base
        end = int(head.pts.max()) - zero + max(1, round(spacing_s / float(base)))
        begins = int(tail.pts.min())
        moved = np.round((tail.pts - begins) * float(tail.base / base)).astype(np.int64)
        pts = np.concatenate([head.pts - zero, end + moved])
        target = stack.enter_context(open_target(out, one.container, CutOptions()))
        _write(target, (head, tail), pts, on_progress)
    return Joined(
        first_shift_s=-float(zero * base),
        second_shift_s=float(end * base - begins * tail.base),
    )


def _write(
    target: OutputContainer,
    parts: tuple[_Part, _Part],
    pts: NDArray[np.int64],
    on_progress: Progress,
) -> None:
    stream = target.add_stream_from_template(parts[0].reading.stream)
    packets = _again(parts)
    for number, (at, dts) in enumerate(zip(pts, decoding_times(pts), strict=True)):
        packet = next(packets, None)
        if packet is None:
            raise CannotCopy("a recording is damaged here")
        packet.time_base, packet.pts, packet.dts = parts[0].base, int(at), int(dts)
        packet.stream = stream
        target.mux(packet)
        on_progress(number / len(pts))


def _refuse_unlike(first: VideoStream, second: VideoStream) -> None:
    one, other = first.codec_context, second.codec_context
    if one.name not in COPYABLE:
        raise CannotCopy(f"MP4 cannot hold {one.name}")
    for what, mine, theirs in (
        ("codecs", one.name, other.name),
        ("sizes", (one.width, one.height), (other.width, other.height)),
        ("encoder settings", one.extradata, other.extradata),
    ):
        if mine != theirs:
            raise CannotCopy(f"the recordings have different {what}")


def _from(reading: Reading, from_s: float) -> _Part:
    """Choose the packets from the last keyframe not behind `from_s` to the end."""
    index = reading.index
    first = index.packets.key_before(from_s + _NEARLY_S)
    if not index.packets.is_key[first] or index.packets.times_s[first] > from_s + _NEARLY_S:
        raise CannotCopy("there is no keyframe before the start")
    wanted = index.pts >= index.pts[first]  # none shown before it: they need what is left out
    wanted[:first] = False
    return _part(reading, wanted)


def _until(reading: Reading, until_s: float) -> _Part:
    """Choose the packets from the first to well behind `until_s`."""
    packets = reading.index.packets
    if not packets.is_key[0]:
        raise CannotCopy("the second recording does not begin with a keyframe")
    behind = np.flatnonzero(packets.times_s > until_s + _LOOK_AHEAD_S)
    return _part(
        reading, np.arange(len(packets.sizes)) < (behind[0] if len(behind) else len(packets.sizes))
    )


def _part(reading: Reading, wanted: NDArray[np.bool_]) -> _Part:
    index = reading.index
    if np.any(wanted & (index.is_doubtful | ~index.packets.is_shown)):
        raise CannotCopy("a recording hides or damages frames")
    return _Part(reading, index.pts[wanted], wanted)


def _again(parts: tuple[_Part, _Part]) -> Iterator[VideoPacket]:
    """Yield the wanted packets: they may be larger than the memory."""
    for part in parts:
        for number, packet in part.reading.packets():
            if part.wanted[number]:
                yield packet
