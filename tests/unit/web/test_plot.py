"""One number over time, as a small picture."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.web.views.athlete import Point, plot, scale


def test_a_few_takes_are_placed_by_their_time_and_value() -> None:
    drawn = plot([Point(at=0.0, value=1.0), Point(at=50.0, value=3.0), Point(at=100.0, value=2.0)])

    assert drawn.ticks == (3.0, 2.0, 1.0) and drawn.digits == 0
    assert drawn.line == "M14 286L500 14L986 150"
    assert drawn.dots.count("h0") == drawn.count == 3 and drawn.latest == "M986 150h0"
    assert (drawn.lowest, drawn.highest, drawn.last) == (1.0, 3.0, 2.0)


def test_one_take_stands_in_the_middle() -> None:
    drawn = plot([Point(at=7.0, value=1.5)])

    assert drawn.line == "M500 150"
    with pytest.raises(ValueError, match="nothing"):
        plot([])


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1.61, 1.93, "2.0 1.9 1.8 1.7 1.6"),
        (0, 0, "1 0 -1"),
        (0, 5e-324, "1 0 -1"),
        (-1, 40, "40 20 0 -20"),
        (100, 100, "110 100 90"),
    ],
)
def test_the_scale_is_round(low: float, high: float, ticks: str) -> None:
    values, digits = scale(low, high)

    assert " ".join(f"{value:.{digits}f}" for value in values) == ticks


VALUES = st.floats(-1e15, 1e15, allow_nan=False)
POINTS = st.lists(st.builds(Point, at=st.floats(0, 4e9), value=VALUES), min_size=1, max_size=20)


@given(POINTS)
def test_whatever_is_measured_stays_inside_the_frame(points: list[Point]) -> None:
    drawn = plot(sorted(points, key=lambda point: point.at))

    numbers = [int(text) for text in re.findall(r"-?\d+", drawn.line)]
    assert all(0 <= number <= 1000 for number in numbers[::2])
    assert all(0 <= number <= 300 for number in numbers[1::2])
    assert 2 <= len(drawn.ticks) <= 12 and all(map(math.isfinite, drawn.ticks))
