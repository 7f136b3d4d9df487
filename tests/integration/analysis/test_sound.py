"""Clips keep the sound of their pictures, in time; no sound is a reason to lose a clip."""

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from analysis.cut.clip import Cut, cut_clip
from analysis.cut.target import CutOptions
from tests.needs import need

START_S, END_S = 2.6, 4.6
NEAR_S = 0.05
# A click at every full second; pictures with a keyframe each second.
CLICKS = "aevalsrc='0.8*sin(2*PI*1500*t)*lt(mod(t,1),0.03)':d=6"
PICTURES = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=30:d=6")
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", "30")
MPEG2 = ("-c:v", "mpeg2video", "-g", "15", "-bf", "2")
REPOSITORY = Path(__file__).parents[3]
CUT = (
    "from pathlib import Path;from tests.integration.analysis import test_sound;"
    "(lambda path: test_sound.cut(Path(path), 'copy'))"
)
GAP = "aselect='not(between(t,2.7,3.4))'"
AS_IN_FRONT = "anull"


def ffmpeg(*arguments: str) -> bytes:
    program = need(Path("/usr/bin/ffmpeg"), "ffmpeg")
    return subprocess.run(
        [str(program), "-v", "error", "-y", *arguments], check=True, capture_output=True, timeout=60
    ).stdout


def film(path: Path, *sound: str, video: tuple[str, ...] = H264, heard: str = AS_IN_FRONT) -> Path:
    """Film with a click at every full second; `heard` is a chain of filters."""
    path.write_bytes(_filmed(path.suffix, sound, video, heard))
    return path


@cache
def _filmed(suffix: str, sound: tuple[str, ...], video: tuple[str, ...], heard: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"film{suffix}")
        clicks = ("-f", "lavfi", "-i", CLICKS, "-af", heard)
        ffmpeg(*PICTURES, *clicks, *video, "-pix_fmt", "yuv420p", *sound, str(path))
        return path.read_bytes()


def cut(source: Path, method: str) -> Cut:
    return cut_clip(
        source,
        start_s=START_S,
        end_s=END_S,
        out=source.with_name("clip.mp4"),
        on_progress=lambda _done: None,
        options=CutOptions(method=method, keep_audio=True),  # type: ignore[arg-type]  # a name
    )


def clicks_of(clip: Path) -> list[float]:
    """Return when the clicks of a clip are heard, as ffmpeg plays it, gaps included."""
    raw = ffmpeg(
        *("-i", str(clip), "-map", "0:a:0", "-ac", "1", "-f", "f32le"),
        *("-af", "aresample=48000:async=1:min_hard_comp=0.005:first_pts=0", "-"),
    )
    loud = np.flatnonzero(np.abs(np.frombuffer(raw, np.float32)) > 0.1) / 48000
    return [float(at_s) for n, at_s in enumerate(loud) if n == 0 or at_s - loud[n - 1] > 0.1]


def check_in_time(clip: Path, *clicks_s: float) -> None:
    """Check that the clicks of these seconds of the capture are heard, and no others."""
    assert clicks_of(clip) == pytest.approx([at_s - START_S for at_s in clicks_s], abs=NEAR_S)


FORMS = {
    "PCM": (".mkv", ("-c:a", "pcm_s16le")),
    "A-law, 8 kHz": (".mkv", ("-c:a", "pcm_alaw", "-ar", "8000")),
    "a rate that AAC lacks": (".mkv", ("-c:a", "pcm_s16le", "-ar", "12345")),
    "192 kHz": (".mkv", ("-c:a", "pcm_s24le", "-ar", "192000")),
    "MP3, 8 kHz": (".avi", ("-c:a", "libmp3lame", "-ar", "8000")),
    "MP3, 11 kHz": (".flv", ("-c:a", "libmp3lame", "-ar", "11025")),
    "MP3": (".mkv", ("-c:a", "libmp3lame")),
    "AAC": (".ts", ("-c:a", "aac")),
    "Opus": (".mkv", ("-c:a", "libopus")),
    "six channels": (".mov", ("-c:a", "pcm_s16be", "-ac", "6")),
}


@pytest.mark.parametrize("method", ["copy", "encode"])
@pytest.mark.parametrize(("suffix", "sound"), FORMS.values(), ids=FORMS)
def test_sound_of_any_form_goes_along_in_time(
    suffix: str, sound: tuple[str, ...], method: str, tmp_path: Path
) -> None:
    made = cut(film(tmp_path / f"capture{suffix}", *sound), method)

    assert made.method == method, made.why
    check_in_time(tmp_path / "clip.mp4", 3, 4)


def test_channels_in_an_order_of_their_own_go_along(tmp_path: Path) -> None:
    """In a process of its own: PyAV ended it."""
    capture = film(tmp_path / "capture.mov", "-c:a", "pcm_s16le", "-ac", "8")
    words = (sys.executable, "-c", f"{CUT}({capture.as_posix()!r})")

    ended = subprocess.run(words, cwd=REPOSITORY, check=False, capture_output=True, timeout=60)

    assert ended.returncode == 0, ended.stderr.decode()
    check_in_time(tmp_path / "clip.mp4", 3, 4)


@pytest.mark.parametrize(
    ("suffix", "sound"),
    [(".mkv", ("-c:a", "pcm_s16le")), (".ts", ("-c:a", "mp2")), (".ts", ("-c:a", "aac"))],
)
def test_what_comes_behind_a_gap_in_the_sound_is_heard_in_time(
    suffix: str, sound: tuple[str, ...], tmp_path: Path
) -> None:
    cut(film(tmp_path / f"capture{suffix}", *sound, heard=GAP), "copy")

    check_in_time(tmp_path / "clip.mp4", 4)


def test_sound_that_is_not_whole_where_it_begins_is_left_out(tmp_path: Path) -> None:
    """In an MPEG program stream a packet begins anywhere within a frame of sound."""
    made = cut(film(tmp_path / "capture.mpg", "-c:a", "mp2", video=MPEG2), "auto")

    assert made.method == "encode"
    check_in_time(tmp_path / "clip.mp4", 3, 4)


@pytest.mark.parametrize("codec", ["aac", "mp2"])
def test_sound_whose_times_run_back_is_heard_once(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "capture.ts"
    parts = ("asplit[a][b];[a]atrim=0:3.6[first];[b]atrim=3.3[second]", "[first]", "[second]")
    ffmpeg(
        *PICTURES,
        *("-f", "lavfi", "-i", CLICKS, "-filter_complex", f"[1:a]{parts[0]}"),
        *("-map", "0:v", "-map", parts[1], "-map", parts[2]),
        *(*H264, "-pix_fmt", "yuv420p", "-c:a", codec, str(path)),
    )
    content = bytearray(path.read_bytes())
    for at in range(0, len(content), 188):
        if content[at + 1] & 0x1F == 1 and content[at + 2] == 2:
            content[at + 2] = 1  # the second part continues the first one's track
    path.write_bytes(content)

    for method in ("copy", "encode"):
        made = cut(path, method)
        assert made.method == method, made.why
        check_in_time(tmp_path / "clip.mp4", 3, 4)


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "aac"), (".ts", "aac"), (".ts", "ac3")])
def test_a_track_of_sound_that_says_nothing_is_left_out(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    whole, path = film(tmp_path / f"whole{suffix}", "-c:a", codec), tmp_path / f"capture{suffix}"
    with av.open(str(whole)) as given, av.open(str(path), "w") as target:
        copied = {s.index: target.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            if packet.size and packet.stream.type == "video":
                packet.stream = copied[packet.stream.index]
                target.mux(packet)

    for method in ("copy", "encode"):
        made = cut(path, method)
        assert made.method == method, made.why
        with av.open(str(tmp_path / "clip.mp4")) as clip:
            assert clip.streams.video and not clip.streams.audio
