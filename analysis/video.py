"""Reads a video: format, packets, and sampled frames in presentation time.

Headers claim frame rates and lengths that are not there, timestamps begin anywhere and jump, edit
lists hide packets, recorders die.  So the packets are read once for the index: which track is the
main one, and when each of its frames is shown, from 0 on.  Every packet gets that time before it
is decoded or copied; nobody else sees the container's own.  One bad packet does not end the
reading.
"""

import re
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias, cast

import av
import numpy as np
from av.codec import Codec, codecs_available
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from analysis.display import Appearance, Orientation, appearance_of, believable, fitted, readable
from analysis.file_kinds import ACCEPTED, accepted_kind, is_encrypted, kind_of
from analysis.packets import Packets, Ticks, shown_timeline, spread, usual_ticks
from analysis.primitives import Image


class VideoFault(StrEnum):
    """The kinds of trouble."""

    UNREADABLE = "unreadable"  # no demuxer or decoder makes sense of it
    INCOMPLETE = "incomplete"  # an MP4 or MOV whose recorder died before writing the index
    NO_VIDEO = "no_video"  # no pictures in it
    REFUSED = "refused"  # not a plain file, or a picture too large to be one
    NO_SPACE = "no_space"  # the disk is full
    INTERNAL = "internal"  # our own mistake


class VideoError(Exception):
    """A video cannot be used; `fault` says how."""

    def __init__(self, message: str, *, fault: VideoFault) -> None:
        super().__init__(message)
        self.fault = fault


Progress = Callable[[float], None]
VideoPacket: TypeAlias = "Packet[VideoStream]"  # generic for the type checker alone

_ASSUMED_FPS = Fraction(30)  # of a raw stream that does not say it: what rpicam-vid records
_NOT_SAID = Fraction(30001, 1000)  # which no stream says of itself
# A file must not make FFmpeg open another one: no playlists, no network.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": (
        "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg,h264,hevc"
    ),
    "framerate": f"{_NOT_SAID.numerator}/{_NOT_SAID.denominator}",  # read by raw streams alone
}
_BESIDE = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
)  # tracks that show something about the video
_SPARSE = 0.2  # of the frames of another track: thumbnails
_STORED_IN_DECODING_ORDER = frozenset({"avi"})  # its times are those of decoding
_KEY_UNITS = {"h264": frozenset({5}), "hevc": frozenset(range(16, 22))}  # NAL unit types
_START_CODE = re.compile(b"\x00\x00\x01")
_NEARLY_ALL, _FEW = 0.8, 8  # packets
_HEAD = 2000  # packets; whoever shows nothing until then is damaged anyway
_HEAD_OF_LACKING = 40
_INDEXED_FILES = 4
_MOST_PIXELS = 8192 * 8192
LARGE_PIXELS = 4_000_000  # from there on memory counts more than speed
_TELL_EVERY = 256  # packets
_ANDROID_TRACKS = frozenset({"VideoHandle", "SoundHandle"})  # AOSP, MPEG4Writer.cpp
_CAPTURED_FPS = "com.android.capture.fps"
_HEAD_BYTES = 512
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
    is_mirrored: bool = False  # left and right swapped before that
    shown_width: int = 0  # px, upright and in square pixels, as players show it
    shown_height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a file says of itself, without decoding more than one frame."""

    facts: VideoFacts
    packets: int
    creation_time: str | None  # ISO 8601, by the container
    creation_is: str | None = None  # start or end of the recording; None: it does not say
    captured_fps: float | None = None  # how fast it was filmed, where a camera says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A video's packets, and how they are found again in its file."""

    packets: Packets
    pts: Ticks  # (N,), when each is shown, in ticks from the first shown one on
    base: Fraction  # seconds of a tick
    stamps: Ticks  # (N,), presentation times as the container has them
    shift: int | None  # what was added to all of them; None: not to all the same
    is_doubtful: NDArray[np.bool_]  # (N,); damaged, or without a time of its own
    is_timed: bool  # False: the file has no timestamps at all
    track: int  # number of the main track among the container's streams
    is_ordered: bool = False  # whether the stamps are in the order in which a decoder returns

    def shown_ticks(self, pts: int, *, until: int) -> int:
        """Return for how long a frame is shown, by a clip that ends at a moment."""
        shown = np.sort(self.pts[self.packets.is_shown])
        following = int(np.searchsorted(shown, pts, side="right"))
        if following < len(shown):
            end = int(shown[following])
        else:
            end = round(self.packets.span.end_s / self.base)
        usual = max(1, round(self.packets.spacing_s / self.base))
        return max(1, min(end - pts, max(until - pts, usual)))


class VideoReading:
    """A video being decoded, and what was noticed on the way."""

    def __init__(
        self, container: InputContainer, index: Index, packets: Iterator[VideoPacket], first: int
    ) -> None:
        self.container = container
        self.index = index
        self.stream = main_stream(container, index)
        self._packets, self._first = packets, first
        self.frames = 0  # decoded
        self.damaged_at_s: list[float] = []  # where packets could not be decoded
        self.first_s = 0.0  # presentation time of the first and the last frame
        self.last_s = 0.0
        self.orientation = Orientation()
        self.appearance: Appearance | None = None  # of the first frame that was decoded
        self._scaler = VideoReformatter()
        context = self.stream.codec_context
        self.codec, self.width, self.height = codec_name(self.stream), context.width, context.height
        self._container_aspect = _container_aspect(self.stream)

    def packets(self) -> Iterator[tuple[int, VideoPacket]]:
        """Yield every packet with its number, timed for when it is shown."""
        for number, packet in enumerate(self._packets, start=self._first):
            if number >= len(self.index.pts):
                return
            packet.time_base, packet.pts = self.index.base, int(self.index.pts[number])
            packet.dts = None
            yield number, packet

    def decode(self) -> Iterator[tuple[float, VideoFrame]]:
        """Yield every frame that can be decoded, with its presentation time in seconds."""
        for _, packet in self.packets():
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self.damaged_at_s.append(self.last_s)
                continue
            yield from self._timed(frames)
        try:
            yield from self._timed(self.stream.codec_context.decode(None))
        except av.error.FFmpegError:
            return

    def _timed(self, frames: Sequence[VideoFrame]) -> Iterator[tuple[float, VideoFrame]]:
        for frame in frames:
            if frame.pts is not None:
                yield self.note(frame, frame.pts), frame

    def note(self, frame: VideoFrame, pts: int) -> float:
        """Count a decoded frame and return its presentation time in seconds."""
        time_s = float(pts * self.index.base)
        if self.frames == 0:
            self.first_s = time_s
            self.appearance = self.appearance_of(frame)
            self.orientation = self.appearance.orientation
        self.frames += 1
        self.last_s = max(self.last_s, time_s)
        return time_s

    @property
    def rotation_deg(self) -> int:
        """Degrees by which players turn the picture, counter-clockwise."""
        return self.orientation.rotation_deg

    def appearance_of(self, frame: VideoFrame) -> Appearance:
        """Return how players show the frame that was decoded last."""
        return appearance_of(frame, self._aspect())

    def upright(self, frame: VideoFrame, *, longest_px: int) -> Image:
        """Return a frame as RGB, as players show the first one: its shape, turned, mirrored.

        A frame of another shape gets bars, so that a body keeps its proportions and its place.
        """
        first = self.appearance or self.appearance_of(frame)
        whole = (first.width * float(first.aspect or 1), first.height)
        scale = min(1.0, longest_px / max(whole))
        width, height = (max(2, round(side * scale / 2) * 2) for side in whole)
        own = (frame.width * float(self._aspect() or 1), frame.height)
        across, down = fitted(own, (width, height))
        fields = 2 if frame.interlaced_frame else 1  # scaled one by one, then laid on one another
        small = self._scaler.reformat(  # one for all frames: making one costs as much as using it
            readable(frame),
            width=across,
            height=down * fields,
            format="rgb24",
            interpolation="AREA",
            threads=1,
        ).to_ndarray()
        if fields == 2:
            small = small.reshape(down, 2, across, 3).mean(axis=1).astype(np.uint8)
        if (across, down) != (width, height):
            left, top = (width - across) // 2, (height - down) // 2
            inside, small = small, np.zeros((height, width, 3), np.uint8)
            small[top : top + down, left : left + across] = inside
        # MediaPipe reads memory as if it were contiguous, whatever the strides say.
        return np.ascontiguousarray(self.orientation.upright(small))

    def _aspect(self) -> Fraction | None:
        told = self._container_aspect or self.stream.codec_context.sample_aspect_ratio
        return believable(told)


def codec_name(stream: VideoStream) -> str:
    """Return a codec's own name; the decoder's may be another, such as libdav1d's of AV1."""
    return stream.codec_context.codec.canonical_name


def _container_aspect(stream: VideoStream) -> Fraction | None:
    """Return the pixel aspect that the container tells; players put it above the stream's own."""
    guessed, own = stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio
    return believable(guessed) if guessed != own else None


def stored_facts(packets: Packets, reading: VideoReading) -> VideoFacts:
    """Return what a video is, by its packets and what was decoded of it.

    Raises:
        VideoError: not one frame could be decoded.
    """
    if reading.frames == 0:
        raise VideoError("no picture in it can be decoded", fault=VideoFault.UNREADABLE)
    width, height = reading.appearance.shown_size if reading.appearance else (0, 0)
    return VideoFacts(
        duration_s=packets.span.end_s,
        width=reading.width,
        height=reading.height,
        fps=_fps(packets),
        codec=reading.codec,
        rotation_deg=reading.rotation_deg,
        is_mirrored=reading.orientation.is_mirrored,
        shown_width=width,
        shown_height=height,
    )


def _fps(packets: Packets) -> float:
    """Return how many frames a second are shown on average."""
    shown_s = packets.shown_s
    seconds = float(shown_s[-1] - shown_s[0])
    return (len(shown_s) - 1) / seconds if seconds > 0 else 1 / packets.spacing_s


@contextmanager
def open_video(path: Path, *, from_s: float | None = None) -> Iterator[VideoReading]:
    """Open a video for decoding, from its begin or where decoding shows what comes at `from_s`.

    Raises:
        VideoError: it is no plain file, no video, or incomplete.
    """
    index = index_of(path)
    first = 0 if from_s is None else index.packets.key_before(from_s)
    with ExitStack() as stack:
        container = stack.enter_context(open_container(path))
        packets = _sought(container, index, first)
        if packets is None:
            container = stack.enter_context(open_container(path))
            packets = islice(_numbered(container, index), first, None)
        stream = main_stream(container, index)
        large = stream.codec_context.width * stream.codec_context.height > LARGE_PIXELS
        stream.thread_type = "SLICE" if large else "AUTO"  # each frame thread holds pictures
        yield VideoReading(container, index, packets, first)


def main_stream(container: InputContainer, index: Index) -> VideoStream:
    """Return the track that a file is about."""
    stream = container.streams[index.track]
    assert isinstance(stream, VideoStream)  # the index names no other
    return stream


def _sought(container: InputContainer, index: Index, first: int) -> Iterator[VideoPacket] | None:
    """Return the packets from one on without reading those before, or None if it is not found."""
    if first == 0:
        return _numbered(container, index)
    if index.shift is None or not index.is_timed:
        return None
    stream = main_stream(container, index)
    try:
        container.seek(int(index.stamps[first]), stream=stream, backward=True)
    except av.error.FFmpegError:
        return None
    packets = _numbered(container, index)
    for packet in packets:
        if packet.pts is None and packet.dts is None:
            continue
        stamp, size = _stamp(packet), int(index.packets.sizes[first])
        if stamp == index.stamps[first] and packet.size == size:
            return chain((packet,), packets)
        if stamp > index.stamps[first]:
            return None
    return None


def probe(path: Path) -> Probe:
    """Return what a file says of itself; only its packets are read.

    Raises:
        VideoError: it is no plain file, no video, or incomplete.
    """
    index = index_of(path)
    with open_container(path) as container:
        stream = main_stream(container, index)
        facts = VideoFacts(
            duration_s=index.packets.span.end_s,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            fps=_fps(index.packets),
            codec=codec_name(stream),
            rotation_deg=0,
        )
        created, which = _creation(container)
        captured_fps = _captured_fps(container)
    return Probe(
        facts=facts,
        packets=len(index.packets.sizes),
        creation_time=created,
        creation_is=which,
        captured_fps=captured_fps,
    )


def _creation(container: InputContainer) -> tuple[str | None, str | None]:
    """Return the creation time that a file tells, and whether that is its start or its end.

    Android's MPEG4Writer writes what the clock says when the file is closed; its tags, or the
    names of its tracks, tell it from others.  Apple's own tag is the start, and stays when a
    clip is trimmed or exported.
    """
    tags = {key.lower(): value for key, value in container.metadata.items()}
    apple = tags.get("com.apple.quicktime.creationdate")
    if apple:
        return apple, "start"
    created = tags.get("creation_time") or next(
        (told for s in container.streams if (told := s.metadata.get("creation_time"))), None
    )
    names = {stream.metadata.get("handler_name") for stream in container.streams}
    is_android = any(key.startswith("com.android.") for key in tags)
    is_android |= bool(names & _ANDROID_TRACKS)
    return created, "end" if created and is_android else None


def _captured_fps(container: InputContainer) -> float | None:
    """Return how many frames a second a camera says that it took."""
    for key, told in container.metadata.items():
        if key.lower() == _CAPTURED_FPS:
            try:
                fps = float(told)
            except ValueError:
                return None
            return fps if 0.001 < fps < 10_000 else None
    return None


def read_packets(path: Path, *, on_progress: Progress = lambda _done: None) -> Packets:
    """Return the packets of a video.

    Raises:
        VideoError: it is no plain file, no video, or incomplete.
    """
    return index_of(path, on_progress=on_progress).packets


_indexed: OrderedDict[tuple[object, ...], Index] = OrderedDict()  # of the files read last


def index_of(path: Path, *, on_progress: Progress = lambda _done: None) -> Index:
    """Return the index of a video; it is made once, as long as the file stays as it is.

    Raises:
        VideoError: it is no plain file, no video, or incomplete.
    """
    _refuse_strange_files(path)
    now = path.stat()
    known = (path, now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)
    index = _indexed.get(known)
    if index is None:
        index = _indexed[known] = _made_index(path, on_progress)
        while len(_indexed) > _INDEXED_FILES:
            _indexed.popitem(last=False)
    _indexed.move_to_end(known)
    return index


@dataclass(slots=True)
class _Told:
    """What a container says of its packets, (N,) each, in decoding order."""

    pts: list[int | None]
    dts: list[int | None]
    sizes: list[int]
    is_key: list[bool]
    is_shown: list[bool]
    is_damaged: list[bool]
    last_ticks: int = 0


def _refuse_unusable(path: Path, container: InputContainer, stream: VideoStream) -> None:
    """Refuse pictures that no decoder should try.

    Raises:
        VideoError: they are too large, or encrypted.
    """
    context = stream.codec_context
    if context.width * context.height > _MOST_PIXELS:
        raise VideoError(
            f"a picture of {context.width}x{context.height} is too large",
            fault=VideoFault.REFUSED,
        )
    if "mov" in container.format.name and is_encrypted(path):  # of which it would make noise
        raise VideoError(
            "it is encrypted, so no picture in it can be decoded: export it without DRM",
            fault=VideoFault.UNREADABLE,
        )


def _made_index(path: Path, on_progress: Progress) -> Index:
    with open_container(path) as container:
        track = _main_track(path, container, on_progress)
        stream = container.streams[track]
        assert isinstance(stream, VideoStream)
        context, base = stream.codec_context, stream.time_base or Fraction(1)
        pixels = max(1, context.width * context.height)
        _refuse_unusable(path, container, stream)
        told = _told_by(container, stream, on_progress)
        rate = context.framerate or _NOT_SAID
        reorders = bool(context.has_b_frames)
        is_in_decoding_order = container.format.name in _STORED_IN_DECODING_ORDER
        codec, extradata = context.name, bytes(context.extradata or b"")
    is_timed = any(at is not None for at in (*told.pts, *told.dts))
    if is_timed:
        told = _placed_only(told)
    if not any(told.is_shown):
        raise VideoError("there are no pictures in it", fault=VideoFault.NO_VIDEO)
    is_assumed = not is_timed and rate == _NOT_SAID
    index = _plain_index(told, base, track, rate=_ASSUMED_FPS if is_assumed else rate)
    index = replace(
        index, packets=replace(index.packets, pixels=pixels, is_rate_assumed=is_assumed)
    )
    index = _with_true_keys(path, index, codec, extradata)
    lacking = np.array([at is None for at in told.pts], dtype=np.bool_)
    if reorders and (lacking.all() or is_in_decoding_order):
        index = _in_shown_order(path, index, on_progress)
    elif lacking.any() and not lacking.all():
        index = _with_lacking(path, index, lacking, reorders, on_progress)
    index = _timed_index(index, reorders=reorders)
    if reorders and not index.packets.jumps and _shares_times(index):
        index = _timed_index(_in_shown_order(path, index, on_progress), reorders=reorders)
    shown_first = _first_decoded(path, index)
    if shown_first is not None:
        hidden = index.pts < index.pts[shown_first]
        packets = replace(index.packets, is_shown=index.packets.is_shown & ~hidden)
        index = _timed_index(replace(index, packets=packets), reorders=reorders)
    return index


def _with_true_keys(path: Path, index: Index, codec: str, extradata: bytes) -> Index:
    """Return an index whose keyframes are some, where a container marks nearly all, or none.

    A fragment without flags marks every frame; decoding that begins at one shows rubbish.
    """
    marked = index.packets.is_key
    if codec not in _KEY_UNITS or len(marked) < _FEW or 0 < marked[1:].mean() < _NEARLY_ALL:
        return index
    stored_length = extradata[21 if codec == "hevc" else 4] & 3 if extradata[:1] == b"\1" else None
    with open_container(path) as container:
        is_key = [
            any(unit in _KEY_UNITS[codec] for unit in _units(bytes(packet), codec, stored_length))
            for packet in _numbered(container, index)
        ]
    found = np.zeros(len(marked), dtype=np.bool_)
    found[: len(is_key)] = is_key[: len(marked)]
    if not found.any():
        found[0] = True
    return replace(index, packets=replace(index.packets, is_key=found))


def _units(content: bytes, codec: str, stored_length: int | None) -> Iterator[int]:
    """Yield the types of a packet's NAL units (ISO/IEC 14496-10 and 23008-2, 7.3.1)."""
    if stored_length is None:
        begins = [found.end() for found in _START_CODE.finditer(content)]
    else:
        begins, at, size = [], 0, stored_length + 1
        while at + size < len(content):
            begins.append(at + size)
            at += size + int.from_bytes(content[at : at + size])
    for begin in begins:
        if begin < len(content):
            yield (content[begin] >> 1) & 63 if codec == "hevc" else content[begin] & 31


def _plain_index(told: _Told, base: Fraction, track: int, *, rate: Fraction) -> Index:
    """Return an index with the container's own timestamps, or even ones where it has none."""
    known = [p if p is not None else d for p, d in zip(told.pts, told.dts, strict=True)]
    is_timed = any(at is not None for at in known)
    step = max(1, round(1 / (rate * base)))
    stamps = np.array(known if is_timed else range(0, step * len(known), step), dtype=np.int64)
    packets = Packets(
        times_s=np.zeros(len(known)),
        sizes=np.array(told.sizes, dtype=np.int64),
        is_key=np.array(told.is_key, dtype=np.bool_),
        is_shown=np.array(told.is_shown, dtype=np.bool_),
        pixels=1,
        last_s=float(told.last_ticks * base),
    )
    return Index(
        packets=packets,
        pts=stamps,
        base=base,
        stamps=stamps,
        shift=None,
        is_doubtful=np.array(told.is_damaged, dtype=np.bool_),
        is_timed=is_timed,
        track=track,
    )


def _told_by(container: InputContainer, stream: VideoStream, on_progress: Progress) -> _Told:
    told = _Told([], [], [], [], [], [])
    latest: int | None = None
    for packet in _readable(container, stream):
        if not packet.size:
            continue
        told.pts.append(packet.pts)
        told.dts.append(packet.dts)
        told.sizes.append(packet.size)
        told.is_key.append(packet.is_keyframe)
        told.is_shown.append(not packet.is_discard)
        told.is_damaged.append(packet.is_corrupt)
        if packet.pts is not None and (latest is None or packet.pts > latest):
            latest, told.last_ticks = packet.pts, packet.duration or 0
        if len(told.sizes) % _TELL_EVERY == 0:
            on_progress(0.0)
    return told


def _placed_only(told: _Told) -> _Told:
    """Return what was told of the packets from the first that can be placed in time on.

    Those without any time, as where one packet of a transport stream holds several pictures, stand
    where the one before does.
    """
    known = [p if p is not None else d for p, d in zip(told.pts, told.dts, strict=True)]
    first = next(number for number, at in enumerate(known) if at is not None)
    placed = known[first:]
    for number, at in enumerate(placed):
        placed[number] = placed[number - 1] if at is None else at
    return _Told(
        told.pts[first:],
        placed,
        told.sizes[first:],
        told.is_key[first:],
        told.is_shown[first:],
        told.is_damaged[first:],
        told.last_ticks,
    )


def _timed_index(index: Index, *, reorders: bool) -> Index:
    """Return an index with the times at which its frames are shown."""
    packets = index.packets
    line = shown_timeline(
        index.stamps,
        index.base,
        is_key=np.logical_and(packets.is_key, not index.is_ordered),
        is_shown=packets.is_shown,
        reorders=reorders,
    )
    times_s = line.pts.astype(np.float64) * float(index.base)
    is_doubtful = index.is_doubtful.copy()
    is_doubtful[line.at_jump] = False  # a container expects there what was never sent
    return replace(
        index,
        is_doubtful=is_doubtful,
        packets=replace(packets, times_s=times_s, jumps=line.jumps),
        pts=line.pts,
        shift=line.shift,
    )


def _in_shown_order(path: Path, index: Index, on_progress: Progress) -> Index:
    """Return an index whose timestamps, told in decoding order, go by the order of showing.

    Nothing but decoding tells that order where a container does not.
    """
    order = list(dict.fromkeys(_decoded_numbers(path, index, on_progress)))
    if not order:
        return index
    shown = np.array(order, dtype=np.int64)
    stamps, is_shown = index.stamps.copy(), np.zeros(len(index.stamps), dtype=np.bool_)
    in_order = np.sort(index.stamps[shown])
    stamps[shown] = spread(in_order, usual_ticks(in_order, index.base))
    is_shown[shown] = True
    is_shown &= index.packets.is_shown
    packets = replace(index.packets, is_shown=is_shown)
    return replace(index, stamps=stamps, packets=packets, is_ordered=True)


def _with_lacking(
    path: Path, index: Index, lacking: NDArray[np.bool_], reorders: bool, on_progress: Progress
) -> Index:
    """Return an index in which packets that lack a time of showing are understood.

    They are second fields of a picture, or frames that share the time of the one before.
    """
    doubtful = replace(index, is_doubtful=index.is_doubtful | lacking)
    begin = max(0, int(np.flatnonzero(lacking)[0]) - _HEAD_OF_LACKING)
    looked = begin + 2 * _HEAD_OF_LACKING
    decoded = _decoded_numbers(path, index, lambda _done: None, looked)
    if any(lacking[number] for number in decoded):
        shown = _in_shown_order(path, doubtful, on_progress) if reorders else doubtful
        return _between_told(shown, index.stamps, lacking)
    stamps = index.stamps.copy()
    own = np.maximum.accumulate(np.where(lacking, 0, np.arange(len(stamps))))
    stamps[lacking] = stamps[own[lacking]]
    packets = replace(index.packets, is_shown=index.packets.is_shown & ~lacking)
    return replace(doubtful, stamps=stamps, packets=packets)


def _between_told(index: Index, told: Ticks, lacking: NDArray[np.bool_]) -> Index:
    """Return an index whose frames without a time stand evenly between those that have one.

    Args:
        index: its stamps tell the order in which the frames are shown.
        told: stamps of the container, (N,).
        lacking: which packets have none of their own, (N,).
    """
    shown = np.flatnonzero(index.packets.is_shown)
    order = shown[np.argsort(index.stamps[shown], kind="stable")]
    anchors = np.flatnonzero(~lacking[order])
    known = told[order[anchors]]
    if len(anchors) < 2 or np.any(np.diff(known) <= 0):
        return index
    places = np.arange(len(order))
    step = float(known[-1] - known[0]) / float(anchors[-1] - anchors[0])
    even = np.interp(places, anchors, known)
    even[: anchors[0]] -= step * (anchors[0] - places[: anchors[0]])
    even[anchors[-1] :] += step * (places[anchors[-1] :] - anchors[-1])
    stamps = index.stamps.copy()
    stamps[order] = np.round(even).astype(np.int64)
    return replace(index, stamps=stamps)


def _shares_times(index: Index) -> bool:
    stamps = index.stamps[index.packets.is_shown]
    return len(np.unique(stamps)) < len(stamps)


def _first_decoded(path: Path, index: Index) -> int | None:
    """Return the packet with the first frame that can be decoded, where that is in doubt.

    A recording that begins between two keyframes shows nothing before the first of them.
    """
    packets = index.packets
    shown = np.flatnonzero(packets.is_shown)
    first = int(shown[np.argmin(index.pts[shown])])
    keys = np.flatnonzero(packets.is_key[: first + 1])
    if not packets.is_key.any() or np.any(index.pts[keys] <= index.pts[first]):
        return None
    return next(_decoded_numbers(path, index, lambda _done: None, _HEAD), None)


def _decoded_numbers(
    path: Path, index: Index, on_progress: Progress, most: int | None = None
) -> Iterator[int]:
    """Yield the numbers of the packets whose frames a decoder returns, in that order."""
    with open_container(path) as container:
        stream = main_stream(container, index)
        context = stream.codec_context
        for number, packet in enumerate(islice(_numbered(container, index), most)):
            packet.pts, packet.dts = number, None
            on_progress(0.0)
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            yield from (frame.pts for frame in frames if frame.pts is not None)
        try:
            rest = context.decode(None)
        except av.error.FFmpegError:
            return
        yield from (frame.pts for frame in rest if frame.pts is not None)


def _main_track(path: Path, container: InputContainer, on_progress: Progress) -> int:
    """Return the number of the largest track with moving pictures, whichever comes first."""
    tracks = [stream for stream in container.streams.video if stream.codec_context is not None]
    if not tracks:
        raise VideoError("its pixel format is unknown", fault=VideoFault.UNREADABLE)
    tracks = [stream for stream in tracks if not stream.disposition & _BESIDE] or tracks
    if len(tracks) == 1:
        return tracks[0].index
    frames = dict.fromkeys((stream.index for stream in tracks), 0)
    with open_container(path) as counted:
        streams = [stream for stream in counted.streams.video if stream.index in frames]
        for number, packet in enumerate(_readable(counted, *streams)):
            frames[packet.stream_index] += bool(packet.size)
            if number % _TELL_EVERY == 0:
                on_progress(0.0)
    enough = max(2.0, _SPARSE * max(frames.values()))
    moving = [stream for stream in tracks if frames[stream.index] >= enough] or tracks
    return max(
        moving,
        key=lambda stream: (
            stream.codec_context.width * stream.codec_context.height,
            bool(stream.disposition & Disposition.default),
            -stream.index,
        ),
    ).index


def _numbered(container: InputContainer, index: Index) -> Iterator[VideoPacket]:
    """Yield the packets of the index, always the same ones in the same order."""
    is_placed = not index.is_timed
    for packet in _readable(container, main_stream(container, index)):
        is_placed |= bool(packet.size) and (packet.pts is not None or packet.dts is not None)
        if packet.size and is_placed:
            yield packet


def _readable(container: InputContainer, *streams: VideoStream) -> Iterator[VideoPacket]:
    """Yield packets until the end, or where the file is broken so that no more can be read."""
    try:
        for packet in container.demux(*streams):
            yield cast("VideoPacket", packet)
    except (OSError, ValueError):  # PyAV's errors are such ones too
        return


def _stamp(packet: VideoPacket) -> int:
    """Return a packet's presentation time; some containers tell only the decoding time."""
    known = packet.pts if packet.pts is not None else packet.dts
    assert known is not None  # no other is sought
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
            told = "it has sound only" if container.streams.audio else "there are no pictures in it"
            raise VideoError(told, fault=VideoFault.NO_VIDEO)
        yield container


def _refuse_strange_files(path: Path) -> None:
    try:
        found = path.lstat()
    except OSError as error:
        raise VideoError(f"cannot be read: {error.strerror}", fault=VideoFault.REFUSED) from None
    if not stat.S_ISREG(found.st_mode):
        raise VideoError("not a plain file", fault=VideoFault.REFUSED)
    if found.st_size == 0:
        raise VideoError("the file is empty", fault=VideoFault.UNREADABLE)


def _unreadable(path: Path, error: av.error.FFmpegError) -> VideoError:
    """Tell what is no video from a recorder that died, and from a video that is damaged."""
    words = error.strerror or "unknown error"
    told = f"not a video that can be read: {words[:1].lower()}{words[1:]}"
    if not isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return VideoError(told, fault=VideoFault.UNREADABLE)  # the disk's fault, or our own
    try:
        kind = kind_of(path)
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return VideoError(told, fault=VideoFault.UNREADABLE)
    if kind is None and head[4:8] in _INDEXED:
        return VideoError(
            "the index is missing: the recorder ended before it could write it",
            fault=VideoFault.INCOMPLETE,
        )
    accepted = accepted_kind(head)
    if kind is None and accepted is not None:
        told = f"it begins like {accepted}, but what follows is damaged"
    else:
        told = f"not a video that can be read: {kind or 'an unknown format'} (accepted: {ACCEPTED})"
    return VideoError(told, fault=VideoFault.UNREADABLE)


READ = ("h264", "hevc", "mpeg4", "mjpeg", "vp9", "av1", "aac", "pcm_s16le")
WRITTEN = ("libx264",)


def missing_codecs() -> list[str]:
    """Return the names of codecs that cameras use, or clips need, and that are not there."""

    def lacks(name: str, mode: str) -> bool:
        if name not in codecs_available:
            return True
        try:
            Codec(name, "w" if mode == "w" else "r")
        except ValueError:
            return True
        return False

    return [name for name in READ if lacks(name, "r")] + [n for n in WRITTEN if lacks(n, "w")]
