"""What may be seen of a capture, by when it was filmed."""

from dataclasses import replace

import pytest

from agent.clock import Instant
from agent.outbox.assignments import Assignment, AssignmentKind, AssignmentLayer
from agent.station.attribution import Timeline
from agent.station.recording_pause import CapturePermission, CaptureView, capture_view
from agent.station.recording_time import ClockEvidence, RecordedBy, RecordingTime
from tests.factories import BOOT, instant

LATER = instant(9000)


def said(kind: AssignmentKind, at: float, lasts_s: float | None = None) -> Assignment:
    return Assignment(layer=AssignmentLayer.CAMERA, kind=kind, starts=instant(at), lasts_s=lasts_s)


def stop(at: float, lasts_s: float | None = None) -> Assignment:
    return said(AssignmentKind.STOPPED, at, lasts_s)


def go_on(at: float) -> Assignment:
    return said(AssignmentKind.DEFAULT, at)


def filmed(start: float, end: float, *, by: RecordedBy = RecordedBy.GROWTH) -> RecordingTime:
    return RecordingTime(by=by, start=instant(start), end=instant(end), is_proof=True, margin_s=2.0)


def view(*words: Assignment, recorded: RecordingTime, now: Instant = LATER) -> CaptureView:
    return capture_view(Timeline(words, boots=(BOOT,)), recorded, now=now)


@pytest.mark.parametrize(
    ("start", "end", "expected", "hidden"),
    [
        (0, 90, CapturePermission.ALLOWED, ()),
        (0, 100, CapturePermission.ALLOWED, ()),  # it ended just before
        (0, 101, CapturePermission.PARTLY, ((100, 101),)),
        (102, 198, CapturePermission.FORBIDDEN, ()),
        (101, 150, CapturePermission.DOUBTFUL, ()),  # it may have begun before
        (150, 250, CapturePermission.PARTLY, ((0, 52),)),
        (50, 250, CapturePermission.PARTLY, ((50, 152),)),  # a stop within one recording
        (200, 260, CapturePermission.ALLOWED, ()),
    ],
)
@pytest.mark.parametrize("words", [(stop(100), go_on(200)), (stop(100, lasts_s=100),)])
def test_only_what_lies_inside_a_stop_is_hidden(
    words: tuple[Assignment, ...],
    start: float,
    end: float,
    expected: CapturePermission,
    hidden: tuple[tuple[float, float], ...],
) -> None:
    seen = view(*words, recorded=filmed(start, end))

    assert (seen.permission, seen.hidden) == (expected, hidden)


def test_two_stops_hide_two_stretches() -> None:
    words = (stop(100), go_on(110), stop(130), stop(135, lasts_s=5))

    assert view(*words, recorded=filmed(90, 160)).hidden == ((10, 22), (40, 52))


def test_a_stretch_of_slow_motion_is_as_long_as_it_plays() -> None:
    recorded = replace(filmed(90, 100), pace=0.25)

    assert view(stop(95), recorded=recorded).hidden == ((20, 40),)


@pytest.mark.parametrize("passed_s", [0.0, 1.0, 29.0])
def test_while_a_stop_can_be_undone_nothing_is_decided(passed_s: float) -> None:
    for start, end in ((102, 108), (90, 108)):
        seen = view(stop(100), recorded=filmed(start, end), now=instant(100 + passed_s))

        assert seen.undo_left_s == pytest.approx(31 - passed_s)
    assert view(stop(100), recorded=filmed(102, 108), now=instant(132)).undo_left_s == 0


@pytest.mark.parametrize(
    "recorded",
    [
        filmed(0, 400, by=RecordedBy.UNKNOWN),
        replace(filmed(110, 150), is_proof=False),
        replace(filmed(50, 150), is_proof=False),
        replace(filmed(110, 150), margin_s=120.0),
        replace(
            filmed(0, 50),
            others=(ClockEvidence(by=RecordedBy.NAME, start=instant(110), end=instant(160)),),
        ),
        replace(
            filmed(110, 160),
            others=(ClockEvidence(by=RecordedBy.NAME, start=instant(0), end=instant(50)),),
        ),
    ],
)
def test_what_may_fall_into_a_stop_is_for_a_person(recorded: RecordingTime) -> None:
    assert view(stop(100), go_on(200), recorded=recorded).permission is CapturePermission.DOUBTFUL


def test_what_surely_was_filmed_outside_is_allowed_however_little_is_known() -> None:
    unknown = filmed(300, 400, by=RecordedBy.UNKNOWN)

    assert view(stop(100), go_on(200), recorded=unknown).permission is CapturePermission.ALLOWED
    assert (
        view(recorded=filmed(0, 400, by=RecordedBy.UNKNOWN)).permission is CapturePermission.ALLOWED
    )


def test_a_clock_that_is_not_trusted_shows_nothing() -> None:
    by_utc = Instant(utc_s=instant(150).utc_s, trusted=False)
    recorded = RecordingTime(by=RecordedBy.FILE_TIME, start=by_utc, end=by_utc.shifted(5))

    assert view(stop(100), recorded=recorded).permission is CapturePermission.DOUBTFUL


def test_a_word_to_film_again_hides_nothing_where_no_stop_was_left() -> None:
    """As after a stop that was undone, and "resume" once more."""
    by_utc = Instant(utc_s=instant(150).utc_s, trusted=False)
    recorded = RecordingTime(by=RecordedBy.UNKNOWN, start=by_utc, end=by_utc.shifted(5))

    assert view(go_on(200), recorded=recorded).permission is CapturePermission.ALLOWED


def test_a_second_stop_takes_the_place_of_the_first() -> None:
    words = (stop(100, lasts_s=50), stop(120))

    assert view(*words, recorded=filmed(170, 180)).permission is CapturePermission.FORBIDDEN


def test_a_stop_of_some_length_lasts_over_a_start_of_the_box() -> None:
    words = (stop(100, lasts_s=1800),)

    def seen(at: float) -> CapturePermission:
        end = Instant(utc_s=instant(at).utc_s, boot_id="later", boot_s=at - 300.0)
        recorded = replace(filmed(0, 10), start=end.shifted(-10), end=end)
        timeline = Timeline(words, boots=(BOOT, "later"))
        return capture_view(timeline, recorded, now=end.shifted(60)).permission

    assert seen(500) is CapturePermission.FORBIDDEN
    assert seen(1903) is CapturePermission.PARTLY
    assert seen(2000) is CapturePermission.ALLOWED


def test_a_stop_that_only_its_margin_touches_can_be_undone_too() -> None:
    # By what was said, all around was stopped: until the second word is taken back.
    words = (stop(100), go_on(200), stop(200.3))

    seen = view(*words, recorded=filmed(150, 199), now=instant(205))

    assert seen.permission is CapturePermission.FORBIDDEN and seen.undo_left_s > 0
