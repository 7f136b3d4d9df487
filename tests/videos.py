"""Short videos that are quick to analyse, each of them different."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.sandbox.drawn import Camera, Segment, Storyboard


def name_of(number: int) -> str:
    """Name a recording by its time, minutes after the one before: they do not adjoin."""
    moment = datetime(2026, 3, 1, 6, tzinfo=UTC) + timedelta(minutes=number)
    return f"{moment:%Y-%m-%d_%H-%M-%S}.mp4"


def film_run(path: Path, *, seed: int = 1, seconds: float = 1.6) -> Path:
    """Film somebody who runs on the spot; another seed makes another file.

    Of another size, too: two that happen to adjoin are not taken for one recording.
    """
    height = 240 + 2 * ((seed - 1) % 20)
    story = Storyboard(
        [Segment("run", seconds)], width=160, height=height, fps=15, seed=seed, noise=2.0
    )
    Camera(story).record(path)
    return path


def film_nobody(path: Path) -> Path:
    """Film an empty place."""
    story = Storyboard([Segment("nobody", 1.0)], width=160, height=120, fps=15)
    Camera(story).record(path)
    return path
