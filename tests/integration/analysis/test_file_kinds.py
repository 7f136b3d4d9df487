"""A file that is no video of an accepted format is named as what it is, never in libav's words."""

import io
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from analysis.file_kinds import ACCEPTED, is_encrypted, kind_of
from analysis.pictures import frame_at
from analysis.video import VideoError, VideoFault, probe


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("take.txt", "x" * 100)
    return made.getvalue()


def sound() -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    return made.getvalue()


def encoded(kind: str, codec: str, *, pixels: str = "yuv420p", **options: str) -> bytes:
    """A second of grey pictures in a container."""
    made = io.BytesIO()
    with av.open(made, "w", format=kind, options=options) as out:
        stream = out.add_stream(codec, rate=30)
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 320, 240, pixels
        for number in range(30):
            grey = np.full((240, 320, 3), 5 * number, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return made.getvalue()


MADE: dict[str, tuple[Callable[[], bytes], str]] = {
    "text.mp4": (lambda: b"Monday: squats, 5 x 5\n" * 9, "a text file"),
    "letters.mp4": (lambda: "BMX für Anfänger\n".encode() * 500, "a text file"),
    "zip.mp4": (zipped, "a ZIP archive"),
    "pdf.mp4": (lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "a PDF document"),
    "html.mp4": (lambda: b"\n <!DOCTYPE html><html><title>404", "a web page"),
    "json.mp4": (lambda: b'{"error": "expired"}', "a message of a server"),
    "playlist.mp4": (lambda: b"#EXTM3U\nhttp://x/1.ts\n", "a playlist"),
    "zeros.mp4": (lambda: bytes(100_000), "nothing but zeros"),
    "sound.mp4": (sound, "a WAV sound file"),
    "heic.mp4": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "a HEIC, AVIF or raw"),
    "gif.gif": (lambda: encoded("gif", "gif", pixels="rgb8"), "a GIF picture"),
    "rm.rm": (lambda: encoded("rm", "rv20"), "a RealMedia video"),
    "ivf.mp4": (lambda: encoded("ivf", "libvpx"), "an IVF video"),
    "nut.mp4": (lambda: encoded("nut", "mpeg4"), "a NUT video"),
    "y4m.mp4": (lambda: encoded("yuv4mpegpipe", "rawvideo"), "an uncompressed Y4M video"),
    "mjpeg.mp4": (lambda: encoded("mjpeg", "mjpeg", pixels="yuvj420p"), "a JPEG picture, or a"),
    "raw.yuv": (lambda: bytes(range(256)) * 2000, "raw pictures without a header"),
    "noise.mp4": (lambda: bytes(range(255, 0, -1)) * 2000, "an unknown format"),
}


@pytest.mark.parametrize("name", MADE)
def test_it_is_named_as_what_it_is(tmp_path: Path, name: str) -> None:
    make, kind = MADE[name]
    path = tmp_path / name
    path.write_bytes(make())

    with pytest.raises(VideoError) as caught:
        probe(path)

    told = str(caught.value)
    assert told.startswith(f"not a video that can be read: {kind}") and ACCEPTED in told
    assert caught.value.fault is VideoFault.UNREADABLE
    assert "nvalid" not in told and told.isprintable()


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        *(("mp4", "libx264"), ("matroska", "libx264"), ("avi", "mpeg4"), ("mpegts", "libx264")),
        *(("mpeg", "mpeg2video"), ("asf", "wmv2"), ("flv", "flv"), ("h264", "libx264")),
        ("webm", "libvpx"),
    ],
)
def test_an_accepted_format_is_taken_for_nothing_else(
    tmp_path: Path, container: str, codec: str
) -> None:
    content = encoded(container, codec)
    path = tmp_path / "set.mp4"
    path.write_bytes(content)
    assert kind_of(path) is None and probe(path).packets > 20

    path.write_bytes(content[:400] + bytes(range(1, 256)) * 40)  # its begin, and then rubbish
    assert kind_of(path) is None
    try:
        probe(path)
    except VideoError as error:
        assert "nvalid" not in str(error) and ACCEPTED not in str(error)


def test_sound_alone_is_said(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        assert isinstance(stream, av.audio.stream.AudioStream)
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 44100), np.float32), format="fltp", layout="mono"
        )
        silence.rate = 44100
        for packet in (*stream.encode(silence), *stream.encode(None)):
            out.mux(packet)
    with pytest.raises(VideoError, match="it has sound only") as caught:
        probe(path)
    assert caught.value.fault is VideoFault.NO_VIDEO


def test_an_encrypted_video_is_said_to_be_encrypted(tmp_path: Path) -> None:
    key = "76a6c65c5ea762046bd749a2e632ccbb"
    scheme = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": key}
    path, clear = tmp_path / "drm.mp4", tmp_path / "clear.mp4"
    path.write_bytes(encoded("mp4", "libx264", **scheme))
    clear.write_bytes(encoded("mp4", "libx264"))

    assert is_encrypted(path) and not is_encrypted(clear)
    for read in (probe, lambda path: frame_at(path, 0.5, lambda _done: None)):
        # A decoder may make pictures of what it cannot understand.
        with pytest.raises(VideoError, match="it is encrypted, so no picture in it can be"):
            read(path)
    assert probe(clear).packets == 30


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\0", b"\0\0\0\x08moov", b"\0\0\0\x00moov", b"\0\0\0\x01moov" + b"\xff" * 8),
        b"\0\0\0\x08free" * 5000,
        b"\0\0\0\x01free" + b"\xff" * 8 + bytes(99),
    ],
)
def test_hostile_boxes_end_soon(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    assert not is_encrypted(path)
