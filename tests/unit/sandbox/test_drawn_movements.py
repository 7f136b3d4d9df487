"""The drawn athlete moves as a body can: limbs, feet, flight, and the bar in the hands."""

import re
from dataclasses import replace

import numpy as np
import pytest

import tests.drawn_movements  # noqa: F401  # its movements join the repertoire
from agent.synthetic import Segment
from agent.synthetic.body import (
    ANKLE_UP,
    FOREARM,
    POINTS,
    SHANK,
    STANDING_HIP_UP,
    THIGH,
    UPPER_ARM,
    FloatArray,
)
from agent.synthetic.motions import BOX_UP, GRAVITY, PLATE_RADIUS, smooth_curve
from agent.synthetic.performance import REPERTOIRE, STEPS_A_MINUTE, Performance, perform, rehearse
from agent.synthetic.shapes import Lens

FPS = 120
SIDE = Lens("side", 640, 360)
BONES = {
    ("hip", "knee"): THIGH,
    ("knee", "ankle"): SHANK,
    ("shoulder", "elbow"): UPPER_ARM,
    ("elbow", "wrist"): FOREARM,
}


def played(*segments: Segment, bar_up: float = PLATE_RADIUS["iron"]) -> Performance:
    scenes = rehearse(segments, SIDE, bar_up=bar_up, seed=1)
    times_s = np.arange(round(scenes[-1].end_s * FPS) + 1) / FPS
    return perform(scenes, times_s, bar_up=bar_up)


def way(performance: Performance, name: str) -> FloatArray:
    """Where one body point is over time, (T, 3): forward, up, left."""
    places: FloatArray = performance.points[:, POINTS.index(name)]
    return places


@pytest.mark.parametrize("what", REPERTOIRE)
def test_limbs_keep_their_length_and_feet_stay_above_the_floor(what: str) -> None:
    performance = played(Segment(what))

    for side in ("left", "right"):
        for (first, last), length in BONES.items():
            bone = way(performance, f"{side}_{first}") - way(performance, f"{side}_{last}")
            assert np.linalg.norm(bone, axis=1) == pytest.approx(length, abs=1e-6)
        assert way(performance, f"{side}_toe")[:, 1].min() > 0.01
        assert way(performance, f"{side}_heel")[:, 1].min() > 0.01


@pytest.mark.parametrize("what", REPERTOIRE)
def test_nothing_leaps_within_a_movement_or_where_two_meet(what: str) -> None:
    through = ("run_past", "run_towards", "run_away", "walk_towards")
    before = [] if what in (*through, "walk_in") else [Segment("stand", 1.0)]
    after = [] if what in (*through, "walk_out") else [Segment("stand", 1.0)]
    if what in ("wait", "racked_squat", "let_go"):
        before.append(Segment("grip"))
    if what in ("grip", "wait", "racked_squat"):
        after.insert(0, Segment("let_go"))
    performance = played(*before, Segment(what), *after)

    speed = np.linalg.norm(np.diff(performance.points, axis=0), axis=2) * FPS

    rhythm = re.fullmatch(r"run_(\d+)", what)  # a faster one takes the feet further in a second
    faster = float(rhythm[1]) / STEPS_A_MINUTE if rhythm else 1.0
    assert speed.max() < 8.0 * faster  # body heights a second: 14 m/s, the foot of a runner


@pytest.mark.parametrize(("what", "take_offs"), [("countermovement_jump", 1), ("drop_jump", 2)])
def test_a_body_in_the_air_falls_as_bodies_do(what: str, take_offs: int) -> None:
    performance = played(Segment(what))
    feet = np.minimum(way(performance, "left_toe")[:, 1], way(performance, "right_toe")[:, 1])
    hips = way(performance, "left_hip")[:, 1]

    acceleration = np.diff(hips, n=2) * FPS**2
    is_falling = np.abs(acceleration + GRAVITY) < 0.05 * GRAVITY
    edges = np.diff(np.concatenate([[False], is_falling, [False]]).astype(int))
    lengths_s = (np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)) / FPS

    assert (lengths_s > 0.2).sum() == take_offs
    assert feet.max() > 0.1 + (BOX_UP if what == "drop_jump" else 0.0) * 0.5
    assert hips.max() - STANDING_HIP_UP > 0.15


def test_a_drop_jump_begins_on_the_box_and_ends_before_it() -> None:
    ankles = way(played(Segment("stand", 1.0), Segment("drop_jump")), "left_ankle")

    assert ankles[0] == pytest.approx(ankles[FPS // 2], abs=1e-3)
    assert ankles[0, 1] == pytest.approx(BOX_UP + ANKLE_UP)
    assert ankles[-1, 1] == pytest.approx(ANKLE_UP)
    assert ankles[-1, 0] > ankles[0, 0] + 0.3


@pytest.mark.parametrize("plates", PLATE_RADIUS)
@pytest.mark.parametrize("what", ["snatch", "clean_and_jerk"])
def test_the_bar_goes_from_the_floor_overhead_in_the_hands_and_falls_back(
    what: str, plates: str
) -> None:
    radius = PLATE_RADIUS[plates]
    performance = played(Segment(what), bar_up=radius)
    bar, head = performance.bar, way(performance, "head")
    hands = (way(performance, "left_hand") + way(performance, "right_hand")) / 2
    is_held = np.linalg.norm(bar - hands, axis=1) < 1e-9

    assert bar[0] == pytest.approx(bar[-1])
    assert bar[:, 1].min() == pytest.approx(radius, abs=4e-3)
    assert bar[:, 1].max() > head[0, 1] + 0.15
    assert np.linalg.norm(np.diff(bar, axis=0), axis=1).max() * FPS < 4.0  # nor is it snatched away
    assert np.diff(is_held.astype(int)).tolist().count(1) == 1
    lifted_s = np.flatnonzero(bar[:, 1] > radius + 0.01)[0] / FPS
    overhead_s = np.flatnonzero(bar[:, 1] > bar[:, 1].max() - 0.01)[0] / FPS
    assert 2.0 < overhead_s - lifted_s < (3.0 if what == "snatch" else 5.5)


def test_a_lift_with_more_time_waits_motionless_at_the_bar() -> None:
    short, long = played(Segment("snatch")), played(Segment("snatch", 9.0))
    extra = len(long.points) - len(short.points)
    bent = slice(round(0.85 * FPS), round(0.85 * FPS) + extra)

    assert extra > 3 * FPS
    assert np.ptp(long.points[bent], axis=0).max() < 1e-9
    assert long.points[-FPS:] == pytest.approx(short.points[-FPS:], abs=1e-2)


def test_a_runner_makes_170_steps_a_minute_and_swings_arms_against_legs() -> None:
    performance = played(Segment("run", 7.0))
    steady = slice(FPS, 6 * FPS)
    apart = (way(performance, "left_ankle") - way(performance, "right_ankle"))[steady, 0]
    hands = (way(performance, "left_wrist") - way(performance, "right_wrist"))[steady, 0]

    steps = np.count_nonzero(np.diff(np.sign(apart)))

    assert steps * 60 / 5.0 == pytest.approx(STEPS_A_MINUTE, abs=12)
    assert np.corrcoef(apart, hands)[0, 1] < -0.6
    feet = np.minimum(way(performance, "left_toe")[:, 1], way(performance, "right_toe")[:, 1])
    assert feet[steady].max() > 0.02  # both feet are off the floor between two steps


def test_a_foot_on_the_floor_stays_where_it_is() -> None:
    performance = played(Segment("walk_in"))
    walking = slice(FPS // 2, 2 * FPS)
    steps = [
        np.diff(way(performance, f"{side}_toe")[walking], axis=0) for side in ("left", "right")
    ]

    slower_foot = np.min([np.linalg.norm(step, axis=1) for step in steps], axis=0) * FPS

    assert np.median(slower_foot) < 0.1  # the body makes 0.65 body heights a second
    assert slower_foot.max() < 0.4


def test_the_way_of_a_foot_does_not_depend_on_which_frames_are_asked_for() -> None:
    scenes = rehearse([Segment("walk_out")], SIDE, bar_up=0.1, seed=1)
    times_s = np.array([0.3, 1.1, 2.0])

    together = perform(scenes, times_s, bar_up=0.1).points
    alone = [perform(scenes, times_s[n : n + 1], bar_up=0.1).points[0] for n in range(3)]

    assert together == pytest.approx(np.stack(alone))


def test_a_curve_passes_its_keys_and_never_beyond_them() -> None:
    at_s = np.array([0.0, 1.0, 1.5, 4.0])
    values = np.array([[0.0], [2.0], [2.5], [-1.0]])
    seconds = np.linspace(-1.0, 5.0, 601)

    curve = smooth_curve(seconds, at_s, values)[:, 0]

    assert smooth_curve(at_s, at_s, values) == pytest.approx(values)
    assert curve.max() <= 2.5 + 1e-9 and curve.min() >= -1.0 - 1e-9
    assert (curve[0], curve[-1]) == (0.0, -1.0)


@pytest.mark.parametrize(
    ("segments", "told"),
    [
        ([], "at least one segment"),
        ([Segment("stand", -1.0)], "for -1.0 s"),
        ([Segment("snatch", 1.0)], "snatch takes 5.5"),
        ([Segment("countermovement_jump", 9.0)], "takes 2.2"),
        ([Segment("snatch"), Segment("drop_jump")], "step_up first"),
        ([Segment("stand"), Segment("drop_jump"), Segment("drop_jump")], "step_up first"),
        ([Segment("drop_jump"), Segment("step_up"), Segment("run")], "not on the box"),
    ],
)
def test_a_script_that_no_body_can_follow_is_refused(segments: list[Segment], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        rehearse(segments, SIDE, bar_up=0.1, seed=1)


def test_someone_who_runs_past_is_outside_the_picture_at_both_ends() -> None:
    for lens in (SIDE, replace(SIDE, view="front"), replace(SIDE, view="oblique")):
        scenes = rehearse([Segment("run_past")], lens, bar_up=0.1, seed=1)
        ends_s = np.array([0.0, scenes[-1].end_s])
        x = lens.project(perform(scenes, ends_s, bar_up=0.1).points)[..., 0]
        assert x[0].max() < 0 and x[1].min() > lens.width
