"""Which looks show the same body: gaps, jumps, and a body lost to a passer."""

import numpy as np

from analysis.motion import visits_of

TORSO = 60.0


def walk(*places: tuple[int, float, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return hips, (T, 2): so many samples from one place across to another, in torsos."""
    across = [np.linspace(begin, end, samples) for samples, begin, end in places]
    x = np.concatenate(across) * TORSO
    return np.stack([x, np.full(len(x), 300.0)], axis=1)


def visits(*places: tuple[int, float, float]) -> list[int]:
    hips = walk(*places)
    return [int(number) for number in visits_of(hips, np.full(len(hips), TORSO))]


def test_one_body_is_one_stay() -> None:
    assert visits((40, 5.0, 5.2)) == [0] * 40


def test_a_jump_begins_another_stay() -> None:
    assert visits((20, 5.0, 5.0), (20, 9.0, 9.0)) == [0] * 20 + [1] * 20


def test_a_gap_ends_a_stay() -> None:
    hips = walk((30, 5.0, 5.0))
    torso = np.full(30, TORSO)
    torso[10:15] = np.nan

    assert visits_of(hips, torso).tolist() == [0] * 10 + [-1] * 5 + [1] * 15


def test_the_way_off_with_a_passer_is_not_the_bodys() -> None:
    found = visits((30, 5.0, 5.0), (20, 5.0, 12.0), (20, 5.0, 5.0))

    assert found[:31] == [0] * 31
    assert found[32:50] == [-1] * 18
    assert found[50:] == [1] * 20


def test_somebody_who_walks_off_and_is_followed_by_another_was_himself() -> None:
    assert visits((30, 5.0, 5.0), (20, 5.0, 12.0), (20, 2.0, 2.0)) == [0] * 50 + [1] * 20


def test_single_samples_between_two_bodies_are_nobody() -> None:
    assert visits((20, 5.0, 5.0), (1, 8.0, 8.0), (20, 11.0, 11.0)) == [0] * 20 + [-1] + [1] * 20


def test_nobody_at_all() -> None:
    assert visits_of(np.full((5, 2), np.nan), np.full(5, np.nan)).tolist() == [-1] * 5
    assert visits_of(np.empty((0, 2)), np.empty(0)).tolist() == []
