"""What is wrong with a picture, and what is not: every code at its moment."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.landmarks import KNEES, WRISTS, Poses
from analysis.motion import motion_of
from analysis.packets import Packets
from analysis.primitives import Interval
from analysis.quality import (
    TEXTS,
    BodyLight,
    PictureFacts,
    QualityWarning,
    is_under_way,
    judge_amount,
    judge_framing,
    judge_frozen,
    judge_light,
    judge_others,
    judge_stance,
    judge_timing,
    judge_uprightness,
    judge_view,
    picture_facts,
    remark,
    sharpness,
    shift_between,
    weighed,
)
from analysis.signs import signs_of
from tests.unit.analysis.bodies import Posture, poses

ALL = Interval(start_s=0.0, end_s=4.0)


def codes(remarks: list[QualityWarning]) -> list[str]:
    return [found.code for found in remarks]


def packets(times_s: np.ndarray) -> Packets:
    return Packets(
        times_s=times_s,
        sizes=np.full(len(times_s), 500),
        is_key=np.arange(len(times_s)) % 30 == 0,
        is_shown=np.ones(len(times_s), dtype=np.bool_),
        pixels=640 * 360,
    )


EVEN_S = np.arange(0.0, 4.0, 1 / 30)


def test_even_frames_need_no_remark() -> None:
    assert judge_timing(packets(EVEN_S), activity="running", damaged_at_s=[]) == []


def test_a_gap_is_said_with_its_moment() -> None:
    gap = np.delete(EVEN_S, range(60, 90))

    (found,) = judge_timing(packets(gap), activity="running", damaged_at_s=[])

    assert found.code == "frames_uneven" and found.at_s == pytest.approx(59 / 30)


@pytest.mark.parametrize(
    ("fps", "activity", "low"),
    [
        (15, "running", True),
        (23.98, "running", False),
        (19, "weightlifting", False),
        (12, None, True),
    ],
)
def test_a_low_frame_rate_depends_on_the_activity(
    fps: float, activity: str | None, low: bool
) -> None:
    remarks = judge_timing(
        packets(np.arange(0.0, 4.0, 1 / fps)), activity=activity, damaged_at_s=[]
    )

    assert codes(remarks) == (["frame_rate_low"] if low else [])


def test_damage_is_said_with_its_moment() -> None:
    (found,) = judge_timing(packets(EVEN_S), activity=None, damaged_at_s=[1.5, 2.0])

    assert (found.code, found.at_s) == ("file_damaged", 1.5)


WELL_LIT = BodyLight(lit=130.0, blown=0.0, beside=150.0, beside_blown=0.0)
WINDOW = {"beside": 235.0, "beside_blown": 0.5}


def picture(**told: float | bool | BodyLight | None) -> PictureFacts:
    plain: dict[str, float | bool | BodyLight | None] = {
        "time_s": 1.0,
        "brightness": 110.0,
        "blown": 0.01,
        "body": WELL_LIT,
        "sharpness": 0.55,
        "found": True,
    }
    return PictureFacts(**{**plain, **told})  # type: ignore[arg-type]  # tests say what they mean


@pytest.mark.parametrize(
    ("told", "found_share", "expected"),
    [
        ({}, 0.9, []),
        ({"found": False, "body": None}, 0.0, ["nobody"]),
        ({"found": False, "body": None, "brightness": 12.0}, 0.0, ["too_dark"]),
        ({"brightness": 12.0, "body": replace(WELL_LIT, lit=10.0)}, 0.9, []),  # dark, but seen
        ({"blown": 0.6, "body": replace(WELL_LIT, blown=0.8)}, 0.9, ["too_bright"]),
        ({"blown": 0.6, "body": None}, 0.9, ["too_bright"]),
        ({"blown": 0.6}, 0.9, []),  # a white studio
        ({"body": replace(WELL_LIT, lit=45.0, **WINDOW)}, 0.9, ["against_light"]),
        ({"body": replace(WELL_LIT, lit=45.0, beside=200.0)}, 0.9, []),  # a lit wall
        ({"body": replace(WELL_LIT, **WINDOW)}, 0.9, []),  # dark clothes, and a face that is lit
        ({"sharpness": 0.2}, 0.9, ["blurred"]),
    ],
)
def test_light_and_sharpness(
    told: dict[str, float | bool | BodyLight | None], found_share: float, expected: list[str]
) -> None:
    assert codes(judge_light([picture(**told)] * 3, found_share=found_share)) == expected


@pytest.mark.parametrize(
    ("skin", "clothes", "wall", "lit", "against"),
    [
        pytest.param(140, 15, 205, 140, False, id="dark clothes before a lit wall"),
        pytest.param(140, 15, 255, 140, False, id="dark clothes in a white studio"),
        pytest.param(35, 20, 250, 35, True, id="a silhouette before a window"),
        pytest.param(40, 20, 90, 40, False, id="a dim room"),
    ],
)
def test_the_light_on_a_body_is_that_on_its_skin(
    skin: int, clothes: int, wall: int, lit: float, against: bool
) -> None:
    points = poses((0.2, Posture(hands_up=-0.8))).points_px[0]
    points[:11, 0] += np.linspace(-25, 25, 11)
    points[:11, 1] += np.linspace(-15, 15, 11)
    luma = np.full((720, 1280), wall, dtype=np.uint8)
    left, right = int(points[:, 0].min()) - 10, int(points[:, 0].max()) + 10
    luma[int(points[:, 1].min()) - 20 :, left:right] = clothes
    luma[: int(points[:11, 1].max()) + 5, left:right] = skin

    facts = picture_facts(0.0, luma, points=points)

    assert facts.body is not None and facts.body.lit == lit
    assert ("against_light" in codes(judge_light([facts], found_share=1.0))) is against


def test_a_smeared_edge_is_less_sharp_than_a_clean_one() -> None:
    clean = np.zeros((90, 160), dtype=np.uint8)
    clean[:, 80:] = 200
    ramp = np.clip((np.arange(160) - 74) * 16, 0, 200).astype(np.uint8)

    assert sharpness(clean) > 0.9 > 0.3 > sharpness(np.tile(ramp, (90, 1)))
    assert sharpness(np.full((90, 160), 90, dtype=np.uint8)) == 1.0  # nothing to judge


def standing(across: float = 5.0, size: float = 1.0) -> Poses:
    return poses((4.0, Posture(across=across, size=size)))


def test_a_body_inside_the_picture_needs_no_remark() -> None:
    assert judge_framing(standing(), [ALL], stored_height_px=720) == []


@pytest.mark.parametrize(
    ("down_px", "code"), [(250.0, "feet_out_of_frame"), (-420.0, "head_out_of_frame")]
)
def test_what_leaves_the_picture_is_named(down_px: float, code: str) -> None:
    body = standing()
    moved = replace(body, points_px=body.points_px + np.array([0.0, down_px]))

    assert code in codes(judge_framing(moved, [ALL], stored_height_px=720))


def test_a_head_that_is_cut_off_is_named_though_the_model_puts_one_between_the_shoulders() -> None:
    body = standing()
    squeezed = body.points_px.copy()
    squeezed[:, :11, 1] = squeezed[:, 11:13, 1].mean(axis=1)[:, None]
    at_top = squeezed - np.array([0.0, squeezed[0, 11, 1] - 25.0])

    hidden = judge_framing(replace(body, points_px=squeezed), [ALL], stored_height_px=720)
    cut_off = judge_framing(replace(body, points_px=at_top), [ALL], stored_height_px=720)

    assert codes(hidden) == [], "by a plate, or seen from above"
    assert codes(cut_off) == ["head_out_of_frame"]


def test_a_small_body_and_a_hidden_one_are_named() -> None:
    small = judge_framing(standing(size=0.2), [ALL], stored_height_px=720)
    body = standing()
    hidden = judge_framing(
        replace(body, visibility=body.visibility * 0.3), [ALL], stored_height_px=720
    )

    assert "too_small" in codes(small) and "hidden" in codes(hidden)


def test_a_body_seen_from_its_side_hides_its_own_far_limbs() -> None:
    body = standing()
    far = body.visibility.copy()
    far[:, 12:33:2] = 0.1

    assert judge_framing(replace(body, visibility=far), [ALL], stored_height_px=720) == []


def test_of_a_distant_body_the_model_is_never_sure() -> None:
    body = standing(size=0.35)
    unsure = replace(body, visibility=body.visibility * 0.3, width_px=640, height_px=360)

    assert codes(judge_framing(unsure, [ALL], stored_height_px=720)) == []


def test_who_leaves_the_picture_is_not_hidden() -> None:
    body = standing()

    assert judge_framing(body.without(body.times_s > 2.0), [ALL], stored_height_px=720) == []
    lost = judge_framing(
        body.without((body.times_s > 1.0) & (body.times_s < 3.5)), [ALL], stored_height_px=720
    )
    assert codes(lost) == ["hidden"]


def level(body: Poses) -> Poses:
    """Return the body turned to the right about its hips: lying."""
    x, y = body.points_px[..., 0], body.points_px[..., 1]
    turned = np.stack([500.0 + (470.0 - y), 470.0 + (x - 500.0)], axis=-1)
    return replace(body, points_px=turned)


def test_a_picture_on_its_side_is_named_and_push_ups_are_not() -> None:
    on_its_side, push_up = level(standing()), level(standing())
    push_up.points_px[:, list(WRISTS), 1] += 90.0  # the hands are on the floor below
    push_up.points_px[:, list(WRISTS), 0] += 100.0
    on_back = level(standing())
    on_back.points_px[:, list(KNEES), 1] -= 80.0

    assert codes(judge_uprightness(motion_of(on_its_side))) == ["picture_turned"]
    assert judge_uprightness(motion_of(push_up)) == []
    assert judge_uprightness(motion_of(on_back)) == []


@pytest.mark.parametrize(
    ("first_s", "begins"), [(0.0, True), (1.0, False)], ids=["moving", "bent over a bar"]
)
def test_a_movement_is_under_way_only_where_the_body_moves(first_s: float, begins: bool) -> None:
    low = Posture(hips_down=0.7)
    motion = motion_of(poses((first_s + 1e-6, low), (0.8, Posture()), (1.0, Posture())))
    signs = signs_of(motion, activity="weightlifting")

    assert is_under_way(motion, signs, 0.0) is begins
    assert not is_under_way(motion, signs, float(motion.times_s[-1]))
    assert not is_under_way(motion, replace(signs, low=np.zeros_like(signs.low)), 0.0), (
        "walking, say"
    )


@pytest.mark.parametrize(
    ("up_s", "goes_on"), [(0.8, False), (0.35, True)], ids=["back upright", "half-way up"]
)
def test_a_squat_that_ends_with_the_recording_goes_on_only_where_its_end_is_missing(
    up_s: float, goes_on: bool
) -> None:
    low, up = Posture(hips_down=0.8), Posture(hips_down=0.8 * (1 - up_s / 0.8))
    motion = motion_of(poses((1.0, Posture()), (0.8, low), (0.3, low), (up_s, up), (0.1, up)))
    signs = signs_of(motion, activity="weightlifting")

    assert is_under_way(motion, signs, float(motion.times_s[-1])) is goes_on


def test_a_movement_that_begins_with_the_recording_did_not_begin_before_it() -> None:
    low, up = Posture(hips_down=0.8), Posture()
    begun = poses((0.2, low), (0.8, up), (1.5, up))
    cut_off = poses((0.0, low), (0.8, up), (1.5, up))

    for body, begins in ((begun, False), (cut_off, True)):
        motion = motion_of(body)
        assert is_under_way(motion, signs_of(motion, activity="weightlifting"), 0.0) is begins


def test_a_picture_upside_down_is_named() -> None:
    body = standing()
    turned = replace(body, points_px=np.array([1280.0, 720.0]) - body.points_px)

    assert judge_uprightness(motion_of(body)) == []
    assert codes(judge_uprightness(motion_of(turned))) == ["picture_turned"]


def wall(shift_px: int = 0, seed: int = 1) -> np.ndarray:
    scene = np.random.default_rng(seed).integers(0, 255, (90, 200)).astype(np.uint8)
    return scene[:, 20 + shift_px : 180 + shift_px]


@pytest.mark.parametrize(
    ("now", "moved"), [(wall(), False), (wall(2), False), (wall(15), True), (wall(seed=2), True)]
)
def test_a_camera_that_moved_is_noticed(now: np.ndarray, moved: bool) -> None:
    remarks = judge_stance(wall(), [(0.0, now), (2.0, now)])

    assert codes(remarks) == (["camera_moved"] if moved else [])
    assert judge_stance(None, [(0.0, now)]) == []


def test_a_shift_is_measured_in_px() -> None:
    shift_px, peak = shift_between(wall(), wall(7))

    assert shift_px == pytest.approx(7, abs=1) and peak > 0.1


def test_settings_weigh_every_remark() -> None:
    found = [remark("blurred", at_s=2.0), remark("blurred", at_s=1.0), remark("nobody")]

    assert [(r.code, r.severity, r.at_s) for r in weighed(found, {"nobody": "ignore"})] == [
        ("blurred", "warn", 2.0)
    ]
    assert weighed([remark("athlete_undecided")], {})[0].severity == "hold"
    assert weighed([remark("blurred")], {"blurred": "hold"})[0].severity == "hold"


@pytest.mark.parametrize("code", TEXTS)
def test_every_remark_is_one_sentence_a_coach_understands(code: str) -> None:
    text = remark(code).message

    assert text.endswith(".") and 20 < len(text) < 130
    assert not any(word in text.lower() for word in ("fps", "keyframe", "codec", "pixel"))


def seen_with(shoulders: float, hips: float) -> Poses:
    """Return a body whose shoulders and hips are so many torsos wide in the picture."""
    body = poses((4.0, Posture()))
    points = body.points_px.copy()
    for (left, right), wide in (((11, 12), shoulders), ((23, 24), hips)):
        points[:, left, 0] += 50 * wide
        points[:, right, 0] -= 50 * wide
    return replace(body, points_px=points)


@pytest.mark.parametrize(
    ("shoulders", "hips", "activity", "wrong"),
    [
        (0.15, 0.1, "weightlifting", False),
        (0.3, 0.2, "running", False),
        (0.55, 0.3, "weightlifting", True),
        (0.8, 0.5, "running", True),
        (0.8, 0.5, "jumping", False),  # may be seen from the front
    ],
)
def test_lifts_and_runs_are_to_be_seen_from_the_side(
    shoulders: float, hips: float, activity: str, wrong: bool
) -> None:
    found = judge_view(seen_with(shoulders, hips), [ALL], activity=activity, stored_px=(1920, 1080))

    assert codes(found) == ["not_from_the_side"] * wrong


@pytest.mark.parametrize(
    ("size", "few"),
    [((1280, 720), False), ((720, 1280), False), ((640, 480), True), ((480, 848), True)],
)
def test_720_lines_are_wanted_upright_or_not(size: tuple[int, int], few: bool) -> None:
    found = judge_view(poses((4.0, Posture())), [ALL], activity="jumping", stored_px=size)

    assert codes(found) == ["too_few_pixels"] * few


def test_a_picture_without_a_take_is_not_too_small() -> None:
    assert judge_view(poses((4.0, Posture())), [], activity=None, stored_px=(320, 240)) == []


def test_more_than_five_jumps_and_more_than_a_minute_are_said() -> None:
    two = [ALL, Interval(start_s=10.0, end_s=71.0)]

    assert codes(judge_amount("jumping", [5, 6], two)) == ["too_many_jumps"]
    assert codes(judge_amount("jumping", [None, 5], two)) == []
    assert codes(judge_amount("running", [9, 150], two)) == ["run_too_long"]
    assert judge_amount("running", [9, 150], two)[0].at_s == 10.0
    assert codes(judge_amount("weightlifting", [9, 9], two)) == []


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ([], False),
        ([0.9], False),  # one look alone may be mistaken
        ([0.9, 0.0, 0.8], True),
        ([0.9, 0.0, 0.8, 0.0, 0.0], False),
        ([0.3, 0.4, 0.5], False),  # far behind
    ],
)
def test_somebody_else_is_said_where_most_looks_show_them(shares: list[float], said: bool) -> None:
    found = judge_others([(float(number), share) for number, share in enumerate(shares)])

    assert codes(found) == ["others_in_picture"] * said


@pytest.mark.parametrize(
    ("count", "apart_s", "noise", "said"),
    [(6, 4.0, 0, True), (6, 4.0, 1, False), (3, 8.0, 0, False), (6, 1.0, 0, False)],
)
def test_a_picture_that_never_changes_is_said(
    count: int, apart_s: float, noise: int, said: bool
) -> None:
    chance = np.random.default_rng(1)
    still = chance.integers(0, 200, (36, 64), dtype=np.uint8)
    grain = [chance.integers(0, noise + 1, still.shape, dtype=np.uint8) for _ in range(count)]
    pictures = [(number * apart_s, still + one) for number, one in enumerate(grain)]

    assert codes(judge_frozen(pictures)) == ["picture_frozen"] * said


def test_a_picture_that_freezes_midway_is_said_with_its_moment() -> None:
    chance = np.random.default_rng(2)
    moving = [(4.0 * n, chance.integers(0, 200, (36, 64), dtype=np.uint8)) for n in range(5)]
    frozen = [(20.0 + 4.0 * n, moving[-1][1]) for n in range(5)]

    (found,) = judge_frozen([*moving, *frozen])

    assert (found.code, found.at_s) == ("picture_frozen", 16.0)
