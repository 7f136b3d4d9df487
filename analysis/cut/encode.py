"""Cuts by encoding: H.264 at visually lossless quality, every frame at its own time.

The picture stays as it is stored, with the same pixel aspect and display matrix, in the same
colours, its fields apart where it has some; more than 8 bits or 4:2:0 becomes that, which every
reader can read, and red, green and blue become BT.709.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from struct import Struct

import av
import numpy as np
from av.codec.context import Flags
from av.container import OutputContainer
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from analysis.cut.sound import Sound
from analysis.cut.target import CutJob, CutOptions, describe, open_target
from analysis.cut.verify import Picture, picture_of
from analysis.display import (
    BT709,
    FULL,
    LIMITED,
    Appearance,
    Colours,
    fitted,
    has_no_yuv,
    is_grey,
    readable,
    side_data,
)
from analysis.video import (
    LARGE_PIXELS,
    VideoError,
    VideoFault,
    VideoPacket,
    VideoReading,
    open_video,
)

_CRF = "16"  # x264: visually lossless
_KEY_EVERY_S = 2.0
# x264 keeps 12 MB for each picture of 1080p that it looks ahead to or back at, and 50 MB of 4K.
# Three to look ahead to make clips as small as its own ten.
_FRUGAL = {"rc-lookahead": "3", "sync-lookahead": "0", "bf": "1"}
_MOST_FRUGAL = {**_FRUGAL, "rc-lookahead": "0", "bf": "0", "threads": "1", "mbtree": "0"}
_SLOWEST_FPS, _FASTEST_FPS = 1, 240  # believable; headers claim more
_FORMAT = "yuv420p"
_LINES = 4  # in groups of which interlaced 4:2:0 is coded
_READY = frozenset({_FORMAT, "yuvj420p"})
_AREA = int(Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP)
_EXACT = int(Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)
_SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # matrices, FFmpeg's numbers to swscale's
_MASTERING = Struct("20i2i")  # AVMasteringDisplayMetadata: ten fractions, two marks
_LIGHT = Struct("2I")  # AVContentLightMetadata


@dataclass(slots=True)
class Encoded:
    """What an encoded clip should show, and what was done to the picture on the way."""

    look: Appearance  # of the capture's largest picture
    times_s: list[float] = field(default_factory=list)  # of its frames in the capture
    first: Picture | None = None  # the capture's own
    last: Picture | None = None
    moved: int = 0  # frames that shared a time with the one before
    sizes: set[tuple[int, int]] = field(default_factory=set)  # stored, in square pixels
    has_fields: bool = False


class _Unfit(Exception):
    """A later picture does not fit what the encoder was opened for."""


def encode_clip(job: CutJob, *, plainly: bool = False) -> Encoded:
    """Encode the pictures of an interval.

    Args:
        job: what is to be cut.
        plainly: by way of red, green and blue, as players show it, to BT.709.

    Raises:
        VideoError: the capture cannot be read, or there are no frames in the interval.
    """
    shape = _Shape()
    while True:
        try:
            return _encode(job, shape, plainly=plainly)
        except _Unfit:
            continue  # the shape has grown to what was met


@dataclass(slots=True)
class _Shape:
    """What the encoder is opened for; grows with what is met, so that only few attempts follow."""

    look: Appearance | None = None  # of the largest picture
    has_fields: bool = False

    def covers(self, look: Appearance) -> bool:
        """Tell whether a picture fits, and grow if it does not."""
        grown = self.look is None or _pixels(look) > _pixels(self.look)
        if grown:
            self.look = look
        if look.is_interlaced and not self.has_fields:
            self.has_fields = grown = True
        return not grown


def _pixels(look: Appearance) -> int:
    return look.width * look.height


def _encode(job: CutJob, shape: _Shape, *, plainly: bool) -> Encoded:
    options, start_s, end_s = job.options, job.start_s, job.end_s
    scaler = VideoReformatter()  # of the small pictures
    with ExitStack() as stack:
        reading = stack.enter_context(open_video(job.path))
        reading.stream.thread_type = "SLICE"  # a thread for each frame would keep more of them
        frames = _inside(reading, start_s, end_s)
        first = next(frames, None)
        if first is None:
            raise VideoError("there are no frames in the interval", fault=VideoFault.UNREADABLE)
        first_s, frame = first
        shape.covers(reading.appearance_of(frame))
        assert shape.look is not None  # it has met one
        done = Encoded(look=shape.look, times_s=[first_s], has_fields=shape.has_fields)
        plan = _plan(frame, shape, options, plainly=plainly)
        done.first = picture_of(reading, frame, scaler, kept=_kept(frame, plan.look))
        target = stack.enter_context(open_target(job.out, reading.container, options, plan.look))
        writer = _Writer(target, reading, frame, plan, options)
        sound = stack.enter_context(
            Sound(job.path, target, start_s=first_s, end_s=end_s, wanted=options.keep_audio)
        )
        sound.write_until(0.0)
        writer.write(frame)
        del first  # 12 MB for 4K
        for time_s, frame in frames:
            done.times_s.append(time_s)
            sound.write_until(time_s - first_s)
            writer.write(frame)
            job.on_progress((time_s - start_s) / max(end_s - start_s, 1e-3))
        writer.finish(until_s=end_s)
        sound.write_until(end_s)
        done.last = picture_of(reading, frame, scaler, kept=_kept(frame, plan.look))
        done.moved = writer.moved
        done.sizes = writer.sizes
    return done


def _kept(frame: VideoFrame, target: Appearance) -> tuple[int, int] | None:
    """Return how much of a frame is left where only its last lines are cropped."""
    over = (frame.width - target.width, frame.height - target.height)
    return (target.width, target.height) if all(0 <= side < _LINES for side in over) else None


def _inside(
    reading: VideoReading, start_s: float, end_s: float
) -> Iterator[tuple[float, VideoFrame]]:
    for time_s, frame in reading.decode():
        if time_s >= end_s:
            return
        if time_s >= start_s - 1e-6:
            yield time_s, frame


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What the encoder is told of its pictures."""

    shape: _Shape
    look: Appearance  # of the clip's pictures
    is_plain: bool


def _plan(first: VideoFrame, shape: _Shape, options: CutOptions, *, plainly: bool) -> _Plan:
    look = shape.look
    assert look is not None
    is_rgb = has_no_yuv(first) or plainly
    colours = replace(look.colours, range=LIMITED, matrix=BT709) if is_rgb else look.colours
    if is_grey(first) and not plainly:
        colours = replace(look.colours, range=look.colours.range or FULL)
    width, height = _size(look, options.rendition_height, lines=_LINES if shape.has_fields else 2)
    turned = look.written_matrix
    if turned is not None and (width, height) != (look.width, look.height):
        turned = look.orientation.matrix(width * float(look.aspect or 1), height)
    told = replace(
        look,
        width=width,
        height=height,
        pix_fmt=_FORMAT,
        colours=colours,
        display_matrix=turned,
        is_interlaced=shape.has_fields,
    )
    return _Plan(shape=shape, look=told, is_plain=plainly)


class _Writer:
    """Encodes frames into a clip that begins at 0."""

    def __init__(
        self,
        target: OutputContainer,
        reading: VideoReading,
        first: VideoFrame,
        plan: _Plan,
        options: CutOptions,
    ) -> None:
        self._target = target
        self._reading = reading
        self._index = reading.index
        self._base = reading.index.base
        self._usual = max(1, round(reading.index.packets.spacing_s / self._base))
        self._waiting: list[VideoPacket] = []
        self._first_pts = first.pts or 0
        self._last_pts: int | None = None
        self._shaper = _Shaper(plan, self._base)
        self._look = plan.look
        self._shape = plan.shape
        self._stream = self._opened(first, options)
        self.moved = 0
        self.sizes: set[tuple[int, int]] = set()

    def write(self, frame: VideoFrame) -> None:
        """Encode one more frame."""
        pts = (frame.pts or 0) - self._first_pts
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1  # a damaged file repeats times; a clip cannot
            self.moved += 1
        self._last_pts = pts
        look = self._reading.appearance_of(frame)
        if not self._shape.covers(look):
            raise _Unfit
        self.sizes.add((round(look.width * float(look.aspect or 1)), look.height))
        shaped = self._shaper.shaped(frame, look)
        shaped.pts, shaped.time_base = pts, self._base
        self._put(self._stream.encode(shaped))

    def finish(self, *, until_s: float) -> None:
        """Write what the encoder still holds; the last frame is shown no longer than to the end."""
        self._put(self._stream.encode(None))
        last_pts = self._last_pts or 0
        end_pts = last_pts + self._index.shown_ticks(
            last_pts + self._first_pts, until=round(until_s / self._base)
        )
        for packet in (self._waiting[0], self._waiting[-1]):  # last in showing, and in decoding
            packet.duration = end_pts - (packet.pts or 0)
        self._target.mux(self._waiting)

    def _put(self, packets: list[VideoPacket]) -> None:
        """Write packets, all but those from the one that may be shown last on."""
        for packet in packets:
            packet.duration = self._usual
            if self._waiting and (packet.pts or 0) > (self._waiting[0].pts or 0):
                self._target.mux(self._waiting)
                self._waiting = []
            self._waiting.append(packet)

    def _opened(self, first: VideoFrame, options: CutOptions) -> VideoStream:
        fps = Fraction(1 / self._index.packets.spacing_s).limit_denominator(1001)
        rate = min(max(fps, Fraction(_SLOWEST_FPS)), Fraction(_FASTEST_FPS))
        stream = self._target.add_stream("libx264", rate=rate)
        look = self._look
        stream.width, stream.height = look.width, look.height
        stream.pix_fmt = _FORMAT
        stream.time_base = self._base
        context = stream.codec_context
        context.time_base = self._base
        describe(context, look.aspect, look.colours)
        context.gop_size = max(1, round(_KEY_EVERY_S * rate))
        context.options = _rate_options(options, look.width * look.height)
        own = _light_options(first)
        if look.is_interlaced:
            context.flags |= Flags.interlaced_dct | Flags.interlaced_me
            own.append("bff=1" if _is_bottom_first(first, self._base) else "tff=1")
        if own:
            context.options |= {"x264-params": ":".join(own)}
        if look.display_matrix is not None:
            stream.set_display_matrix(look.display_matrix)
        return stream


class _Shaper:
    """Brings frames into the encoder's size, format and colours; a file may change its own."""

    def __init__(self, plan: _Plan, base: Fraction) -> None:
        self._look, self._is_plain, self._base = plan.look, plan.is_plain, base
        self._scaler = VideoReformatter()
        self._croppers: dict[tuple[int, int, str], Graph] = {}

    def shaped(self, frame: VideoFrame, look: Appearance) -> VideoFrame:
        """Return a frame as the encoder takes it."""
        target = self._look
        whole = (target.width, target.height)
        if (look.aspect or 1) == (target.aspect or 1):
            frame = self._cropped(frame, whole)
            if (frame.width, frame.height) == whole:
                return self._converted(frame, whole)
        stretch = float(target.aspect or 1)
        own = (frame.width * float(look.aspect or 1) / stretch, frame.height)
        across, down = fitted(own, whole)
        small = self._converted(frame, (across, down))
        return small if (across, down) == whole else _with_bars(small, whole, target.colours)

    def _converted(self, frame: VideoFrame, size: tuple[int, int]) -> VideoFrame:
        """Return a frame in another size, in the encoder's format and colours."""
        wanted = self._look.colours
        if self._is_plain:
            frame = self._scaler.reformat(
                readable(frame), format="rgb24", interpolation=_EXACT, threads=1
            )
        is_jpeg = frame.format.name.startswith("yuvj")
        limits = FULL if is_jpeg else int(frame.color_range)
        is_there = (frame.width, frame.height) == size and frame.format.name in _READY
        is_same = limits == wanted.range and frame.colorspace == wanted.matrix
        if is_there and is_same:
            if is_jpeg:
                return self._scaler.reformat(
                    frame, format=_FORMAT, src_color_range=FULL, dst_color_range=FULL
                )
            return frame
        kept = wanted.range or LIMITED
        if is_grey(frame):
            # swscale takes brightness for full range whatever it is told: both are, and stay.
            limits = kept = FULL
        shaped = self._scaler.reformat(
            readable(frame),
            width=size[0],
            height=size[1],
            format=_FORMAT,
            src_color_range=limits or LIMITED,
            dst_colorspace=_SWSCALE.get(wanted.matrix),
            dst_color_range=kept,
            interpolation=_AREA,
            threads=1,
        )
        shaped.color_range, shaped.colorspace = wanted.range, wanted.matrix
        return shaped

    def _cropped(self, frame: VideoFrame, whole: tuple[int, int]) -> VideoFrame:
        """Return a frame without the last lines that an encoder has no place for."""
        if (frame.width, frame.height) == whole or _kept(frame, self._look) is None:
            return frame
        key = (frame.width, frame.height, frame.format.name)
        if key not in self._croppers:
            self._croppers[key] = _cropper(frame, whole, self._base)
        graph = self._croppers[key]
        graph.vpush(frame)
        return graph.vpull()


def _cropper(frame: VideoFrame, size: tuple[int, int], base: Fraction) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=base
        ),
        graph.add("crop", f"{size[0]}:{size[1]}:0:0"),
        graph.add("buffersink"),
    ).configure()
    return graph


def _with_bars(frame: VideoFrame, whole: tuple[int, int], colours: Colours) -> VideoFrame:
    """Return a 4:2:0 frame in the middle of a black one."""
    width, height = whole
    bars = VideoFrame(width, height, _FORMAT)
    bars.color_range, bars.colorspace = colours.range, colours.matrix
    black = 0 if colours.range == FULL else 16
    left, top = ((width - frame.width) // 4 * 2, (height - frame.height) // 4 * 2)
    for number, (plane, source) in enumerate(zip(bars.planes, frame.planes, strict=True)):
        share = 2 if number else 1
        rows = _rows(source)[: frame.height // share, : frame.width // share]
        filled = np.full((plane.height, plane.line_size), 128 if number else black, np.uint8)
        down, across = top // share, left // share
        filled[down : down + rows.shape[0], across : across + rows.shape[1]] = rows
        plane.update(filled.tobytes())
    return bars


def _rows(plane: VideoPlane) -> NDArray[np.uint8]:
    stored: NDArray[np.uint8] = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]  # a plane is a buffer
    return stored.reshape(-1, plane.line_size)


def _size(look: Appearance, limit_px: int | None, *, lines: int) -> tuple[int, int]:
    """Return the clip's stored width and height, even, and no taller than the limit upright."""
    upright_px = look.shown_size[1]
    scale = min(1.0, limit_px / upright_px) if limit_px else 1.0
    return (_even(look.width * scale, 2), _even(look.height * scale, lines))


def _even(side: float, parts: int) -> int:
    return max(parts, int(side + 1e-6) // parts * parts)


def _rate_options(options: CutOptions, pixels: int) -> dict[str, str]:
    chosen = {"crf": _CRF, "preset": "veryfast"}
    chosen.update(_MOST_FRUGAL if pixels > LARGE_PIXELS else _FRUGAL)
    if options.rendition_kbit_s is not None:
        limit = options.rendition_kbit_s
        chosen.update(crf="20", maxrate=f"{limit}k", bufsize=f"{2 * limit}k")
    return chosen


def _is_bottom_first(frame: VideoFrame, base: Fraction) -> bool:
    """Tell whether the lower field comes first; a filter knows what a frame here does not tell."""
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=base
        ),
        graph.add("select", r"eq(interlace_type\,BOTTOMFIRST)"),
        graph.add("buffersink"),
    ).configure()
    graph.vpush(frame)
    graph.vpush(None)
    try:
        graph.vpull()
    except (av.error.EOFError, av.error.BlockingIOError):
        return False
    return True


def _light_options(first: VideoFrame) -> list[str]:
    """Return how bright the picture may become, where a high dynamic range tells."""
    told: list[str] = []
    mastering = side_data(first, Type.MASTERING_DISPLAY_METADATA)
    if mastering is not None and len(mastering) >= _MASTERING.size:
        *rationals, has_primaries, has_light = _MASTERING.unpack_from(mastering)
        parts = [top / bottom if bottom else 0.0 for top, bottom in _fractions(rationals)]
        rx, ry, gx, gy, bx, by, wx, wy = (round(part * 50000) for part in parts[:8])
        least, most = (round(part * 10000) for part in parts[8:])
        if has_primaries and has_light:
            told.append(
                f"mastering-display=G({gx},{gy})B({bx},{by})R({rx},{ry})"
                f"WP({wx},{wy})L({most},{least})"
            )
    light = side_data(first, Type.CONTENT_LIGHT_LEVEL)
    if light is not None and len(light) >= _LIGHT.size:
        most, average = _LIGHT.unpack_from(light)
        told.append(f"cll={most},{average}")
    return told


def _fractions(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(numbers[::2], numbers[1::2], strict=True)
