"""Whether a capture may be looked into, by when it was filmed."""

import pytest

from agent.clock import Instant
from agent.outbox.people.assignments import Assignment, AssignmentKind, Layer
from agent.station.filming import Sight, sight_of
from agent.station.recording_time import RecordedBy, RecordingTime
from agent.station.timeline import Timeline
from tests.factories import BOOT, instant


def said(kind: AssignmentKind, at: float, lasts_s: float | None = None) -> Assignment:
    return Assignment(layer=Layer.CAMERA, kind=kind, starts=instant(at), lasts_s=lasts_s)


def stop(at: float, lasts_s: float | None = None) -> Assignment:
    return said(AssignmentKind.STOPPED, at, lasts_s)


def go_on(at: float) -> Assignment:
    return said(AssignmentKind.DEFAULT, at)


def sight(
    *words: Assignment, start: float, end: float, by: RecordedBy = RecordedBy.GROWTH
) -> Sight:
    recorded = RecordingTime(by=by, start=instant(start), end=instant(end))
    return sight_of(Timeline(words, boots=(BOOT,)), recorded)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 90, Sight.ALLOWED),
        (0, 100, Sight.ALLOWED),  # it ended just before
        (0, 101, Sight.FORBIDDEN),
        (120, 150, Sight.FORBIDDEN),
        (150, 250, Sight.FORBIDDEN),
        (50, 250, Sight.FORBIDDEN),  # a stop within one recording
        (200, 260, Sight.ALLOWED),
    ],
)
@pytest.mark.parametrize("words", [(stop(100), go_on(200)), (stop(100, lasts_s=100),)])
def test_what_touches_a_stop_is_forbidden(
    words: tuple[Assignment, ...], start: float, end: float, expected: Sight
) -> None:
    assert sight(*words, start=start, end=end) is expected


def test_an_unknown_time_that_may_fall_into_a_stop_is_for_a_person() -> None:
    words = (stop(100), go_on(200))

    assert sight(*words, start=0, end=400, by=RecordedBy.UNKNOWN) is Sight.DOUBTFUL
    assert sight(*words, start=300, end=400, by=RecordedBy.UNKNOWN) is Sight.ALLOWED
    assert sight(start=0, end=400, by=RecordedBy.UNKNOWN) is Sight.ALLOWED


def test_a_clock_that_is_not_trusted_shows_nothing() -> None:
    by_utc = Instant(utc_s=instant(150).utc_s, trusted=False)
    recorded = RecordingTime(by=RecordedBy.FILE_TIME, start=by_utc, end=by_utc.shifted(5))

    assert sight_of(Timeline((stop(100),), boots=(BOOT,)), recorded) is Sight.DOUBTFUL


def test_a_second_stop_takes_the_place_of_the_first() -> None:
    words = (stop(100, lasts_s=50), stop(120))

    assert sight(*words, start=170, end=180) is Sight.FORBIDDEN
