"""Cutting by encoding again: H.264 at visually lossless quality, every frame at its own time.

The picture stays as it is stored, turned by the same display matrix, in the same colours; more
than 8 bits or 4:2:0 becomes that, which every reader can read.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from av.container import OutputContainer
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from analysis.cut.options import CutOptions
from analysis.cut.sound import Sound
from analysis.cut.target import open_target
from analysis.image import Grey
from analysis.thumbnail import grey_thumbnail
from analysis.video import LARGE_PIXELS, Progress, Reading, VideoPacket, open_video

_CRF = "16"  # x264: visually lossless
_KEY_EVERY_S = 2.0
# x264 keeps 50 MB for each picture of 4K that it looks ahead to or back at.
_FRUGAL = {"rc-lookahead": "0", "sync-lookahead": "0", "bf": "0", "threads": "1", "mbtree": "0"}
_SLOWEST_FPS, _FASTEST_FPS = 1, 240  # believable; headers claim more
_FORMATS = "yuv420p|yuvj420p"


@dataclass(slots=True)
class Encoded:
    """What an encoded clip should show."""

    times_s: list[float] = field(default_factory=list)  # of its frames in the capture
    first: Grey | None = None  # small, of the capture's own first and last picture
    last: Grey | None = None
    moved: int = 0  # frames that shared a time with the one before


def encode_clip(
    path: Path,
    out: Path,
    *,
    start_s: float,
    end_s: float,
    options: CutOptions,
    on_progress: Progress,
) -> Encoded:
    """Encode `[start_s, end_s)`; the result is empty where no frame lies in it.

    Raises:
        VideoError: the capture cannot be read.
    """
    done = Encoded()
    with ExitStack() as stack:
        reading = stack.enter_context(open_video(path))
        frames = _inside(reading, start_s, end_s)
        first = next(frames, None)
        if first is None:
            return done
        first_s, frame = first
        done.times_s, done.first = [first_s], grey_thumbnail(frame)
        target = stack.enter_context(open_target(out, reading.container, options))
        writer = _Writer(target, reading, frame, options)
        sound = stack.enter_context(
            Sound(path, target, start_s=first_s, end_s=end_s, wanted=options.keep_audio)
        )
        sound.write_until(0.0)
        writer.write(frame)
        del first  # 12 MB for 4K
        for time_s, frame in frames:
            done.times_s.append(time_s)
            sound.write_until(time_s - first_s)
            writer.write(frame)
            on_progress((time_s - start_s) / max(end_s - start_s, 1e-3))
        writer.finish(until_s=end_s)
        sound.write_until(end_s)
        done.last, done.moved = grey_thumbnail(frame), writer.moved
    return done


def _inside(reading: Reading, start_s: float, end_s: float) -> Iterator[tuple[float, VideoFrame]]:
    for time_s, frame in reading.decode():
        if time_s >= end_s:
            return
        if time_s >= start_s - 1e-6:
            yield time_s, frame


class _Writer:
    """Encodes frames into a clip that begins at 0."""

    def __init__(
        self, target: OutputContainer, reading: Reading, first: VideoFrame, options: CutOptions
    ) -> None:
        self._target = target
        self._index = reading.index
        self._base = reading.index.base
        self._usual = max(1, round(reading.index.packets.spacing_s / self._base))
        self._waiting: list[VideoPacket] = []
        self._first_pts = first.pts or 0
        self._last_pts: int | None = None
        self._size = _size(first, reading.rotation_deg, options.rendition_height)
        self._shapers: dict[tuple[int, int, str], Graph] = {}
        self._stream = self._opened(reading, first, options)
        self.moved = 0

    def write(self, frame: VideoFrame) -> None:
        """Encode one more frame."""
        pts = (frame.pts or 0) - self._first_pts
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1  # a damaged file repeats times; a clip cannot
            self.moved += 1
        self._last_pts = pts
        shaped = self._shaped(frame)
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

    def _opened(self, reading: Reading, first: VideoFrame, options: CutOptions) -> VideoStream:
        fps = Fraction(1 / reading.index.packets.spacing_s).limit_denominator(1001)
        rate = min(max(fps, Fraction(_SLOWEST_FPS)), Fraction(_FASTEST_FPS))
        stream = self._target.add_stream("libx264", rate=rate)
        shaped = self._shaped(first)
        stream.width, stream.height = self._size
        stream.pix_fmt = shaped.format.name
        stream.time_base = self._base
        context, source = stream.codec_context, reading.stream.codec_context
        context.time_base = self._base
        context.color_range, context.colorspace = source.color_range, source.colorspace
        context.color_primaries, context.color_trc = source.color_primaries, source.color_trc
        if source.sample_aspect_ratio:
            context.sample_aspect_ratio = source.sample_aspect_ratio
        context.gop_size = max(1, round(_KEY_EVERY_S * rate))
        context.options = _rate_options(options, self._size[0] * self._size[1])
        if reading.rotation_deg:
            stream.set_display_rotation(reading.rotation_deg)
        return stream

    def _shaped(self, frame: VideoFrame) -> VideoFrame:
        """Return a frame in the encoder's size and format; damaged files change theirs midway."""
        key = (frame.width, frame.height, frame.format.name)
        if (key[0], key[1]) == self._size and key[2] in _FORMATS.split("|"):
            return frame
        if key not in self._shapers:
            self._shapers[key] = _shaper(frame, self._size, self._base)
        graph = self._shapers[key]
        graph.vpush(frame)
        return graph.vpull()


def _shaper(frame: VideoFrame, size: tuple[int, int], base: Fraction) -> Graph:
    width, height = size
    is_cropped = 0 <= frame.width - width < 2 and 0 <= frame.height - height < 2
    fitted = f"{width}:{height}:0:0" if is_cropped else f"{width}:{height}:flags=area"
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=base
        ),
        graph.add("crop" if is_cropped else "scale", fitted),
        graph.add("format", f"pix_fmts={_FORMATS}"),
        graph.add("buffersink"),
    ).configure()
    return graph


def _size(first: VideoFrame, rotation_deg: int, limit_px: int | None) -> tuple[int, int]:
    """Return the clip's stored width and height, even, and no taller than the limit upright."""
    upright_px = first.width if rotation_deg % 180 else first.height
    scale = min(1.0, limit_px / upright_px) if limit_px else 1.0
    return (_even(first.width * scale), _even(first.height * scale))


def _even(side: float) -> int:
    return max(2, int(side + 1e-6) // 2 * 2)


def _rate_options(options: CutOptions, pixels: int) -> dict[str, str]:
    chosen = {"crf": _CRF, "preset": "veryfast"}
    if pixels > LARGE_PIXELS:
        chosen.update(_FRUGAL)
    if options.rendition_kbit_s is not None:
        limit = options.rendition_kbit_s
        chosen.update(crf="20", maxrate=f"{limit}k", bufsize=f"{2 * limit}k")
    return chosen
