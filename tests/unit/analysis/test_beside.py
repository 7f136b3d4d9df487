"""What moves beside the body that was followed."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.landmarks import Poses
from analysis.primitives import Image
from analysis.tracking import BodyBoxes, Moved, lost_bodies, moments_within, restless_beside
from tests.unit.analysis.bodies import HEIGHT_PX, STANDING, WIDTH_PX, Posture, nobody, poses

ROWS, COLUMNS = 12, 20
WALK = poses((2.0, Posture(across=2.0)), (4.0, Posture(across=11.0)))  # from left to right


def moved(*blocks: tuple[int, int]) -> Moved:
    found = np.zeros((ROWS, COLUMNS), dtype=np.bool_)
    for row, column in blocks:
        found[row, column] = True
    return found


def test_what_moves_with_the_body_is_not_beside_it() -> None:
    there = BodyBoxes.of(WALK)
    block = [(8, int(np.interp(t, [2, 6], [2, 11]) * 100 / WIDTH_PX * COLUMNS)) for t in range(7)]

    assert restless_beside([(float(t), moved(block[t])) for t in range(7)], there) is None


def test_what_moves_where_the_body_is_only_later_is_beside_it() -> None:
    there = BodyBoxes.of(WALK)
    far = moved((8, 16), (8, 17), (7, 16))

    crop = restless_beside([(0.2 * n, far) for n in range(8)], there)

    assert crop is not None and crop.left < 16 / COLUMNS and crop.right > 18 / COLUMNS
    assert crop.left > 0.5


def test_a_body_is_painted_over_where_it_is_and_only_while_it_is_known() -> None:
    picture: Image = np.zeros((HEIGHT_PX // 4, WIDTH_PX // 4, 3), dtype=np.uint8)
    picture[:, ::2] = 200
    there = BodyBoxes.of(poses((2.0, STANDING)))

    painted = there.painted_over(picture, 1.0)

    hips = (int(4.7 * 100 / 4), int(5.0 * 100 / 4))
    assert np.ptp(painted[hips[0] - 3 : hips[0] + 3, hips[1] - 3 : hips[1] + 3]) == 0
    assert (painted[:, -40:] == picture[:, -40:]).all()
    assert there.painted_over(picture, 9.0) is picture
    assert BodyBoxes.of(nobody(2.0)).painted_over(picture, 1.0) is picture


def test_movement_where_the_body_is_counts_as_its_own() -> None:
    there = poses((2.0, STANDING))  # 5 torsos from the left
    own, others = moved((8, 7)), moved((8, 18))

    assert moments_within([(0.5, own), (1.0, others), (1.5, own | others)], there) == [0.5, 1.5]
    assert moments_within([(9.0, others)], there) == [9.0]  # it may be anywhere by then


def turned_to_another() -> Poses:
    """Return three seconds at one body, and as many at another, six torsos from it."""
    one, other = poses((3.0, STANDING)), poses((3.0, Posture(across=11.0)))
    return replace(
        one,
        times_s=np.concatenate([one.times_s, other.times_s + 3.2]),
        points_px=np.concatenate([one.points_px, other.points_px]),
        visibility=np.concatenate([one.visibility, other.visibility]),
    )


def test_a_body_that_moves_on_after_the_model_turned_to_another_is_lost() -> None:
    there = moved((8, 7), (7, 7))

    (lost,) = lost_bodies(turned_to_another(), [(3.4 + 0.2 * n, there) for n in range(10)])

    assert (lost.during.start_s, lost.during.end_s) == pytest.approx((2.9, 6.1))
    assert lost.place.left < 4.7 * 100 / WIDTH_PX and 5.3 * 100 / WIDTH_PX < lost.place.right < 0.6


def test_a_body_is_not_lost_where_nothing_moves_any_more_or_more_moves_at_the_other() -> None:
    both = turned_to_another()
    own, others = moved((8, 7)), moved((8, 17), (7, 17))

    assert lost_bodies(both, [(3.4 + 0.2 * n, others) for n in range(10)]) == []
    assert lost_bodies(both, [(3.4 + 0.2 * n, own | others) for n in range(10)]) == []
    assert lost_bodies(both, [(0.5 + 0.2 * n, own) for n in range(10)]) == []  # before


def test_who_walks_away_or_is_not_there_is_not_lost() -> None:
    left_behind = [(0.2 * n, moved((8, 4))) for n in range(40)]

    assert lost_bodies(WALK, left_behind) == []
    assert lost_bodies(nobody(3.0), left_behind) == []
    assert lost_bodies(poses((3.0, STANDING)), []) == []
