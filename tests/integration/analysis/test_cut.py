"""Clips from recordings in all the forms that cameras write them: frame by frame the capture's."""

from pathlib import Path

import av
import numpy as np
import pytest

from analysis.cut.clip import Cut, cut_clip
from analysis.cut.target import CutOptions
from analysis.sampling import grey_thumbnail
from analysis.video import VideoError, VideoFault, open_video
from tests.footage import Form, record

START_S, END_S = 0.55, 1.45
FAR = Form(seconds=4, keyframe_every=999, codec_options=(("sc_threshold", "0"),))
COPIED = {
    "h264": Form(),
    "uneven": Form(uneven=True),
    "portrait": Form(size=(90, 160)),
    "120 fps": Form(fps=120, keyframe_every=120),
    "240 fps": Form(fps=240, keyframe_every=120, seconds=1.6),
    "mov turned": Form(suffix=".mov", rotation_deg=90),
    "mkv": Form(suffix=".mkv"),
    "mpeg-ts": Form(suffix=".ts"),
    "hevc": Form(codec="libx265", codec_options=(("x265-params", "log-level=none"),)),
    "hevc 10 bit in mkv": Form(
        codec="libx265",
        pix_fmt="yuv420p10le",
        suffix=".mkv",
        codec_options=(("x265-params", "log-level=none"),),
    ),
    "vp9 in webm": Form(codec="libvpx-vp9", suffix=".webm", codec_options=(("cpu-used", "8"),)),
    "mpeg4 part 2": Form(codec="mpeg4", suffix=".mp4"),
    "mpeg4 part 2 in avi": Form(codec="mpeg4", suffix=".avi"),
}
ENCODED = {
    "mjpeg in avi": (Form(codec="mjpeg", pix_fmt="yuvj420p", suffix=".avi"), "cannot hold mjpeg"),
    "a keyframe too far away": (FAR, "max_preroll_s"),
    "odd sides": (Form(codec="ffv1", size=(161, 91), suffix=".mkv", pix_fmt="yuv444p"), "ffv1"),
    "10 bit": (Form(codec="ffv1", pix_fmt="yuv420p10le", suffix=".mkv"), "ffv1"),
}


def quiet(_done: float) -> None:
    """Nobody wants to know."""


def frames_of(path: Path) -> list[tuple[float, np.ndarray]]:
    with open_video(path) as reading:
        return [
            (time_s, grey_thumbnail(frame, longest_px=10_000).astype(int))
            for time_s, frame in reading.decode()
        ]


def cut(
    path: Path, out: Path, start_s: float = START_S, end_s: float = END_S, **told: object
) -> Cut:
    options = CutOptions(**told)  # type: ignore[arg-type]  # tests say what they mean
    return cut_clip(path, start_s=start_s, end_s=end_s, out=out, on_progress=quiet, options=options)


def check_same(source: Path, clip: Path, made: Cut, *, start_s: float, end_s: float) -> None:
    wanted = [(t, f) for t, f in frames_of(source) if t >= start_s - 1e-6]
    inside = sum(t < end_s for t, _ in wanted)
    shown = frames_of(clip)
    assert made.clip_frames == len(shown)
    assert inside <= len(shown) <= inside + (0 if made.method == "encode" else 5)
    for (at_s, original), (clip_s, picture) in zip(wanted, shown, strict=False):
        assert clip_s == pytest.approx(at_s - wanted[0][0], abs=0.0011)
        height, width = picture.shape
        difference = np.abs(original[:height, :width] - picture).mean()
        assert difference <= (0 if made.method == "copy" else 4)


@pytest.mark.parametrize("form", COPIED.values(), ids=COPIED)
def test_what_an_mp4_can_hold_is_copied_frame_by_frame(form: Form, tmp_path: Path) -> None:
    source = record(tmp_path / "capture", form)

    begins_s = frames_of(source)[0][0]  # not every container begins at 0
    start_s, end_s = begins_s + START_S, begins_s + END_S

    made = cut(source, tmp_path / "clip.mp4", start_s, end_s)

    assert made.method == "copy", made.why
    check_same(source, tmp_path / "clip.mp4", made, start_s=start_s, end_s=end_s)
    with open_video(source) as a, open_video(tmp_path / "clip.mp4") as b:
        next(a.decode()), next(b.decode())
        assert a.rotation_deg == b.rotation_deg


@pytest.mark.parametrize(("form", "why"), ENCODED.values(), ids=ENCODED)
def test_what_cannot_be_copied_is_encoded_and_says_why(
    form: Form, why: str, tmp_path: Path
) -> None:
    source = record(tmp_path / "capture", form)
    start_s, end_s = (2.5, 3.2) if form.seconds > 3 else (START_S, END_S)

    made = cut(source, tmp_path / "clip.mp4", start_s, end_s)

    assert made.method == "encode" and why in made.why
    check_same(source, tmp_path / "clip.mp4", made, start_s=start_s, end_s=end_s)


def test_the_settings_choose_the_way(tmp_path: Path) -> None:
    far = record(tmp_path / "far", FAR)
    near = record(tmp_path / "near", Form(uneven=True, rotation_deg=90))

    assert cut(far, tmp_path / "a.mp4", 2.5, 3.2, method="copy").method == "copy"
    assert cut(far, tmp_path / "b.mp4", 2.5, 3.2, max_preroll_s=3.0).method == "copy"
    made = cut(near, tmp_path / "c.mp4", method="encode")
    assert (made.method, made.why) == ("encode", "the settings say so")
    check_same(near, tmp_path / "c.mp4", made, start_s=START_S, end_s=END_S)
    with open_video(tmp_path / "c.mp4") as reading:
        next(reading.decode())
        assert reading.rotation_deg == 90


@pytest.mark.parametrize("sound", ["aac", "pcm_s16le"])
@pytest.mark.parametrize("method", ["copy", "encode"])
def test_sound_and_place_go_along_only_if_asked_for(
    sound: str, method: str, tmp_path: Path
) -> None:
    source = record(tmp_path / "capture", Form(suffix=".mov", sound=sound))

    cut(source, tmp_path / "bare.mp4", method=method)
    cut(source, tmp_path / "kept.mp4", method=method, keep_audio=True, keep_metadata=True)

    with av.open(str(tmp_path / "bare.mp4")) as bare, av.open(str(tmp_path / "kept.mp4")) as kept:
        assert not bare.streams.audio and "location" not in bare.metadata
        assert bare.metadata["creation_time"] == kept.metadata["creation_time"]
        assert kept.metadata["location"].startswith("+52.5")
        times_s = [float(frame.time or 0) for frame in kept.decode(kept.streams.audio[0])]
    assert abs(times_s[0]) < 0.05 and times_s[-1] == pytest.approx(END_S - START_S, abs=0.1)


def test_a_rendition_is_smaller_and_keeps_every_frame(tmp_path: Path) -> None:
    source = record(tmp_path / "capture", Form(size=(320, 180), uneven=True))

    made = cut(source, tmp_path / "small.mp4", rendition_height=90)
    same = cut(source, tmp_path / "same.mp4", rendition_height=180)

    assert made.method == "encode" and "90 px" in made.why and same.method == "copy"
    with open_video(tmp_path / "small.mp4") as reading:
        times_s = [time_s for time_s, _ in reading.decode()]
        assert (reading.width, reading.height) == (160, 90)
    wanted = [t for t, _ in frames_of(source) if START_S <= t < END_S]
    assert times_s == pytest.approx([t - wanted[0] for t in wanted], abs=0.0011)


def test_an_empty_stretch_makes_no_clip(tmp_path: Path) -> None:
    source = record(tmp_path / "capture", Form())

    with pytest.raises(VideoError) as caught:
        cut(source, tmp_path / "clip.mp4", 50.0, 60.0)

    assert caught.value.fault is VideoFault.UNREADABLE
