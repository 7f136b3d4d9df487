"""What becomes of a take whose moments other clips show too."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.outbox.models import Entry, Take
from agent.station.overlaps import Nearby, Plan, Stretch, apart, plan_take
from tests.factories import an_entry

PAD_S = 1.0


@dataclass(frozen=True)
class Filmed:
    """One recording: from when to when it goes, in a time that all share."""

    number: int
    begins_s: float
    ends_s: float

    def take(self, effort: tuple[float, float]) -> Take | None:
        """What the analysis finds of an effort, in the recording's own time."""
        from_s = max(effort[0], self.begins_s) - self.begins_s
        until_s = min(effort[1], self.ends_s) - self.begins_s
        if until_s - from_s < 0.5:
            return None
        seconds = self.ends_s - self.begins_s
        return Take(
            number=1,
            start_s=max(0.0, from_s - PAD_S),
            end_s=min(seconds, until_s + PAD_S),
            active_start_s=from_s,
            active_end_s=until_s,
            begins_before=effort[0] < self.begins_s,
            goes_on=effort[1] > self.ends_s,
        )


@dataclass
class Clip:
    """A clip that was made: from where to where, and of what."""

    entry: Entry
    take: Take  # in the shared time
    stretches: tuple[Stretch, ...]  # in the shared time


def moved(take: Take, by_s: float) -> Take:
    return replace(
        take,
        start_s=take.start_s + by_s,
        end_s=take.end_s + by_s,
        active_start_s=take.active_start_s + by_s,
        active_end_s=take.active_end_s + by_s,
    )


def nearby(clip: Clip, of: Filmed, *, is_open: bool) -> Nearby:
    """Place a clip in the time of another recording."""
    stretches = tuple(
        replace(one, begins_s=one.begins_s - of.begins_s, ends_s=one.ends_s - of.begins_s)
        for one in clip.stretches
    )
    adjoins = all(s.ends_s <= 1e-6 or s.begins_s >= of.ends_s - of.begins_s for s in stretches)
    return Nearby(
        entry=clip.entry,
        take=moved(clip.take, -of.begins_s),
        stretches=stretches,
        adjoins=adjoins,
        is_open=is_open,
    )


def plan(of: Filmed, take: Take, clips: Sequence[Clip], *, is_open: bool = True) -> Plan:
    own = Stretch(capture_id=of.number, take_number=1, begins_s=0.0, ends_s=of.ends_s - of.begins_s)
    beside = [clip for clip in clips if any(_touch(of, one) for one in clip.stretches)]
    return plan_take(take, own, [nearby(clip, of, is_open=is_open) for clip in beside])


def _touch(film: Filmed, other: Stretch) -> bool:
    """Tell whether the recordings overlap or adjoin: no others are told of each other."""
    return other.begins_s <= film.ends_s + 1e-6 and film.begins_s <= other.ends_s + 1e-6


def made(of: Filmed, planned: Plan, known: Sequence[Filmed], number: int) -> Clip:
    films = {film.number: film for film in known}
    stretches = tuple(
        Stretch(
            capture_id=source.capture_id,
            take_number=1,
            begins_s=films[source.capture_id].begins_s,
            ends_s=films[source.capture_id].ends_s,
        )
        for source in planned.sources
    )
    entry = replace(an_entry(), id=number, clip_code=f"code{number}")
    return Clip(entry=entry, take=moved(planned.take, of.begins_s), stretches=stretches)


def worked_through(
    films: Sequence[Filmed], effort: tuple[float, float], *, is_open: bool = True
) -> tuple[list[Clip], list[Plan]]:
    """Look at recordings one after the other; return the clips that are there, and all plans."""
    clips: list[Clip] = []
    plans = []
    for film in films:
        take = film.take(effort)
        if take is None:
            continue
        planned = plan(film, take, clips, is_open=is_open)
        plans.append(planned)
        ended = {entry.id for entry in planned.replaces}
        clips = [clip for clip in clips if clip.entry.id not in ended]
        if planned.same_as is None and planned.question is None:
            clips.append(made(film, planned, films, len(plans)))
    return clips, plans


EFFORT = (3.7, 9.4)
FIRST, SECOND = Filmed(1, 0.0, 11.0), Filmed(2, 7.0, 21.0)


def test_what_another_clip_shows_whole_gets_no_clip() -> None:
    for order in ((FIRST, SECOND), (FIRST, Filmed(2, 3.0, 17.0)), (Filmed(2, 3.0, 17.0), FIRST)):
        clips, plans = worked_through(order, EFFORT)

        assert len(clips) == 1 and plans[1].same_as is not None


def test_an_effort_over_two_that_overlap_is_one_clip_in_either_order() -> None:
    for order in ((FIRST, SECOND), (SECOND, FIRST)):
        (clip,), plans = worked_through(order, (5.0, 15.0))

        assert [entry.id for entry in plans[1].replaces] == [1]
        first, second = plans[1].sources
        assert (first.capture_id, second.capture_id) == (1, 2)
        assert (first.start_s, first.end_s) == pytest.approx((4.0, 7.0))
        assert (second.start_s, second.end_s) == pytest.approx((0.0, 9.0))
        assert clip.take.start_s == pytest.approx(4.0)
        assert not clip.take.begins_before and not clip.take.goes_on


def test_a_recording_inside_another_one_gives_way_to_it() -> None:
    inside, around = Filmed(1, 5.0, 8.0), Filmed(2, 0.0, 20.0)

    (clip,), plans = worked_through((inside, around), (2.0, 12.0))

    assert [source.capture_id for source in plans[1].sources] == [2]
    assert [entry.id for entry in plans[1].replaces] == [1]
    assert clip.take.active_end_s == pytest.approx(12.0)


def test_what_was_sent_is_not_sent_again_and_what_is_more_waits_for_a_person() -> None:
    _, plans = worked_through((FIRST, SECOND), (5.0, 15.0), is_open=False)

    assert plans[1].question is not None and "4.0 s of the same moment" in plans[1].question
    assert len(plans[1].sources) == 1 and plans[1].replaces == ()


def test_what_only_adjoins_a_clip_that_was_sent_is_a_clip_of_its_own() -> None:
    clips, plans = worked_through(
        (Filmed(1, 0.0, 8.0), Filmed(2, 8.0, 16.0)), (5.0, 12.0), is_open=False
    )

    assert len(clips) == 2 and plans[1].question is None


def test_two_efforts_in_recordings_that_adjoin_stay_two() -> None:
    first, second = Filmed(1, 0.0, 8.0), Filmed(2, 8.0, 16.0)
    one, other = first.take((2.0, 7.0)), second.take((9.0, 14.0))
    assert one is not None and other is not None
    clips = [made(first, plan(first, one, []), [first], 1)]

    planned = plan(second, other, clips)

    assert planned.replaces == () and planned.same_as is None and len(planned.sources) == 1


def test_recordings_that_cannot_be_joined_are_two_clips_or_a_question() -> None:
    _, plans = worked_through((Filmed(1, 0.0, 8.0), Filmed(2, 8.0, 16.0)), (5.0, 12.0))
    adjoining = apart(plans[1], 2, why="the recordings have different sizes")
    _, plans = worked_through((FIRST, SECOND), (5.0, 15.0))
    overlapping = apart(plans[1], 2, why="the recordings have different sizes")

    assert adjoining.question is None and adjoining.take.start_s == 0.0
    assert overlapping.question is not None and "different sizes" in overlapping.question
    assert overlapping.replaces == ()


def test_a_movement_without_an_end_does_not_become_one_endless_clip() -> None:
    films = [Filmed(number, 60.0 * number, 60.0 * number + 60.0) for number in range(10)]

    clips, plans = worked_through(films, (5.0, 590.0))

    assert max(len(planned.sources) for planned in plans) == 2
    assert all(clip.take.active_end_s - clip.take.active_start_s <= 120.0 for clip in clips)
    assert len(clips) == 5


_FILMS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(4, 20)), min_size=1, max_size=5, unique=True
)


@given(films=_FILMS, begins_s=st.floats(2, 30), seconds=st.floats(2, 20), order=st.randoms())
def test_whatever_the_order_no_moment_is_in_two_clips_and_none_is_lost(
    films: list[tuple[int, int]], begins_s: float, seconds: float, order: object
) -> None:
    effort = (begins_s, begins_s + seconds)
    recordings = [
        Filmed(number, at_s, at_s + lasts_s) for number, (at_s, lasts_s) in enumerate(films, 1)
    ]
    order.shuffle(recordings)  # type: ignore[attr-defined]  # it is a Random

    clips, plans = worked_through(recordings, effort)

    asked = any(planned.question is not None for planned in plans)
    spans = sorted((clip.take.active_start_s, clip.take.active_end_s) for clip in clips)
    for (_, ends_s), (next_s, _) in pairwise(spans):
        assert next_s >= ends_s - 0.75
    for film in recordings:
        take = film.take(effort)
        if take is None or asked:
            continue
        middle_s = film.begins_s + (take.active_start_s + take.active_end_s) / 2
        assert any(one - 0.75 <= middle_s <= other + 0.75 for one, other in spans)


@given(films=_FILMS, begins_s=st.floats(2, 30), seconds=st.floats(2, 20))
def test_the_parts_of_a_clip_follow_each_other_without_a_moment_twice(
    films: list[tuple[int, int]], begins_s: float, seconds: float
) -> None:
    recordings = [
        Filmed(number, at_s, at_s + lasts_s) for number, (at_s, lasts_s) in enumerate(films, 1)
    ]
    begin = {film.number: film.begins_s for film in recordings}
    _, plans = worked_through(recordings, (begins_s, begins_s + seconds))

    for planned in (planned for planned in plans if len(planned.sources) > 1):
        places = [
            (begin[source.capture_id] + source.start_s, begin[source.capture_id] + source.end_s)
            for source in planned.sources
        ]
        for (_, ends_s), (next_s, _) in pairwise(places):
            assert next_s == pytest.approx(ends_s)
        for source in planned.sources[1:]:
            assert source.start_s == pytest.approx(0.0)
        for source, (_, until_s) in zip(planned.sources, places, strict=True):
            ends_s = next(f.ends_s for f in recordings if f.number == source.capture_id)
            assert until_s <= ends_s + 0.05  # these recordings leave no gap


def test_a_gap_is_left_only_where_no_recording_fills_it() -> None:
    films = (Filmed(1, 0.0, 7.0), Filmed(2, 6.0, 10.0), Filmed(3, 9.0, 18.0))

    _, plans = worked_through(films, (4.0, 12.0))

    assert [source.capture_id for source in plans[-1].sources] == [1, 2, 3]
