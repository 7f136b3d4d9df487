"""The drawn athlete before the real pose model, and the camera's real files."""

from pathlib import Path

import av
import pytest

from agent.synthetic import SceneCamera, Segment, Storyboard, draw_frame, storyboard
from analysis.pose_model import PoseFinder


def test_an_empty_place_holds_nobody(finder: PoseFinder) -> None:
    story = storyboard.nobody()

    assert [finder.find(draw_frame(story, i)) for i in range(0, 30, 6)] == [None] * 5


@pytest.mark.parametrize(
    ("name", "fps", "width", "height", "fragmented"),
    [
        ("a.mp4", 30, 320, 180, False),
        ("b.mkv", 29.97, 178, 100, False),
        ("c.mov", 60, 90, 160, False),
        ("d.mp4", 12.5, 320, 180, True),
    ],
)
def test_the_camera_writes_every_frame_at_any_size_and_rate(
    tmp_path: Path, name: str, fps: float, width: int, height: int, fragmented: bool
) -> None:
    story = Storyboard([Segment("run", 1.0)], fps=fps, width=width, height=height)

    SceneCamera(story, fragmented=fragmented).record(tmp_path / name)

    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", width, height)
    assert len(frames) == story.frame_count
    assert frames[-1].time == pytest.approx((story.frame_count - 1) / fps, abs=0.01)


def test_the_file_grows_while_the_camera_films(tmp_path: Path) -> None:
    path, sizes = tmp_path / "grows.mp4", []
    story = Storyboard([Segment("run", 4.0)], width=640, height=360, noise=3.0)

    SceneCamera(story).record(path, on_frame=lambda _done: sizes.append(path.stat().st_size))

    assert len(sizes) == story.frame_count
    assert len({size for size in sizes if size}) > 5
