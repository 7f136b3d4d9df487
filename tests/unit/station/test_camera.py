"""A camera that died is noticed in the station's hours, and no silence is one without reason."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from agent.bandwidth_schedule import parse_hours
from agent.camera_link import RecorderReport, RecorderState
from agent.station.camera import (
    CameraSigns,
    CameraState,
    Hours,
    camera_words,
    judge_camera,
    learn_hours,
)
from agent.station.recorders import RecorderSight

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
WEEKDAYS = parse_hours(["Mon-Fri 06:00-22:00", "Sat 08:00-14:00"], zone=UTC)
SET = Hours(silent_s=600.0, table=WEEKDAYS, zone=UTC)


def at(day: int, hour: int, minute: int = 0) -> float:
    """Unix time of a moment in the week; 0 is Monday."""
    return (MONDAY + timedelta(days=day, hours=hour, minutes=minute)).timestamp()


def signs(
    recorded_at: float | None = None,
    *,
    written_at: float | None = None,
    since: float = 0.0,
    stopped: bool = False,
    unusable: CameraState | None = None,
    recorders: tuple[RecorderSight, ...] = (),
) -> CameraSigns:
    return CameraSigns(
        recorded_at=recorded_at,
        written_at=written_at,
        watched_since=since,
        is_stopped=stopped,
        unusable=unusable,
        recorders=recorders,
    )


def sight(
    state: RecorderState, *, silent_s: float = 0.4, error: str | None = None
) -> RecorderSight:
    report = RecorderReport(camera="main", state=state, since_s=0.0, error=error)
    return RecorderSight(report=report, silent_s=silent_s)


NOON = at(1, 12)
AGO = 12 * 60.0


@pytest.mark.parametrize(
    ("seen", "now_s", "state"),
    [
        (signs(NOON - AGO), NOON, CameraState.SILENT),
        (signs(NOON - 540), NOON, CameraState.QUIET),
        (signs(NOON - AGO, written_at=NOON - 5), NOON, CameraState.RECORDING),  # a long one
        (signs(NOON - AGO, written_at=NOON - 120), NOON, CameraState.QUIET),
        (signs(NOON - AGO, written_at=NOON - AGO), NOON, CameraState.SILENT),  # its writer hangs
        (signs(NOON - AGO, written_at=NOON + 9e9), NOON, CameraState.RECORDING),  # clocks
        (signs(None), NOON, CameraState.SILENT),  # it never recorded
        (signs(NOON - AGO, since=NOON - 300), NOON, CameraState.QUIET),  # the box has just begun
        (signs(NOON - AGO, stopped=True), NOON, CameraState.STOPPED),
        (signs(at(0, 21)), at(1, 6, 5), CameraState.QUIET),  # open for five minutes
        (signs(at(0, 21)), at(1, 6, 10), CameraState.SILENT),
        (signs(at(0, 21)), at(0, 23), CameraState.CLOSED),
        (signs(at(5, 13)), at(6, 12), CameraState.CLOSED),  # Sunday
        (signs(at(5, 13)), at(5, 13, 30), CameraState.SILENT),
        (signs(at(0, 21), written_at=at(0, 23)), at(0, 23), CameraState.RECORDING),
        (signs(NOON, unusable=CameraState.UNREADABLE), NOON, CameraState.UNREADABLE),
        (
            signs(NOON, written_at=NOON, unusable=CameraState.UNREADABLE),
            NOON,
            CameraState.UNREADABLE,
        ),
        (signs(NOON, unusable=CameraState.DARK), NOON, CameraState.DARK),
        (signs(at(0, 23), unusable=CameraState.DARK), at(0, 23), CameraState.CLOSED),  # lights off
    ],
)
def test_the_camera_is(seen: CameraSigns, now_s: float, state: CameraState) -> None:
    assert judge_camera(seen, SET, now_s=now_s).state is state


def test_how_long_it_is_silent_is_said_in_words() -> None:
    camera = judge_camera(signs(NOON - AGO), SET, now_s=NOON)
    assert camera.is_faulty
    assert camera_words(camera, now_s=NOON) == "silent: last recording 12 min ago"


def test_without_hours_and_history_or_turned_off_it_is_never_silent() -> None:
    for hours in (Hours(silent_s=600.0), Hours(silent_s=0.0, table=WEEKDAYS, zone=UTC)):
        assert judge_camera(signs(NOON - 9e6), hours, now_s=NOON).state is CameraState.QUIET


@pytest.mark.parametrize(
    "wrong", ["06:00-22:00", "", "Mon-Fri 06:00-22:00 = off", "Mon 25:00-26:00", "Funday", "off"]
)
def test_hours_that_are_none_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_hours([wrong])


def test_hours_over_midnight_belong_to_the_day_on_which_they_begin() -> None:
    table = parse_hours(["Fri 20:00-02:00"], zone=UTC)
    hours = Hours(silent_s=600.0, table=table, zone=UTC)
    assert judge_camera(signs(at(4, 23)), hours, now_s=at(5, 1)).state is CameraState.SILENT
    assert judge_camera(signs(at(4, 23)), hours, now_s=at(5, 2, 30)).state is CameraState.CLOSED


def recordings(
    weeks: int, *, every_min: int = 1, until_hour: int = 22
) -> Iterator[tuple[float, float]]:
    """Recordings of a minute on weekdays from seven, in the weeks before the tests' own."""
    for week in range(1, weeks + 1):
        for day in range(5):
            for minute in range(7 * 60, until_hour * 60, every_min):
                begin = at(day - 7 * week, 0, minute)
                yield begin, begin + 60


def learnt(*args: object, **given: object) -> Hours:
    now_s = at(0, 5)
    spans = list(recordings(*args, **given))  # type: ignore[arg-type]  # as the caller has them
    slots = learn_hours(spans, now_s=now_s, zone=UTC)
    return Hours(silent_s=600.0, learnt=slots, zone=UTC)


def test_hours_are_learnt_from_weeks_that_were_alike() -> None:
    hours = learnt(3)

    assert set(hours.learnt) == {(day, hour) for day in range(5) for hour in range(7, 22)}
    assert judge_camera(signs(at(1, 11)), hours, now_s=at(1, 11, 12)).state is CameraState.SILENT
    assert judge_camera(signs(at(1, 11)), hours, now_s=at(1, 23)).state is CameraState.CLOSED
    assert judge_camera(signs(at(4, 21)), hours, now_s=at(6, 12)).state is CameraState.CLOSED


def test_pauses_that_are_usual_are_no_silence() -> None:
    hours = learnt(2, every_min=15)

    assert judge_camera(signs(at(1, 11)), hours, now_s=at(1, 11, 25)).state is CameraState.QUIET
    assert judge_camera(signs(at(1, 11)), hours, now_s=at(1, 11, 58)).state is CameraState.SILENT


def test_little_is_learnt_from_little() -> None:
    assert not learnt(1).are_known  # one week is no habit
    assert not learnt(3, every_min=45).are_known  # somebody comes now and then
    assert not learnt(0).are_known


def test_a_week_that_was_otherwise_is_not_counted_upon() -> None:
    short = [*recordings(1, until_hour=12), *(s for s in recordings(3) if s[0] < at(-7, 0))]
    slots = learn_hours(short, now_s=at(0, 5), zone=UTC)

    assert (0, 9) in slots and (0, 15) not in slots


def test_one_recording_of_hours_is_no_pause() -> None:
    days = [(at(d - 7 * w, 8), at(d - 7 * w, 20)) for w in (1, 2) for d in range(5)]
    slots = learn_hours(days, now_s=at(0, 5), zone=UTC)

    assert {hour for day, hour in slots if day == 0} == set(range(8, 20))


@pytest.mark.parametrize(
    ("seen", "state", "told"),
    [
        (sight(RecorderState.RECORDING), CameraState.RECORDING, None),
        (sight(RecorderState.WATCHING), CameraState.QUIET, None),  # disarmed for hours: no fault
        (sight(RecorderState.CAMERA_LOST, error="it is off"), CameraState.LOST, "it is off"),
        (sight(RecorderState.NOT_STORED, error="full"), CameraState.NOT_STORED, "full"),
        (sight(RecorderState.RECORDING, silent_s=4), CameraState.LOST, "main is not running"),
    ],
)
def test_a_recorder_says_what_its_camera_does(
    seen: RecorderSight, state: CameraState, told: str | None
) -> None:
    camera = judge_camera(signs(NOON - AGO, recorders=(seen,)), SET, now_s=NOON)
    assert camera.state is state
    assert told is None or told in camera_words(camera, now_s=NOON)
    stopped = judge_camera(signs(NOON - AGO, stopped=True, recorders=(seen,)), SET, now_s=NOON)
    assert stopped.state is CameraState.STOPPED
