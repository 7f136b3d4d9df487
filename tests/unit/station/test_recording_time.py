"""When a capture was filmed."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.clock import Instant
from agent.outbox.models import CaptureEvidence, SidecarTime
from agent.station.recording_time import (
    CreationIs,
    Inside,
    RecordedBy,
    RecordingTime,
    creation_s,
    recording_time,
)
from tests.factories import NOW_S, instant

HOUR_S = 3600.0
LENGTH_S = 20.0


def seen(
    *,
    grew: float | None = None,
    appeared: float | None = None,
    written: float | None = None,
    born: float | None = None,
    took: float | None = None,
) -> CaptureEvidence:
    """Evidence by seconds after noon; what grew was written evenly within `took` seconds."""
    growth: tuple[tuple[Instant, int], ...] = ()
    if appeared is None:
        appeared = 0.0 if grew is None else grew - (took or 0.0)
    if written is None:
        written = appeared if grew is None else grew
    if grew is not None and took is not None:
        growth = tuple((instant(grew - took + took * n / 8), n * 1000) for n in range(9))
    return CaptureEvidence(
        grew_until=None if grew is None else instant(grew),
        appeared=instant(appeared),
        mtime_s=NOW_S + written,
        born_s=None if born is None else NOW_S + born,
        growth=growth,
    )


def weighed(
    evidence: CaptureEvidence,
    *,
    created: float | None = None,
    creation_is: CreationIs | None = None,
    offset_s: float | None = None,
    name: str = "clip.mp4",
    length_s: float = LENGTH_S,
) -> RecordingTime:
    """Conclude from evidence; the creation time in seconds after noon."""
    created_at = None if created is None else NOW_S + created
    return recording_time(
        evidence,
        inside=Inside(length_s=length_s, created_at=created_at, creation_is=creation_is),
        name=name,
        clock_offset_s=offset_s,
    )


def ends(recorded: RecordingTime) -> list[tuple[RecordedBy, float]]:
    """Every reading: by what, and when it ends in seconds after noon."""
    return [(one.by, round(one.end.utc_s - NOW_S, 3)) for one in recorded.readings]


def named(at: float, form: str = "%Y%m%d-%H%M%S.mkv") -> str:
    """A name that a camera gives at a moment, by the clock on the wall."""
    return datetime.fromtimestamp(NOW_S + at).strftime(form)  # noqa: DTZ006  # local


@pytest.fixture
def in_berlin() -> Iterator[None]:
    """A box in another zone than UTC."""
    was = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    del os.environ["TZ"]
    if was is not None:
        os.environ["TZ"] = was
    time.tzset()


def test_what_grew_at_the_pace_of_its_pictures_ended_when_it_last_grew() -> None:
    recorded = weighed(seen(grew=30, took=20.5))

    assert recorded.by is RecordedBy.GROWTH
    assert (recorded.start, recorded.end) == (instant(10), instant(30))
    assert recorded.is_proof


@pytest.mark.parametrize("took", [0.4, 2.0, 9.0, 45.0, 600.0])
def test_a_copy_grows_faster_or_slower_than_its_content(took: float) -> None:
    recorded = weighed(seen(grew=30, took=took))

    assert recorded.by is RecordedBy.UNKNOWN


@pytest.mark.parametrize("offset_s", [0.0, None])
def test_a_slow_copy_seen_only_at_its_end_may_be_of_the_time_in_its_name(
    offset_s: float | None,
) -> None:
    """As on a busy box: the little growth that was seen fits a short recording."""
    end = ((instant(19.5), 950), (instant(20), 1000))
    copied = replace(seen(grew=20, took=20), growth=end)

    recorded = weighed(copied, name=named(-90), offset_s=offset_s, length_s=3)

    assert not recorded.is_proof
    assert set(ends(recorded)) == {(RecordedBy.GROWTH, 20.0), (RecordedBy.NAME, -87.0)}


@pytest.mark.parametrize("offset_s", [0.0, None])
def test_what_grew_at_the_pace_of_its_pictures_is_not_of_another_time(
    offset_s: float | None,
) -> None:
    recorded = weighed(seen(grew=30, took=20.5), name=named(-60), offset_s=offset_s)

    assert ends(recorded) == [(RecordedBy.GROWTH, 30.0)]


def test_what_was_held_from_before_an_event_is_written_at_once() -> None:
    burst = tuple((instant(at), 10_000 + 500 * at) for at in range(1, 31))
    evidence = replace(seen(grew=30), growth=((instant(0), 0), *burst))

    recorded = weighed(evidence, length_s=50)  # 20 s before the event, and 30 s of it

    assert (recorded.by, recorded.is_proof) == (RecordedBy.GROWTH, False)


def test_a_copy_that_keeps_its_time_was_not_filmed_while_it_grew() -> None:
    copied = seen(grew=7230, appeared=7200, written=30, took=20)

    assert weighed(copied).by is RecordedBy.UNKNOWN
    vouched = weighed(copied, created=10, offset_s=0.0)
    assert vouched.by is RecordedBy.CONTAINER
    assert vouched.end.utc_s == NOW_S + 30


@pytest.mark.parametrize("took", [3.0, 20.0, 200.0])
@pytest.mark.parametrize("told", ["name", "creation", "both"])
def test_a_backlog_is_of_its_own_time_where_the_clock_is_vouched_for(
    took: float, told: str
) -> None:
    backlog = seen(grew=HOUR_S, appeared=HOUR_S - took, written=HOUR_S, took=took)
    name = named(0) if told != "creation" else "video.mp4"
    created = 0.0 if told != "name" else None

    vouched = weighed(backlog, name=name, created=created, creation_is="start", offset_s=0.0)
    doubted = weighed(backlog, name=name, created=created, creation_is="start")

    assert ends(vouched)[0][1] == LENGTH_S
    assert not vouched.others
    assert LENGTH_S in [end_s for _, end_s in ends(doubted)]
    assert doubted.others or not doubted.is_known
    assert not doubted.is_proof


def test_what_is_inside_may_contradict_growth() -> None:
    recorded = weighed(seen(grew=30, took=20), created=-HOUR_S, creation_is="start")

    assert ends(recorded) == [
        (RecordedBy.GROWTH, 30),
        (RecordedBy.CONTAINER, -HOUR_S + LENGTH_S),
    ]
    assert "the creation time in the file says" in recorded.basis


def test_a_clock_that_is_ahead_says_what_cannot_be() -> None:
    recorded = weighed(seen(grew=30, took=20), created=HOUR_S)

    assert ends(recorded) == [(RecordedBy.GROWTH, 30)]


@pytest.mark.usefixtures("in_berlin")
def test_local_time_that_is_taken_for_utc_contradicts_nothing() -> None:
    ahead = weighed(seen(grew=30, took=20), created=10 + HOUR_S)
    utc_name = datetime.fromtimestamp(NOW_S + 10, UTC).strftime("%Y%m%d-%H%M%S.mkv")
    behind = weighed(seen(grew=30, took=20), name=utc_name)

    assert ends(ahead) == ends(behind) == [(RecordedBy.GROWTH, 30)]


@pytest.mark.parametrize(
    "told", ["1904-01-01T00:00:00Z", "1970-01-01T00:00:20Z", "2000-01-02T03:04:05Z"]
)
def test_a_clock_that_was_reset_says_nothing(told: str) -> None:
    created_at = creation_s(told)
    evidence = seen(grew=30, took=20)
    inside = Inside(length_s=LENGTH_S, created_at=created_at)

    assert not recording_time(evidence, inside=inside).others
    vouched = recording_time(evidence, inside=inside, clock_offset_s=0.0)
    assert vouched.by is RecordedBy.GROWTH


@pytest.mark.parametrize("offset_s", [None, 0.0])
def test_android_writes_the_end(offset_s: float | None) -> None:
    prompt = seen(appeared=5, written=0)

    recorded = weighed(prompt, created=0, creation_is="end", length_s=40, offset_s=offset_s)

    assert [end_s for _, end_s in ends(recorded)] == [0]
    late = seen(appeared=HOUR_S, written=0)
    vouched = weighed(late, created=0, creation_is="end", length_s=40, offset_s=0.0)
    assert ends(vouched) == [(RecordedBy.CONTAINER, 0)]


def test_an_end_without_a_word_is_known_by_what_else_the_clock_says() -> None:
    dated = seen(appeared=HOUR_S, written=40)
    by_name = seen(appeared=HOUR_S, written=HOUR_S)

    assert ends(weighed(dated, created=40, length_s=40, offset_s=0.0)) == [
        (RecordedBy.CONTAINER, 40)
    ]
    assert ends(weighed(dated, created=0, length_s=40, offset_s=0.0)) == [
        (RecordedBy.CONTAINER, 40)
    ]
    assert ends(weighed(by_name, created=40, length_s=40, name=named(0), offset_s=0.0)) == [
        (RecordedBy.CONTAINER, 40)
    ]


def test_filming_did_not_end_after_the_file_was_here() -> None:
    recorded = weighed(seen(appeared=5, written=1), created=0, length_s=40, offset_s=0.0)

    assert [end_s for _, end_s in ends(recorded)] == [0]


def test_where_nothing_tells_start_from_end_both_are_readings() -> None:
    late = seen(appeared=HOUR_S, written=HOUR_S)

    recorded = weighed(late, created=0, length_s=40, offset_s=0.0)

    assert sorted(end_s for _, end_s in ends(recorded)) == [0, 40]


@pytest.mark.parametrize("creation_is", [None, "start"])
def test_what_is_too_short_to_tell_start_from_end_is_no_sharper_than_it_is_long(
    creation_is: CreationIs | None,
) -> None:
    """Filmed from 0 to 7 s, and it may be deleted for a stop only if all of that is inside it."""
    recorded = weighed(
        seen(appeared=500.0), created=7.0, creation_is=creation_is, offset_s=0.0, length_s=7.0
    )

    assert recorded.is_proof
    begun = recorded.start.utc_s - recorded.margin_s
    assert (begun <= NOW_S) == (creation_is is None)


def test_readings_that_count_as_one_are_no_sharper_than_they_are_wide() -> None:
    recorded = weighed(
        seen(appeared=500.0), created=8.0, creation_is="start", offset_s=0.0, name=named(0.0)
    )

    assert recorded.is_proof
    assert recorded.start.utc_s - recorded.margin_s <= NOW_S


def test_a_late_copy_may_carry_one_wrong_clock_thrice() -> None:
    late = seen(appeared=5000, written=100)

    recorded = weighed(late, created=60, name=named(60))

    assert recorded.by is RecordedBy.UNKNOWN
    assert LENGTH_S + 60 in [end_s for _, end_s in ends(recorded)[1:]]


def test_a_known_offset_of_the_camera_is_taken_off() -> None:
    late = seen(appeared=5000, written=80)

    recorded = weighed(
        late, created=60 + 2 * HOUR_S, creation_is="start", offset_s=-2 * HOUR_S, length_s=20
    )

    assert recorded.by is RecordedBy.CONTAINER
    assert recorded.end.utc_s == pytest.approx(NOW_S + 80)


def test_a_clip_of_which_the_name_and_the_inside_differ_has_two_readings() -> None:
    late = seen(appeared=9 * HOUR_S, written=9 * HOUR_S)

    recorded = weighed(
        late, created=0, creation_is="start", name=named(1234), offset_s=0.0, length_s=20
    )

    assert [end_s for _, end_s in ends(recorded)] == [20, 1254]


def test_a_file_that_came_at_once_is_of_its_own_time_but_is_no_proof() -> None:
    recorded = weighed(seen(appeared=30, written=28))

    assert ends(recorded) == [(RecordedBy.FILE_TIME, 28)]
    assert not recorded.is_proof


def test_a_file_that_was_written_at_the_pace_of_its_pictures_elsewhere_is_proof() -> None:
    assert weighed(seen(appeared=31, written=30, born=9.5)).is_proof
    assert not weighed(seen(appeared=31, written=30, born=29.5)).is_proof
    assert weighed(seen(appeared=31, written=30, born=29.5), name=named(10)).is_proof


def test_a_camera_two_hours_off_leaves_two_readings_or_none() -> None:
    doubted = weighed(seen(appeared=30), created=10 - 2 * HOUR_S, creation_is="start")
    recorded = weighed(seen(appeared=30, born=9.5), created=10 - 2 * HOUR_S, creation_is="start")

    assert not doubted.is_known
    assert ends(doubted)[1:] == [(RecordedBy.CONTAINER, 30 - 2 * HOUR_S)]
    assert ends(recorded) == [
        (RecordedBy.FILE_TIME, 30),
        (RecordedBy.CONTAINER, 30 - 2 * HOUR_S),
    ]
    assert recorded.end == instant(30)  # with time since boot: it appeared under our eyes


def test_a_prompt_copy_is_of_the_time_that_the_camera_says() -> None:
    prompt = seen(grew=60, appeared=59, written=60, took=1)

    recorded = weighed(prompt, created=20, creation_is="start")

    assert ends(recorded) == [(RecordedBy.CONTAINER, 40), (RecordedBy.FILE_TIME, 60)]


def test_a_copy_whose_creation_time_may_be_start_or_end_has_both_readings() -> None:
    slow = seen(appeared=114, born=2, written=114)  # took longer than what it shows
    fast = seen(appeared=49, born=31, written=49)  # ended as long after it as it shows

    readings = [ends(weighed(copy, created=0, length_s=45)) for copy in (slow, fast)]

    assert [by for by, _ in readings[0]] == [
        *(RecordedBy.CONTAINER, RecordedBy.CONTAINER, RecordedBy.FILE_TIME)
    ]
    assert sorted(end_s for _, end_s in readings[0]) == [0, 45, 114]
    assert sorted(end_s for _, end_s in readings[1]) == [0, 49]


@pytest.mark.parametrize("name", ["WhatsApp Video.mp4", "VID-20261119-WA0003.mp4"])
def test_what_a_messenger_passed_on_was_filmed_nobody_knows_when(name: str) -> None:
    assert weighed(seen(appeared=30), name=name).by is RecordedBy.UNKNOWN


def test_a_later_chapter_repeats_the_first_ones_creation_time() -> None:
    late = seen(appeared=9 * HOUR_S, written=9 * HOUR_S)

    assert weighed(late, created=0, name="GX010007.MP4", offset_s=0.0).is_known
    doubted = weighed(late, created=0, name="GX020007.MP4", offset_s=0.0)
    assert [by for by, _ in ends(doubted)] == [RecordedBy.UNKNOWN, RecordedBy.CONTAINER]


def test_a_file_copied_in_hours_later_says_nothing() -> None:
    recorded = weighed(seen(appeared=9000, written=0))

    assert recorded.by is RecordedBy.UNKNOWN
    assert recorded.start.utc_s == NOW_S - 20 - 14 * 3600  # a clock may be a zone off
    assert recorded.end == instant(9000)


@pytest.mark.parametrize(
    ("captured_fps", "pace"), [(240.0, 1 / 8), (60.0, 0.5), (1.0, 30.0), (32.0, 1), (25.0, 1)]
)
def test_slow_motion_took_as_long_as_its_frames_say(captured_fps: float, pace: float) -> None:
    inside = Inside(length_s=40.0, frames=1200, captured_fps=captured_fps)  # plays at 30

    recorded = recording_time(seen(grew=100), inside=inside)

    assert recorded.end == instant(100)
    assert recorded.start.elapsed_s(recorded.end) == pytest.approx(40 * pace)
    assert recorded.at(20.0).elapsed_s(recorded.end) == pytest.approx(20 * pace)


def test_a_sidecar_is_exact_unless_it_contradicts_the_file() -> None:
    told = SidecarTime(start=instant(5), end=instant(25))
    evidence = replace(seen(appeared=31), sidecar=told)

    assert ends(weighed(evidence)) == [(RecordedBy.SIDECAR, 25)]
    assert weighed(evidence, length_s=300).by is not RecordedBy.SIDECAR
    future = replace(evidence, sidecar=SidecarTime(start=instant(105), end=instant(125)))
    assert weighed(future).by is RecordedBy.FILE_TIME


def test_evidence_is_stored_whole() -> None:
    evidence = replace(
        seen(grew=30, took=20, born=10),
        folder="2026Y11M28D14H",
        sidecar=SidecarTime(start=instant(5), end=instant(25), uncertainty_s=0.1),
    )

    assert CaptureEvidence.from_json(evidence.to_json()) == evidence


@pytest.mark.parametrize(
    "told", [None, "", "yesterday", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00", 0, ["2026"]]
)
def test_a_creation_time_that_is_none_is_none(told: object) -> None:
    assert creation_s(told) is None


def test_a_creation_time_is_read_in_its_zone() -> None:
    assert creation_s("1970-01-01T01:00:00.500000+01:00") == 0.5
    assert creation_s("1970-01-01T00:00:01Z") == 1.0
    assert creation_s("2026-11-28T14:02:33+0200") == creation_s("2026-11-28T12:02:33Z")


@pytest.mark.usefixtures("in_berlin")
def test_a_name_from_the_hour_that_comes_twice_deletes_nothing_and_names_both() -> None:
    twice_s = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp() - NOW_S  # 2:30, for the first
    copied = seen(grew=twice_s + 9000, took=3, written=twice_s + 9000)

    recorded = weighed(copied, name=named(twice_s), offset_s=0.0)

    begun = [one.start.utc_s - NOW_S for one in recorded.readings]
    assert begun == [twice_s, twice_s + 3600] and not recorded.is_proof
    later = weighed(copied, name=named(twice_s + 7200), offset_s=0.0)  # 3:30 comes once
    assert later.is_proof and not later.others
