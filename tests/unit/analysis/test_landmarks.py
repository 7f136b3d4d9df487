"""Whether a body's landmarks are in the order of one that stands, bends or lies."""

import numpy as np
import pytest

from analysis.landmarks import is_wrong_way_up
from tests.unit.analysis.bodies import Posture, poses

LEGS_UP = Posture(hips_down=2.1, lean=0.9)  # as where plates are taken for a body's legs


@pytest.mark.parametrize(
    ("posture", "expected"),
    [
        pytest.param(Posture(), False, id="standing"),
        pytest.param(Posture(hips_down=1.0, lean=0.6), False, id="deep squat"),
        pytest.param(Posture(lean=1.0), False, id="bent over"),
        pytest.param(Posture(hips_down=1.5, lean=0.95), False, id="push-up"),
        pytest.param(LEGS_UP, True, id="legs up"),
    ],
)
def test_only_a_body_whose_legs_are_above_it_is_the_wrong_way_up(
    posture: Posture, expected: bool
) -> None:
    points = poses((1.0, posture)).points_px[0]

    assert is_wrong_way_up(points) is expected


def test_a_body_on_its_head_is_the_wrong_way_up() -> None:
    points = poses((1.0, Posture())).points_px[0]

    assert is_wrong_way_up(points * np.array([1.0, -1.0]))
