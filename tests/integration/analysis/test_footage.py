"""`make accuracy FOOTAGE=DIR` on a small labelled folder."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.synthetic import SceneCamera, Segment, Storyboard
from analysis.inspection import inspect_video
from analysis.landmarks import FloatArray, Poses
from analysis.pose_model import PoseFinder
from analysis.takes import TakeOptions
from analysis.video import open_video
from tests.accuracy.__main__ import grained, measure_footage
from tests.accuracy.footage import NOBODY, labels_in, table, wilson
from tests.accuracy.variants import write_variants

LABELS = """\
file\tduration_s\tactivity\tpeople\tefforts\touter\treps\tshows
jump.mp4\t4.4\tjumping (countermovement)\t1\t1.5-3.4\t1.4-3.6\t1\ta drawn athlete
still.mp4\t2.0\tnone (stands)\t1\t\t\t\tnothing
lost.mp4\t2.0\trunning\t1\t0-1\t\t\tis not there
"""
AS_JUMP = TakeOptions(activity="jumping")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "footage"
    folder.mkdir()
    for name, segments in {
        "jump": [Segment("stand", 1.5), Segment("countermovement_jump"), Segment("stand", 1.0)],
        "still": [Segment("stand", 2.0)],
    }.items():
        story = Storyboard(segments, view="front", width=320, height=240, fps=15)
        SceneCamera(story).record(folder / f"{name}.mp4")
    (folder / "labels.tsv").write_text(LABELS)
    return folder


def test_a_labelled_folder_is_measured_and_drawn(
    folder: Path, tmp_path: Path, finder: PoseFinder, capsys: pytest.CaptureFixture[str]
) -> None:
    jump, *still = measure_footage(folder, tmp_path, finder)

    assert (jump.inside, jump.counted, jump.is_named, jump.surplus) == (1, 1, True, 0)
    assert [result.setting for result in still] == ["weightlifting", "jumping", "running"]
    assert all(result.surplus == 0 for result in still)
    shown = capsys.readouterr().out
    assert f"no such video: {folder / 'lost.mp4'}" in shown
    assert "| jumping (1) " in shown and "| 1 of 1 (21-100 %) " in shown
    assert f"{NOBODY}, set to running: sent 0 of 1 (0-79 %), held 0" in shown
    sheets = sorted((tmp_path / "sheets" / "footage").iterdir())
    assert [path.name for path in sheets] == [
        *("jump-jumping.png", "still-jumping.png", "still-running.png", "still-weightlifting.png"),
    ]
    drawn = cv2.imread(str(sheets[0]))
    assert drawn is not None and drawn.shape[1] > 1000 and drawn.std() > 10

    assert table(measure_footage(folder, tmp_path, finder)) == table([jump, *still])
    assert finder.looks <= 1  # to forget the one before: what was seen is not looked at again


def test_each_grain_is_a_result_of_its_own(
    folder: Path, tmp_path: Path, finder: PoseFinder, capsys: pytest.CaptureFixture[str]
) -> None:
    looks: list[FloatArray] = []
    folder.joinpath("labels.tsv").write_text(LABELS.splitlines()[0] + "\n" + LABELS.splitlines()[1])
    for grain in (0, 1, 1, 2):
        with grained(grain):
            inspect_video(folder / "jump.mp4", AS_JUMP, finder=finder, on_looked=looks_into(looks))

    results = measure_footage(folder, tmp_path, finder, grains=2)

    plain, first, again, second = looks
    assert np.array_equal(first, again) and 0 < np.abs(plain - first).max() < 10
    assert not np.array_equal(first, second)
    assert [result.inside for result in results] == [1, 1, 1]
    shown = capsys.readouterr().out
    assert "jump.mp4 as jumping, grain 2" in shown and "| jumping (3) " in shown


def looks_into(looks: list[FloatArray]) -> Callable[[Poses], None]:
    return lambda poses: looks.append(poses.points_px)


def test_what_contradicts_the_label_is_counted(
    folder: Path, tmp_path: Path, finder: PoseFinder
) -> None:
    labels = folder / "labels.tsv"
    labels.write_text(
        "file,activity,efforts,reps,remarks\n"
        "jump.mp4,running,0.1-0.9;1.5-3.4,4,goes_on\n"
        "still.mp4,weightlifting (press),0.5-1.5,2,\n"
    )
    labels.rename(folder / "labels.csv")

    jump, still = measure_footage(folder, tmp_path, finder)

    assert (jump.label.group, still.label.group) == ("running", "press, curl, pull-up, push-up")
    assert jump.missed == ["goes_on"] and "too_few_pixels" in jump.wrong
    assert (still.inside, still.counted, still.is_named) == (0, None, False)
    assert "missed 0.10-0.90" in jump.notes


def test_variants_are_shown_otherwise_and_labelled_with_their_own_times(
    folder: Path, tmp_path: Path
) -> None:
    folder.joinpath("labels.tsv").write_text("\n".join(LABELS.splitlines()[:2]) + "\n")

    variants = write_variants(folder, tmp_path, names=["mirrored", "slow", "waiting"])

    mirrored, slow, waiting = labels_in(variants)
    assert (mirrored.efforts[0].start_s, mirrored.efforts[0].end_s) == (1.5, 3.4)
    assert slow.efforts[0].start_s == pytest.approx(1.15 * 1.5, abs=0.01)
    assert slow.outer[0].end_s == pytest.approx(1.15 * 3.6, abs=0.01)
    assert (slow.reps, slow.activity) == (1, "jumping")
    assert (waiting.efforts[0].start_s, waiting.outer[0].end_s) == (13.5, 15.6)
    whole, turned, longer, longest = (
        first_and_length(path)
        for path in (folder / "jump.mp4", mirrored.path, slow.path, waiting.path)
    )
    assert np.abs(whole[0] - turned[0][:, ::-1]).mean() < 3 < np.abs(whole[0] - turned[0]).mean()
    assert longer[1] == pytest.approx(1.15 * whole[1], abs=0.1)
    assert longest[1] == pytest.approx(24.0 + whole[1], abs=0.1)
    assert np.abs(whole[0] - longest[0]).mean() < 3
    written_ns = slow.path.stat().st_mtime_ns
    write_variants(folder, tmp_path, names=["mirrored", "slow"])
    assert slow.path.stat().st_mtime_ns == written_ns  # not a second time


def first_and_length(video: Path) -> tuple[FloatArray, float]:
    """Return the first picture and how long a video is."""
    with open_video(video) as reading:
        frames = list(reading.decode())
        first = reading.upright(frames[0][1], longest_px=320).astype(float)
    return first, frames[-1][0] - frames[0][0]


def test_a_folder_without_labels_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no labels"):
        labels_in(tmp_path)


def test_a_share_has_the_interval_of_wilson() -> None:
    # From Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
