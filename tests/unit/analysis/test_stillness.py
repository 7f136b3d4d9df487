"""What moves between two small pictures."""

import numpy as np
import pytest

from analysis.primitives import Grey
from analysis.stillness import Stillness

FPS = 12


def picture(across_px: float) -> Grey:
    """Return a picture of a leg, upright, before a wall."""
    wall = np.full((90, 160), 90, np.uint8)
    wall[30:80, 60 + round(across_px) : 72 + round(across_px)] = 200
    return wall


def moved_blocks_of(period_s: float, reach_px: float) -> list[int]:
    """Return in how many blocks something moved at each moment of two seconds, after the first."""
    watched = Stillness()
    for number in range(3 * FPS):
        phase = 2 * np.pi * number / FPS / period_s
        watched.is_moving(number / FPS, picture(0.5 + reach_px * np.sin(phase + 0.4)))
    return [int(moved.sum()) for time_s, moved in watched.moves if time_s >= 1.0]


@pytest.mark.parametrize("period_s", [0.25, 0.3, 1 / 3, 0.375, 0.5, 0.6, 0.75])
def test_steps_that_repeat_move_whatever_their_rhythm(period_s: float) -> None:
    moved = moved_blocks_of(period_s, reach_px=14)

    assert len(moved) >= 2 * FPS - 2 and np.mean(np.array(moved) > 0) > 0.8


@pytest.mark.parametrize("period_s", [0.25, 0.5])
def test_what_only_trembles_does_not_move(period_s: float) -> None:
    assert not any(moved_blocks_of(period_s, reach_px=0.4))
