"""Edited recordings: what was filmed elsewhere is a scene of its own."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.athlete import TrackCandidate
from analysis.efforts import Evidence, efforts_of
from analysis.landmarks import Poses
from analysis.motion import in_scene, motion_of
from analysis.movement import count_reps
from analysis.primitives import Grey, Interval
from analysis.signs import signs_of
from analysis.stillness import Stillness
from tests.unit.analysis.bodies import STANDING, Posture, poses

LIFTING = "weightlifting"
SQUAT = Posture(hips_down=0.8)
CAPTURE = Interval(start_s=0.0, end_s=10.0)
FPS = 12


def room(seed: int, *, bars: int = 0) -> Grey:
    """Return a picture of a place: blocks of chance brightness, between black bars."""
    blocks = np.random.default_rng(seed).integers(30, 220, (11, 20)).astype(np.uint8)
    picture = np.kron(blocks, np.ones((8, 8), np.uint8))
    picture[:, : 8 * bars] = picture[:, picture.shape[1] - 8 * bars :] = 16
    return picture


def cuts_of(*pictures: Grey, fps: float = FPS) -> list[float]:
    watched = Stillness()
    for number, picture in enumerate(pictures):
        watched.is_moving(number / fps, picture)
    return watched.cuts_s


def lit(picture: Grey, share: float) -> Grey:
    return (picture * share).astype(np.uint8)


def panned(picture: Grey, px: int) -> Grey:
    return np.roll(picture, px, axis=1)


HERE, THERE = room(1), room(2)


def test_another_place_from_one_moment_to_the_next_is_a_cut() -> None:
    watched = Stillness()
    for number, picture in enumerate([HERE] * 24 + [THERE] * 24):
        watched.is_moving(number / FPS, picture)

    (cut_s,) = watched.cuts_s
    assert 23 / FPS < cut_s < 24 / FPS
    assert watched.scenes(CAPTURE) == [
        replace(CAPTURE, end_s=cut_s),
        replace(CAPTURE, start_s=cut_s),
    ]


@pytest.mark.parametrize("bars", [0, 6])
def test_black_bars_hide_no_cut(bars: int) -> None:
    assert len(cuts_of(*[room(1, bars=bars)] * 9, *[room(2, bars=bars)] * 9)) == 1


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("light", [HERE, lit(HERE, 0.5), HERE]),
        ("light goes out", [HERE, lit(HERE, 0.1), lit(HERE, 0.02), HERE]),
        ("a damaged picture", [HERE, THERE, HERE, HERE]),
        ("some damaged pictures", [HERE, *[THERE] * 9, HERE, HERE]),
        ("a camera that pans", [panned(HERE, 2 * step) for step in range(30)]),
        ("the dark", [np.full_like(HERE, 3), np.full_like(HERE, 4), np.full_like(HERE, 3)]),
        ("somebody before the camera", [HERE, np.where(np.arange(160) < 40, 40, HERE)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_else_is_a_cut(name: str, pictures: list[Grey]) -> None:
    shown = [picture.astype(np.uint8) for picture in pictures]

    assert cuts_of(*[shown[0]] * 5, *shown, *[shown[-1]] * 15) == [], name


def test_pictures_that_are_far_apart_may_differ() -> None:
    assert cuts_of(HERE, THERE, fps=2) == []


def in_scenes(body: Poses, *scenes: Interval) -> TrackCandidate:
    seen = []
    for scene in scenes:
        motion = motion_of(in_scene(body, scene))
        signs = signs_of(motion, activity=LIFTING, within=scene)
        efforts, evidence = efforts_of(motion, signs, rest_s=3.0, within=scene, activity=LIFTING)
        seen.append(TrackCandidate(motion, signs, efforts, evidence))
    return TrackCandidate.joined(seen, body)


def test_no_effort_lasts_into_another_scene() -> None:
    """Both lifters are in the same place of the picture: nothing but the cut divides them."""
    body = poses((3.0, STANDING), (0.8, SQUAT), (0.8, STANDING), (0.4, STANDING), (0.8, SQUAT),
                 (0.8, STANDING), (3.0, STANDING))  # fmt: skip
    ends_s = float(body.times_s[-1]) + 0.1
    whole, cut_s = Interval(start_s=0.0, end_s=ends_s), 4.8

    (one,) = in_scenes(body, whole).efforts
    first, second = in_scenes(
        body, replace(whole, end_s=cut_s), replace(whole, start_s=cut_s)
    ).efforts

    assert one.start_s < first.end_s <= cut_s <= second.start_s < one.end_s


def test_what_is_seen_in_scenes_is_counted_as_in_one() -> None:
    rep = ((0.8, SQUAT), (0.8, STANDING))
    body = poses((2.0, STANDING), *rep * 3, (3.0, STANDING), *rep * 2, (2.0, STANDING))
    ends_s, cut_s = float(body.times_s[-1]) + 0.1, 8.3

    seen = in_scenes(
        body, Interval(start_s=0.0, end_s=cut_s), Interval(start_s=cut_s, end_s=ends_s)
    )

    assert [count_reps(seen.motion, LIFTING, effort) for effort in seen.efforts] == [3, 2]
    assert len(seen.signs.swings.hips) == 10
    assert [seen.motion.visit[swing.first] for swing in seen.signs.swings.hips] == [
        swing.visit for swing in seen.signs.swings.hips
    ]
    assert (np.diff(seen.motion.times_s) > 0).all()


def test_a_scene_without_an_effort_takes_nothing_from_another() -> None:
    """Half of a bow at a cut is doubtful, and beside a set of squats it is nothing."""
    half = (0.6, Posture(hips_down=0.6))
    body = poses((2.0, STANDING), half, *((0.8, SQUAT), (0.8, STANDING)) * 2, (2.0, STANDING))
    ends_s, cut_s = float(body.times_s[-1]) + 0.1, 2.6

    alone = in_scenes(body, Interval(start_s=0.0, end_s=cut_s))
    seen = in_scenes(
        body, Interval(start_s=0.0, end_s=cut_s), Interval(start_s=cut_s, end_s=ends_s)
    )

    assert alone.evidence is Evidence.DOUBTFUL
    assert seen.evidence is Evidence.SURE
    assert all(effort.start_s >= cut_s for effort in seen.efforts)
