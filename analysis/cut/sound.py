"""The sound of a section of a capture, where the station keeps it."""

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from analysis.video import Index, index_of, main_stream, open_container

_Packets: TypeAlias = "Iterator[Packet[AudioStream]]"  # generic for the type checker alone
_AHEAD = 32  # pictures: sound and pictures of one moment are stored no further apart
_COPYABLE = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})  # into an MP4


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
            self._packets = self._made(_inside(timed, source, start_s, end_s), source)
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
        if source.codec_context.codec.canonical_name in _COPYABLE:
            return self._copied(heard, self._target.add_stream_from_template(source))
        rate = source.codec_context.sample_rate
        return self._encoded(heard, self._target.add_stream("aac", rate=rate))

    def _copied(self, heard: _Packets, into: AudioStream) -> _Packets:
        for packet in heard:
            shift = round(self._start_s / (packet.time_base or Fraction(1)))
            packet.pts = (packet.pts or 0) - shift
            packet.dts = packet.pts
            packet.stream = into
            yield packet

    def _encoded(self, heard: _Packets, into: AudioStream) -> _Packets:
        """Encode sound that an MP4 cannot hold, such as a recorder's PCM."""
        rate = into.codec_context.sample_rate
        began: int | None = None
        samples = 0
        for packet in heard:
            for frame in packet.decode():
                if began is None:
                    began = round((float(frame.time or 0.0) - self._start_s) * rate)
                frame.pts, frame.time_base = began + samples, Fraction(1, rate)
                samples += frame.samples
                yield from into.encode(frame)
        if began is not None:
            yield from into.encode(None)


def _timed(
    container: InputContainer, source: AudioStream, index: Index, start_s: float
) -> _Packets:
    """Yield packets with the times of the pictures: both begin at 0 and jump together."""
    base = source.time_base or Fraction(1)
    if index.shift is not None:
        moved = round(index.shift * index.base / base)
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
