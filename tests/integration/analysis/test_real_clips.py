"""The analysis on real clips, alone."""

import csv
import os
import tempfile
from itertools import takewhile
from pathlib import Path

import av
import numpy as np
import pytest

from analysis.cut.clip import cut_clip
from analysis.inspection import inspect_video
from analysis.pose_model import PoseFinder
from analysis.primitives import Interval
from analysis.report import Report
from analysis.takes import TakeOptions
from analysis.video import VideoError, VideoFault, open_video, probe
from tests.conftest import VIDEOS

pytestmark = pytest.mark.skipif(not VIDEOS.exists(), reason=f"no real clips in {VIDEOS}")


def _rows() -> dict[str, dict[str, str]]:
    if not VIDEOS.exists():
        return {}
    lines = (VIDEOS / "labels.tsv").read_text(encoding="utf-8").splitlines()
    return {row["file"]: row for row in csv.DictReader(lines, delimiter="\t")}


ROWS = _rows()


# Of the long ones, what is looked at here; all of them is looked at in the long form.
PARTS = {
    "static_hall_empty_lightchange.mp4": Interval(start_s=0.0, end_s=24.0),
    "static_hall_person_sweeps.mp4": Interval(start_s=28.0, end_s=62.0),
}
# Who sweeps keeps moving, which is enough where a station's activity is not known; when it begins
# and ends does not matter.
NO_EXERCISE = {"static_hall_person_sweeps.mp4"}
SAME_PICTURES = "roof_jump_vp9.webm"  # in another container: its frames are compared below
WHOLE = [name for name in sorted(ROWS) if name not in {*PARTS, SAME_PICTURES}]


def look(name: str, finder: PoseFinder) -> Report:
    return inspect_video(VIDEOS / name, TakeOptions(), finder=finder)


def look_at_part(name: str, finder: PoseFinder) -> Report:
    part = PARTS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        cut_clip(
            VIDEOS / name,
            start_s=part.start_s,
            end_s=part.end_s,
            out=path,
            on_progress=lambda _done: None,
        )
        return inspect_video(path, TakeOptions(), finder=finder)


def label(name: str) -> dict[str, str]:
    return ROWS[name]


def truth(name: str) -> Interval | None:
    row = label(name)
    if not row["active_start_s"]:
        return None
    return Interval(start_s=float(row["active_start_s"]), end_s=float(row["active_end_s"]))


def check_clips(report: Report, effort: Interval | None, *, began_s: float = 0.0) -> None:
    clips = [(began_s + take.start_s, began_s + take.end_s) for take in report.takes]
    if effort is None:
        assert (clips, report.verdict) == ([], "skip")
    else:
        assert any(a <= effort.start_s and b >= effort.end_s - 0.05 for a, b in clips), clips
        assert report.verdict == "upload"


# What is said of a clip, and what is not.
REMARKS = {
    "dark_run_treadmill.mp4": ("too_dark", "nobody"),
    "static_hall_empty_lightchange.mp4": ("nobody", "too_dark"),
    "static_hall_person_sweeps.mp4": ("frame_rate_low", "nobody"),
    "run_treadmill_side_a.mp4": ("begins_before", "blurred"),
    "dim_run_treadmill.mp4": ("begins_before", "too_dark"),
}


def check_remarks(name: str, report: Report) -> None:
    codes = {remark.code for remark in report.quality}
    expected, never = REMARKS.get(name, (None, None))
    assert expected is None or expected in codes
    assert never not in codes


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.soak] * ("sweeps" in name)) for name in PARTS]
)
def test_the_labelled_effort_is_found_in_a_part(name: str, finder: PoseFinder) -> None:
    report = look_at_part(name, finder)

    if name not in NO_EXERCISE:
        check_clips(report, truth(name), began_s=PARTS[name].start_s)
    check_remarks(name, report)


@pytest.mark.parametrize(
    "name",
    [*WHOLE, *(pytest.param(name, marks=pytest.mark.soak) for name in (*PARTS, SAME_PICTURES))],
)
def test_the_labelled_effort_lies_inside_the_clips(name: str, finder: PoseFinder) -> None:
    report, row = look(name, finder), label(name)

    if name not in NO_EXERCISE:
        check_clips(report, None if name.startswith("dark") else truth(name))  # nobody is seen
    check_remarks(name, report)
    shown = report.video
    assert (shown.width, shown.height) == (int(row["width"]), int(row["height"]))
    assert shown.rotation_deg == int(row["rotation_deg"])
    assert shown.duration_s == pytest.approx(float(row["duration_s"]), abs=0.2)
    assert shown.codec == row["codec"]
    if name == "run_treadmill_side_a.mp4":
        check_a_run_without_rest(report)


def check_a_run_without_rest(report: Report) -> None:
    """It is one take over all of it."""
    (take,) = report.takes
    assert take.start_s == 0.0 and abs(take.end_s - 12.0) < 0.05
    assert take.begins_before and take.goes_on
    assert take.looks_like == "running"
    assert take.reps == pytest.approx(174 * 12 / 60, abs=1.5)


def test_a_power_snatch_is_one_repetition(finder: PoseFinder) -> None:
    report = inspect_video(
        VIDEOS / "snatch_side_overlay.mp4", TakeOptions(activity="weightlifting"), finder=finder
    )

    (take,) = report.takes
    assert (take.reps, take.looks_like) == (1, "weightlifting")


def test_a_strided_picture_still_holds_its_person(real_video: Path, finder: PoseFinder) -> None:
    # MediaPipe reads such an array as if it were contiguous and finds nobody, without an error.
    with open_video(real_video) as reading:
        _, frame = next(reading.decode())
        image = reading.upright(frame, longest_px=290)
    assert image.shape[1] % 16 and image.flags.c_contiguous
    assert finder.find(image) is not None
    with pytest.raises(ValueError, match="contiguous array"):
        finder.find(image[:, ::2])


def shown(path: Path) -> list[np.ndarray]:
    with open_video(path) as reading:
        return [frame.to_ndarray(format="gray") for _, frame in reading.decode()]


@pytest.mark.parametrize(
    ("name", "start_s", "end_s", "method"),
    [
        ("rot90_run_treadmill.mov", 0.0, 1.0, "copy"),
        pytest.param("run_treadmill_side_a.mp4", 1.0, 2.0, "copy", marks=pytest.mark.soak),
        ("run_treadmill_side_a.mp4", 7.0, 8.0, "encode"),  # its keyframes are far apart
        pytest.param(SAME_PICTURES, 0.5, 1.0, "copy", marks=pytest.mark.soak),
        ("snatch_side_overlay.mp4", 0.4, 1.8, "copy"),
    ],
)
def test_a_clip_begins_with_the_very_frame_that_was_asked_for(
    tmp_path: Path, name: str, start_s: float, end_s: float, method: str
) -> None:
    source, out = VIDEOS / name, tmp_path / "clip.mp4"

    cut = cut_clip(source, start_s=start_s, end_s=end_s, out=out, on_progress=lambda _done: None)

    with open_video(source) as reading:
        wanted = [
            (time_s, frame.to_ndarray(format="gray").astype(np.int16))
            for time_s, frame in takewhile(lambda f: f[0] < end_s + 0.6, reading.decode())
            if time_s >= start_s - 1e-6
        ]
    clip = shown(out)
    inside = sum(1 for time_s, _ in wanted if time_s < end_s)
    assert cut.clip_frames == len(clip)
    assert inside <= len(clip) <= inside + (0 if method == "encode" else 16)
    tolerance = 0 if cut.method == "copy" else 4
    for (_, original), frame in zip(wanted, clip, strict=False):
        assert np.abs(original - frame).mean() <= tolerance
    assert cut.method == method, cut.why
    with av.open(str(out)) as container:
        assert not container.streams.audio
        assert set(container.metadata) <= {
            *("major_brand", "minor_version", "compatible_brands", "encoder", "creation_time"),
        }


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", VideoFault.UNREADABLE),
        (b"just a text", VideoFault.UNREADABLE),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", VideoFault.UNREADABLE),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2\0\0\0\x08free", VideoFault.INCOMPLETE),
    ],
)
def test_what_is_no_video_says_so(tmp_path: Path, content: bytes, fault: VideoFault) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)

    with pytest.raises(VideoError) as caught:
        probe(path)

    assert caught.value.fault is fault


def test_a_recording_without_its_index_is_incomplete(tmp_path: Path, real_video: Path) -> None:
    cut_off = tmp_path / "cut-off.mp4"
    cut_off.write_bytes(real_video.read_bytes()[:500_000].replace(b"moov", b"free"))

    with pytest.raises(VideoError, match="the recorder ended before"):
        probe(cut_off)


def test_links_and_pipes_are_not_followed(tmp_path: Path, real_video: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(real_video)
    os.mkfifo(tmp_path / "pipe.mp4")

    for name in ("link.mp4", "pipe.mp4"):
        with pytest.raises(VideoError, match="not a plain file"):
            probe(tmp_path / name)
