"""From efforts to takes."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.motion import motion_of
from analysis.movement import between_lifts
from analysis.primitives import Interval, merged
from analysis.takes import RULES, TakeOptions, TakeRules, takes_of
from tests.unit.analysis.bodies import Posture, poses

WHOLE = Interval(start_s=0.0, end_s=60.0)
RULES_OF_TEST = TakeRules(rest_s=2.0)


def interval(start_s: float, end_s: float) -> Interval:
    return Interval(start_s=start_s, end_s=end_s)


def test_close_efforts_are_one_take_and_distant_ones_two() -> None:
    close = takes_of([interval(10, 12), interval(13.9, 15)], RULES_OF_TEST, within=WHOLE)
    distant = takes_of([interval(10, 12), interval(14, 15)], RULES_OF_TEST, within=WHOLE)

    assert [take.active for take in close] == [interval(10, 15)]
    assert len(distant) == 2


def test_a_clip_holds_its_padding_but_nothing_from_outside_the_capture() -> None:
    first, last = takes_of([interval(0.4, 3), interval(50, 59.5)], TakeRules(), within=WHOLE)

    assert (first.clip, last.clip) == (interval(0, 4), interval(49, 60))
    assert not first.begins_before and not last.goes_on


def test_padding_is_a_setting_of_each_activity() -> None:
    options = TakeOptions.from_json({"rules": {"jumping": {"pad_before_s": 0.5, "pad_after_s": 3}}})

    (jump,) = takes_of([interval(10, 12)], options.rules_for("jumping"), within=WHOLE)
    (lift,) = takes_of([interval(10, 12)], options.rules_for("weightlifting"), within=WHOLE)

    assert (jump.clip, lift.clip) == (interval(9.5, 15), interval(9, 13))


def test_an_effort_at_the_edge_of_the_capture_is_marked() -> None:
    before, after = takes_of([interval(0, 5), interval(50, 60)], RULES_OF_TEST, within=WHOLE)

    assert (before.begins_before, before.goes_on) == (True, False)
    assert (after.begins_before, after.goes_on) == (False, True)


def test_a_run_is_limited_by_a_setting() -> None:
    rules = replace(RULES["running"], longest_s=20, further_clips=False)
    (run,) = takes_of([interval(5, 50)], rules, within=WHOLE)

    assert run.active == interval(5, 25) and run.is_limited


def test_a_long_run_goes_on_in_further_clips_that_share_no_frame() -> None:
    first, second, third = takes_of(
        [interval(0, 50)], replace(RULES["running"], longest_s=20), within=WHOLE
    )

    assert [take.active.seconds for take in (first, second, third)] == pytest.approx([50 / 3] * 3)
    assert (first.clip.end_s, second.clip.end_s) == (second.clip.start_s, third.clip.start_s)
    assert (first.begins_before, second.begins_before) == (True, False)
    assert third.clip.end_s == 51 and not any(t.is_limited for t in (first, second, third))


def test_a_run_of_a_minute_is_one_clip() -> None:
    (run,) = takes_of([interval(0, 60)], RULES["running"], within=WHOLE)

    assert run.active == interval(0, 60)


def test_lifts_that_follow_each_other_are_divided_where_the_bar_is_down() -> None:
    rules = RULES["weightlifting"]
    first, second = takes_of([interval(10, 20)], rules, within=WHOLE, divisions=[3, 14, 30])

    assert (first.active, second.active) == (interval(10, 14), interval(14, 20))
    assert (first.clip, second.clip) == (interval(9, 14), interval(14, 21))


LIFT = [
    (0.6, Posture(hips_down=0.7)),  # down to the bar
    (0.6, Posture(hips_down=0.7)),
    (0.5, Posture(hips_down=0.6, hands_up=0.7)),  # caught overhead
    (0.6, Posture(hands_up=0.8)),
    (0.4, Posture(hips_down=0.3)),  # dropped
    (0.8, Posture()),
]
SQUAT = [(0.8, Posture(hips_down=0.8, hands_up=-0.1)), (0.8, Posture(hands_up=-0.1))]
BAR_HIDES_HANDS = [  # at the bottom of a squat the arms behind the bar seem to hang
    (1.0, Posture(hips_down=0.8, hands_up=-0.9)),
    (0.5, Posture(hips_down=0.8, hands_up=-0.9)),
    (1.0, Posture(hands_up=-0.1)),
]
BAR_HIDES_HANDS_LONG = [
    (1.0, BAR_HIDES_HANDS[0][1]),
    (1.5, BAR_HIDES_HANDS[0][1]),
    BAR_HIDES_HANDS[2],
]
RAISE = [(0.8, Posture(hands_up=0.8)), (0.8, Posture())]


@pytest.mark.parametrize(
    ("what", "divisions"),
    [(LIFT, 2), (SQUAT, 0), (BAR_HIDES_HANDS, 0), (BAR_HIDES_HANDS_LONG, 0), (RAISE, 0)],
)
def test_only_lifts_from_hanging_hands_are_divided(
    what: list[tuple[float, Posture]], divisions: int
) -> None:
    motion = motion_of(poses((0.5, what[-1][1]), *what * 3))

    found = between_lifts(motion, interval(0, 60))

    assert len(found) == divisions
    lift_s = sum(seconds for seconds, _ in what)
    for number, at_s in enumerate(found, start=1):
        assert abs(at_s - (0.5 + number * lift_s)) < 1.2  # between the drop and the next pull


@pytest.mark.parametrize("wrong", [{"speed": 1}, {"rules": {"running": {"speed": 1}}}])
def test_an_unknown_option_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no option 'speed'"):
        TakeOptions.from_json(wrong).rules_for("running")


intervals = st.builds(
    lambda start_s, seconds: interval(start_s, min(60.0, start_s + seconds)),
    st.floats(0, 59),
    st.floats(0.1, 20),
)


@given(st.lists(intervals, max_size=12), st.floats(0.1, 5), st.floats(0, 5))
def test_takes_are_ordered_apart_and_hold_every_effort(
    efforts: list[Interval], rest_s: float, pad_s: float
) -> None:
    rules = TakeRules(rest_s=rest_s, pad_before_s=pad_s, pad_after_s=pad_s)

    takes = takes_of(efforts, rules, within=WHOLE)

    assert all(b.active.start_s - a.active.end_s >= rest_s for a, b in pairwise(takes))
    for effort in efforts:
        assert any(
            take.clip.start_s <= effort.start_s and effort.end_s <= take.clip.end_s
            for take in takes
        )
    assert all(0 <= take.clip.start_s < take.clip.end_s <= 60 for take in takes)


@given(st.lists(intervals, max_size=12))
def test_merging_twice_changes_nothing(stretches: list[Interval]) -> None:
    once = merged(stretches, rest_s=1.0)

    assert merged(once, rest_s=1.0) == once
