"""Reading a video: what it is, its packets, and sampled frames in presentation time.

Real files lie: headers claim frame rates and lengths that are not there, edit lists hide
packets, recorders die.  Only decoded frames and their presentation times are believed, and one
bad packet does not end the reading.
"""

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from analysis.errors import Fault, VideoError
from analysis.image import Image
from analysis.packets import Packets

Progress = Callable[[float], None]
VideoPacket: TypeAlias = "Packet[VideoStream]"  # generic for the type checker alone

# A file must not make FFmpeg open another one: no playlists, no network.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg",
}
_MOST_PIXELS = 8192 * 8192
LARGE_PIXELS = 4_000_000  # from there on memory counts more than speed
_TELL_EVERY = 256  # packets
_INDEXED = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """What a video is."""

    duration_s: float
    width: int  # px, as stored
    height: int
    fps: float  # average
    codec: str
    rotation_deg: int  # by which players turn the picture, counter-clockwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a file says of itself, without decoding more than one frame."""

    facts: VideoFacts
    packets: int
    creation_time: str | None  # ISO 8601, by the container


class Reading:
    """A video being decoded, and what was noticed on the way."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.container = container
        self.stream = stream
        self._base = stream.time_base or Fraction(1)  # a decoder's last frames lack their own
        self.frames = 0  # decoded
        self.damaged_at_s: list[float] = []  # where packets could not be decoded
        self.first_s = 0.0  # presentation time of the first and the last frame
        self.last_s = 0.0
        self.rotation_deg = 0
        self._scaler = VideoReformatter()
        context = stream.codec_context
        self.codec, self.width, self.height = context.name, context.width, context.height

    def decode(self) -> Iterator[tuple[float, VideoFrame]]:
        """Yield every frame that can be decoded, with its presentation time in seconds."""
        for packet in _readable(self.container, self.stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self.damaged_at_s.append(self.last_s)
                continue
            for frame in frames:
                if frame.pts is not None:
                    yield self.note(frame, frame.pts), frame

    def note(self, frame: VideoFrame, pts: int) -> float:
        """Count a decoded frame and return its presentation time in seconds."""
        time_s = float(pts * self._base)
        if self.frames == 0:
            self.first_s = time_s
            self.rotation_deg = int(frame.rotation)
        self.frames += 1
        self.last_s = max(self.last_s, time_s)
        return time_s

    def upright(self, frame: VideoFrame, *, longest_px: int) -> Image:
        """Return a frame as RGB, turned as players turn it, at most `longest_px` a side."""
        scale = min(1.0, longest_px / max(frame.width, frame.height))
        small = self._scaler.reformat(  # one for all frames: making one costs as much as using it
            frame,
            width=max(2, round(frame.width * scale / 2) * 2),
            height=max(2, round(frame.height * scale / 2) * 2),
            format="rgb24",
            interpolation="AREA",
            threads=1,
        )
        # MediaPipe reads memory as if it were contiguous, whatever the strides say.
        return np.ascontiguousarray(np.rot90(small.to_ndarray(), round(self.rotation_deg / 90)))


def stored_facts(packets: Packets, reading: Reading) -> VideoFacts:
    """Return what a video is, by its packets and what was decoded of it.

    Raises:
        VideoError: not one frame could be decoded.
    """
    if reading.frames == 0:
        raise VideoError("not one picture in it can be decoded", fault=Fault.UNREADABLE)
    span, frames = packets.span, len(packets.shown_s)
    shown_s = float(packets.shown_s[-1] - packets.shown_s[0])
    return VideoFacts(
        duration_s=span.end_s,
        width=reading.width,
        height=reading.height,
        fps=(frames - 1) / shown_s if shown_s > 0 else 1 / packets.spacing_s,
        codec=reading.codec,
        rotation_deg=reading.rotation_deg,
    )


@contextmanager
def open_video(path: Path) -> Iterator[Reading]:
    """Open a video for decoding.

    Raises:
        VideoError: it is no plain file, no video, or incomplete.
    """
    with open_container(path) as container:
        stream = container.streams.video[0]
        large = stream.codec_context.width * stream.codec_context.height > LARGE_PIXELS
        stream.thread_type = "SLICE" if large else "AUTO"  # each frame thread holds pictures
        yield Reading(container, stream)


def probe(path: Path) -> Probe:
    """Return what a file says of itself; only its packets are read.

    Raises:
        VideoError: it is no plain file, no video, or incomplete.
    """
    with open_container(path) as container:
        stream = container.streams.video[0]
        packets = _packets_of(container, stream, lambda _done: None)
        facts = VideoFacts(
            duration_s=packets.span.end_s,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            fps=float(stream.average_rate or 0),
            codec=stream.codec_context.name,
            rotation_deg=0,
        )
        created = container.metadata.get("creation_time")
    return Probe(facts=facts, packets=len(packets.sizes), creation_time=created)


def read_packets(path: Path, *, on_progress: Progress = lambda _done: None) -> Packets:
    """Return the packets of a video.

    Raises:
        VideoError: it is no plain file, no video, or incomplete.
    """
    with open_container(path) as container:
        return _packets_of(container, container.streams.video[0], on_progress)


def _packets_of(container: InputContainer, stream: VideoStream, on_progress: Progress) -> Packets:
    base = float(stream.time_base or Fraction(1))
    times, sizes, keys, shown = [], [], [], []
    for packet in numbered_packets(container, stream):
        times.append(packet_pts(packet) * base)
        sizes.append(packet.size)
        keys.append(packet.is_keyframe)
        shown.append(not packet.is_discard)
        if len(times) % _TELL_EVERY == 0:
            on_progress(0.0)
    if not any(shown):
        raise VideoError("there are no pictures in it", fault=Fault.NO_VIDEO)
    return Packets(
        times_s=np.array(times, dtype=np.float64),
        sizes=np.array(sizes, dtype=np.int64),
        is_key=np.array(keys, dtype=np.bool_),
        is_shown=np.array(shown, dtype=np.bool_),
        pixels=max(1, stream.codec_context.width * stream.codec_context.height),
    )


def numbered_packets(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
    """Yield the packets that can be placed in time, always the same ones in the same order."""
    for packet in _readable(container, stream):
        if packet.size and (packet.pts is not None or packet.dts is not None):
            yield packet


def _readable(container: InputContainer, stream: VideoStream) -> Iterator[VideoPacket]:
    """Yield packets until the end, or where the file is broken so that no more can be read."""
    try:
        yield from container.demux(stream)
    except (OSError, ValueError):  # PyAV's errors are such ones too
        return


def packet_pts(packet: VideoPacket) -> int:
    """Return a packet's presentation time; some containers tell only the decoding time."""
    known = packet.pts if packet.pts is not None else packet.dts
    assert known is not None  # numbered_packets yields no other
    return known


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a file with pictures in it, as nothing but itself.

    Raises:
        VideoError: it is no plain file, no video, or incomplete.
    """
    _refuse_strange_files(path)
    try:
        container = av.open(
            f"file:{path}", mode="r", options=dict(_OPTIONS), metadata_errors="replace"
        )
    except av.error.FFmpegError as error:
        raise _unreadable(path, error) from None
    with container:
        if not container.streams.video:
            raise VideoError("there are no pictures in it", fault=Fault.NO_VIDEO)
        context = container.streams.video[0].codec_context
        if context is None:
            raise VideoError("its pictures are in no known form", fault=Fault.UNREADABLE)
        if context.width * context.height > _MOST_PIXELS:
            raise VideoError(
                f"a picture of {context.width}x{context.height} is too large", fault=Fault.REFUSED
            )
        yield container


def _refuse_strange_files(path: Path) -> None:
    try:
        found = path.lstat()
    except OSError as error:
        raise VideoError(f"cannot be read: {error.strerror}", fault=Fault.REFUSED) from None
    if not stat.S_ISREG(found.st_mode):
        raise VideoError("not a plain file", fault=Fault.REFUSED)
    if found.st_size == 0:
        raise VideoError("the file is empty", fault=Fault.UNREADABLE)


def _unreadable(path: Path, error: Exception) -> VideoError:
    """Tell a recorder that died from a file that never was a video."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in _INDEXED:
        return VideoError(
            "the index is missing: the recorder ended before it could write it",
            fault=Fault.INCOMPLETE,
        )
    return VideoError(
        f"not a video that can be read ({type(error).__name__})", fault=Fault.UNREADABLE
    )
