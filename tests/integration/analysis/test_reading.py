"""Reading recordings in all the forms that cameras write them, and what is left of broken ones."""

from pathlib import Path

import numpy as np
import pytest

from analysis.inspection import inspect_video
from analysis.pose_model import PoseFinder
from analysis.report import Report
from analysis.sampling import frame_shown_at
from analysis.takes import TakeOptions
from analysis.video import open_video, probe
from tests.footage import Form, record
from tests.videos import film_run

_X265 = (("x265-params", "log-level=none"),)
FORMS = {
    "h264 in mp4": (Form(), "h264"),
    "uneven frame times": (Form(uneven=True), "h264"),
    "a single keyframe": (Form(keyframe_every=999, codec_options=(("sc_threshold", "0"),)), "h264"),
    "120 fps": (Form(fps=120), "h264"),
    "240 fps": (Form(fps=240), "h264"),
    "portrait, turned": (Form(suffix=".mov", size=(90, 160), rotation_deg=-90), "h264"),
    "hevc 10 bit in mkv": (
        Form(codec="libx265", pix_fmt="yuv420p10le", suffix=".mkv", codec_options=_X265),
        "hevc",
    ),
    "vp9 in webm": (
        Form(codec="libvpx-vp9", suffix=".webm", codec_options=(("cpu-used", "8"),)),
        "vp9",
    ),
    "mpeg-4 part 2 in avi": (Form(codec="mpeg4", suffix=".avi"), "mpeg4"),
    "mjpeg in avi": (Form(codec="mjpeg", pix_fmt="yuvj420p", suffix=".avi"), "mjpeg"),
    "h264 in mpeg-ts": (Form(suffix=".ts"), "h264"),
    "with sound": (Form(sound="aac"), "h264"),
}


def look(path: Path, finder: PoseFinder) -> Report:
    return inspect_video(path, TakeOptions(activity="running"), finder=finder)


@pytest.mark.parametrize(("form", "codec"), FORMS.values(), ids=FORMS)
def test_every_form_is_read(form: Form, codec: str, tmp_path: Path, finder: PoseFinder) -> None:
    path = record(tmp_path / "capture", form)

    report, probed = look(path, finder), probe(path)

    shown = report.video
    assert (shown.width, shown.height, shown.codec) == (*form.size, codec)
    assert shown.fps == pytest.approx(form.fps, rel=0.05)
    assert shown.rotation_deg == form.rotation_deg
    seconds = form.seconds + (1.5 if form.suffix == ".ts" else 0)  # which begins later
    assert form.seconds - 0.1 <= shown.duration_s <= seconds + 0.1
    assert probed.packets == form.fps * form.seconds
    codes = {remark.code for remark in report.quality}
    assert report.verdict == "skip" and "nobody" in codes and "file_damaged" not in codes
    assert "frames_uneven" not in codes  # times that waver, but none is missing


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_what_a_power_failure_left_is_used_and_said(
    suffix: str, tmp_path: Path, finder: PoseFinder
) -> None:
    whole = film_run(tmp_path / f"run{suffix}", seconds=4)
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) * 2 // 3])

    report = look(whole, finder)

    (take,) = report.takes
    assert take.goes_on and 1.5 < take.end_s - take.start_s < 3.5


def test_damage_in_the_middle_is_said_with_its_moment(tmp_path: Path, finder: PoseFinder) -> None:
    path = film_run(tmp_path / "run.mkv", seconds=4)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 6000] = bytes(6000)
    path.write_bytes(bytes(content))

    report = look(path, finder)

    remarks = {remark.code: remark for remark in report.quality}
    assert {"file_damaged", "frames_uneven"} & set(remarks)
    said = remarks.get("file_damaged") or remarks["frames_uneven"]
    assert said.at_s is not None and 1.0 < said.at_s < 3.0
    assert report.takes


@pytest.mark.parametrize("form", [form for form, _ in FORMS.values()], ids=FORMS)
def test_the_frame_of_any_moment_is_the_one_that_decoding_everything_shows(
    form: Form, tmp_path: Path
) -> None:
    path = record(tmp_path / "capture", form)
    with open_video(path) as reading:
        shown = [(time_s, frame.to_ndarray(format="rgb24")) for time_s, frame in reading.decode()]
    shown.sort(key=lambda one: one[0])
    moments_s = [time_s + late_s for time_s, _ in shown[::7] for late_s in (0.0, 0.003)]

    for at_s in [-1.0, *moments_s, shown[-1][0], 60.0]:
        with open_video(path, from_s=at_s) as reading:
            found = frame_shown_at(reading, at_s, on_progress=lambda _done: None)
        before = [one for one in shown if one[0] <= at_s + 1e-6]
        expected_s, expected = before[-1] if before else shown[0]
        assert found is not None
        assert found.time_s == expected_s
        assert np.array_equal(found.frame.to_ndarray(format="rgb24"), expected)
