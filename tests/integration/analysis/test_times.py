"""Recordings whose timestamps are not what is shown: what is found and cut goes by the frames."""

import hashlib
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from struct import pack, unpack_from
from typing import cast

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from analysis.cut.clip import Cut, cut_clip
from analysis.cut.target import CutOptions
from analysis.inspection import inspect_video
from analysis.pose_model import PoseFinder
from analysis.takes import TakeOptions
from analysis.video import index_of, probe
from tests.footage import Form, record
from tests.needs import need
from tests.videos import film_run

FPS = 30
EVEN = Form(seconds=4.0, codec_options=(("bf", "0"),))
SHUFFLED = replace(EVEN, codec_options=(("bf", "2"), ("b_strategy", "0")))  # with B-frames
Stamp = Callable[[int], float]  # from a frame's number, as it is shown, to its time in seconds


def hashes(path: Path) -> list[str]:
    """Return what every frame shows, in the order in which a decoder returns them."""
    with av.open(str(path)) as container:
        return [
            hashlib.sha256(frame.to_ndarray(format="gray").tobytes()).hexdigest()
            for frame in container.decode(video=0)
        ]


def shown_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time or 0) for frame in container.decode(video=0)]


def restamped(source: Path, out: Path, stamp: Stamp, **options: str) -> Path:
    """Copy a recording of even frames, each with another timestamp."""
    with av.open(str(source)) as given, av.open(str(out), "w", options=options) as target:
        stream = given.streams.video[0]
        copied = target.add_stream_from_template(stream)
        base = stream.time_base or Fraction(1)
        packets = [packet for packet in given.demux(stream) if packet.size]
        times = sorted(packet.pts or 0 for packet in packets)
        stamps_s = [stamp(number) for number in range(len(packets))]
        delay_s = max(n - times.index(p.pts or 0) for n, p in enumerate(packets)) / FPS
        latest = None
        for number, packet in enumerate(packets):
            packet.pts = round(stamps_s[times.index(packet.pts or 0)] / base)
            dts = round((stamps_s[number] - delay_s) / base)
            packet.dts = latest = min(dts if latest is None else max(dts, latest), packet.pts)
            packet.stream = copied
            target.mux(packet)
    return out


def in_pieces(source: Path, out: Path, starts_s: Iterable[float]) -> Path:
    """Store the same recording several times, one behind the other, as a recorder appends."""
    pieces = []
    for number, start_s in enumerate(starts_s):
        piece = out.with_name(f"piece-{number}.ts")
        pieces.append(restamped(source, piece, partial(_running, start_s), muxdelay="0"))
    out.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    return out


def _running(start_s: float, number: int) -> float:
    return start_s + number / FPS


def cut(path: Path, out: Path, start_s: float, end_s: float, **told: object) -> Cut:
    options = CutOptions(**told)  # type: ignore[arg-type]  # tests say what they mean
    return cut_clip(
        path, start_s=start_s, end_s=end_s, out=out, on_progress=lambda _d: None, options=options
    )


def check_clip(source: Path, clip: Path, *, begins: int, ends: int, copied: bool) -> None:
    """Check that a clip shows the frames of a recording from one on, each for a frame's time."""
    wanted, shown = hashes(source), hashes(clip)
    assert ends - begins <= len(shown) <= ends - begins + (5 if copied else 0)
    if copied:
        assert shown == wanted[begins : begins + len(shown)]
    steps_s = np.diff(shown_times(clip))
    assert steps_s == pytest.approx(np.full(len(steps_s), 1 / FPS), abs=0.0021)


STARTS: dict[str, tuple[str, float, dict[str, str]]] = {
    "mkv at an hour": (".mkv", 3600.0, {}),
    "ts at an hour": (".ts", 3600.0, {}),
    "mov at an hour": (".mov", 3600.0, {}),
    "fragmented mp4 at an hour": (".mp4", 3600.0, {"movflags": "frag_keyframe+empty_moov"}),
    "ts across the wrap": (".ts", 2**33 / 90000 - 2.0, {}),
    "ts long before the wrap": (".ts", 2**33 / 90000 - 200.0, {}),
    "negative, mov": (".mov", -0.5, {"avoid_negative_ts": "disabled"}),
}


@pytest.mark.parametrize("form", [EVEN, SHUFFLED], ids=["even", "shuffled"])
@pytest.mark.parametrize(("suffix", "start_s", "options"), STARTS.values(), ids=STARTS)
def test_times_may_begin_anywhere(
    suffix: str, start_s: float, options: dict[str, str], form: Form, tmp_path: Path
) -> None:
    whole = record(tmp_path / "whole", form)
    path = restamped(whole, tmp_path / f"c{suffix}", lambda n: start_s + n / FPS, **options)

    hidden = 15 if start_s < 0 else 0
    assert probe(path).facts.duration_s == pytest.approx(4.0 - hidden / FPS, abs=0.04)
    made = cut(path, tmp_path / "clip.mp4", 1.49, 2.49)

    assert made.method == "copy", made.why
    check_clip(whole, tmp_path / "clip.mp4", begins=45 + hidden, ends=75 + hidden, copied=True)


JUMPS: dict[str, tuple[str, Stamp]] = {
    "forward at a keyframe": (".mkv", lambda n: n / FPS + 300 * (n >= 60)),
    "forward inside a group": (".mkv", lambda n: n / FPS + 300 * (n >= 50)),
    "forward in a mov": (".mov", lambda n: n / FPS + 3600 * (n >= 50)),
    "forward in an mp4": (".mp4", lambda n: n / FPS + 45 * (n >= 60)),
    "forward in a ts": (".ts", lambda n: n / FPS + 300 * (n >= 50)),
    "forward in an flv": (".flv", lambda n: n / FPS + 300 * (n >= 50)),
    "twice": (".mkv", lambda n: n / FPS + 300 * (n >= 30) + 4000 * (n >= 50)),
    "after a clock that stood": (".mkv", lambda n: n / FPS if n < 40 or n > 60 else 40 / FPS),
    "two frames at a time": (".mkv", lambda n: n // 2 * 2 / FPS),
}


@pytest.mark.parametrize("form", [EVEN, SHUFFLED], ids=["even", "shuffled"])
@pytest.mark.parametrize(("suffix", "stamp"), JUMPS.values(), ids=JUMPS)
def test_a_jump_takes_no_time(suffix: str, stamp: Stamp, form: Form, tmp_path: Path) -> None:
    whole = record(tmp_path / "whole", form)
    path = restamped(whole, tmp_path / f"c{suffix}", stamp)

    assert probe(path).facts.duration_s == pytest.approx(4.0, abs=0.1)
    copied = cut(path, tmp_path / "copied.mp4", 1.49, 2.49)
    encoded = cut(path, tmp_path / "encoded.mp4", 1.49, 2.49, method="encode")

    check_clip(whole, tmp_path / "copied.mp4", begins=45, ends=75, copied=copied.method == "copy")
    check_clip(whole, tmp_path / "encoded.mp4", begins=45, ends=75, copied=False)
    assert copied.method == "copy", copied.why
    assert encoded.clip_seconds == pytest.approx(1.0, abs=0.05)


PIECES = {
    "begins again": (0.0, 0.0),
    "goes back": (1000.0, 10.0),
    "goes back a little": (10.0, 13.5),
    "goes back by two frames": (10.0, 14.0 - 2 / FPS),
    "runs on by minutes": (0.0, 300.0),
    "there and back": (10.0, 400.0, 20.0),
}


@pytest.mark.parametrize("form", [EVEN, SHUFFLED], ids=["even", "shuffled"])
@pytest.mark.parametrize("starts_s", PIECES.values(), ids=PIECES)
def test_a_recorder_that_began_again_into_the_same_file_is_one_recording(
    starts_s: tuple[float, ...], form: Form, tmp_path: Path
) -> None:
    whole = record(tmp_path / "whole", form)
    path = in_pieces(whole, tmp_path / "c.ts", starts_s)

    index = index_of(path)
    made = cut(path, tmp_path / "clip.mp4", 3.49, 4.49)

    assert index.packets.span.end_s == pytest.approx(4.0 * len(starts_s), abs=0.05)
    assert len(index.packets.jumps) == len(starts_s) - 1
    assert made.method == "copy", made.why
    check_clip(path, tmp_path / "clip.mp4", begins=105, ends=135, copied=True)


def test_a_jump_is_said_with_its_moment_and_takes_are_found_across_it(
    tmp_path: Path, finder: PoseFinder
) -> None:
    whole = film_run(tmp_path / "run.mp4", seconds=4)
    path = restamped(whole, tmp_path / "c.mkv", lambda n: n / 15 + 600 * (n >= 20))

    report = inspect_video(path, TakeOptions(activity="running"), finder=finder)

    remarks = {remark.code: remark for remark in report.quality}
    assert remarks["times_jump"].at_s == pytest.approx(20 / 15, abs=0.01)
    assert "once forward by 600.0 s" in remarks["times_jump"].message
    assert "frames_uneven" not in remarks
    (take,) = report.takes
    assert take.end_s - take.start_s > 3 and report.video.duration_s == pytest.approx(4, abs=0.1)


HELD: dict[str, tuple[Stamp, float]] = {
    "a picture held for 4 s": (lambda n: n / FPS + 4 * (n >= 50), 8.0),
    "held for 9 s": (lambda n: n / FPS + 9 * (n >= 60), 13.0),
    "one frame a second": (lambda n: float(n), 120.0),
    "a frame each five seconds": (lambda n: 5.0 * n, 600.0),
    "a frame each twelve seconds": (lambda n: 12.0 * n, 1440.0),
    "a frame a second, and more while something moves": (
        lambda n: float(min(n, 40)) + max(0, n - 40) / FPS,
        40 + 80 / FPS,
    ),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("stamp", "seconds"), HELD.values(), ids=HELD)
def test_a_pause_of_the_camera_is_no_jump(
    stamp: Stamp, seconds: float, suffix: str, tmp_path: Path
) -> None:
    whole = record(tmp_path / "whole", EVEN)
    path = restamped(whole, tmp_path / f"c{suffix}", stamp)

    index = index_of(path)

    assert not index.packets.jumps
    assert index.packets.shown_s == pytest.approx(
        [stamp(n) - stamp(0) for n in range(120)], abs=2e-3
    )
    assert index.packets.span.end_s == pytest.approx(seconds, abs=0.1 + (seconds > 100) * 12.0)


def test_the_last_picture_of_a_clip_is_held_no_longer_than_the_clip(tmp_path: Path) -> None:
    for form, method in ((EVEN, "copy"), (EVEN, "encode"), (SHUFFLED, "encode")):
        whole = record(tmp_path / "whole", form)
        path = restamped(whole, tmp_path / "c.mp4", HELD["held for 9 s"][0])
        made = cut(path, tmp_path / "clip.mp4", 0.5, 5.0, method=method)
        assert made.method == method and made.clip_seconds == pytest.approx(4.5, abs=0.1)


def test_a_clip_does_not_run_on_over_a_pause(tmp_path: Path) -> None:
    whole = record(tmp_path / "whole", SHUFFLED)
    path = restamped(whole, tmp_path / "c.mp4", lambda n: n / FPS + 9 * (n >= 59))

    made = cut(path, tmp_path / "clip.mp4", 0.5, 5.0)

    assert made.clip_seconds == pytest.approx(4.5, abs=0.1)


@pytest.mark.parametrize(
    "form", [EVEN, pytest.param(SHUFFLED, marks=pytest.mark.soak)], ids=["even", "shuffled"]
)
def test_a_clip_whose_only_keyframe_is_hidden_is_used(
    form: Form, tmp_path: Path, finder: PoseFinder
) -> None:
    far = replace(
        form, keyframe_every=999, codec_options=(*form.codec_options, ("sc_threshold", "0"))
    )
    whole = record(tmp_path / "whole", far)
    trimmed = tmp_path / "trimmed.mp4"
    cut(whole, trimmed, 1.0, 4.0, method="copy")

    report = inspect_video(trimmed, TakeOptions(), finder=finder)
    copied = cut(trimmed, tmp_path / "copied.mp4", 0.49, 1.49)
    encoded = cut(trimmed, tmp_path / "encoded.mp4", 1.99, 2.99)

    assert not index_of(trimmed).packets.is_shown[0]
    assert report.video.duration_s == pytest.approx(3.0, abs=0.05)
    assert copied.method == "copy" and encoded.method == "encode"
    check_clip(whole, tmp_path / "copied.mp4", begins=45, ends=75, copied=True)
    check_clip(whole, tmp_path / "encoded.mp4", begins=90, ends=120, copied=False)


def in_parts(source: Path, out: Path, *parts: tuple[int, int]) -> Path:
    """Let an edit list show only these parts of an MP4, from one frame to before another."""
    content = bytearray(source.read_bytes())
    for name in (b"moov", b"trak", b"edts", b"elst"):
        at = content.index(name) - 4
        size = int.from_bytes(content[at : at + 4], "big") + 12 * (len(parts) - 1)
        content[at : at + 4] = size.to_bytes(4, "big")
    scales = [content.index(name) + 16 for name in (b"mvhd", b"mdhd")]
    movie, media = (int.from_bytes(content[at : at + 4], "big") for at in scales)
    at = content.index(b"elst") + 8
    (begins,) = unpack_from(">i", content, at + 8)  # of the first frame
    edits = b"".join(
        pack(">IiI", (behind - first) * movie // FPS, begins + first * media // FPS, 1 << 16)
        for first, behind in parts
    )
    content[at : at + 16] = len(parts).to_bytes(4, "big") + edits
    out.write_bytes(content)
    return out


@pytest.mark.parametrize("form", [EVEN, SHUFFLED], ids=["even", "shuffled"])
def test_a_take_across_a_part_that_was_cut_out_keeps_every_frame(
    form: Form, tmp_path: Path
) -> None:
    """As phones edit: the second part begins at a hidden keyframe whose time lies in the first."""
    whole = record(tmp_path / "whole", form)
    path = in_parts(whole, tmp_path / "c.mp4", (0, 40), (70, 110))

    assert probe(path).facts.duration_s == pytest.approx(80 / FPS, abs=0.04)
    for method in ("auto", "encode"):
        made = cut(path, tmp_path / "across.mp4", 1.09, 2.09, method=method)
        assert made.clip_frames == 30 and made.method == "encode"
        assert len(hashes(tmp_path / "across.mp4")) == 30
    behind = cut(path, tmp_path / "behind.mp4", 1.49, 2.09)
    assert behind.method == "copy", behind.why
    check_clip(whole, tmp_path / "behind.mp4", begins=75, ends=93, copied=True)


@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
@pytest.mark.parametrize("form", [EVEN, SHUFFLED], ids=["even", "shuffled"])
def test_what_no_player_shows_before_the_first_keyframe_takes_no_time(
    form: Form, suffix: str, tmp_path: Path
) -> None:
    whole = record(tmp_path / "whole", form)
    path = tmp_path / f"c{suffix}"
    with av.open(str(whole)) as given, av.open(str(path), "w") as target:
        stream = given.streams.video[0]
        copied = target.add_stream_from_template(stream)
        for number, packet in enumerate(given.demux(stream)):
            if packet.size and number >= 20:
                packet.stream = copied
                target.mux(packet)

    shown = len(hashes(path))
    made = cut(path, tmp_path / "clip.mp4", 0.49, 1.49)

    assert 85 <= shown < 100
    assert probe(path).facts.duration_s == pytest.approx(shown / FPS, abs=0.05)
    assert made.method == "copy", made.why
    check_clip(path, tmp_path / "clip.mp4", begins=15, ends=45, copied=True)


def in_shared_packets(source: Path, out: Path, count: int) -> Path:
    """Store so many pictures in each packet of a transport stream: the first alone has a time."""
    delimiter = b"\x00\x00\x00\x01\x09\xf0"
    with av.open(str(source)) as given, av.open(str(out), "w") as target:
        stream = given.streams.video[0]
        copied = target.add_stream_from_template(stream)
        with_start_codes = BitStreamFilterContext("h264_mp4toannexb", stream)
        pictures = [
            converted
            for packet in given.demux(stream)
            for converted in with_start_codes.filter(packet if packet.size else None)
        ]
        for at in range(0, len(pictures), count):
            inside, first = pictures[at : at + count], pictures[at]
            content = b"".join(delimiter + bytes(picture) for picture in inside)
            shared = cast("av.Packet[av.VideoStream]", av.Packet(content))
            shared.pts, shared.dts, shared.time_base = first.pts, first.dts, first.time_base
            shared.is_keyframe, shared.stream = first.is_keyframe, copied
            target.mux(shared)
    return out


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("form", [EVEN, SHUFFLED], ids=["even", "shuffled"])
def test_pictures_that_share_a_packet_of_a_transport_stream_are_all_kept(
    form: Form, count: int, tmp_path: Path, finder: PoseFinder
) -> None:
    whole = record(tmp_path / "whole", form)
    path = in_shared_packets(whole, tmp_path / "c.ts", count)

    report = inspect_video(path, TakeOptions(), finder=finder)
    made = cut(path, tmp_path / "clip.mp4", 1.49, 2.49)

    assert report.video.duration_s == pytest.approx(4.0, abs=0.01)
    assert report.video.fps == pytest.approx(FPS, abs=0.01)
    assert not {"times_jump", "frames_uneven", "damaged"} & {one.code for one in report.quality}
    assert "no times" in made.why and made.clip_frames == 30
    check_clip(whole, tmp_path / "clip.mp4", begins=45, ends=75, copied=False)
    assert alike(whole, tmp_path / "clip.mp4", begins=45)


def alike(source: Path, clip: Path, *, begins: int) -> bool:
    """Tell whether an encoded clip's pictures look like a recording's from one on."""
    with av.open(str(source)) as one, av.open(str(clip)) as other:
        originals = [frame.to_ndarray(format="gray") for frame in one.decode(video=0)]
        pictures = [frame.to_ndarray(format="gray") for frame in other.decode(video=0)]
    steps = [
        float(np.abs(original.astype(int) - picture).mean())
        for original, picture in zip(originals[begins:], pictures, strict=False)
    ]
    return max(steps) < 4


HEVC = replace(EVEN, codec="libx265", codec_options=(("x265-params", "log-level=none"),))


@pytest.mark.parametrize(
    "form",
    [SHUFFLED, *(pytest.param(one, marks=pytest.mark.soak) for one in (EVEN, HEVC))],
    ids=["shuffled", "even", "hevc"],
)
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("marked", [True, False], ids=["all", "none"])
def test_keyframes_are_found_where_a_container_marks_all_frames_or_none(
    marked: bool, suffix: str, form: Form, tmp_path: Path, finder: PoseFinder
) -> None:
    whole = record(tmp_path / "whole", form)
    path = tmp_path / f"c{suffix}"
    with av.open(str(whole)) as given, av.open(str(path), "w") as target:
        copied = target.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.size:
                packet.stream, packet.is_keyframe = copied, marked
                target.mux(packet)

    report = inspect_video(path, TakeOptions(), finder=finder)
    made = cut(path, tmp_path / "clip.mp4", 1.49, 2.49)

    assert report.video.duration_s == pytest.approx(4.0, abs=0.05)
    assert "times_jump" not in {remark.code for remark in report.quality}
    assert made.method == "copy", made.why
    check_clip(whole, tmp_path / "clip.mp4", begins=45, ends=75, copied=True)


def test_an_avi_with_b_frames_is_shown_in_the_right_order(tmp_path: Path) -> None:
    whole = record(tmp_path / "whole", SHUFFLED)
    path = tmp_path / "c.avi"
    with av.open(str(whole)) as given, av.open(str(path), "w") as target:
        stream = given.streams.video[0]
        copied = target.add_stream_from_template(stream)
        with_start_codes = BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in given.demux(stream):
            for converted in with_start_codes.filter(packet if packet.size else None):
                converted.stream = copied
                target.mux(converted)

    made = cut(path, tmp_path / "clip.mp4", 1.49, 2.49)

    assert probe(path).facts.duration_s == pytest.approx(4.0, abs=0.05)
    assert made.method == "copy", made.why
    check_clip(whole, tmp_path / "clip.mp4", begins=45, ends=75, copied=True)


RAW = {
    ".h264": Form(seconds=4.0, suffix=".h264"),
    ".264 with B-frames": replace(SHUFFLED, suffix=".264"),
    ".h265": Form(
        seconds=4.0,
        suffix=".h265",
        codec="libx265",
        codec_options=(("x265-params", "log-level=none:bframes=0"),),
    ),
    ".hevc with B-frames": Form(
        seconds=4.0,
        suffix=".hevc",
        codec="libx265",
        codec_options=(("x265-params", "log-level=none:bframes=3"),),
    ),
}


def raw(path: Path, form: Form) -> Path:
    """Record a stream without a container."""
    path = path.with_suffix(form.suffix)
    whole = record(path.with_name("in-a-container"), replace(form, suffix=".mkv"))
    kind = "hevc" if form.codec == "libx265" else "h264"
    with av.open(str(whole)) as given, av.open(str(path), "w", format=kind) as target:
        copied = target.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
    return path


@pytest.mark.parametrize("form", RAW.values(), ids=RAW)
def test_a_raw_stream_is_looked_into_and_cut_to_its_own_frames(
    form: Form, tmp_path: Path, finder: PoseFinder
) -> None:
    path = raw(tmp_path / "c", form)

    report = inspect_video(path, TakeOptions(), finder=finder)
    made = cut(path, tmp_path / "clip.mp4", 1.49, 2.49)

    assert report.video.fps == pytest.approx(FPS) and report.video.duration_s == pytest.approx(4.0)
    assert "frame_rate_assumed" not in {remark.code for remark in report.quality}
    assert made.method == "copy", made.why
    check_clip(path, tmp_path / "clip.mp4", begins=45, ends=75, copied=True)


def test_a_raw_stream_without_a_frame_rate_is_taken_for_30_a_second(
    tmp_path: Path, finder: PoseFinder
) -> None:
    silent = "log-level=none:bframes=0:no-vui-timing-info=1"
    form = Form(seconds=2.0, suffix=".h265", codec="libx265", fps=15)
    form = replace(form, codec_options=(("x265-params", silent),))
    path = raw(tmp_path / "c", form)

    report = inspect_video(path, TakeOptions(), finder=finder)

    assert report.video.duration_s == pytest.approx(1.0)
    assert "frame_rate_assumed" in {remark.code for remark in report.quality}


def two_tracks(path: Path, *, first: Form, second: Form) -> Path:
    """Put the pictures of two recordings into one file."""
    with av.open(str(path), "w") as target:
        given = [
            av.open(str(record(path.with_name(f"track-{n}"), form)))
            for n, form in enumerate((first, second))
        ]
        copied = [target.add_stream_from_template(one.streams.video[0]) for one in given]
        for one, stream in zip(given, copied, strict=True):
            for packet in one.demux(one.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
            one.close()
    return path


MAIN = Form(seconds=4.0, size=(160, 90))
BESIDE = {
    "a small preview": Form(seconds=4.0, size=(64, 36)),
    "small thumbnails": Form(
        seconds=4.0, size=(64, 36), fps=1, codec="mjpeg", pix_fmt="yuvj420p", suffix=".mov"
    ),
    "large thumbnails": Form(
        seconds=4.0, size=(320, 180), fps=2, codec="mjpeg", pix_fmt="yuvj420p", suffix=".mov"
    ),
    "one large picture": Form(
        seconds=1.0, size=(320, 180), fps=1, codec="mjpeg", pix_fmt="yuvj420p", suffix=".mov"
    ),
    "a depth map": Form(seconds=4.0, size=(80, 44), pix_fmt="gray", codec="libx264"),
}


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
@pytest.mark.parametrize("comes", ["first", "last"])
@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_the_largest_track_with_moving_pictures_is_the_main_one(
    beside: Form, comes: str, suffix: str, tmp_path: Path
) -> None:
    order = (beside, MAIN) if comes == "first" else (MAIN, beside)
    path = two_tracks(tmp_path / f"c{suffix}", first=order[0], second=order[1])

    facts = probe(path).facts
    made = cut(path, tmp_path / "clip.mp4", 1.49, 2.49)

    assert (facts.width, facts.height, facts.codec) == (160, 90, "h264")
    assert facts.duration_s == pytest.approx(4.0, abs=0.05)
    assert made.method == "copy", made.why
    whole = tmp_path / f"track-{order.index(MAIN)}.mp4"
    check_clip(whole, tmp_path / "clip.mp4", begins=45, ends=75, copied=True)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cover_is_no_track(suffix: str, tmp_path: Path) -> None:
    ffmpeg = need(Path("/usr/bin/ffmpeg"), "ffmpeg")
    whole, cover = record(tmp_path / "whole", MAIN), tmp_path / "cover.jpg"
    path = tmp_path / f"c{suffix}"
    quiet = (str(ffmpeg), "-v", "error", "-y")
    still = (*quiet, "-f", "lavfi", "-i", "testsrc2=s=640x360", "-frames:v", "1", str(cover))
    subprocess.run(still, check=True, timeout=60)
    added: tuple[str, ...]
    if suffix == ".mkv":
        added = ("-i", str(whole), "-attach", str(cover), "-metadata:s:t", "mimetype=image/jpeg")
    else:
        attached = ("-map", "1:v", "-map", "0:v", "-disposition:v:0", "attached_pic")
        added = ("-i", str(whole), "-i", str(cover), *attached)
    subprocess.run((*quiet, *added, "-c", "copy", str(path)), check=True, timeout=60)

    facts = probe(path).facts
    cut(path, tmp_path / "clip.mp4", 1.49, 2.49)

    assert (facts.width, facts.height) == (160, 90)
    check_clip(whole, tmp_path / "clip.mp4", begins=45, ends=75, copied=True)


@pytest.mark.parametrize("share", [1.0, 0.7], ids=["finished", "cut off"])
def test_an_mp4_of_fragments_that_becomes_a_plain_one_is_used_in_both_states(
    share: float, tmp_path: Path
) -> None:
    """As OBS writes them: fragments until it ends, then one index over all."""
    whole = record(tmp_path / "whole", SHUFFLED)
    options = {"movflags": "+hybrid_fragmented+frag_keyframe"}
    path = restamped(whole, tmp_path / "c.mp4", lambda n: n / FPS, **options)
    content = path.read_bytes()
    if share < 1:
        plain = {"movflags": "+frag_keyframe+empty_moov"}
        content = restamped(whole, path, lambda n: n / FPS, **plain).read_bytes()
        path.write_bytes(content[: round(len(content) * share)])

    made = cut(path, tmp_path / "clip.mp4", 0.49, 1.49)

    assert 2.0 < probe(path).facts.duration_s <= 4.05
    assert made.method == "copy", made.why
    check_clip(whole, tmp_path / "clip.mp4", begins=15, ends=45, copied=True)


@pytest.mark.parametrize("method", ["copy", "encode"])
def test_sound_jumps_together_with_the_pictures(method: str, tmp_path: Path) -> None:
    whole = record(tmp_path / "whole", replace(EVEN, suffix=".mkv", sound="aac"))
    path = tmp_path / "c.mkv"
    with av.open(str(whole)) as given, av.open(str(path), "w") as target:
        copied = {s.index: target.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            if packet.size:
                late = round(300 / (packet.time_base or 1)) if (packet.pts or 0) > 2000 else 0
                packet.pts, packet.dts = (packet.pts or 0) + late, (packet.pts or 0) + late
                packet.stream = copied[packet.stream.index]
                target.mux(packet)

    cut(path, tmp_path / "clip.mp4", 1.49, 2.49, method=method, keep_audio=True)

    with av.open(str(tmp_path / "clip.mp4")) as clip:
        times_s = [float(frame.time or 0) for frame in clip.decode(clip.streams.audio[0])]
    assert abs(times_s[0]) < 0.05 and times_s[-1] == pytest.approx(1.0, abs=0.1)
    assert max(b - a for a, b in pairwise(times_s)) < 0.08
