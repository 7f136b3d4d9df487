"""Cutting without decoding: packets are copied, and an edit list hides those in front.

All times are moved so that the first wanted frame is at 0; the pre-roll, from the keyframe
before it, turns negative, and players begin at 0.  The packets are read twice, first for their
times alone: a clip may be larger than the memory.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from math import ceil
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from analysis.cut.options import CutOptions
from analysis.cut.sound import Sound
from analysis.cut.target import open_target
from analysis.landmarks import FloatArray
from analysis.video import Progress, VideoPacket, open_container

COPYABLE = frozenset({"h264", "hevc", "vp9", "av1", "mpeg4"})
_NEARLY = 1e-3  # ticks
_LOOK_AHEAD_S = 1.0  # further than any encoder reorders frames


class CannotCopy(Exception):
    """A lossless cut is not possible here; the text says why."""


class _NoKeyframe(CannotCopy):
    """Nothing was found that decoding could begin with."""


class _ReadOtherwise(CannotCopy):
    """Read a second time, a damaged file gave other packets."""

    def __str__(self) -> str:
        return "the capture is damaged here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a lossless clip should show."""

    times_s: FloatArray  # of its frames in the capture, in order
    preroll_s: float

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return float(self.times_s[-1] - self.times_s[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Which packets make a lossless clip, counted from where reading began."""

    first: int
    start_pts: int
    dts: NDArray[np.int64]  # of the packets from `first` on
    copied: Copied


def copy_clip(
    path: Path,
    out: Path,
    *,
    start_s: float,
    end_s: float,
    options: CutOptions,
    on_progress: Progress,
) -> Copied:
    """Copy the packets of `[start_s, end_s)`; the clip may run on for what its last ones need.

    Raises:
        CannotCopy: something stands in the way; `out` may hold a useless file.
    """
    with open_container(path) as source:
        stream = source.streams.video[0]
        if stream.codec_context.name not in COPYABLE:
            raise CannotCopy(f"MP4 cannot hold {stream.codec_context.name}")
        base = stream.time_base or Fraction(1)
        start_pts, end_pts = (ceil(at_s / base - _NEARLY) for at_s in (start_s, end_s))
        from_pts: int | None = start_pts
        try:
            plan = _plan(_packets(source, stream, from_pts, end_pts), start_pts, end_pts, base)
        except _NoKeyframe:  # transport streams are found anywhere: read them from their start
            from_pts = None
            plan = _plan(_packets(source, stream, from_pts, end_pts), start_pts, end_pts, base)
        if options.method == "auto" and plan.copied.preroll_s > options.max_preroll_s:
            raise CannotCopy(
                f"the keyframe before the start is {plan.copied.preroll_s:.1f} s away: "
                f"more than max_preroll_s ({options.max_preroll_s:g})"
            )
        _write(path, out, plan, _packets(source, stream, from_pts, end_pts), options, on_progress)
    return plan.copied


def _write(
    path: Path,
    out: Path,
    plan: _Plan,
    packets: Iterator[VideoPacket],
    options: CutOptions,
    on_progress: Progress,
) -> None:
    chosen = islice(packets, plan.first, None)
    first = next(chosen, None)
    if first is None:
        raise _ReadOtherwise
    base = first.stream.time_base or Fraction(1)
    start_s, seconds = float(plan.start_pts * base), plan.copied.seconds
    with ExitStack() as stack:
        target = stack.enter_context(open_target(out, first.stream.container, options))
        stream = target.add_stream_from_template(first.stream)
        sound = stack.enter_context(
            Sound(path, target, start_s=start_s, end_s=start_s + seconds, wanted=options.keep_audio)
        )
        again = chain((first,), chosen)
        for dts in plan.dts.tolist():
            packet = next(again, None)
            if packet is None:
                raise _ReadOtherwise
            packet.pts = (packet.pts or 0) - plan.start_pts
            packet.dts = dts - plan.start_pts
            packet.stream = stream
            clip_s = float(packet.pts * base)
            sound.write_until(clip_s)
            target.mux(packet)
            on_progress(max(0.0, clip_s / max(seconds, 1e-3)))
        sound.write_until(seconds)


def _packets(
    source: InputContainer, stream: VideoStream, from_pts: int | None, end_pts: int
) -> Iterator[VideoPacket]:
    """Yield the packets from before `from_pts` (None: the first) to well behind the end."""
    if from_pts is None:
        source.seek(0)
    else:
        source.seek(max(from_pts, stream.start_time or 0), stream=stream, backward=True)
    behind = end_pts + round(_LOOK_AHEAD_S / (stream.time_base or Fraction(1)))
    for packet in source.demux(stream):
        if packet.size == 0:
            continue
        if packet.pts is None:
            raise CannotCopy("the capture's packets have no times")
        last = packet.pts > behind
        yield packet
        if last:
            return


def _plan(packets: Iterator[VideoPacket], start_pts: int, end_pts: int, base: Fraction) -> _Plan:
    """Choose packets; nothing is kept of them but a few numbers each."""
    told = [
        (packet.pts or 0, packet.is_keyframe, packet.is_discard or packet.is_corrupt)
        for packet in packets
    ]
    if not told:
        raise CannotCopy("no frame lies in the interval")
    times = np.array([pts for pts, _, _ in told], dtype=np.int64)
    keys = np.array([is_key for _, is_key, _ in told])
    keys &= times <= start_pts
    if not keys.any():
        raise _NoKeyframe("there is no keyframe before the start")
    first = int(np.flatnonzero(keys)[-1])
    times = times[first:]
    wanted = times >= start_pts
    if not wanted.any():
        raise CannotCopy("no frame lies in the interval")
    if any(is_bad for _, _, is_bad in told[first:]):
        raise CannotCopy("the capture hides or damages frames here")
    first_pts = int(times[wanted].min())
    length = _closed_length(times, end_pts)
    shown = np.sort(times[:length][times[:length] >= first_pts])
    if np.any(np.diff(shown) <= 0):
        raise CannotCopy("frames share a time")
    copied = Copied(
        times_s=shown.astype(np.float64) * float(base),
        preroll_s=float((first_pts - int(times.min())) * base),
    )
    return _Plan(
        first=first, start_pts=first_pts, dts=decoding_times(times[:length]), copied=copied
    )


def decoding_times(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when to decode each packet: in order, and never after it is shown.

    Some containers do not store it, so it is made anew for all.
    """
    in_order = np.sort(times)
    return in_order - int((in_order - times).max())


def _closed_length(times: NDArray[np.int64], end_pts: int) -> int:
    """Return how many packets make a clip without a gap: all up to the end, and what they need.

    Packets come in decoding order.  Behind a packet the clip may end if no later one is shown
    before it.
    """
    latest_so_far = np.maximum.accumulate(times)
    earliest_later = np.append(np.minimum.accumulate(times[::-1])[::-1][1:], np.iinfo(np.int64).max)
    closed = latest_so_far < earliest_later
    complete = earliest_later >= end_pts
    return int(np.flatnonzero(closed & complete)[0]) + 1


COPY_ERRORS = (CannotCopy, av.error.FFmpegError)
