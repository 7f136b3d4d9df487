"""How often the model looks, and in what unit a body is measured."""

import numpy as np

from analysis.motion import motion_of
from analysis.stillness import SamplingRate
from tests.unit.analysis.bodies import STANDING, Posture, poses


def test_the_model_looks_seldom_at_rest_and_often_once_something_moves() -> None:
    pace = SamplingRate(active_fps=10.0, steady_fps=6.5, idle_fps=2.0)
    looks: list[float] = []
    resting: list[bool] = []
    for index in range(72):
        time_s = index / 12
        if pace.wants(time_s, moving=time_s >= 4.0):
            looks.append(time_s)
            resting.append(pace.is_resting)

    at_rest = [time_s for time_s in looks if time_s < 4.0]
    moving = [time_s for time_s in looks if time_s >= 4.0]
    assert 7 <= len(at_rest) <= 9 and 18 <= len(moving) <= 21
    assert resting[-1] is False and resting[len(at_rest) - 1] is True


def test_a_bow_near_the_end_does_not_change_how_large_the_body_is() -> None:
    tall, bowed = STANDING, Posture(size=0.8, across=6.25)
    unit_px = motion_of(poses((9.0, tall), (0.2, bowed), (3.0, bowed))).unit_px

    assert np.ptp(unit_px) < 1.0
