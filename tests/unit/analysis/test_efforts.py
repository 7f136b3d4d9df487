"""Which movements are efforts, and what they are."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.efforts import Evidence, efforts_of
from analysis.landmarks import Poses
from analysis.motion import motion_of
from analysis.movement import count_reps, jumps, name_movement
from analysis.primitives import Interval
from analysis.signs import signs_of
from tests.unit.analysis.bodies import STANDING, Posture, nobody, poses, seldom

SQUAT = Posture(hips_down=0.8)
OVERHEAD = Posture(hands_up=0.7)
TOP = Posture(fly=0.7, hands_up=0.2)
DIP = Posture(hips_down=0.4)
REST = (3.0, STANDING)


def efforts(body: Poses, *, rest_s: float = 2.0, busy: bool = False) -> list[Interval]:
    motion = motion_of(body)
    within = Interval(start_s=0.0, end_s=float(body.times_s.max(initial=0.0)) + 0.1)
    found, _ = efforts_of(
        motion, signs_of(motion, activity=None if busy else LIFTING), rest_s=rest_s, within=within
    )
    return found


def evidence(body: Poses, activity: str | None) -> Evidence:
    motion = motion_of(body)
    within = Interval(start_s=0.0, end_s=float(body.times_s.max(initial=0.0)) + 0.1)
    signs = signs_of(motion, activity="weightlifting")
    return efforts_of(motion, signs, rest_s=3.0, within=within, activity=activity)[1]


def reps(body: Poses, activity: str) -> int | None:
    (effort,) = efforts(body)
    return count_reps(motion_of(body), activity, effort)


def jump() -> tuple[tuple[float, Posture], ...]:
    return ((0.4, DIP), (0.3, STANDING), (0.3, TOP), (0.3, STANDING), (0.2, DIP), (0.5, STANDING))


def stride(seconds: float, *, hz: float = 1.45) -> tuple[tuple[float, Posture], ...]:
    """Run on the spot: a stride is two steps."""
    half = 0.25 / hz
    one = (
        *((half, Posture(stride=1.2, fly=0.05)), (half, Posture(stride=0.0))),
        *((half, Posture(stride=-1.2, fly=0.05)), (half, Posture(stride=0.0))),
    )
    return one * round(seconds * hz)


def followed(running: Posture, across: float, *, longer: float) -> Posture:
    """Return a runner whom the camera follows: with longer strides no foot stays in its place."""
    return replace(running, across=across, stride=longer * running.stride)


def test_standing_about_is_no_effort() -> None:
    sway = replace(STANDING, across=5.03)

    assert efforts(poses(REST, (2.0, sway), (2.0, STANDING), (2.0, sway))) == []


def test_nobody_makes_no_effort() -> None:
    assert efforts(nobody(10.0)) == []


@pytest.mark.parametrize("looks", range(10))
def test_a_capture_that_breaks_off_at_once_holds_no_effort(looks: int) -> None:
    for whole in (nobody(2.0), poses(REST)):
        body = Poses(
            times_s=whole.times_s[:looks],
            points_px=whole.points_px[:looks],
            visibility=whole.visibility[:looks],
            width_px=whole.width_px,
            height_px=whole.height_px,
        )
        assert efforts(body, busy=True) == []


def test_walking_through_the_picture_is_no_effort() -> None:
    steps = [(0.25, Posture(across=1 + 0.5 * n, stride=0.5 * (-1) ** n)) for n in range(20)]

    assert efforts(poses((1.0, replace(STANDING, across=1.0)), *steps)) == []


def test_fidgeting_hands_are_no_effort() -> None:
    rubbing = [(0.3, Posture(hands_up=-0.55 + 0.1 * (-1) ** n)) for n in range(12)]

    assert efforts(poses(REST, *rubbing, REST)) == []


@pytest.mark.parametrize("posture", [SQUAT, OVERHEAD], ids=["squat", "raise"])
def test_an_effort_lies_inside_its_interval_and_little_else_does(posture: Posture) -> None:
    (effort,) = efforts(poses(REST, (1.0, posture), (1.0, STANDING), REST))

    assert 2.5 < effort.start_s <= 3.05 and 4.95 <= effort.end_s < 5.6


def test_a_motionless_set_up_belongs_to_the_lift() -> None:
    set_up = Posture(hips_down=0.6, hands_up=-1.0)

    (effort,) = efforts(
        poses(REST, (0.8, set_up), (3.0, set_up), (0.8, OVERHEAD), (0.8, STANDING), REST)
    )

    assert effort.start_s <= 3.1 and effort.end_s >= 8.3


def test_a_long_rest_in_a_low_posture_is_no_effort() -> None:
    sitting = Posture(hips_down=0.7)

    found = efforts(poses(REST, (1.0, sitting), (30.0, sitting), (1.0, STANDING), REST))

    assert sum(effort.seconds for effort in found) < 15


def test_a_slow_last_repetition_is_not_cut_off() -> None:
    quick = ((0.6, SQUAT), (0.6, STANDING))

    (effort,) = efforts(poses(REST, *quick, *quick, (3.0, SQUAT), (4.0, STANDING), REST))

    assert effort.end_s >= 12.0


def test_raises_in_which_the_feet_never_move_are_found_and_counted() -> None:
    body = poses(REST, *(((0.8, Posture(hands_up=0.0)), (0.8, STANDING)) * 4), REST)

    (effort,) = efforts(body)

    assert effort.start_s <= 3.1 and effort.end_s >= 9.2
    assert reps(body, "weightlifting") == 4


@pytest.mark.parametrize("count", [1, 2, 5])
def test_jumps_are_counted_by_their_flights(count: int) -> None:
    body = poses(REST, *(jump() * count), REST)

    assert reps(body, "jumping") == count
    (effort,) = efforts(body)
    motion = motion_of(body)
    named = name_movement(motion, signs_of(motion, activity="weightlifting"), effort)
    assert named.activity == "jumping"


def test_squats_are_counted_by_the_hips() -> None:
    body = poses(REST, *(((0.9, SQUAT), (0.9, STANDING)) * 3), REST)

    assert reps(body, "weightlifting") == 3
    assert reps(body, "jumping") == 0


@pytest.mark.parametrize("hz", [1.2, 1.45, 1.6])
def test_steps_are_counted_by_their_frequency(hz: float) -> None:
    body = poses(*stride(20.0, hz=hz))

    (effort,) = efforts(body)
    motion = motion_of(body)

    assert effort.seconds > 19
    assert count_reps(motion, "running", effort) == pytest.approx(40 * hz, abs=1)
    named = name_movement(motion, signs_of(motion, activity="weightlifting"), effort)
    assert named.activity == "running"


def test_a_body_lost_for_a_moment_goes_on_moving() -> None:
    body = poses(REST, *(((0.9, SQUAT), (0.9, STANDING)) * 3), REST)
    body.points_px[55:61] = float("nan")

    assert len(efforts(body)) == 1


def test_somebody_else_in_another_place_does_not_make_a_leap() -> None:
    first = poses((4.0, replace(STANDING, across=2.0)))
    then = poses((4.0, replace(STANDING, across=9.0, size=0.7)))
    both = replace(
        first,
        times_s=np.arange(len(first.times_s) + len(then.times_s)) / 10,
        points_px=np.concatenate([first.points_px, then.points_px]),
        visibility=np.concatenate([first.visibility, then.visibility]),
    )

    assert efforts(both) == []


def test_going_on_for_long_counts_only_where_nothing_is_known() -> None:
    pottering = [
        (0.5, Posture(hands_up=-0.75 + 0.3 * (-1) ** n, stride=0.6 * (-1) ** n)) for n in range(40)
    ]
    body = poses(REST, *pottering, REST)

    assert efforts(body) == []
    assert len(efforts(body, busy=True)) == 1


def test_squats_are_counted_while_the_hands_stay_at_the_bar() -> None:
    up, down = Posture(hands_up=-0.1), Posture(hands_up=-0.1, hips_down=0.7)
    one = ((0.8, down), (0.8, up), (0.5, up))

    assert (
        reps(poses(REST, (0.6, up), *one, *one, *one, (0.6, STANDING), REST), "weightlifting") == 3
    )


def test_landmarks_that_tremble_on_a_still_picture_prolong_no_effort() -> None:
    trembling = [(0.5, Posture(hands_up=0.3 + 0.6 * (-1) ** n)) for n in range(24)]
    motion = motion_of(poses(REST, (1.0, OVERHEAD), *trembling))
    within = Interval(start_s=0.0, end_s=16.0)
    signs = signs_of(motion, activity="weightlifting")

    def found(moving: list[Interval] | None) -> list[Interval]:
        return efforts_of(motion, signs, rest_s=2.0, within=within, moving=moving)[0]

    (believed,) = found(None)
    (checked,) = found([Interval(start_s=3.1, end_s=4.5)])
    assert believed.end_s > 8.0 and 4.5 <= checked.end_s <= 5.1
    assert checked.start_s == believed.start_s
    assert found([]) == []


BOW = Posture(lean=0.98)
RACKED = Posture(hands_up=-0.1)  # a bar on the back, or hands behind the head
LIFTING, JUMPING, RUNNING = "weightlifting", "jumping", "running"


def times(count: int, *stretches: tuple[float, Posture]) -> tuple[tuple[float, Posture], ...]:
    return stretches * count


DONE = {
    "one squat": times(1, (0.9, SQUAT), (0.9, STANDING)),
    "one shallow dip": times(1, (0.5, Posture(hips_down=0.35)), (0.5, STANDING)),
    "one bow": times(1, (1.0, BOW), (1.0, STANDING)),
    "two deadlifts": times(2, (1.0, Posture(lean=0.96, hips_down=0.3)), (1.0, STANDING)),
    "one stretch overhead": times(1, (1.0, OVERHEAD), (1.0, OVERHEAD), (1.0, STANDING)),
    "presses": times(3, (0.8, Posture(hands_up=0.8)), (0.8, RACKED)),
    "sitting down": times(1, (1.0, Posture(hips_down=0.8)), (9.0, Posture(hips_down=0.8))),
    "sitting down and up": times(
        1, (1.0, Posture(hips_down=0.8)), (9.0, Posture(hips_down=0.8)), (1.0, STANDING)
    ),
    "hands behind the head": times(1, (0.6, RACKED), (9.0, RACKED), (0.6, STANDING)),
    "a jump": jump(),
    "a run": stride(4.0),
    "some steps of a run": stride(3.0),
}
WORTH = {
    "one squat": (Evidence.SURE, Evidence.NONE, Evidence.NONE),
    "one shallow dip": (Evidence.DOUBTFUL, Evidence.NONE, Evidence.NONE),
    "one bow": (Evidence.DOUBTFUL, Evidence.NONE, Evidence.NONE),
    "two deadlifts": (Evidence.SURE, Evidence.DOUBTFUL, Evidence.DOUBTFUL),
    "one stretch overhead": (Evidence.DOUBTFUL, Evidence.NONE, Evidence.NONE),
    "presses": (Evidence.SURE, Evidence.NONE, Evidence.NONE),
    "sitting down": (Evidence.NONE, Evidence.NONE, Evidence.NONE),
    "sitting down and up": (Evidence.NONE, Evidence.NONE, Evidence.NONE),
    "hands behind the head": (Evidence.NONE, Evidence.NONE, Evidence.NONE),
    "some steps of a run": (Evidence.NONE, Evidence.NONE, Evidence.SURE),
}


@pytest.mark.parametrize("done", WORTH)
def test_what_a_movement_is_worth_depends_on_the_station(done: str) -> None:
    body = poses(REST, *DONE[done], (3.0, DONE[done][-1][1]))

    assert tuple(evidence(body, kind) for kind in (LIFTING, JUMPING, RUNNING)) == WORTH[done]


def test_what_is_plain_is_sure_on_any_station() -> None:
    squats, run = times(2, *DONE["one squat"]), DONE["a run"]

    assert evidence(poses(REST, *squats, REST), RUNNING) is Evidence.SURE
    assert evidence(poses(REST, *run, REST), LIFTING) is Evidence.SURE


def test_a_jump_and_a_run_are_sure_where_they_belong() -> None:
    assert evidence(poses(REST, *DONE["a jump"], REST), JUMPING) is Evidence.SURE
    assert evidence(poses(REST, *DONE["a run"], REST), RUNNING) is Evidence.SURE


def test_two_pulls_of_which_the_second_is_not_lowered_are_sure() -> None:
    """As seen from behind, where the hips hardly move; one pull alone may be a bow."""
    pull = ((1.0, STANDING), (0.5, STANDING))

    pulls = poses((2.0, BOW), *pull, (1.0, BOW), *pull, (3.0, STANDING))

    assert evidence(pulls, LIFTING) is Evidence.SURE


def test_a_stretch_beside_a_squat_makes_no_take() -> None:
    stretch = (*DONE["one stretch overhead"], (5.0, STANDING))

    (effort,) = efforts(poses(REST, *stretch, *DONE["one squat"], REST))

    assert effort.start_s > 10.5


@pytest.mark.parametrize("waiting", [RACKED, Posture(hands_up=-0.25)], ids=["bar", "head"])
def test_waiting_upright_between_two_singles_is_rest_whatever_the_hands_do(
    waiting: Posture,
) -> None:
    down = replace(waiting, hips_down=0.8)
    single = ((0.9, down), (0.9, waiting))

    first, second = efforts(poses((5.0, waiting), *single, (4.0, waiting), *single, (3.0, waiting)))

    assert 4.4 < first.start_s <= 5.05 and first.end_s < 7.4
    assert 10.2 < second.start_s <= 10.85 and second.end_s < 13.2


def test_an_effort_under_way_when_the_body_is_found_began_before_that() -> None:
    """No speed is known of the first look, so what moves in the next one moved in it."""
    low, rest = Posture(hips_down=0.8), ((0.9, STANDING), (0.9, Posture(hips_down=0.8)))
    body = joined(poses(REST), nobody(3.0), poses((0.0, low), *times(3, *rest), (0.9, STANDING)))
    motion, within = motion_of(body), Interval(start_s=0.0, end_s=float(body.times_s[-1]))

    (effort,), _ = efforts_of(
        motion,
        signs_of(motion, activity="weightlifting"),
        rest_s=2.0,
        within=within,
        stirring=[within],
    )

    found_s = float(motion.times_s[np.flatnonzero(motion.visit == 1)[0]])
    assert effort.start_s < found_s - 1.0


def test_feet_that_are_only_guessed_make_no_squat() -> None:
    body = poses(REST, (8.0, STANDING))
    body.points_px[40:60, 25:33, 1] -= 80.0  # for two seconds

    assert efforts(body) == []


def test_a_body_that_is_lost_goes_on_for_no_longer_than_it_was_seen() -> None:
    body = poses(REST, (0.9, SQUAT), (0.9, STANDING), (0.9, SQUAT), (9.0, SQUAT))
    body.points_px[56:] = float("nan")
    motion = motion_of(body)

    (effort,), _ = efforts_of(
        motion,
        signs_of(motion, activity="weightlifting"),
        rest_s=2.0,
        within=Interval(start_s=0.0, end_s=30.0),
        stirring=[Interval(start_s=0.0, end_s=30.0)],
    )

    assert 7.0 < effort.end_s < 9.0


def test_a_run_that_the_camera_follows_is_no_walk() -> None:
    half = 0.17
    along = [replace(p, across=1 + 0.17 * n) for n, (_, p) in enumerate(stride(4.0))]
    followed = poses((1.0, replace(STANDING, across=1.0)), *((half, p) for p in along))
    walked = poses(*((half, replace(p, across=1 + 0.45 * n)) for n, p in enumerate(along)))

    assert evidence(followed, RUNNING) is Evidence.SURE
    assert evidence(walked, RUNNING) is Evidence.NONE


def test_a_jump_whose_feet_are_not_seen_is_known_by_how_fast_the_body_rises() -> None:
    quick = ((0.3, DIP), (0.4, TOP), (0.3, DIP), (0.5, STANDING))
    slow = ((0.8, Posture(hips_down=0.8)), (0.9, STANDING))
    jumped, squatted = (poses(REST, *done, REST) for done in (quick, slow))
    for body in (jumped, squatted):
        body.points_px[:, 27:33, 1] = 600.0  # on the floor, whatever happens

    assert evidence(jumped, JUMPING) is Evidence.SURE
    assert evidence(squatted, JUMPING) is Evidence.NONE


def test_who_appears_in_the_air_has_not_jumped() -> None:
    body = poses((0.3, TOP), (0.3, STANDING), (6.0, STANDING))
    gone = replace(poses((3.0, replace(STANDING, across=1.0))), width_px=body.width_px)
    both = replace(
        body,
        times_s=np.concatenate([gone.times_s, 5.0 + body.times_s]),
        points_px=np.concatenate([gone.points_px, body.points_px]),
        visibility=np.concatenate([gone.visibility, body.visibility]),
    )

    assert evidence(both, JUMPING) is Evidence.NONE


@pytest.mark.parametrize(("hidden_s", "parts"), [(2.5, 1), (6.0, 2)])
def test_a_lift_during_which_somebody_walks_past_is_one(hidden_s: float, parts: int) -> None:
    """The model slides onto who walks past, and finds the lifter in the old place later."""
    racked = Posture(hands_up=0.1)
    before = poses(
        REST, (0.8, SQUAT), (0.8, racked), (1.0, racked), (1.2, replace(racked, across=7))
    )
    after = poses((0.1, OVERHEAD), (1.0, STANDING), REST)
    gap = nobody(hidden_s)
    body = joined(before, gap, after)
    ends_s = float(body.times_s.max())
    motion = motion_of(body)
    within = Interval(start_s=0.0, end_s=ends_s)
    found, _ = efforts_of(
        motion,
        signs_of(motion, activity="weightlifting"),
        rest_s=0.5,
        within=within,
        stirring=[within],
    )
    lowered_s = 6.6 + hidden_s + 1.1
    assert sum(one.start_s < 5 for one in found) == 1
    assert (found[0].end_s > lowered_s - 0.3) is (parts == 1)


def joined(*parts: Poses) -> Poses:
    """Return parts one after another."""
    starts_s = np.cumsum([0.0, *(float(part.times_s[-1]) + 0.1 for part in parts[:-1])])
    return replace(
        parts[0],
        times_s=np.concatenate(
            [part.times_s + at_s for part, at_s in zip(parts, starts_s, strict=True)]
        ),
        points_px=np.concatenate([part.points_px for part in parts]),
        visibility=np.concatenate([part.visibility for part in parts]),
    )


def test_a_body_that_is_lost_far_above_another_one_has_not_flown() -> None:
    """So it looks where the model slides off somebody who leaves and finds who stands behind."""
    body = joined(poses((0.5, STANDING), (0.9, Posture(fly=6.0))), poses((1.5, STANDING)))

    motion = motion_of(body)

    assert len(np.unique(motion.visit)) == 2
    assert not signs_of(motion, activity="weightlifting").flying.any()


@pytest.mark.parametrize(
    ("longer_s", "hands_up", "sure"),
    [(0.0, 0.3, Evidence.SURE), (0.0, -0.25, Evidence.DOUBTFUL), (3.0, 0.3, Evidence.NONE)],
)
def test_a_recording_of_a_moment_in_which_hands_come_up_holds_a_lift(
    longer_s: float, hands_up: float, sure: Evidence
) -> None:
    """Its body is cut off at both ends; who only reaches up in a longer one lifts nothing."""
    body = poses(
        *((0.1 + longer_s, STANDING), (0.5, replace(STANDING, hands_up=hands_up))),
        (0.4 + longer_s, replace(STANDING, hands_up=hands_up)),
    )

    motion, within = motion_of(body), Interval(start_s=0.0, end_s=1.0 + 2 * longer_s)

    signs = signs_of(motion, activity="weightlifting", within=within)

    lifts, evidence = efforts_of(motion, signs, rest_s=3.0, within=within, activity=LIFTING)
    assert len(lifts) == (sure > Evidence.NONE)
    assert evidence is sure


def test_a_run_lasts_while_the_legs_are_as_fast_though_the_camera_lags_behind() -> None:
    """Then the runner gets through the picture at the pace of somebody who walks."""
    steps = stride(9.0)
    across = np.cumsum([0.0 if number < len(steps) / 2 else 0.4 for number in range(len(steps))])
    body = poses(
        *((s, followed(p, 1 + x, longer=4.0)) for (s, p), x in zip(steps, across, strict=True))
    )

    running = signs_of(motion_of(body), activity="weightlifting").running

    assert running[5:-5].all()


def test_a_run_that_is_expected_lasts_while_the_legs_are_as_fast() -> None:
    """Of a small body the model sees late which leg is which: then both seem to do the same."""
    run = poses(*stride(9.0))
    late = run.times_s > 6.0
    for left in (25, 27, 29, 31):  # knee, ankle, heel and foot
        run.points_px[late, left + 1] = run.points_px[late, left]
    motion = motion_of(run)

    expected = signs_of(motion, activity="running").running
    any_run = signs_of(motion, activity="weightlifting").running

    assert expected[5:-5].all()
    assert any_run[5:55].all() and not any_run[-15:].any()


def test_a_run_that_is_expected_is_one_though_the_camera_follows_it_by_fits_and_starts() -> None:
    """The runner stays where he is in the picture now and then, and never for long."""
    steps = stride(9.0)
    paces = [0.0 if number // 6 % 2 else 0.55 for number in range(len(steps))]
    body = poses(
        *(
            (s, followed(p, 1 + x, longer=1.4))
            for (s, p), x in zip(steps, np.cumsum(paces), strict=True)
        )
    )
    motion = motion_of(body)

    expected = signs_of(motion, activity="running").running
    any_run = signs_of(motion, activity="weightlifting").running

    assert expected[8:-8].all()
    assert any_run.mean() < 0.6


@pytest.mark.parametrize("stands_s", [0.8, 1.4, 4.0])
def test_a_run_that_is_expected_does_not_last_to_the_end_of_the_recording(stands_s: float) -> None:
    """However soon after it the recording ends."""
    motion = motion_of(poses(*stride(6.0), (stands_s, STANDING)))

    expected = signs_of(motion, activity="running").running
    any_run = signs_of(motion, activity="weightlifting").running

    assert np.flatnonzero(expected)[-1] == np.flatnonzero(any_run)[-1]


def test_who_walks_up_and_down_does_not_run_though_a_run_is_expected() -> None:
    """Where he turns he stays in place for a moment, and his legs are no slower than before."""
    there = [1 + 0.5 * n for n in range(8)]
    path = [*there, *there[::-1]] * 3
    walk = [(0.25, Posture(across=x, stride=0.5 * (-1) ** n)) for n, x in enumerate(path)]
    motion = motion_of(poses((1.0, replace(STANDING, across=1.0)), *walk))

    assert not signs_of(motion, activity="running").running.any()


@pytest.mark.parametrize(("hz", "sure"), [(1.45, Evidence.SURE), (0.5, Evidence.NONE)])
def test_legs_that_take_turns_run_only_in_the_rhythm_of_a_run(hz: float, sure: Evidence) -> None:
    """Who balances on one leg swings the other one once, which may fill a short recording."""
    half = 0.25 / hz
    far = 1.2 * 1.45 / hz
    swing = [(half, Posture(stride=stride)) for stride in (far, 0.0, -far, 0.0)] * round(4 * hz)
    body = poses(*swing)
    within = Interval(start_s=0.0, end_s=1.7)
    motion = motion_of(body.without(body.times_s > within.end_s))
    signs = signs_of(motion, activity="running", within=within)
    _, evidence = efforts_of(motion, signs, rest_s=2.0, within=within, activity="running")

    assert signs.running.any()
    assert evidence is sure


def test_squats_are_seen_though_a_plate_hides_the_feet() -> None:
    """The model lets feet that it does not see rise to the body: against them nothing goes down."""
    once = ((0.8, SQUAT), (0.8, STANDING))
    body = poses(REST, *once * 3, REST)
    hidden = (body.times_s > 3.2) & (body.times_s < 7.6)
    hips_px, floor_px = body.points_px[hidden, 23, 1], body.points_px[0, 27, 1]
    for foot in (27, 28):
        body.points_px[hidden, foot, 1] = floor_px - (hips_px - hips_px.min())
        body.visibility[hidden, foot] = 0.4

    assert evidence(body, LIFTING) is Evidence.SURE
    assert reps(body, LIFTING) == 3


def test_a_body_found_in_another_place_after_a_while_is_another_one() -> None:
    """A straight line between the two would be a body that flies."""
    there = poses((2.0, STANDING))
    elsewhere = poses((2.0, replace(STANDING, across=8.0, fly=1.5)))

    motion = motion_of(joined(there, nobody(0.6), elsewhere))

    assert motion.is_found[:19].all() and not motion.is_found[21:25].any()
    assert len(np.unique(motion.visit[motion.is_found])) == 2


@pytest.mark.parametrize(("size", "flies"), [(1.0, True), (0.2, False)])
def test_a_flight_is_more_than_the_trembling_of_a_small_body(size: float, flies: bool) -> None:
    stands = Posture(size=size, across=5.0 / size)
    up = replace(stands, fly=0.32)
    motion = motion_of(poses((2.0, stands), (0.3, up), (0.2, up), (0.3, stands), (2.0, stands)))

    assert signs_of(motion, activity="jumping").flying.any() == flies


@pytest.mark.parametrize(("lean", "flies"), [(0.7, True), (0.98, False)])
def test_who_gets_up_from_the_floor_does_not_fly(lean: float, flies: bool) -> None:
    """Who lies on it draws up hips and feet together; who jumps far leans."""
    down = Posture(lean=lean, hips_down=0.9)
    up = replace(down, fly=0.32)
    body = poses((2.0, down), (0.3, up), (0.2, up), (0.3, down), (2.0, down))

    assert signs_of(motion_of(body), activity="jumping").flying.any() == flies


def test_a_flight_without_a_jump_is_doubtful() -> None:
    """Whom the model takes for one body may be two."""
    up = Posture(fly=0.5)

    assert evidence(poses(REST, (0.3, up), (0.3, STANDING), REST), "jumping") is Evidence.DOUBTFUL
    assert evidence(poses(REST, *jump(), REST), "jumping") is Evidence.SURE


def test_straight_arms_that_go_overhead_are_doubtful() -> None:
    """So does who stretches; a bar is brought to the shoulders and pressed from there."""
    straight = ((1.0, OVERHEAD), (0.5, OVERHEAD), (1.0, STANDING), (0.5, STANDING))
    folded = Posture(hands_up=0.0, elbows_out=0.5)
    pressed = ((0.5, folded), (0.5, OVERHEAD), (0.5, OVERHEAD), (0.5, folded), (0.5, STANDING))

    assert evidence(poses(REST, *straight * 3, REST), LIFTING) is Evidence.DOUBTFUL
    assert evidence(poses(REST, *pressed * 3, REST), LIFTING) is Evidence.SURE


def test_a_lift_by_the_hands_of_a_small_body_is_doubtful() -> None:
    """The model guesses them, where the whole body is some pixels wide."""
    up = Posture(hands_up=0.4, elbows_out=0.5)
    press = ((0.5, up), (0.5, STANDING)) * 3
    small = [(s, replace(posture, size=0.2, across=25.0)) for s, posture in (REST, *press, REST)]

    assert evidence(poses(REST, *press, REST), LIFTING) is Evidence.SURE
    assert evidence(poses(*small), LIFTING) is Evidence.DOUBTFUL


@pytest.mark.parametrize(("hips_down", "sure"), [(0.3, Evidence.DOUBTFUL), (0.7, Evidence.SURE)])
def test_half_a_lift_that_fills_its_recording_is_deep(hips_down: float, sure: Evidence) -> None:
    """Who bends a little and raises a hand does not lift."""
    end = Posture(hips_down=hips_down, hands_up=-0.2)

    assert evidence(poses((0.2, STANDING), (0.8, end), (0.3, end)), LIFTING) is sure


@pytest.mark.parametrize(
    ("seen", "lasts_s", "sure"),
    [(0.9, 2.5, Evidence.SURE), (0.2, 2.5, Evidence.DOUBTFUL), (0.2, 8.0, Evidence.SURE)],
)
def test_a_short_run_whose_feet_are_guessed_is_doubtful(
    seen: float, lasts_s: float, sure: Evidence
) -> None:
    """So it looks where somebody comes in from below; on a treadmill the knees show it in time."""
    run = poses(REST, *stride(lasts_s), REST)
    run.visibility[:, [27, 28]] = seen

    assert evidence(run, RUNNING) is sure


def test_a_flight_between_two_walks_is_doubtful() -> None:
    """Where the model turns from one passer-by to another, both seem to be one who jumps."""
    steps = [(0.25, Posture(across=1 + 0.5 * n, stride=0.5 * (-1) ** n)) for n in range(8)]
    on = [(s, replace(posture, across=posture.across + 5.0)) for s, posture in steps]
    up = [Posture(hips_down=0.3), Posture(fly=0.6), STANDING]
    hop = [(0.3, replace(posture, across=4.5 + n / 2)) for n, posture in enumerate(up)]

    walked = poses((1.0, replace(STANDING, across=1.0)), *steps, *hop, *on)

    assert jumps(motion_of(walked), Interval(start_s=0.0, end_s=20.0))
    assert evidence(walked, JUMPING) is Evidence.DOUBTFUL


@pytest.mark.parametrize(("walks", "sure"), [(False, Evidence.SURE), (True, Evidence.DOUBTFUL)])
def test_a_short_run_in_the_midst_of_a_walk_is_doubtful(walks: bool, sure: Evidence) -> None:
    steps = [(0.25, Posture(across=1 + 0.5 * n, stride=0.5 * (-1) ** n)) for n in range(10)]
    run = [(s, replace(posture, across=5.5)) for s, posture in stride(1.4)]
    on = [(s, replace(posture, across=posture.across + 4.5)) for s, posture in steps]
    stands = (2.0, Posture(across=5.5))

    body = poses((1.0, steps[0][1]), *steps, *run, *on) if walks else poses(stands, *run, stands)

    assert evidence(body, RUNNING) is sure


def feet_hidden(body: Poses, while_px: float) -> Poses:
    """Return the body with feet that are hidden while they are that far up in the picture."""
    feet_px = body.points_px[:, 27, 1]
    body.visibility[feet_px.max() - feet_px > while_px, 27:29] = 0.5
    return body


def test_who_walks_away_behind_a_bench_does_not_squat() -> None:
    away = Posture(fly=0.6)
    body = feet_hidden(poses((1.5, away), (1.0, away), (1.5, STANDING), (1.0, STANDING)), 5.0)

    assert evidence(body, LIFTING) is Evidence.NONE


def test_hops_on_straight_legs_are_no_jumps_though_the_feet_are_hidden_in_the_air() -> None:
    up = Posture(fly=0.5)
    hop = ((0.3, up), (0.1, up), (0.3, STANDING), (0.1, STANDING))
    body = feet_hidden(poses(REST, *hop * 8, REST), 5.0)

    assert jumps(motion_of(body), Interval(start_s=0.0, end_s=99.0)) == []
    assert evidence(body, JUMPING) is not Evidence.SURE


@pytest.mark.parametrize("looks_fps", [2.0, 5.0, 10.0])
def test_a_sprint_is_seen_however_seldom_the_model_looks(looks_fps: float) -> None:
    steps = [(s, replace(p, across=1 + 1.4 * n)) for n, (s, p) in enumerate(stride(3.5))]
    sprint = seldom(poses(*steps), looks_fps)

    assert motion_of(sprint).is_found.mean() > 0.9
    assert evidence(sprint, RUNNING) is Evidence.SURE


@pytest.mark.parametrize(("moves_until_s", "found"), [(9.0, 1), (2.9, 0)])
def test_what_stands_still_in_the_picture_makes_no_effort(moves_until_s: float, found: int) -> None:
    """The model may take a table for somebody who has just left, and let him squat there."""
    motion = motion_of(poses(REST, (0.8, SQUAT), (0.8, STANDING), REST))
    within = Interval(start_s=0.0, end_s=7.6)
    moving = [Interval(start_s=0.0, end_s=moves_until_s)]

    signs = signs_of(motion, activity=LIFTING)
    seen, _ = efforts_of(motion, signs, rest_s=3.0, within=within, moving=moving, activity=LIFTING)

    assert len(seen) == found
