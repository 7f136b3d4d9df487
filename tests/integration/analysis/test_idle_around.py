"""Real clips with people standing still before and after: as a station's captures are."""

import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from analysis.inspection import inspect_video
from analysis.pose_model import PoseFinder
from analysis.takes import TakeOptions
from analysis.video import open_video
from tests.conftest import VIDEOS

pytestmark = pytest.mark.skipif(not VIDEOS.exists(), reason=f"no real clips in {VIDEOS}")

IDLE_S = 5.0
LONGEST_PX = 480


def with_idle_time(name: str, folder: Path) -> Path:
    """Return a capture that holds a clip's first and last picture, with a sensor's noise."""
    path = folder / f"{Path(name).stem}.mp4"
    with open_video(VIDEOS / name) as reading:
        pictures = [reading.upright(frame, longest_px=LONGEST_PX) for _, frame in reading.decode()]
        rate = reading.stream.average_rate
    high, wide = (side // 2 * 2 for side in pictures[0].shape[:2])
    held = round(IDLE_S * float(rate or 30))
    chance = np.random.default_rng(1)
    grain = [chance.normal(0, 2, (high, wide, 1)).astype(np.int16) for _ in range(4)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = wide, high, "yuv420p"
        stream.options = {"preset": "superfast", "g": str(round(2 * float(rate or 30)))}
        scene = itertools.chain([pictures[0]] * held, pictures, [pictures[-1]] * held)
        for number, picture in enumerate(scene):
            seen = np.clip(picture[:high, :wide] + grain[number % 4], 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(seen, format="rgb24")))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "activity", "start_s", "end_s"),
    [
        # A passer is nearer than the jumper.
        pytest.param("jump_roof_two_people.mp4", "jumping", 0.2, 7.4, marks=pytest.mark.soak),
        ("snatch_side_overlay.mp4", "weightlifting", 0.35, 2.2),
    ],
)
def test_the_labelled_effort_is_found_among_idle_time(
    name: str,
    activity: str,
    start_s: float,
    end_s: float,
    tmp_path: Path,
    finder: PoseFinder,
) -> None:
    options = TakeOptions(activity=activity)
    report = inspect_video(with_idle_time(name, tmp_path), options, finder=finder)

    clips = [(take.start_s - IDLE_S, take.end_s - IDLE_S) for take in report.takes]
    assert any(a <= start_s and b >= end_s for a, b in clips), clips
    assert "picture_turned" not in {remark.code for remark in report.quality}
