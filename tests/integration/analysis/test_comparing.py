"""Whether two recordings show the same moments, by their packets or their pictures."""

import subprocess
from pathlib import Path

import pytest

from agent.synthetic import SceneCamera, Segment, Storyboard
from analysis.comparison import Clocks, Comparison, compare_recordings


def compare(first: Path, second: Path, clocks: Clocks) -> Comparison:
    return compare_recordings(first, second, clocks, on_progress=lambda _done: None)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody stands for 2 s, runs for 6 s, and stands again."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    segments = [Segment("stand", 2.0), Segment("run", 6.0), Segment("stand", 2.0)]
    SceneCamera(Storyboard(segments, width=160, height=240, fps=15, noise=2.0)).record(path)
    return path


def written(film: Path, path: Path, *options: str) -> Path:
    """Let ffmpeg write another version of a film."""
    words = ["ffmpeg", "-y", "-v", "error", "-i", str(film), *options, str(path)]
    subprocess.run(words, check=True)
    return path


def part(film: Path, path: Path, begins_s: float, ends_s: float) -> Path:
    """Let a recorder encode some seconds of a film."""
    chosen = f"trim={begins_s}:{ends_s},setpts=PTS-STARTPTS"
    return written(film, path, "-vf", chosen, "-c:v", "libx264", "-crf", "26")


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mov", ".flv"])
def test_packets_are_known_again_in_another_container(
    film: Path, tmp_path: Path, suffix: str
) -> None:
    found = compare(film, written(film, tmp_path / f"copy{suffix}", "-c", "copy"), Clocks())

    assert found.shared_by == "packets"
    assert found.shift_s == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("options", [("-s", "80x120"), ("-crf", "32"), ("-r", "30")])
def test_pictures_are_known_again_in_another_encoding_where_clocks_say_so(
    film: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    again = written(film, tmp_path / "again.mp4", "-c:v", "libx264", *options)

    clocks = Clocks(shift_s=0.0, within_s=0.5, are_sure=True, second_moves_s=2.0)

    assert compare(film, again, clocks).shift_s == pytest.approx(0.0, abs=0.07)
    assert compare(film, again, Clocks()).shift_s is None  # movements repeat themselves


@pytest.mark.parametrize("overlap_s", [1.0, 2.0])
def test_an_overlap_is_found_to_the_frame(film: Path, tmp_path: Path, overlap_s: float) -> None:
    first = part(film, tmp_path / "first.mp4", 0.0, 6.0)
    second = part(film, tmp_path / "second.mp4", 6.0 - overlap_s, 10.0)
    about_s = 6.0 - overlap_s + 0.3  # a clock that is a little wrong

    found = compare(first, second, Clocks(shift_s=about_s, within_s=0.5, are_sure=True))

    assert found.shared_by == "pictures"
    assert found.shift_s == pytest.approx(6.0 - overlap_s, abs=0.04)


def test_what_goes_on_is_continuous_and_another_view_is_not(film: Path, tmp_path: Path) -> None:
    first = part(film, tmp_path / "first.mp4", 0.0, 5.0)
    second = part(film, tmp_path / "second.mp4", 5.0, 10.0)
    other = written(second, tmp_path / "other.mp4", "-vf", "hflip,eq=brightness=0.1")

    assert compare(first, second, Clocks()).is_continuous is True
    assert compare(first, other, Clocks()).is_continuous is False
    assert compare(first, second, Clocks()).shift_s is None
