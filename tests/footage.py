"""Recordings in all the forms that cameras write them: a square wanders over a striped wall."""

import tempfile
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.video.frame import VideoFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a recording is stored."""

    suffix: str = ".mp4"
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (160, 90)
    fps: int = 30
    keyframe_every: int = 30  # frames
    seconds: float = 2.0
    uneven: bool = False  # every third frame comes late
    sound: str | None = None
    rotation_deg: int = 0
    codec_options: tuple[tuple[str, str], ...] = ()


def record(path: Path, form: Form) -> Path:
    """Write a recording and return its path; each form is encoded once per process."""
    path = path.with_suffix(form.suffix)
    path.write_bytes(_recorded(form))
    return path


@cache
def _recorded(form: Form) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recording").with_suffix(form.suffix)
        _encode(path, form)
        return path.read_bytes()


def _encode(path: Path, form: Form) -> None:
    with av.open(str(path), "w") as out:
        out.metadata.update(
            {"creation_time": "2026-03-01T18:00:00.000000Z", "location": "+52.5+013.4/"}
        )
        stream = out.add_stream(form.codec, rate=form.fps, options=dict(form.codec_options))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = form.size
        stream.pix_fmt = form.pix_fmt
        stream.codec_context.gop_size = form.keyframe_every
        base = Fraction(1, form.fps * 10)
        if form.uneven:
            stream.time_base = stream.codec_context.time_base = base
        if form.rotation_deg:
            stream.set_display_rotation(form.rotation_deg)
        sounding = None if form.sound is None else _sounding(out, form.sound)
        for number in range(round(form.seconds * form.fps)):
            frame = VideoFrame.from_ndarray(_picture(number, *form.size), format="rgb24")
            late = 4 if form.uneven and number % 3 == 2 else 0
            frame.pts, frame.time_base = number * 10 + late, base
            if not form.uneven:
                frame.pts, frame.time_base = number, Fraction(1, form.fps)
            out.mux(stream.encode(frame.reformat(format=form.pix_fmt)))
        out.mux(stream.encode(None))
        if sounding is not None:
            _hum(out, sounding, form.seconds)


def _sounding(out: OutputContainer, codec: str) -> av.AudioStream:
    stream = out.add_stream(codec, rate=48000)
    assert isinstance(stream, av.AudioStream)
    return stream


def _hum(out: OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    tone = np.sin(np.arange(round(48000 * seconds)) * 440 * 2 * np.pi / 48000)
    for start in range(0, len(tone), 1024):
        part = (tone[start : start + 1024] * 20000).astype(np.int16).reshape(1, -1)
        frame = AudioFrame.from_ndarray(part, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def _picture(
    number: int, width: int, height: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = np.full((height, width, 3), 90, dtype=np.uint8)
    picture[:, :: max(2, width // 20)] = 140
    left = (number * 5) % max(1, width - 30)
    picture[height // 3 : 2 * height // 3, left : left + 24] = (220, 200, 40)
    return picture
