"""What players show of a clip is what they show of its capture: ffmpeg and ffprobe judge it."""

import gc
import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from analysis.cut import clip as cutting
from analysis.cut.clip import Cut, cut_clip
from analysis.cut.target import CutOptions
from analysis.cut.verify import Expected, difference, look_at, picture_of
from analysis.display import Orientation
from analysis.inspection import inspect_video
from analysis.pose_model import PoseFinder
from analysis.takes import TakeOptions
from analysis.video import open_video
from tests.needs import need
from tests.videos import film_run

START_S, SECONDS = 0.5, 0.6


def half_in_soak(cases: Mapping[str, tuple[object, ...]]) -> list[object]:
    """Return cases for a test, every second of them for the long form alone."""
    return [
        pytest.param(*case, marks=pytest.mark.soak) if number % 2 else case
        for number, case in enumerate(cases.values())
    ]


H264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", "25")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-g", "25", "-x265-params", "log-level=none")
VP9 = ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-g", "25")
AV1 = ("-c:v", "libsvtav1", "-preset", "12", "-g", "25")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "2")
LEVELS = 3.0  # ffmpeg's own ways to RGB differ by up to two
FINE_CHROMA = 6.0  # of a small picture: ffmpeg shows 4:2:0 half a pixel beside 4:4:4


def run(program: str, *arguments: str) -> bytes:
    path = need(Path("/usr/bin", program), "ffmpeg")
    return subprocess.run(
        [str(path), "-v", "error", *arguments], check=True, capture_output=True, timeout=120
    ).stdout


def film(
    path: Path, *codec: str, size: str = "160x144", seconds: float = 2, look: str = ""
) -> Path:
    """Film moving shapes; `look` is a chain of filters."""
    width, height = size.split("x")
    source = (
        f"testsrc2=s={4 * int(width)}x{4 * int(height)}:r=25:d={seconds},scale={size}:flags=area"
    )
    path.write_bytes(_filmed(path.suffix, source + look, codec))
    return path


@cache
def _filmed(suffix: str, source: str, codec: tuple[str, ...]) -> bytes:
    """Return a film's content: each is encoded once per process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"film{suffix}")
        run("ffmpeg", "-y", "-f", "lavfi", "-i", source, *codec, str(path))
        return path.read_bytes()


def interlaced(path: Path, *codec: str, order: str = "top", size: str = "160x144") -> Path:
    width, height = size.split("x")
    source = (
        f"testsrc2=s={4 * int(width)}x{4 * int(height)}:r=50:d=2,scale={size}:flags=area,"
        f"tinterlace=interleave_{order},setfield={'tff' if order == 'top' else 'bff'}"
    )
    fields = ("-flags", "+ilme+ildct", "-top", str(int(order == "top")))
    path.write_bytes(_filmed(path.suffix, source, (*codec, *fields)))
    return path


def rewrapped(source: Path, path: Path, *options: str) -> Path:
    run("ffmpeg", "-y", "-i", str(source), "-c", "copy", *options, str(path))
    return path


def one_after_another(path: Path, *parts: Path) -> Path:
    listed = path.with_name("parts.txt")
    listed.write_text("".join(f"file '{part}'\n" for part in parts))
    run("ffmpeg", "-y", "-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", str(path))
    return path


def told(path: Path) -> dict[str, object]:
    return _told(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _told(path: Path, _written_ns: int) -> dict[str, object]:
    shown = run("ffprobe", "-select_streams", "v:0", "-show_streams", "-of", "json", str(path))
    (stream,) = json.loads(shown)["streams"]
    assert isinstance(stream, dict)
    return stream


def frames_told(path: Path) -> list[dict[str, object]]:
    shown = run("ffprobe", "-select_streams", "v:0", "-show_frames", "-of", "json", str(path))
    frames = json.loads(shown)["frames"]
    assert isinstance(frames, list)
    return frames


def shape(path: Path) -> float:
    """Return how many times wider than high a picture is shown, before it is turned."""
    stream = told(path)
    across, down = str(stream.get("sample_aspect_ratio", "1:1")).split(":")
    return int(str(stream["width"])) * int(across) / int(down) / int(str(stream["height"]))


def turned(path: Path) -> list[str]:
    stream = told(path)
    listed = stream.get("side_data_list", [])
    assert isinstance(listed, list)
    return [str(data["displaymatrix"]) for data in listed if "displaymatrix" in data]


def colours(path: Path) -> tuple[object, ...]:
    stream = told(path)
    names = ("color_range", "color_space", "color_transfer", "color_primaries")
    return tuple(stream.get(name) for name in names)


def pictures(path: Path) -> np.ndarray:
    """Return all pictures as ffmpeg shows them, upright, in RGB and of one small size."""
    return _pictures(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _pictures(path: Path, _written_ns: int) -> np.ndarray:
    raw = run(
        *("ffmpeg", "-i", str(path), "-fps_mode", "passthrough", "-f", "rawvideo"),
        *("-vf", "scale=80:72:flags=area,format=rgb24", "-"),
    )
    return np.frombuffer(raw, np.uint8).reshape(-1, 72, 80, 3).astype(np.int16)


@dataclass(frozen=True)
class Made:
    """A clip, and how far it is from its capture."""

    cut: Cut
    path: Path
    levels: float
    shift: float  # of all pictures, in one direction


def cut_from(
    source: Path, *, at_s: float = START_S, seconds: float = SECONDS, **options: object
) -> Made:
    out = source.with_name("clip.mp4")
    made = cut_clip(
        source,
        start_s=at_s,
        end_s=at_s + seconds,
        out=out,
        on_progress=lambda _done: None,
        options=CutOptions(**options),  # type: ignore[arg-type]  # tests say what they mean
    )
    own, original = pictures(out), pictures(source)
    starts = range(len(original) - len(own) + 1)
    apart = [float(np.abs(original[at] - own[0]).mean()) for at in starts]
    at = int(np.argmin(apart))
    steps = original[at : at + len(own)] - own
    shift = float(np.abs(steps.mean(axis=(0, 1, 2))).max())
    return Made(made, out, float(np.abs(steps).mean()), shift)


def cut_both_ways(source: Path, limit: float = LEVELS, *, at_s: float = START_S) -> list[Made]:
    """Copy and encode, where a copy is possible; each looks like the capture."""
    found = []
    for method in ("auto", "encode"):
        made = cut_from(source, at_s=at_s, method=method)
        assert made.levels <= (0 if made.cut.method == "copy" else limit), made
        assert made.shift <= 2, made
        found.append(made)
        made.path.rename(source.with_name(f"{method}.mp4"))
    return [
        Made(one.cut, source.with_name(f"{m}.mp4"), one.levels, one.shift)
        for one, m in zip(found, ("auto", "encode"), strict=True)
    ]


@pytest.mark.parametrize(
    ("suffix", "codec", "wide"),
    [
        (".mkv", H264, "in the container"),
        (".mp4", H264, "in the container"),
        pytest.param(".mov", HEVC, "in the container", marks=pytest.mark.soak),
        pytest.param(".webm", VP9, "in the container", marks=pytest.mark.soak),
        (".ts", H264, "in the stream"),
        pytest.param(".ts", MPEG2, "in the stream", marks=pytest.mark.soak),
        (".avi", ("-c:v", "mpeg4", "-q:v", "2"), "in the stream"),
        (".avi", ("-c:v", "mjpeg", "-q:v", "2"), "in the stream"),
        pytest.param(
            *(".mkv", H264, "in both, which contradict each other"), marks=pytest.mark.soak
        ),
        (".mp4", H264, "in both, which contradict each other"),
    ],
)
def test_pixels_keep_their_shape(
    suffix: str, codec: tuple[str, ...], wide: str, tmp_path: Path
) -> None:
    look = "" if wide == "in the container" else ",setsar=16/11"
    capture = film(tmp_path / f"filmed{suffix}", *codec, look=look)
    if wide != "in the stream":
        capture = rewrapped(capture, tmp_path / f"capture{suffix}", "-aspect", "2.2")
    begins_s = 0.0

    for made in cut_both_ways(capture, at_s=begins_s + START_S):
        assert shape(made.path) == pytest.approx(shape(capture), rel=0.01)
        assert shape(capture) > 1.5
        with open_video(capture) as reading:
            image = reading.upright(next(reading.decode())[1], longest_px=200)
        assert image.shape[1] / image.shape[0] == pytest.approx(shape(capture), rel=0.03)


def test_the_width_shown_stands_in_the_track_header_too(tmp_path: Path) -> None:
    capture = film(tmp_path / "capture.ts", *H264, look=",setsar=2")

    for made in cut_both_ways(capture):
        content = made.path.read_bytes()
        at = content.index(b"tkhd") + 4 + 76
        assert int.from_bytes(content[at : at + 4], "big") >> 16 == 320


@pytest.mark.parametrize(
    "suffix",
    [
        ".mp4",
        pytest.param(".mov", marks=pytest.mark.soak),
        pytest.param(".mkv", marks=pytest.mark.soak),
    ],
)
@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turned_and_mirrored_pictures_stay_so(
    turns: int, is_mirrored: bool, suffix: str, tmp_path: Path
) -> None:
    plain = film(tmp_path / "plain.mp4", *H264, size="160x96")
    capture = tmp_path / f"capture{suffix}"
    orientation = Orientation(turns=turns, is_mirrored=is_mirrored)
    with av.open(str(plain)) as source, av.open(str(capture), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        stream.set_display_matrix(orientation.matrix(160, 96))
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)

    for made in cut_both_ways(capture):
        if suffix != ".mkv":  # ffmpeg of Debian 12 does not know it there
            assert turned(made.path) == turned(capture)
    upright = []
    for path in (plain, capture):
        with open_video(path) as reading:
            upright.append(reading.upright(next(reading.decode())[1], longest_px=80))
    wanted = upright[0][:, ::-1] if is_mirrored else upright[0]
    assert (upright[1] == np.rot90(wanted, turns)).all()


PARTLY = ",scale=out_range=full"
PC = ("-color_range", "pc")
BT2020 = ("-colorspace", "bt2020nc", "-color_primaries", "bt2020")
COLOURS = {
    "full range": (".mkv", H264, f"{PARTLY},format=yuvj420p"),
    "full range in 10 bits": (".mp4", (*HEVC, *PC), f"{PARTLY},format=yuv420p10le"),
    "full range of 4:2:2, 10 bits": (".mkv", (*H264, *PC), f"{PARTLY},format=yuv422p10le"),
    "limited range in 10 bits": (".mkv", HEVC, ",format=yuv420p10le"),
    "mjpeg": (".avi", ("-c:v", "mjpeg", "-q:v", "2"), ""),
    "prores": (".mov", ("-c:v", "prores_ks"), ",format=yuv422p10le"),
    "4:4:4": (".mp4", H264, ",gblur=sigma=3,format=yuv444p"),
    "RGB": (".mkv", ("-c:v", "libx264rgb", "-g", "25"), ",gblur=sigma=3,format=rgb24"),
    "lossless RGB": (".mkv", ("-c:v", "ffv1"), ",gblur=sigma=3,format=gbrp"),
    "palette": (".mov", ("-c:v", "qtrle"), ",gblur=sigma=3,format=rgb24"),
    "grey": (".avi", ("-c:v", "mjpeg", "-q:v", "2"), ",format=gray"),
    "BT.709": (
        ".mp4",
        (*H264, "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
        ",scale=out_color_matrix=bt709,format=yuv420p",
    ),
    "HLG": (
        ".mov",
        (*HEVC, *BT2020, "-color_trc", "arib-std-b67"),
        ",scale=out_color_matrix=bt2020,format=yuv420p10le",
    ),
    "an unusual matrix": (".mkv", (*H264, "-colorspace", "ycgco"), ""),
}  # fmt: skip


@pytest.mark.parametrize(("suffix", "codec", "look"), half_in_soak(COLOURS), ids=COLOURS)
def test_colours_stay_as_they_were(
    suffix: str, codec: tuple[str, ...], look: str, tmp_path: Path
) -> None:
    capture = film(tmp_path / f"capture{suffix}", *codec, look=look)

    for made in cut_both_ways(capture, FINE_CHROMA if "gblur" in look else LEVELS):
        for before, after in zip(colours(capture), colours(made.path), strict=True):
            is_rgb = colours(capture)[1] == "gbr" or "rgb" in str(told(capture)["pix_fmt"])
            assert before in (None, after) or is_rgb


@pytest.mark.parametrize("kind", ["full range", "BT.709", "prores", "limited range in 10 bits"])
def test_what_the_model_sees_has_the_colours_that_ffmpeg_shows(kind: str, tmp_path: Path) -> None:
    suffix, codec, look = COLOURS[kind]
    soft = (
        f",gblur=sigma=6{look}"  # 4:2:0 blends the colours of edges, in as many ways as there are
    )
    capture = film(tmp_path / f"capture{suffix}", *codec, size="320x288", look=soft)

    with open_video(capture) as reading:
        seen = reading.upright(next(reading.decode())[1], longest_px=80)

    shown = run(
        *("ffmpeg", "-i", str(capture), "-frames:v", "1", "-vf", "scale=80:72:flags=area"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-"),
    )
    beyond = seen - np.frombuffer(shown, np.uint8).reshape(72, 80, 3).astype(float)
    assert np.abs(beyond).mean() < 2 * LEVELS  # a range or a matrix that is lost makes 9 and more


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_colours_that_only_the_container_tells_go_along(suffix: str, tmp_path: Path) -> None:
    plain, capture = film(tmp_path / "plain.mp4", *H264), tmp_path / f"capture{suffix}"
    with av.open(str(plain)) as source, av.open(str(capture), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        context = stream.codec_context
        context.color_range, context.colorspace = (2, 1) if suffix != ".mov" else (0, 1)
        context.color_primaries, context.color_trc = 1, 1
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)

    for made in cut_both_ways(capture):
        assert colours(made.path)[1:] == colours(capture)[1:]
        assert colours(made.path)[0] == (colours(capture)[0] or "tv")


def test_how_bright_a_high_dynamic_range_becomes_is_kept(tmp_path: Path) -> None:
    light = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    capture = film(
        tmp_path / "capture.mkv",
        *("-c:v", "libx265", "-preset", "ultrafast", "-g", "25", "-x265-params"),
        f"log-level=none:hdr10=1:{light}:max-cll=1000,400",
        *("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", "smpte2084"),
        look=",scale=out_color_matrix=bt2020,format=yuv420p10le",
    )

    for made in cut_both_ways(capture):
        with av.open(str(made.path)) as container:
            frame = next(container.decode(video=0))
            carried = {str(data.type) for data in frame.side_data}  # type: ignore[attr-defined]  # side data, not names
        assert any("MASTERING_DISPLAY" in kind for kind in carried)
        assert any("CONTENT_LIGHT" in kind for kind in carried)


FIELDS = {
    f"{suffix} {order} first": (suffix, codec, order)
    for suffix, codec, orders in (
        (".mts", H264, ("top", "bottom")),
        (".mp4", H264, ("bottom", "top")),
        (".ts", MPEG2, ("top", "bottom")),
        (".mpg", MPEG2, ("bottom", "top")),
        (".mkv", ("-c:v", "ffv1", "-pix_fmt", "yuv422p"), ("top", "bottom")),
    )
    for order in orders
}


@pytest.mark.parametrize(("suffix", "codec", "order"), half_in_soak(FIELDS), ids=FIELDS)
def test_interlaced_pictures_stay_interlaced(
    suffix: str, codec: tuple[str, ...], order: str, tmp_path: Path
) -> None:
    capture = interlaced(tmp_path / f"capture{suffix}", *codec, order=order)

    for made in cut_both_ways(capture):
        shown = frames_told(made.path)
        assert {frame["interlaced_frame"] for frame in shown} == {1}, told(capture)
        assert {frame["top_field_first"] for frame in shown} == {int(order == "top")}
        if made.cut.method == "encode":
            assert "interlaced" in made.cut.why


def test_what_becomes_interlaced_midway_stays_so(tmp_path: Path) -> None:
    capture = one_after_another(
        tmp_path / "capture.ts",
        film(tmp_path / "whole.ts", *H264),
        interlaced(tmp_path / "fields.ts", *H264),
    )

    made = cut_from(capture, at_s=1.5, seconds=1.0)

    assert made.cut.method == "encode" and "interlaced" in made.cut.why
    assert made.levels <= LEVELS


PARTS = {
    "h264 in mpeg-ts": (".ts", ".ts", H264),
    "h264 in mkv": (".ts", ".mkv", H264),
    "h264 in mp4": (".ts", ".mp4", H264),
    "hevc in mpeg-ts": (".ts", ".ts", HEVC),
    "hevc in mkv": (".ts", ".mkv", HEVC),
    "vp9 in webm": (".webm", ".webm", VP9),
    "av1 in mkv": (".mkv", ".mkv", AV1),
}


@pytest.mark.parametrize(("part", "suffix", "codec"), half_in_soak(PARTS), ids=PARTS)
def test_a_take_has_its_own_size_where_it_changes_midway(
    part: str, suffix: str, codec: tuple[str, ...], tmp_path: Path
) -> None:
    small = film(tmp_path / f"small{part}", *codec)
    large = film(tmp_path / f"large{part}", *codec, size="240x216")
    capture = one_after_another(tmp_path / f"capture{suffix}", small, large)

    for at_s, sides in ((START_S, (160, 144)), (2.5, (240, 216))):
        for made in cut_both_ways(capture, at_s=at_s):
            shown, stream = frames_told(made.path), told(made.path)
            assert {(frame["width"], frame["height"]) for frame in shown} == {sides}
            assert (stream["width"], stream["height"]) == sides
    inside = cut_from(capture, at_s=1.5, seconds=1.0)
    assert inside.cut.method == "encode" and "size changes" in inside.cut.why
    assert {(frame["width"], frame["height"]) for frame in frames_told(inside.path)} == {(240, 216)}
    assert inside.levels <= 6  # half of it is enlarged


@pytest.mark.parametrize(
    ("codec", "look", "sides"),
    [
        ((*H264,), ",setsar=2", "320x144"),
        ((*H264,), "", "96x160"),
    ],
)
def test_another_shape_inside_a_take_gets_bars(
    codec: tuple[str, ...], look: str, sides: str, tmp_path: Path
) -> None:
    first = film(tmp_path / "first.ts", *codec)
    size = "160x144" if look else "96x160"
    capture = one_after_another(
        tmp_path / "capture.ts", first, film(tmp_path / "second.ts", *codec, size=size, look=look)
    )

    made = cut_clip(
        capture,
        start_s=1.5,
        end_s=2.5,
        out=tmp_path / "clip.mp4",
        on_progress=lambda _done: None,
    )

    assert made.method == "encode" and sides in made.why and "160x144" in made.why
    last = pictures(tmp_path / "clip.mp4")[-1]
    assert last.mean() > 20  # not black
    edge = last[:4] if look else last[:, :4]
    assert edge.mean() < 8  # bars above, or at the side


@pytest.mark.parametrize(
    ("suffix", "codec", "tag"),
    [
        (".mp4", HEVC, "hvc1"),  # written as hev1
        (".mov", (*HEVC, "-tag:v", "hvc1"), "hvc1"),
        (".ts", HEVC, "hvc1"),
        (".mkv", (*HEVC[:-1], "log-level=none:repeat-headers=1"), "hvc1"),
        (".ts", H264, "avc1"),
        pytest.param(".mkv", AV1, "av01", marks=pytest.mark.soak),
        (".mp4", AV1, "av01"),
        pytest.param(
            ".webm",
            ("-c:v", "libaom-av1", "-cpu-used", "8", "-g", "25"),
            "av01",
            marks=pytest.mark.soak,
        ),
        pytest.param(".webm", VP9, "vp09", marks=pytest.mark.soak),
        (".mp4", VP9, "vp09"),
    ],
)
def test_what_an_mp4_can_hold_is_copied_and_named_properly(
    suffix: str, codec: tuple[str, ...], tag: str, tmp_path: Path
) -> None:
    capture = film(tmp_path / f"capture{suffix}", *codec)

    made = cut_from(capture)

    assert (made.cut.method, told(made.path)["codec_tag_string"]) == ("copy", tag), made.cut.why
    assert made.levels == 0
    if tag == "hvc1":
        content = made.path.read_bytes()
        assert all(content.count(bytes(head)) == 1 for head in ((0x42, 1, 1), (0x40, 1, 0x0C)))


@pytest.mark.parametrize(
    ("filters", "options"),
    [
        ("null", ("-bsf:v", "h264_metadata=video_full_range_flag=0")),
        ("lutyuv=y=val+5", ()),
        (  # which later versions of ffmpeg would tell in the stream
            "scale=in_color_matrix=bt601:out_color_matrix=bt709",
            ("-bsf:v", "h264_metadata=matrix_coefficients=2"),
        ),
        ("hflip", ()),
        ("setsar=2", ()),
        ("transpose=1", ()),
    ],
)
def test_the_proof_finds_what_players_would_show_otherwise(
    filters: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    capture = film(tmp_path / "capture.mkv", *H264, look=f"{PARTLY},format=yuvj420p")
    same, other = tmp_path / "same.mp4", tmp_path / "other.mp4"
    run("ffmpeg", "-y", "-i", str(capture), *H264, "-crf", "16", str(same))
    run("ffmpeg", "-y", "-i", str(capture), "-vf", filters, *H264, *options, str(other))
    with open_video(capture) as reading:
        shown = [(t, picture_of(reading, f, VideoReformatter())) for t, f in reading.decode()]
    expected = Expected(
        times_s=[time_s for time_s, _ in shown],
        first=shown[0][1],
        last=shown[-1][1],
        look=shown[0][1].look,
        has_fields=False,
    )

    def judged(path: Path) -> str | None:
        return difference(look_at(path, on_progress=lambda _done: None), expected, exact=False)

    assert judged(same) is None
    assert judged(other) is not None


def test_a_clip_that_fails_its_proof_is_made_in_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = film(tmp_path / "capture.mkv", *H264, look=f"{PARTLY},format=yuvj420p")
    judged: list[bool] = []

    def refuse_first(*given: object, exact: bool) -> str | None:
        judged.append(exact)
        if len(judged) == 1:
            return "its colours are off"
        return difference(*given, exact=exact)  # type: ignore[arg-type]  # as they were given

    monkeypatch.setattr(cutting, "difference", refuse_first)

    made = cut_from(capture, method="encode")

    assert made.cut.method == "encode" and "BT.709" in made.cut.why
    assert "its colours are off" in made.cut.why
    assert made.levels <= 5  # the matrix is another one
    assert colours(made.path)[:2] == ("tv", "bt709")


def test_the_body_is_seen_in_its_true_shape(tmp_path: Path, finder: PoseFinder) -> None:
    straight = film_run(tmp_path / "run.mp4", seconds=3)
    narrow = tmp_path / "narrow.mkv"
    run("ffmpeg", "-y", "-i", str(straight), "-vf", "scale=iw/2:ih,setsar=1", *H264, str(narrow))
    capture = rewrapped(narrow, tmp_path / "capture.mkv", "-aspect", "160:240")

    report = inspect_video(capture, TakeOptions(activity="running"), finder=finder)

    assert (report.video.width, report.video.height) == (80, 240)
    assert (report.video.shown_width, report.video.shown_height) == (160, 240)
    assert len(report.takes) == 1


def test_frames_leave_memory_as_soon_as_their_appearance_is_known(tmp_path: Path) -> None:
    """Without the collector of cycles: frames of 4K that wait for it fill the memory."""
    path = film(tmp_path / "film.mp4", *H264)
    gc.collect()
    gc.disable()
    try:
        with open_video(path) as reading:
            for _, frame in reading.decode():
                reading.appearance_of(frame)
            alive = sum(isinstance(one, VideoFrame) for one in gc.get_objects())
    finally:
        gc.enable()
    assert alive <= 2
