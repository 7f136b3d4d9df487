"""Whose clip a take is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import BEGINNING, Instant
from agent.outbox.assignments import Assignment, AssignmentKind, AssignmentLayer
from agent.outbox.models import ClipTarget, Take
from agent.outbox.states import EntryState, Reason, Recipient
from agent.station.attribution import (
    Attribution,
    ClipWarning,
    Timeline,
    UnassignedPolicy,
    decide_attribution,
)
from agent.station.recording_time import ClockEvidence, RecordedBy, RecordingTime
from tests.factories import BOOT, instant

LATER_BOOT = "7d6f7a3e-0000-4000-8000-000000000002"
STATION = ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")


def said(
    kind: AssignmentKind, starts: Instant, who: str | None = None, lasts_s: float | None = None
) -> Assignment:
    """A coach's word."""
    return Assignment(
        layer=AssignmentLayer.COACH,
        kind=kind,
        starts=starts,
        user_id=who,
        activity="running" if who else None,
        lasts_s=lasts_s,
    )


def athlete(who: str, at: float, *, lasts_s: float | None = None) -> Assignment:
    return said(AssignmentKind.ATHLETE, instant(at), who, lasts_s)


def default(who: str | None, at: Instant) -> Assignment:
    kind = AssignmentKind.NOBODY if who is None else AssignmentKind.ATHLETE
    return Assignment(
        layer=AssignmentLayer.STATION, kind=kind, starts=at, user_id=who, activity="running"
    )


def decide(
    *words: Assignment,
    start: float = 100.0,
    length_s: float = 20.0,
    policy: UnassignedPolicy = "hold",
    recorded: RecordingTime | None = None,
) -> Attribution:
    """Decide a take that fills a capture filmed from `start` on."""
    recorded = recorded or RecordingTime(
        by=RecordedBy.GROWTH, start=instant(start), end=instant(start + length_s)
    )
    take = Take(number=1, start_s=0, end_s=length_s, active_start_s=0, active_end_s=length_s)
    timeline = Timeline(words, boots=(BOOT, LATER_BOOT))
    return decide_attribution(take, recorded, timeline, station=STATION, unassigned=policy)


def test_a_take_goes_to_the_athlete_of_its_time() -> None:
    decision = decide(athlete("ann", 0), athlete("ben", 300))

    assert (decision.state, decision.target.user_id) == (EntryState.READY, "ann")
    assert decision.remarks == ()


def test_a_change_during_the_take_is_a_question_for_a_person() -> None:
    decision = decide(athlete("ann", 0), athlete("ben", 110))

    assert (decision.state, decision.reason) == (EntryState.HELD, Reason.TWO_ATHLETES)
    assert decision.target.user_id is None
    assert decision.question == "ann, then ben"


def test_a_new_mass_for_the_same_athlete_is_no_other_athlete() -> None:
    assert decide(athlete("ann", 0), athlete("ann", 110)).target.user_id == "ann"


@pytest.mark.parametrize("change_at", [91.0, 129.0])
def test_a_change_just_before_or_after_is_remarked(change_at: float) -> None:
    words = [athlete("ann", 0), athlete("ben", change_at)]

    decision = decide(*words)

    assert decision.state is EntryState.READY
    assert decision.remarks == (ClipWarning.NEAR_CHANGE,)


def test_the_coach_goes_before_the_default_and_back_again() -> None:
    always = default("owner", BEGINNING)

    assert decide(always).target.user_id == "owner"
    assert decide(always, athlete("ann", 0)).target.user_id == "ann"
    cleared = said(AssignmentKind.DEFAULT, instant(50))
    assert decide(always, athlete("ann", 0), cleared).target.user_id == "owner"


def test_an_assignment_that_ran_out_leaves_nobody_not_the_default() -> None:
    decision = decide(default("owner", BEGINNING), athlete("ann", 0, lasts_s=60))

    assert (decision.state, decision.reason) == (EntryState.HELD, Reason.UNASSIGNED)


@pytest.mark.parametrize(
    ("policy", "state", "recipient"),
    [
        ("hold", EntryState.HELD, Recipient.UNKNOWN),
        ("upload", EntryState.READY, Recipient.KEY_OWNER),
        ("discard", EntryState.DISCARDED, Recipient.UNKNOWN),
    ],
)
def test_nobodys_clips_go_where_the_station_is_set(
    policy: UnassignedPolicy, state: EntryState, recipient: Recipient
) -> None:
    decision = decide(said(AssignmentKind.NOBODY, instant(0)), policy=policy)

    assert (decision.state, decision.target.recipient) == (state, recipient)


def test_a_capture_of_unknown_time_waits_unless_one_athlete_was_there_all_along() -> None:
    unknown = RecordingTime(by=RecordedBy.UNKNOWN, start=instant(-5000), end=instant(100))

    held = decide(athlete("ann", 0), recorded=unknown)
    assert (held.state, held.reason) == (EntryState.HELD, Reason.RECORDING_TIME_UNKNOWN)
    sure = decide(default("owner", BEGINNING), recorded=unknown)
    assert (sure.target.user_id, sure.remarks) == ("owner", (ClipWarning.TIME_UNKNOWN,))


def with_readings(*starts: float) -> RecordingTime:
    """A capture of 20 s with several readings."""
    first, *others = (
        ClockEvidence(by=RecordedBy.NAME, start=instant(at), end=instant(at + 20)) for at in starts
    )
    return RecordingTime(
        by=RecordedBy.GROWTH, start=first.start, end=first.end, others=tuple(others)
    )


def test_readings_that_give_one_athlete_need_nobody() -> None:
    words = [athlete("ann", 0), athlete("cleo", 1000), athlete("ann", 2000)]

    decision = decide(*words, recorded=with_readings(2100, 100))

    assert (decision.state, decision.target.user_id) == (EntryState.READY, "ann")


@pytest.mark.parametrize("others", [(100.0,), (100.0, 1100.0)])
def test_readings_that_give_different_athletes_are_for_a_person(others: tuple[float, ...]) -> None:
    words = [athlete("ann", 0), athlete("cleo", 1000), athlete("ben", 2000)]

    decision = decide(*words, recorded=with_readings(2100, *others))

    assert (decision.state, decision.reason) == (EntryState.HELD, Reason.RECORDING_TIME_UNKNOWN)
    assert decision.target.user_id is None
    assert [one.key for one in decision.candidates] == ["ben", "ann", "cleo"][: 1 + len(others)]
    assert decision.remarks[0] == "may_be:ben"


def test_a_reading_at_which_nobody_was_there_is_another_answer() -> None:
    words = [said(AssignmentKind.NOBODY, instant(0)), athlete("ben", 2000)]

    for policy in ("hold", "upload", "discard"):
        decision = decide(*words, recorded=with_readings(2100, 100), policy=policy)

        assert decision.state is EntryState.HELD
        assert [one.key for one in decision.candidates] == ["ben", "nobody"]


def test_of_an_unknown_time_those_are_named_for_whom_something_speaks() -> None:
    words = [athlete("ann", 0), athlete("cleo", 1000), athlete("ben", 2000)]
    unknown = RecordingTime(
        by=RecordedBy.UNKNOWN,
        start=instant(-5000),
        end=instant(2100),
        others=(ClockEvidence(by=RecordedBy.NAME, start=instant(100), end=instant(120)),),
    )

    decision = decide(*words, recorded=unknown)

    assert decision.reason is Reason.RECORDING_TIME_UNKNOWN
    assert [one.key for one in decision.candidates] == ["ann", "ben"]
    assert decision.question is not None
    assert decision.question.count("as the time in the file name says") == 1
    assert decision.question.endswith("as the time of its arrival here says")


def test_after_a_clock_jump_the_time_since_boot_decides() -> None:
    # The network came and moved UTC by three days between the assignment and the take.
    before_jump = Instant(utc_s=instant(0).utc_s - 3 * 86400, boot_id=BOOT, boot_s=1000.0)
    assigned = said(AssignmentKind.ATHLETE, before_jump, "ann")

    assert decide(assigned, athlete("ben", 500)).target.user_id == "ann"


def test_what_an_earlier_boot_saw_came_before() -> None:
    later = Instant(utc_s=instant(-99999).utc_s, boot_id=LATER_BOOT, boot_s=5.0, trusted=False)
    recorded = RecordingTime(by=RecordedBy.GROWTH, start=later, end=later.shifted(20))

    assert decide(athlete("ann", 0), recorded=recorded).target.user_id == "ann"


def in_later_boot(at: float, *, up_s: float, trusted: bool = True) -> Instant:
    """A moment after the box was started again, `up_s` after that."""
    return Instant(utc_s=instant(at).utc_s, boot_id=LATER_BOOT, boot_s=float(up_s), trusted=trusted)


def filmed_by(end: Instant, *, length_s: float = 20.0) -> RecordingTime:
    return RecordingTime(by=RecordedBy.GROWTH, start=end.shifted(-length_s), end=end)


def test_what_began_before_the_box_was_started_again_goes_to_who_was_there_then() -> None:
    # The box was up again 30 s before the file was complete, and ben came before it went down.
    words = (athlete("ann", 0), athlete("ben", 60))
    long = filmed_by(in_later_boot(130, up_s=30), length_s=110)

    assert decide(*words, recorded=long).target.user_id == "ann"  # its first 20 s
    assert decide(*words, recorded=long, length_s=110).reason is Reason.TWO_ATHLETES


def test_before_a_start_of_the_box_an_untrusted_clock_tells_nothing() -> None:
    complete = in_later_boot(130, up_s=30, trusted=False)

    decision = decide(athlete("ann", 0), recorded=filmed_by(complete, length_s=110))

    assert decision.reason is Reason.RECORDING_TIME_UNKNOWN


@pytest.mark.parametrize(
    ("filmed_at", "holder"), [(2000.0, "ann"), (3590.0, None), (3700.0, None), (90_000.0, None)]
)
def test_an_assignment_of_some_length_ends_with_it_and_not_with_a_start_of_the_box(
    filmed_at: float, holder: str | None
) -> None:
    recorded = filmed_by(in_later_boot(filmed_at, up_s=filmed_at - 1000))

    decision = decide(athlete("ann", 0, lasts_s=3580), recorded=recorded)

    assert decision.target.user_id == holder
    assert (decision.reason is Reason.TWO_ATHLETES) == (filmed_at == 3590.0)


@pytest.mark.parametrize(
    ("up_s", "reason"), [(600.0, Reason.RECORDING_TIME_UNKNOWN), (4000.0, Reason.UNASSIGNED)]
)
def test_over_a_start_of_the_box_a_length_is_over_when_it_was_up_for_so_long(
    up_s: float, reason: Reason
) -> None:
    recorded = filmed_by(in_later_boot(-99999, up_s=up_s, trusted=False))

    assert decide(athlete("ann", 0, lasts_s=3580), recorded=recorded).reason is reason


def test_what_was_said_after_an_untrusted_length_is_certain_all_the_same() -> None:
    before = replace(athlete("ann", 0, lasts_s=3580), starts=instant(0, trusted=False))
    after = said(AssignmentKind.ATHLETE, in_later_boot(500, up_s=10), "ben")

    decision = decide(before, after, recorded=filmed_by(in_later_boot(600, up_s=110)))

    assert (decision.target.user_id, decision.reason) == ("ben", None)


def test_where_only_an_untrusted_clock_could_tell_a_person_must() -> None:
    by_utc = Instant(utc_s=instant(100).utc_s, trusted=False)
    recorded = RecordingTime(by=RecordedBy.FILE_TIME, start=by_utc, end=by_utc.shifted(20))

    decision = decide(athlete("ann", 0), recorded=recorded)

    assert (decision.state, decision.reason) == (EntryState.HELD, Reason.RECORDING_TIME_UNKNOWN)


def _eighths(least_s: int, most_s: int) -> st.SearchStrategy[float]:
    """Return seconds that stay exact when a Unix time is added to them."""
    return st.integers(least_s * 8, most_s * 8).map(lambda number: number / 8)


CHANGES = st.lists(st.tuples(_eighths(1, 500), st.sampled_from(["ann", "ben", None])), max_size=8)


@given(CHANGES, _eighths(1, 4000))
def test_whatever_the_order_a_moment_has_the_athlete_whose_interval_holds_it(
    changes: list[tuple[float, str | None]], moment_s: float
) -> None:
    words, holder, clock_s = [], None, 0.0
    for pause_s, who in changes:
        clock_s += pause_s
        kind = AssignmentKind.NOBODY if who is None else AssignmentKind.ATHLETE
        words.append(said(kind, instant(clock_s), who))
        if clock_s <= moment_s:
            holder = who

    assert Timeline(words, boots=(BOOT,)).at(instant(moment_s)).user_id == holder
