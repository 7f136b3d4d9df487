"""Reading a video: what it is, its packets, and sampled frames in presentation time.

Real files lie: headers claim frame rates and lengths that are not there, edit lists hide
packets, recorders die.  Only decoded frames and their presentation times are believed, and one
bad packet does not end the reading.
"""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from analysis.errors import Fault, VideoError

Image = NDArray[np.uint8]  # (height, width, 3), RGB, C-contiguous

# A file must not make FFmpeg open another one: no playlists, no network.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg",
}
_MOST_PIXELS = 8192 * 8192
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


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled frame, upright."""

    time_s: float  # presentation time
    image: Image


class Reading:
    """A video being decoded, and what was noticed on the way."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.container = container
        self.stream = stream
        self.frames = 0  # decoded
        self.damaged_at_s: list[float] = []  # where packets could not be decoded
        self.first_s = 0.0  # presentation time of the first and the last frame
        self.last_s = 0.0
        self.rotation_deg = 0

    def decode(self) -> Iterator[tuple[float, VideoFrame]]:
        """Yield every frame that can be decoded, with its presentation time in seconds."""
        for packet in self.container.demux(self.stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self.damaged_at_s.append(self.last_s)
                continue
            for frame in frames:
                if frame.pts is not None:
                    yield self._note(frame, frame.pts), frame

    def _note(self, frame: VideoFrame, pts: int) -> float:
        time_s = float(pts * (frame.time_base or Fraction(1)))
        if self.frames == 0:
            self.first_s = time_s
            self.rotation_deg = int(frame.rotation)
        self.frames += 1
        self.last_s = max(self.last_s, time_s)
        return time_s

    def facts(self) -> VideoFacts:
        """Return what the video turned out to be, once all of it was decoded.

        Raises:
            VideoError: not one frame could be decoded.
        """
        if self.frames == 0:
            raise VideoError("not one picture in it can be decoded", fault=Fault.UNREADABLE)
        span_s = self.last_s - self.first_s
        fps = (self.frames - 1) / span_s if span_s > 0 else float(self.stream.average_rate or 0)
        context = self.stream.codec_context
        return VideoFacts(
            duration_s=self.last_s + (1 / fps if fps > 0 else 0.0),
            width=context.width,
            height=context.height,
            fps=fps,
            codec=context.name,
            rotation_deg=self.rotation_deg,
        )


@contextmanager
def open_video(path: Path) -> Iterator[Reading]:
    """Open a video for decoding.

    Raises:
        VideoError: it is no plain file, no video, or incomplete.
    """
    with open_container(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield Reading(container, stream)


def probe(path: Path) -> Probe:
    """Return what a file says of itself; only its packets are read.

    Raises:
        VideoError: it is no plain file, no video, or incomplete.
    """
    with open_container(path) as container:
        stream = container.streams.video[0]
        base = stream.time_base or Fraction(1)
        packets, end = 0, 0
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                packets += 1
                end = max(end, packet.pts + (packet.duration or 0))
        facts = VideoFacts(
            duration_s=float(end * base),
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            fps=float(stream.average_rate or 0),
            codec=stream.codec_context.name,
            rotation_deg=0,
        )
        created = container.metadata.get("creation_time")
    if packets == 0:
        raise VideoError("there are no pictures in it", fault=Fault.NO_VIDEO)
    return Probe(facts=facts, packets=packets, creation_time=created)


def sample_frames(reading: Reading, *, sample_fps: float, longest_px: int) -> Iterator[Sample]:
    """Yield frames about `sample_fps` a second, upright, shrunk to at most `longest_px` a side."""
    next_s = float("-inf")
    for time_s, frame in reading.decode():
        if time_s + 1e-6 < next_s:
            continue
        next_s = max(next_s + 1 / sample_fps, time_s + 0.5 / sample_fps)
        yield Sample(time_s, upright_image(frame, reading.rotation_deg, longest_px=longest_px))


def upright_image(frame: VideoFrame, rotation_deg: int, *, longest_px: int) -> Image:
    """Return a frame as RGB, turned as players turn it, shrunk to at most `longest_px` a side."""
    scale = min(1.0, longest_px / max(frame.width, frame.height))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    image = frame.to_ndarray(format="rgb24", width=width, height=height)
    # MediaPipe reads memory as if it were contiguous, whatever the strides say.
    return np.ascontiguousarray(np.rot90(image, round(rotation_deg / 90)))


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
