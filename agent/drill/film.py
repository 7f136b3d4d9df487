"""The films of the drill: a take to be found, and one to cut clips of by hand."""

from pathlib import Path

TAKE_S = 1.6
_SMALL_S, _LARGE_S = 0.5, 4.0  # lengths of the clips that are cut by hand
_SMALL, _LARGE = 28, 4


def film_take(path: Path, *, seed: int) -> Path:
    """Film somebody who runs; another seed makes another file."""
    from agent.sandbox.drawn import Camera, Segment, Storyboard

    story = Storyboard(
        [Segment("run", TAKE_S)], width=160, height=240, fps=15, seed=seed, noise=2.0
    )
    Camera(story).record(path)
    return path


def film_hall(path: Path) -> list[tuple[float, float]]:
    """Film an empty hall by a noisy camera; return the bounds of clips to be cut of it."""
    from agent.sandbox.drawn import Camera, Segment, Storyboard

    seconds = _LARGE * _LARGE_S + _SMALL * _SMALL_S
    story = Storyboard([Segment("nobody", seconds)], width=480, height=270, fps=12, noise=20.0)
    Camera(story, keyframe_every_s=_SMALL_S).record(path)
    starts = [number * _LARGE_S for number in range(_LARGE)]
    bounds = [(start_s, start_s + _LARGE_S) for start_s in starts]
    for number in range(_SMALL):
        start_s = _LARGE * _LARGE_S + number * _SMALL_S
        bounds.append((start_s, start_s + _SMALL_S))
    return bounds
