"""Pictures for people: poster, filmstrip and the activity of a capture."""

from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from analysis.pictures import activity_svg, draw_filmstrip, draw_poster
from analysis.pose_model import PoseFinder
from analysis.report import Cost, Curve, Report, TakeReport
from analysis.video import VideoError, VideoFacts, VideoReading
from tests.footage import Form, record
from tests.videos import film_run


def quiet(_done: float) -> None:
    """Nobody wants to know."""


def test_a_poster_shows_its_moment_with_the_skeleton_on_it(
    tmp_path: Path, finder: PoseFinder
) -> None:
    video = film_run(tmp_path / "run.mp4")

    size = draw_poster(video, at_s=0.8, out=tmp_path / "p.jpg", finder=finder, on_progress=quiet)

    picture = cv2.imread(str(tmp_path / "p.jpg"))
    assert picture is not None and (picture.shape[1], picture.shape[0]) == size == (160, 240)
    bones = (picture[..., 1].astype(int) - picture[..., 2] > 90) & (picture[..., 1] > 180)
    assert bones.sum() > 50


def test_a_filmstrip_shows_six_moments_of_the_take_in_order(tmp_path: Path) -> None:
    video = record(tmp_path / "wander", Form(seconds=3))

    size = draw_filmstrip(video, start_s=0.5, end_s=2.3, out=tmp_path / "s.jpg", on_progress=quiet)

    strip = cv2.imread(str(tmp_path / "s.jpg"))
    assert strip is not None and size == (6 * 160 + 5 * 4, 90) == strip.shape[1::-1]
    moments = [strip[:, n * 164 : n * 164 + 160].astype(int) for n in range(6)]
    yellow = [np.nonzero((m[..., 2] > 180) & (m[..., 0] < 110))[1] for m in moments]
    lefts = [float(np.percentile(columns, 2)) for columns in yellow]
    expected = [(round((0.65 + 0.3 * n) * 30) * 5) % 130 for n in range(6)]
    assert lefts == pytest.approx(expected, abs=7)


def test_a_long_take_s_filmstrip_is_made_of_the_keyframes_next_to_its_moments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    even = (("sc_threshold", "0"),)
    form = Form(seconds=14, keyframe_every=60, codec_options=even)
    video = record(tmp_path / "wander", form)
    decoded = []
    note = VideoReading.note

    def noted(reading: VideoReading, frame: VideoFrame, pts: int) -> float:
        decoded.append(note(reading, frame, pts))
        return decoded[-1]

    monkeypatch.setattr(VideoReading, "note", noted)

    size = draw_filmstrip(video, start_s=0.5, end_s=13.1, out=tmp_path / "s.jpg", on_progress=quiet)

    assert size == (6 * 160 + 5 * 4, 90)
    assert decoded == pytest.approx([2.0, 4.0, 6.0, 8.0, 10.0, 12.0], abs=0.01)


def test_a_filmstrip_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello")

    with pytest.raises(VideoError):
        draw_filmstrip(
            tmp_path / "text.mp4", start_s=0, end_s=1, out=tmp_path / "s.jpg", on_progress=quiet
        )


def report(takes: int) -> Report:
    return Report(
        video=VideoFacts(
            duration_s=120.0, width=160, height=90, fps=30, codec="h264", rotation_deg=0
        ),
        takes=[
            TakeReport(
                start_s=30.0 * n,
                end_s=30.0 * n + 12,
                active_start_s=30.0 * n + 1,
                active_end_s=30.0 * n + 11,
                reps=1,
                activity="jumping",
                looks_like="jumping",
                confidence=0.9,
                decisive_s=30.0 * n + 5,
                begins_before=False,
                goes_on=False,
            )
            for n in range(takes)
        ],
        quality=[],
        verdict="upload",
        curve=Curve(times_s=[30.0, 31.0, 32.0, 90.0], speed=[0.0, 3.0, 9.0, 1.5]),
        cost=Cost(wall_s=1.0, decoded_frames=1, pose_frames=1),
    )


@pytest.mark.parametrize("takes", [0, 3])
def test_the_activity_marks_every_take_at_its_place(takes: int) -> None:
    drawn = ElementTree.fromstring(activity_svg(report(takes)))  # noqa: S314  # our own text

    words = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    marks = [
        (float(rect.get("x", "0")), float(rect.get("width", "0")))
        for rect in drawn.iter("{http://www.w3.org/2000/svg}rect")
    ][1:]
    assert marks == [(150.0 * n, 60.0) for n in range(takes)]
    assert words[:takes] == [str(n + 1) for n in range(takes)] and "2:00" in words
    (curve,) = drawn.iter("{http://www.w3.org/2000/svg}path")
    assert "L160.0 4.0" in str(curve.get("d"))  # as fast as the plot is high, at 32 s
    assert "L160.0 80 L450.0 80" in str(curve.get("d"))  # nobody looked in between
