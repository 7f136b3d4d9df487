"""The MP4 of a clip, and its metadata for players."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import IO, Literal

import av
from av.container import Container, OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from analysis.display import Appearance, Colours
from analysis.video import Progress, codec_name

Method = Literal["auto", "copy", "encode"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOptions:
    """What the settings say about cutting."""

    method: Method = "auto"
    max_preroll_s: float = 2.0  # a reader that ignores edit lists would see all of the pre-roll
    keep_audio: bool = False
    keep_metadata: bool = False
    rendition_height: int | None = None  # px of the upright picture
    rendition_kbit_s: int | None = None

    @classmethod
    def from_json(cls, options: Mapping[str, object]) -> "CutOptions":
        """Read options as they come over a pipe; unknown ones are an error."""
        known = {field.name for field in fields(cls)}
        if unknown := set(options) - known:
            raise ValueError(f"unknown cut options: {', '.join(sorted(unknown))}")
        return cls(**options)  # type: ignore[arg-type]  # the settings have checked them


@dataclass(frozen=True, slots=True, kw_only=True)
class CutJob:
    """One clip to cut: `[start_s, end_s)` of a capture, in presentation time."""

    path: Path  # of the capture
    out: Path  # the MP4 to write
    start_s: float
    end_s: float
    options: CutOptions
    on_progress: Progress  # called with the share that is done
    before_encoding: Callable[[], None] = lambda: None  # lets go of what takes memory


_OPTIONS = {"use_editlist": "1", "avoid_negative_ts": "disabled"}
_CREATED = "creation_time"
_TRACK_HEADER = (b"moov", b"trak", b"tkhd")
_HEADER_BYTES = 84  # of a track header's first version, behind which a longer one has 12 more


@contextmanager
def open_target(
    path: Path, source: Container, options: CutOptions, look: Appearance
) -> Iterator[OutputContainer]:
    """Open an MP4 for writing, with what is kept of the capture's metadata.

    Place and device stay here unless they are asked for; when it was filmed always goes along.
    """
    flags = "+faststart"
    if options.keep_metadata:
        flags += "+use_metadata_tags"
    if look.colours.are_told:
        flags += "+write_colr"
    with av.open(str(path), "w", format="mp4", options={**_OPTIONS, "movflags": flags}) as target:
        for name, value in source.metadata.items():
            if name == _CREATED or options.keep_metadata:
                target.metadata[name] = value
        yield target
    _tell_shown_width(path, look)


def add_copied_stream(
    target: OutputContainer,
    source: VideoStream,
    look: Appearance,
    *,
    headers: bytes | None = None,
) -> VideoStream:
    """Add a stream for packets as they are.

    Args:
        target: the MP4.
        source: where the packets come from.
        look: how players show them there.
        headers: of the decoder, where the source's own are another stretch's.
    """
    stream = target.add_stream_from_template(source, opaque=True)  # there may be no encoder for it
    context = stream.codec_context
    context.width, context.height = look.width, look.height
    describe(context, look.aspect, look.colours)
    if look.written_matrix != look.display_matrix:
        stream.set_display_matrix(look.written_matrix)
    if codec_name(source) == "hevc":
        context.codec_tag = "hvc1"  # Apple's players refuse hev1
    if headers is not None:
        context.extradata = headers
    return stream


def describe(context: VideoCodecContext, aspect: Fraction | None, colours: Colours) -> None:
    """Tell an encoder or a container of pixel aspect and colours."""
    if aspect is not None:
        context.sample_aspect_ratio = aspect
    context.color_range, context.colorspace = colours.range, colours.matrix
    context.color_primaries, context.color_trc = colours.primaries, colours.transfer


def _tell_shown_width(path: Path, look: Appearance) -> None:
    """Write the width in square pixels into the track's header, by which some browsers go.

    FFmpeg writes it too, but only where the stream has the pixel aspect apart from its codec.
    """
    if look.aspect in (None, 1):
        return
    with path.open("r+b") as file:
        at = _box_at(file, _TRACK_HEADER)
        if at is None:
            return
        file.seek(at)
        is_longer = file.read(1) == b"\x01"
        file.seek(at + _HEADER_BYTES - 8 + (12 if is_longer else 0))
        stored = int.from_bytes(file.read(4), "big")
        if stored == look.width << 16:
            file.seek(-4, 1)
            file.write(min(round(stored * look.aspect), 0xFFFFFFFF).to_bytes(4, "big"))


def _box_at(file: IO[bytes], names: tuple[bytes, ...]) -> int | None:
    """Return where the content of a box begins, found by the names on the way to it."""
    file.seek(0, 2)
    at, ends = 0, file.tell()
    for name in names:
        while True:
            file.seek(at)
            size, found = int.from_bytes(file.read(4), "big"), file.read(4)
            header = 8
            if size == 1:
                size, header = int.from_bytes(file.read(8), "big"), 16
            if size < header or at >= ends:
                return None
            if found == name:
                at, ends = at + header, at + size
                break
            at += size
    return at
