"""The sound of a section of a capture, where the station keeps it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TypeAlias, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from analysis.video import Index, index_of, main_stream, open_container

_Packets: TypeAlias = "Iterator[Packet[AudioStream]]"  # generic for the type checker alone
_AHEAD = 32  # pictures: sound and pictures of one moment are stored no further apart
_COPYABLE = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})  # into an MP4
_LEAST_MP3_RATE = 16000  # Hz; an MP4 holds no slower one
_AAC_RATES = frozenset(av.Codec("aac", "w").audio_rates or ())
_USUAL_RATE = 48000
_FORMAT, _LAYOUT = "fltp", "stereo"  # of what is encoded
_GAP_S = 0.05  # times are told in milliseconds, and waver a little


class Sound(ExitStack):
    """Writes the sound of `[start_s, end_s)` into a clip, a little at a time, beside its frames."""

    def __init__(
        self, path: Path, target: OutputContainer, *, start_s: float, end_s: float, wanted: bool
    ) -> None:
        super().__init__()
        self._target = target
        self._start_s = start_s
        self._packets: _Packets = iter(())
        self._waiting: Packet[AudioStream] | None = None
        if not wanted:
            return
        container = self.enter_context(open_container(path))
        if container.streams.audio:
            source = container.streams.audio[0]
            timed = _timed(container, source, index_of(path), start_s)
            heard = _inside(timed, source, start_s, end_s)
            first = next(heard, None)
            if first is None:
                return  # a track that is announced but silent has no form that an MP4 could tell
            self._packets = self._made(chain((first,), heard), source)
            self._waiting = next(self._packets, None)

    def write_until(self, clip_s: float) -> None:
        """Write what is heard before a moment of the clip."""
        while self._waiting is not None:
            packet = self._waiting
            if float((packet.pts or 0) * (packet.time_base or Fraction(1))) > clip_s:
                return
            self._target.mux(packet)
            self._waiting = next(self._packets, None)

    def _made(self, heard: _Packets, source: AudioStream) -> _Packets:
        if _is_copyable(source):
            return self._copied(heard, self._target.add_stream_from_template(source))
        _order_channels(source)
        rate = source.codec_context.sample_rate
        into = self._target.add_stream("aac", rate=rate if rate in _AAC_RATES else _USUAL_RATE)
        return self._encoded(heard, into)

    def _copied(self, heard: _Packets, into: AudioStream) -> _Packets:
        latest: int | None = None
        for packet in heard:
            shift = round(self._start_s / (packet.time_base or Fraction(1)))
            packet.pts = (packet.pts or 0) - shift
            if latest is not None and packet.pts <= latest:
                continue  # that moment was heard already
            packet.dts = latest = packet.pts
            packet.stream = into
            yield packet

    def _encoded(self, heard: _Packets, into: AudioStream) -> _Packets:
        """Encode sound that an MP4 cannot hold, such as a recorder's PCM; gaps become silence."""
        rate = into.codec_context.sample_rate
        resampler = _Resampler(rate)
        following: int | None = None  # number of the sample that comes next, from the clip's start
        for packet in heard:
            for frame in _decoded(packet):
                at = following
                if frame.time is not None:
                    at = round((frame.time - self._start_s) * rate)
                missing = 0 if at is None or following is None else at - following
                if missing < -_GAP_S * rate:
                    continue  # that moment was heard already
                following = at or 0 if following is None else following
                pieces = resampler.resampled(frame)
                if missing > _GAP_S * rate:
                    pieces = [*_silence(missing, rate), *pieces]
                for piece in pieces:
                    piece.pts, piece.time_base = following, Fraction(1, rate)
                    following += piece.samples
                    yield from into.encode(piece)
        if following is not None:
            yield from into.encode(None)


class _Resampler:
    """Brings frames into one form, whatever they change to on the way."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._form: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None

    def resampled(self, frame: AudioFrame) -> list[AudioFrame]:
        """Return a frame's sound as the encoder takes it."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or form != self._form:
            self._form = form
            self._resampler = AudioResampler(format=_FORMAT, layout=_LAYOUT, rate=self._rate)
        return self._resampler.resample(frame)


def _is_copyable(source: AudioStream) -> bool:
    """Tell whether an MP4 can hold the sound as it is."""
    context = source.codec_context
    name = context.codec.canonical_name
    return name in _COPYABLE and (name != "mp3" or context.sample_rate >= _LEAST_MP3_RATE)


def _order_channels(source: AudioStream) -> None:
    """Let channels that are stored in an order of their own count in the usual one.

    PyAV frees the description of such an order more than once, with which the process ends; the
    copy that is asked for here takes it along.
    """
    layout = source.codec_context.layout
    if "channels (" in layout.name:
        source.codec_context.layout = f"{layout.nb_channels}c"


def _decoded(packet: "Packet[AudioStream]") -> Sequence[AudioFrame]:
    """Return a packet's frames; none where it is damaged, or began before what was read."""
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        return ()


def _silence(samples: int, rate: int) -> Iterator[AudioFrame]:
    for first in range(0, samples, rate):
        count = min(rate, samples - first)
        frame = AudioFrame.from_ndarray(
            np.zeros((2, count), np.float32), format=_FORMAT, layout=_LAYOUT
        )
        frame.sample_rate = rate
        yield frame


def _timed(
    container: InputContainer, source: AudioStream, index: Index, start_s: float
) -> _Packets:
    """Yield packets with the times of the pictures: both begin at 0 and jump together."""
    base = source.time_base or Fraction(1)
    if index.shift is not None:
        moved = round(index.shift * index.base / base)
        with suppress(av.error.FFmpegError):  # it has no packets, or no index: read from the begin
            container.seek(round(start_s / base) - moved, stream=source, backward=True)
        for packet in _readable(container, source):
            if packet.pts is not None:
                packet.pts += moved
            yield packet
        return
    moves = np.round((index.pts - index.stamps) * float(index.base / base)).astype(np.int64)
    number, expected = 0, 0
    for packet in _readable(container, source, main_stream(container, index)):
        if packet.stream_index == index.track:
            number += bool(packet.size)
        elif packet.pts is not None:
            near = [int(moves[min(at, len(moves) - 1)]) for at in (number, number + _AHEAD)]
            heard = [packet.pts + move for move in near]
            packet.pts = min(heard, key=lambda at: abs(at - expected))
            expected = packet.pts + (packet.duration or 0)
            yield packet


def _readable(container: InputContainer, *streams: Stream) -> _Packets:
    """Yield packets until the end, or where the file is broken so that no more can be read."""
    try:
        for packet in container.demux(*streams):
            yield cast("Packet[AudioStream]", packet)
    except (OSError, ValueError):  # PyAV's errors are such ones too
        return


def _inside(packets: _Packets, source: AudioStream, start_s: float, end_s: float) -> _Packets:
    base = float(source.time_base or Fraction(1))
    for packet in packets:
        if packet.pts is None or packet.size == 0:
            continue
        begins_s = packet.pts * base
        if begins_s >= end_s:
            return
        if begins_s + float(packet.duration or 0) * base > start_s:
            yield packet
