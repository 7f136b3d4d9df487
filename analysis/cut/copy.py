"""Cuts without decoding: packets are copied, and an edit list hides those in front.

All times are moved so that the first wanted frame is at 0; the pre-roll, from the keyframe
before it, turns negative, and players begin at 0.  Which packets make a clip is told by the
capture's index; they are read one by one, for a clip may be larger than the memory.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from math import ceil
from typing import cast

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from analysis.cut.sound import Sound
from analysis.cut.target import CutJob, add_copied_stream, open_target
from analysis.cut.verify import Picture, picture_at
from analysis.display import Appearance
from analysis.landmarks import FloatArray
from analysis.video import Index, VideoPacket, VideoReading, codec_name, open_video

CODECS = frozenset({"h264", "hevc"})
_START = b"\x00\x00\x01"
_SETS = {"h264": (7, 8), "hevc": (32, 33, 34)}  # SPS, PPS; VPS, SPS, PPS
_PICTURES = {"h264": range(1, 6), "hevc": range(32)}

Key = tuple[int, int]  # type and number


@dataclass(slots=True)
class ParameterSets:
    """The sets in force, by type and number."""

    codec: str
    length_bytes: int  # before each unit; 0: start codes stand between them
    known: dict[Key, bytes] = field(default_factory=dict)

    @classmethod
    def of_container(cls, codec: str, extradata: bytes | None) -> "ParameterSets":
        """Read what a container tells in front."""
        if codec not in CODECS:
            return cls(codec, 0)
        told = extradata or b""
        length_bytes = _length_bytes(codec, told)
        sets = cls(codec, length_bytes)
        units = _configured(codec, told) if length_bytes else _between_start_codes(told)
        sets.known = dict(sets._keyed(units))
        return sets

    def in_packet(self, packet: bytes) -> dict[Key, bytes]:
        """Return the sets that come with a packet, before its picture."""
        return dict(self._keyed(self._before_picture(packet)))

    def has_start_codes(self, packet: bytes) -> bool:
        """Tell whether a packet has start codes though the container announces lengths.

        Some AVIs are so; no first unit is a single byte long.
        """
        return self.length_bytes == 4 and packet[:4] == b"\x00" + _START

    def without_sets(self, packet: bytes, *, start_codes: bool) -> bytes:
        """Return a packet without them, its units between start codes or behind their lengths."""
        kept = [unit for unit in self._units(packet) if self._kind(unit) not in _SETS[self.codec]]
        if start_codes:
            return b"".join(b"\x00" + _START + unit for unit in kept)
        return b"".join(len(unit).to_bytes(self.length_bytes, "big") + unit for unit in kept)

    def told(self) -> bytes:
        """Return the sets as a container's headers, between start codes."""
        ordered = sorted(self.known.items())
        return b"".join(b"\x00" + _START + unit for _, unit in ordered)

    def _keyed(self, units: Iterator[bytes]) -> Iterator[tuple[Key, bytes]]:
        for unit in units:
            kind = self._kind(unit)
            if kind in _SETS[self.codec]:
                whole = unit.rstrip(b"\x00")
                yield (kind, _number(self.codec, kind, whole)), whole

    def _before_picture(self, packet: bytes) -> Iterator[bytes]:
        for unit in self._units(packet):
            if self._kind(unit) in _PICTURES[self.codec]:
                return
            yield unit

    def _units(self, packet: bytes) -> Iterator[bytes]:
        if not self.length_bytes or self.has_start_codes(packet):
            yield from _between_start_codes(packet)
            return
        at = 0
        while at + self.length_bytes < len(packet):
            begins = at + self.length_bytes
            at = begins + int.from_bytes(packet[at:begins], "big")
            yield packet[begins:at]

    def _kind(self, unit: bytes) -> int:
        if not unit:
            return -1
        return unit[0] & 0x1F if self.codec == "h264" else unit[0] >> 1 & 0x3F


def _length_bytes(codec: str, extradata: bytes) -> int:
    if extradata[:1] != b"\x01" or len(extradata) < 7:
        return 0
    if codec == "h264":
        return (extradata[4] & 3) + 1
    return (extradata[21] & 3) + 1 if len(extradata) > 22 else 0


def _configured(codec: str, told: bytes) -> Iterator[bytes]:
    """Yield the units of an avcC or hvcC box."""
    if codec == "h264":
        at = 6
        for _ in range(told[5] & 0x1F):
            at, unit = _sized(told, at)
            yield unit
        count = told[at] if at < len(told) else 0
        at += 1
        for _ in range(count):
            at, unit = _sized(told, at)
            yield unit
        return
    at = 23
    for _ in range(told[22]):
        count = int.from_bytes(told[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            at, unit = _sized(told, at)
            yield unit


def _sized(told: bytes, at: int) -> tuple[int, bytes]:
    ends = at + 2 + int.from_bytes(told[at : at + 2], "big")
    return ends, told[at + 2 : ends]


def _between_start_codes(stream: bytes) -> Iterator[bytes]:
    at = stream.find(_START)
    while at >= 0:
        following = stream.find(_START, at + 3)
        ends = len(stream) if following < 0 else following
        yield stream[at + 3 : ends].rstrip(b"\x00") if following >= 0 else stream[at + 3 :]
        at = following


def _number(codec: str, kind: int, unit: bytes) -> int:
    """Return the number by which pictures and other sets refer to a set."""
    bits = _Bits(unit.replace(b"\x00\x00\x03", b"\x00\x00"))
    if codec == "h264":
        bits.skip(8 if kind == 8 else 32)
        return bits.exp_golomb()
    if kind == 32:
        bits.skip(16)
        return bits.take(4)
    if kind == 34:
        bits.skip(16)
        return bits.exp_golomb()
    bits.skip(20)
    layers = bits.take(3)
    bits.skip(1 + 88 + 8)
    has = [(bits.take(1), bits.take(1)) for _ in range(8)] if layers else []
    for has_profile, has_level in has[:layers]:
        bits.skip(88 * has_profile + 8 * has_level)
    return bits.exp_golomb()


class _Bits:
    """Reads bits from the front; behind the end all are 0."""

    def __init__(self, content: bytes) -> None:
        self._content = content[:128]
        self._at = 0

    def skip(self, count: int) -> None:
        self._at += count

    def take(self, count: int) -> int:
        taken = 0
        for _ in range(count):
            byte = self._content[self._at >> 3] if self._at >> 3 < len(self._content) else 0
            taken = taken << 1 | byte >> (7 - (self._at & 7)) & 1
            self._at += 1
        return taken

    def exp_golomb(self) -> int:
        zeros = 0
        while zeros < 16 and not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


COPYABLE = frozenset({"h264", "hevc", "vp9", "av1", "mpeg4"})
_NEARLY = 1e-3  # ticks
_HEAD_BYTES = 1 << 14  # of a packet: headers come before its picture
_LONGEST_RUN_ON_S = 1.0


class CannotCopy(Exception):
    """A lossless cut is not possible here; the text says why."""


class _ReadOtherwise(CannotCopy):
    """Read a second time, a damaged file gave other packets."""

    def __str__(self) -> str:
        return "the capture is damaged here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a lossless clip should show."""

    times_s: FloatArray  # of its frames in the capture, in order
    preroll_s: float
    first: Picture | None = None  # the capture's own

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return float(self.times_s[-1] - self.times_s[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Which packets make a lossless clip."""

    first: int  # number
    start_pts: int
    dts: NDArray[np.int64]  # of the packets from `first` on
    usual: int  # how long a frame is shown
    last_pts: int
    end_pts: int  # of the last frame's showing
    copied: Copied


def copy_clip(job: CutJob) -> Copied:
    """Copy the packets of an interval; the clip may run on for what its last ones need.

    Raises:
        CannotCopy: something stands in the way; `job.out` may hold a useless file.
    """
    options = job.options
    with open_video(job.path, from_s=job.start_s) as reading:
        if reading.codec not in COPYABLE:
            raise CannotCopy(f"MP4 cannot hold {reading.codec}")
        plan = _plan(reading.index, job.start_s, job.end_s)
        if options.method == "auto" and plan.copied.preroll_s > options.max_preroll_s:
            raise CannotCopy(
                f"the keyframe before the start is {plan.copied.preroll_s:.1f} s away: "
                f"more than max_preroll_s ({options.max_preroll_s:g})"
            )
        first = picture_at(job.path, float(plan.copied.times_s[0]), on_progress=job.on_progress)
        if first is None:
            raise CannotCopy("its first picture cannot be found again")
        _write(job, plan, reading, first.look)
    return replace(plan.copied, first=first)


def _write(job: CutJob, plan: _Plan, reading: VideoReading, look: Appearance) -> None:
    base, packets = reading.index.base, reading.index.packets
    sizes, is_key = packets.sizes, packets.is_key
    start_s, seconds = float(plan.start_pts * base), plan.copied.seconds
    numbered = reading.packets()
    first = next(numbered, None)
    if first is None:
        raise _ReadOtherwise
    rewriter = _Rewriter(reading.stream, first[1], look)
    with ExitStack() as stack:
        target = stack.enter_context(open_target(job.out, reading.container, job.options, look))
        stream = add_copied_stream(target, reading.stream, look, headers=rewriter.headers)
        sound = stack.enter_context(
            Sound(
                job.path,
                target,
                start_s=start_s,
                end_s=start_s + seconds,
                wanted=job.options.keep_audio,
            )
        )
        again = chain((first,), numbered)
        for at, dts in enumerate(plan.dts.tolist(), start=plan.first):
            number, packet = next(again, (-1, None))
            if packet is None or number != at or packet.size != sizes[number]:
                raise _ReadOtherwise
            packet = rewriter.rewritten(packet)
            is_last = packet.pts == plan.last_pts or at == plan.first + len(plan.dts) - 1
            packet.duration = plan.end_pts - (packet.pts or 0) if is_last else plan.usual
            packet.pts = (packet.pts or 0) - plan.start_pts
            packet.dts = dts - plan.start_pts
            packet.stream, packet.is_keyframe = stream, bool(is_key[number])
            clip_s = float(packet.pts * base)
            sound.write_until(clip_s)
            target.mux(packet)
            job.on_progress(max(0.0, clip_s / max(seconds, 1e-3)))
        sound.write_until(seconds)


class _Rewriter:
    """Turns packets into those of an MP4 that has the decoder's headers in front."""

    def __init__(self, stream: VideoStream, first: VideoPacket, look: Appearance) -> None:
        self._codec = codec_name(stream)
        self._container = ParameterSets.of_container(self._codec, stream.codec_context.extradata)
        self._known = self._container.known | self._found(first)
        self.headers: bytes | None = None  # where they are not the container's
        if self._known != self._container.known:
            self.headers = replace(self._container, known=self._known).told()
        elif self._codec == "av1":
            self.headers = _sequence_header(stream, first, look)

    def rewritten(self, packet: VideoPacket) -> VideoPacket:
        """Return a packet in the form that goes with the headers.

        Raises:
            CannotCopy: the headers change with it.
        """
        found = self._found(packet)
        if any(self._known.get(key) != content for key, content in found.items()):
            raise CannotCopy("the encoder's settings change in it")
        strips = self._codec == "hevc" and bool(found)  # hvc1 has none among the pictures
        strips |= self._codec in CODECS and self._container.has_start_codes(bytes(packet))
        if not self._container.length_bytes or not (self.headers or strips):
            return packet  # with start codes: the muxer does it
        content = self._container.without_sets(bytes(packet), start_codes=self.headers is not None)
        copy = cast(VideoPacket, Packet(content))
        copy.time_base, copy.pts, copy.dts = packet.time_base, packet.pts, packet.dts
        copy.is_keyframe = packet.is_keyframe
        return copy

    def _found(self, packet: VideoPacket) -> dict[Key, bytes]:
        if self._codec not in CODECS:
            return {}
        sets: dict[Key, bytes] = {}
        if packet.has_sidedata("new_extradata"):  # an MP4 with several kinds of pictures
            told = bytes(packet.get_sidedata("new_extradata"))
            sets = ParameterSets.of_container(self._codec, told).known
        return sets | self._container.in_packet(bytes(memoryview(packet)[:_HEAD_BYTES]))


def _sequence_header(stream: VideoStream, packet: VideoPacket, look: Appearance) -> bytes | None:
    """Return the header of AV1's pictures where they are not as large as the container says."""
    context = stream.codec_context
    if (context.width, context.height) == (look.width, look.height):
        return None
    extractor = BitStreamFilterContext("extract_extradata", stream)
    for filtered in extractor.filter(Packet(bytes(packet))):
        if filtered.has_sidedata("new_extradata"):
            return bytes(filtered.get_sidedata("new_extradata"))
    return None


def _plan(index: Index, start_s: float, end_s: float) -> _Plan:
    """Choose packets."""
    base, packets = index.base, index.packets
    start_pts, end_pts = (ceil(at_s / base - _NEARLY) for at_s in (start_s, end_s))
    first = packets.key_before(start_s)
    if not packets.is_key[first] or index.pts[first] > start_pts:
        raise CannotCopy("there is no keyframe before the start")
    times = index.pts[first:]
    wanted = (times >= start_pts) & packets.is_shown[first:]
    if not wanted.any() or int(times[wanted].min()) >= end_pts:
        raise CannotCopy("there are no frames in the interval")
    first_pts = int(times[wanted].min())
    length = _closed_length(times, end_pts)
    times = times[:length]
    inside = times >= first_pts
    if np.any(inside & ~packets.is_shown[first : first + length]):
        raise CannotCopy("the capture hides frames here")
    if index.is_doubtful[first : first + length].any():
        raise CannotCopy("the capture is damaged here, or its packets have no times")
    shown = np.sort(times[inside])
    if np.any(np.diff(shown) <= 0):
        raise CannotCopy("frames share a time")
    if shown[-1] - end_pts > _LONGEST_RUN_ON_S / base:
        raise CannotCopy("its last frame needs one that is shown much later")
    copied = Copied(
        times_s=shown.astype(np.float64) * float(base),
        preroll_s=float((first_pts - int(times.min())) * base),
    )
    last_pts = int(shown[-1])
    return _Plan(
        first=first,
        start_pts=first_pts,
        dts=decoding_times(times),
        usual=max(1, round(packets.spacing_s / base)),
        last_pts=last_pts,
        end_pts=last_pts + index.shown_ticks(last_pts, until=end_pts),
        copied=copied,
    )


def decoding_times(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when to decode each packet: in order, and never after it is shown.

    Some containers do not store it, so it is computed for all.
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
