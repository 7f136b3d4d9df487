"""Short videos that are quick to analyse, each of them different."""

import tempfile
from functools import cache
from pathlib import Path
from string import ascii_lowercase

from agent.synthetic import SceneCamera, Segment, Storyboard


def name_of(number: int) -> str:
    """Name a recording so that it tells no time, and is not taken for one of the same camera."""
    letters = ""
    while number:
        number, letter = divmod(number - 1, len(ascii_lowercase))
        letters = ascii_lowercase[letter] + letters
    return f"film-{letters or 'none'}.mp4"


def film_run(path: Path, *, seed: int = 1, seconds: float = 1.6) -> Path:
    """Film somebody who runs on the spot; another seed makes another file.

    Of another size, too: two that happen to adjoin are not taken for one recording.
    """
    path.write_bytes(_run(path.suffix, seed, seconds))
    return path


def film_nobody(path: Path) -> Path:
    """Film an empty place."""
    path.write_bytes(_nobody(path.suffix))
    return path


@cache
def _run(suffix: str, seed: int, seconds: float) -> bytes:
    height = 240 + 2 * ((seed - 1) % 20)
    return _filmed(
        Storyboard(
            [Segment("run", seconds)], width=160, height=height, fps=15, seed=seed, noise=2.0
        ),
        suffix,
    )


@cache
def _nobody(suffix: str) -> bytes:
    return _filmed(Storyboard([Segment("nobody", 1.0)], width=160, height=120, fps=15), suffix)


def _filmed(story: Storyboard, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"film{suffix}")
        SceneCamera(story).record(path)
        return path.read_bytes()
