"""When a capture was filmed."""

import pytest

from agent.outbox.capture import Evidence
from agent.station.recording_time import RecordedBy, creation_s, recording_time
from tests.factories import NOW_S, instant


def seen(
    *, grew: float | None = None, appeared: float = 0.0, written: float | None = None
) -> Evidence:
    """Evidence by seconds after noon."""
    return Evidence(
        grew_until=None if grew is None else instant(grew),
        appeared=instant(appeared),
        mtime_s=NOW_S + (appeared if written is None else written),
    )


def test_what_spotter_saw_growing_ended_when_it_last_grew() -> None:
    recorded = recording_time(seen(grew=30), duration_s=20, created_at=NOW_S - 7200)

    assert recorded.by is RecordedBy.GROWTH
    assert (recorded.start, recorded.end) == (instant(10), instant(30))


def test_a_copy_that_keeps_its_time_was_not_filmed_while_it_grew() -> None:
    copied = seen(grew=7230, appeared=7200, written=30)

    assert recording_time(copied, duration_s=20, created_at=None).by is RecordedBy.UNKNOWN
    vouched = recording_time(copied, duration_s=20, created_at=NOW_S + 10, clock_offset_s=0.0)
    assert vouched.by is RecordedBy.CONTAINER
    assert vouched.end.utc_s == NOW_S + 30


def test_a_cameras_clock_that_is_vouched_for_serves_where_the_file_time_agrees() -> None:
    late = seen(appeared=5000, written=100)

    recorded = recording_time(late, duration_s=20, created_at=NOW_S + 60, clock_offset_s=0.0)

    assert recorded.by is RecordedBy.CONTAINER
    assert recorded.end.utc_s == NOW_S + 80


def test_a_late_copy_may_carry_one_wrong_clock_twice() -> None:
    late = seen(appeared=5000, written=100)

    recorded = recording_time(late, duration_s=20, created_at=NOW_S + 60)

    assert recorded.by is RecordedBy.UNKNOWN


def test_a_known_offset_of_the_camera_is_taken_off() -> None:
    two_hours_s = 7200.0

    recorded = recording_time(
        seen(appeared=5000, written=100),
        duration_s=20,
        created_at=NOW_S + 60 + two_hours_s,
        clock_offset_s=-two_hours_s,
    )

    assert recorded.by is RecordedBy.CONTAINER
    assert recorded.end.utc_s == pytest.approx(NOW_S + 80)


def test_a_camera_two_hours_off_is_not_believed() -> None:
    recorded = recording_time(seen(appeared=30), duration_s=20, created_at=NOW_S + 10 + 7200)

    assert recorded.by is RecordedBy.FILE_TIME
    assert recorded.end == instant(30)  # with time since boot: it appeared under our eyes


def test_a_file_copied_in_hours_later_says_nothing() -> None:
    recorded = recording_time(seen(appeared=9000, written=0), duration_s=20, created_at=None)

    assert recorded.by is RecordedBy.UNKNOWN
    assert recorded.start.utc_s == NOW_S - 20 - 14 * 3600  # a clock may be a zone off
    assert recorded.end == instant(9000)


@pytest.mark.parametrize(
    "told", [None, "", "yesterday", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00", 0, ["2026"]]
)
def test_a_creation_time_that_is_none_is_none(told: object) -> None:
    assert creation_s(told) is None


def test_a_creation_time_is_read_in_its_zone() -> None:
    assert creation_s("1970-01-01T01:00:00.500000+01:00") == 0.5
    assert creation_s("1970-01-01T00:00:01Z") == 1.0
