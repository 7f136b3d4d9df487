"""Whatever lies about a recording: never the wrong athlete, and nothing gone but out of a stop."""

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from agent.clock import Instant
from agent.outbox.assignments import Assignment, AssignmentKind, AssignmentLayer
from agent.outbox.models import ClipTarget, Take
from agent.outbox.states import EntryState, Recipient
from agent.station.attribution import NEAR_EDGE_S, ClipWarning, Timeline, decide_attribution
from agent.station.recording_pause import CapturePermission, capture_view
from agent.station.recording_time import recording_time
from tests.factories import BOOT, NOW_S
from tests.filmed import Filmed, recordings

STATION = ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")
PEOPLE = ("ann", "ben", "cleo", None)
CHANGES = st.lists(
    st.tuples(st.sampled_from([15, 40, 300, 3000, 20_000]), st.sampled_from(PEOPLE)),
    min_size=1,
    max_size=8,
)
STOPS = st.lists(
    st.tuples(st.sampled_from([3, 20, 200, 4000]), st.sampled_from([2, 8, 60, 1800])), max_size=5
)
_BEGAN_S = -60_000.0  # of all that is said
_JUST_S = 0.4  # what recorders write late


def instant(true_s: float) -> Instant:
    """What the box's clocks, which are right, show at a true time: it runs for days."""
    return Instant(utc_s=NOW_S + true_s, boot_id=BOOT, boot_s=200_000.0 + true_s)


def everybody(changes: list[tuple[int, str | None]]) -> list[tuple[float, str | None]]:
    """Who came to the station when, in truth."""
    at, came = _BEGAN_S, []
    for pause_s, who in changes:
        at += pause_s
        came.append((at, who))
    return came


def stretches(stops: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """When nobody might be filmed, in truth."""
    at, found = _BEGAN_S, []
    for pause_s, lasts_s in stops:
        found.append((at + pause_s, at + pause_s + lasts_s))
        at += pause_s + lasts_s
    return found


def timeline_of(came: list[tuple[float, str | None]], stops: list[tuple[float, float]]) -> Timeline:
    words = [
        Assignment(
            layer=AssignmentLayer.COACH,
            kind=AssignmentKind.NOBODY if who is None else AssignmentKind.ATHLETE,
            starts=instant(at),
            user_id=who,
            activity="running",
        )
        for at, who in came
    ]
    for from_s, to_s in stops:
        for at, kind in ((from_s, AssignmentKind.STOPPED), (to_s, AssignmentKind.DEFAULT)):
            words.append(Assignment(layer=AssignmentLayer.CAMERA, kind=kind, starts=instant(at)))
    return Timeline(words, boots=(BOOT,))


def on_station(came: list[tuple[float, str | None]], from_s: float, to_s: float) -> set[str | None]:
    """Who was there at any moment of a stretch, in truth."""
    before = [who for at, who in came if at <= from_s]
    return {before[-1] if before else None, *(who for at, who in came if from_s < at < to_s)}


def check_athlete(
    filmed: Filmed, came: list[tuple[float, str | None]], timeline: Timeline, share: float
) -> EntryState:
    recorded = recording_time(
        filmed.evidence,
        inside=filmed.inside,
        name=filmed.name,
        clock_offset_s=filmed.clock_offset_s,
    )
    begins_s = filmed.shown_s * share * 0.8
    ends_s = begins_s + filmed.shown_s * 0.15
    take = Take(
        number=1,
        start_s=begins_s,
        end_s=ends_s,
        active_start_s=begins_s,
        active_end_s=ends_s,
    )
    decision = decide_attribution(take, recorded, timeline, station=STATION, unassigned="hold")
    if decision.state is EntryState.READY:
        from_s = filmed.start_s + begins_s * filmed.pace
        to_s = filmed.start_s + ends_s * filmed.pace
        there = on_station(came, from_s, to_s)
        nearly = on_station(came, from_s - NEAR_EDGE_S, to_s + NEAR_EDGE_S)
        sure = {decision.target.user_id} == there
        flagged = ClipWarning.NEAR_CHANGE in decision.remarks and decision.target.user_id in nearly
        assert sure or flagged, (recorded.basis, decision.target.user_id, there)
    return decision.state


def check_stops(
    filmed: Filmed, stops: list[tuple[float, float]], timeline: Timeline
) -> CapturePermission:
    recorded = recording_time(
        filmed.evidence,
        inside=filmed.inside,
        name=filmed.name,
        clock_offset_s=filmed.clock_offset_s,
    )
    view = capture_view(timeline, recorded, now=instant(500_000))
    if view.permission is CapturePermission.FORBIDDEN:
        assert any(from_s <= filmed.start_s and filmed.end_s <= to_s for from_s, to_s in stops), (
            recorded.basis
        )
    if view.permission is CapturePermission.PARTLY:
        for begins_s, ends_s in view.hidden:
            assert ends_s > begins_s
        for from_s, to_s in stops:
            first_s = (max(from_s, filmed.start_s) - filmed.start_s) / filmed.pace
            last_s = (min(to_s, filmed.end_s) - filmed.start_s) / filmed.pace
            slack_s = (_JUST_S + 2) / filmed.pace  # no clock that is vouched for is sharper
            is_long = last_s - first_s > 2 * slack_s
            for moment_s in (first_s, (first_s + last_s) / 2, last_s) if is_long else ():
                assert any(b - slack_s <= moment_s <= e + slack_s for b, e in view.hidden), (
                    recorded.basis
                )
    return view.permission


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), CHANGES, STOPS)
def test_never_the_wrong_athlete_and_never_what_was_filmed_outside_a_stop(
    data: st.DataObject, changes: list[tuple[int, str | None]], stops: list[tuple[int, int]]
) -> None:
    came, hidden = everybody(changes), stretches(stops)
    timeline = timeline_of(came, hidden)
    edges = [at for at, _ in came] + [edge for stop in hidden for edge in stop]
    near = data.draw(st.sampled_from(edges))
    start_s = near + data.draw(st.sampled_from([-100, -60, -21, -9, -2, 0, 1, 5, 30, 200]))
    filmed = data.draw(recordings(start_s, instant))

    check_athlete(filmed, came, timeline, data.draw(st.sampled_from([0.0, 0.5, 1.0])))
    check_stops(filmed, hidden, timeline)


@pytest.mark.parametrize("in_view", [True, False])
def test_what_a_recorder_writes_here_is_neither_held_nor_kept(in_view: bool) -> None:
    """The safe answer is not the only one: what is certain is acted upon."""
    came: list[tuple[float, str | None]] = [(0.0, "ann"), (1000.0, "ben")]
    stops = [(2000.0, 3000.0)]
    timeline = timeline_of(came, stops)

    def recorder(start_s: float) -> Filmed:
        def is_plain(filmed: Filmed) -> bool:
            is_here = filmed.here_s - filmed.end_s < 1 and filmed.end_s - filmed.start_s >= 8
            grew = filmed.evidence.grew_until is not None
            undated = filmed.inside.created_at is None and filmed.name == "clip_07.mp4"
            return is_here and grew is in_view and undated

        return find(
            recordings(start_s, instant),
            is_plain,
            settings=settings(database=None, max_examples=5000),
        )

    assert check_athlete(recorder(300.0), came, timeline, 0.5) is EntryState.READY
    assert check_stops(recorder(2100.0), stops, timeline) is CapturePermission.FORBIDDEN
