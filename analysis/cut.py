"""Cutting a clip so that every frame of it is the capture's own.

Where the keyframes allow it nothing is decoded: packets are copied from the keyframe at or
before the start, all times are moved so that the first wanted frame is at 0, and an edit list
lets players begin there.  Where that would hide too much in front, or the container cannot
hold the codec, the clip is encoded again at visually lossless quality with its frame times
untouched.  Either way the result is opened and counted before it is believed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from analysis.errors import Fault, VideoError
from analysis.image import Image
from analysis.video import open_container, open_video

MAX_PREROLL_S = 2.0  # a reader that ignores edit lists would see all of the pre-roll
_COPYABLE = frozenset({"h264", "hevc", "vp9", "av1", "mpeg4"})
_MP4_OPTIONS = {
    "movflags": "+faststart",
    "use_editlist": "1",
    "avoid_negative_ts": "disabled",
}
_CRF = "16"  # x264: visually lossless
_LOOK_AHEAD_S = 1.0  # further than any encoder reorders frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What became of a cut."""

    clip_frames: int
    clip_seconds: float
    clip_bytes: int
    method: Literal["copy", "encode"]
    why: str  # in a few words


VideoPacket: TypeAlias = "Packet[VideoStream]"  # generic for the type checker alone


class _CannotCopy(Exception):
    """A lossless cut is not possible here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Which packets make a lossless clip."""

    packets: Sequence[VideoPacket]
    start_pts: int
    frames: int  # that players will show


def cut_clip(
    path: Path,
    *,
    start_s: float,
    end_s: float,
    out: Path,
    on_progress: Callable[[float], None],
) -> Cut:
    """Cut `[start_s, end_s)` of a capture, in presentation time, to an MP4.

    A lossless clip may run on for the few frames that its last ones need.

    Raises:
        VideoError: the capture cannot be read, or nothing of it lies in the interval.
    """
    try:
        frames = _copy(path, start_s, end_s, out, on_progress)
        method: Literal["copy", "encode"] = "copy"
        why = "the keyframes allow it"
    except (_CannotCopy, av.error.FFmpegError) as reason:
        frames = _encode(path, start_s, end_s, out, on_progress)
        method, why = "encode", str(reason)
    if frames == 0:
        raise VideoError("not one picture lies in the interval", fault=Fault.UNREADABLE)
    return Cut(
        clip_frames=frames,
        clip_seconds=_shown_seconds(out),
        clip_bytes=out.stat().st_size,
        method=method,
        why=why,
    )


def _copy(
    path: Path, start_s: float, end_s: float, out: Path, on_progress: Callable[[float], None]
) -> int:
    with open_container(path) as source:
        stream = source.streams.video[0]
        if stream.codec_context.name not in _COPYABLE:
            raise _CannotCopy(f"MP4 cannot hold {stream.codec_context.name}")
        plan = _plan(source, stream, start_s, end_s)
        with av.open(str(out), "w", format="mp4", options=dict(_MP4_OPTIONS)) as target:
            copied = target.add_stream_from_template(stream)
            _keep_creation_time(source, target)
            for packet in plan.packets:
                packet.pts = (packet.pts or 0) - plan.start_pts
                packet.dts = (packet.dts or 0) - plan.start_pts
                packet.stream = copied
                target.mux(packet)
    shown, first_s = _count_shown(out, on_progress)
    if shown != plan.frames or abs(first_s) > 1e-3:
        raise _CannotCopy(f"a lossless cut would show {shown} of {plan.frames} frames")
    return shown


def _plan(source: InputContainer, stream: VideoStream, start_s: float, end_s: float) -> _Plan:
    base = stream.time_base or Fraction(1)
    start_pts, end_pts = round(start_s / base), round(end_s / base)
    packets = _packets_around(source, stream, start_pts, end_pts, base)
    times = np.array([packet.pts for packet in packets])
    wanted = times >= start_pts
    if not wanted.any():
        raise _CannotCopy("no frame lies in the interval")
    first_pts = int(times[wanted].min())
    if float((first_pts - times.min()) * base) > MAX_PREROLL_S:
        raise _CannotCopy("the keyframe before the start is too far away")
    length = _closed_length(times, end_pts)
    shown = int(np.count_nonzero(times[:length] >= first_pts))
    return _Plan(packets=packets[:length], start_pts=first_pts, frames=shown)


def _packets_around(
    source: InputContainer, stream: VideoStream, start_pts: int, end_pts: int, base: Fraction
) -> list[VideoPacket]:
    """Return the packets from the last keyframe at or before the start to well behind the end."""
    source.seek(max(start_pts, stream.start_time or 0), stream=stream, backward=True)
    behind = end_pts + round(_LOOK_AHEAD_S / base)
    packets: list[VideoPacket] = []
    for packet in source.demux(stream):
        if packet.size == 0:
            continue
        pts, dts = _times_of(packet)
        if packet.is_keyframe and pts <= start_pts:
            packets.clear()
        packets.append(packet)
        if dts > behind:
            break
    if not packets or not packets[0].is_keyframe:
        raise _CannotCopy("there is no keyframe before the start")
    if any(packet.is_discard or packet.is_corrupt for packet in packets):
        raise _CannotCopy("the capture hides or damages frames here")
    return packets


def _times_of(packet: VideoPacket) -> tuple[int, int]:
    if packet.pts is None or packet.dts is None:
        raise _CannotCopy("packets have no times")
    return packet.pts, packet.dts


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


def _encode(
    path: Path, start_s: float, end_s: float, out: Path, on_progress: Callable[[float], None]
) -> int:
    frames = 0
    with (
        open_video(path) as reading,
        av.open(str(out), "w", format="mp4", options=dict(_MP4_OPTIONS)) as target,
    ):
        _keep_creation_time(reading.container, target)
        encoder: VideoStream | None = None
        first_pts = 0
        for time_s, frame in reading.decode():
            if time_s < start_s - 1e-6:
                continue
            if time_s >= end_s:
                break
            picture = _upright(frame, reading.rotation_deg)
            if encoder is None:
                encoder = _encoder(target, reading.stream, picture)
                first_pts = frame.pts or 0
            picture.pts = (frame.pts or 0) - first_pts
            picture.time_base = reading.stream.time_base
            target.mux(encoder.encode(picture))
            frames += 1
            on_progress((time_s - start_s) / max(end_s - start_s, 1e-3))
        if encoder is not None:
            target.mux(encoder.encode(None))
    if frames and _count_shown(out, on_progress)[0] != frames:
        raise VideoError("the encoded clip lost frames", fault=Fault.INTERNAL)
    return frames


def _encoder(target: OutputContainer, source: VideoStream, first: VideoFrame) -> VideoStream:
    stream: VideoStream = target.add_stream("libx264", rate=source.average_rate or 30)
    stream.width, stream.height = first.width, first.height
    stream.pix_fmt = "yuv420p"
    base = source.time_base or Fraction(1, 90000)
    stream.time_base = base
    stream.codec_context.time_base = base
    stream.codec_context.options = {"crf": _CRF, "preset": "veryfast"}
    return stream


def _upright(frame: VideoFrame, rotation_deg: int) -> VideoFrame:
    """Return a frame turned as players turn it, with even sides."""
    turned: Image = np.rot90(frame.to_ndarray(format="rgb24"), round(rotation_deg / 90))
    height, width = (side - side % 2 for side in turned.shape[:2])
    return VideoFrame.from_ndarray(np.ascontiguousarray(turned[:height, :width]), format="rgb24")


def _keep_creation_time(source: InputContainer, target: OutputContainer) -> None:
    """Keep the one piece of metadata that says when; place and device stay here."""
    created = source.metadata.get("creation_time")
    if created is not None:
        target.metadata["creation_time"] = created


def _count_shown(path: Path, on_progress: Callable[[float], None]) -> tuple[int, float]:
    """Return how many frames players show of a clip, and the time of the first."""
    with open_video(path) as reading:
        for _ in reading.decode():
            on_progress(1.0)  # a long clip takes a while to count: that is no stall
        return reading.frames, reading.first_s


def _shown_seconds(path: Path) -> float:
    with open_video(path) as reading:
        stream = reading.stream
        return float((stream.duration or 0) * (stream.time_base or 0))
