"""The short form of `make accuracy`: takes against a truth that is known exactly."""

from pathlib import Path

import pytest

from analysis.inspection import inspect_video
from analysis.pose_model import PoseFinder
from analysis.takes import TakeOptions
from tests.accuracy.captures import SHORT
from tests.accuracy.measure import filmed, score
from tests.videos import film_run

_FOR_SOAK = {"drop_jump", "fidget", "run", "walk"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.soak] * (name in _FOR_SOAK)) for name in SHORT],
)
def test_every_effort_lies_in_a_clip_and_little_else(
    name: str, tmp_path: Path, finder: PoseFinder
) -> None:
    capture = SHORT[name]

    report = inspect_video(
        filmed(name, capture, tmp_path), TakeOptions(activity=capture.activity), finder=finder
    )

    found = score(name, capture, report)
    assert (found.inside, found.surplus, found.exact) == (found.efforts, 0, found.counted), found
    assert all(-1.0 < excess_s < 1.0 for excess_s in found.excess_s), found
    truth = capture.story().truth()
    assert report.verdict == ("upload" if truth.efforts else "skip")
    for take, effort in zip(report.takes, truth.efforts, strict=True):
        assert take.looks_like == effort.activity
        assert take.goes_on == (effort.active_end_s >= truth.duration_s)
    if name == "snatch":  # frames in which nothing happens are not even decoded
        assert report.cost.decoded_frames < 0.9 * capture.story().frame_count
        assert report.cost.pose_frames < 0.4 * capture.story().frame_count


@pytest.mark.parametrize("seconds", [1.6, 2.0])
@pytest.mark.parametrize("seed", [1, 5, 12, 17])
def test_a_short_run_that_fills_its_recording_is_sent(
    tmp_path: Path, finder: PoseFinder, seed: int, seconds: float
) -> None:
    """Few strides show no rhythm: that the knees pass each other must do."""
    video = film_run(tmp_path / "run.mp4", seed=seed, seconds=seconds)

    assert inspect_video(video, TakeOptions(activity="running"), finder=finder).verdict == "upload"
