"""Whether two recordings are of one camera, and whether one goes on in the other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import Instant
from agent.outbox.models import Capture, SidecarTime
from agent.station.overlaps import (
    Compared,
    Kinship,
    Seam,
    counts_on,
    gap_between,
    is_told_to_follow,
    kinship,
    kinship_of_names,
    seam_between,
)
from tests.factories import NOW_S, a_capture

FIRST = replace(a_capture(), recorded_end_at=NOW_S, duration_s=60.0)
SAME, UNTOLD, OTHER = Kinship.SAME, Kinship.UNTOLD, Kinship.OTHER


def after(name: str, *, gap_s: float, seconds: float = 60.0) -> Capture:
    """A recording that begins so long after the first one's end, by the station's clock."""
    ends_at = NOW_S + gap_s + seconds
    return replace(FIRST, id=2, file_name=name, recorded_end_at=ends_at, duration_s=seconds)


def compared(
    *,
    seconds: float = 60.0,
    continuous: bool | None = True,
    stamps_gap_s: float | None = None,
    shift_s: float | None = None,
) -> Compared:
    """What the pictures of the first one and of such a one say."""
    return Compared(
        first_begins_s=0.0,
        first_ends_s=60.0,
        second_begins_s=0.0,
        second_ends_s=seconds,
        stamps_gap_s=stamps_gap_s,
        spacing_s=1 / 30,
        shift_s=shift_s,
        is_continuous=continuous,
    )


def joins(
    first: str, second: str, *, gap_s: float = 0.0, seconds: float = 60.0, continuous: bool = True
) -> bool:
    """Ask of two recordings of these names, `gap_s` apart by the station's clock."""
    one, other = replace(FIRST, file_name=first), after(second, gap_s=gap_s, seconds=seconds)
    if kinship(one, other) is OTHER:
        return False
    told = compared(seconds=seconds, continuous=continuous)
    seam = seam_between(gap_between(one, other), told, is_next=counts_on(first, second))
    return isinstance(seam, Seam)


@pytest.mark.parametrize(
    ("first", "second", "kin"),
    [
        ("cam1-0.mkv", "cam1-1.mkv", SAME),
        ("cam1-0.mkv", "cam2-1.mkv", OTHER),
        ("cam1-0.mkv", "cam2-0.mkv", OTHER),
        ("cam1.mkv", "cam2.mkv", UNTOLD),
        ("cam_front_000.ts", "cam_side_001.ts", OTHER),
        ("front_20261128_101500.mp4", "front_20261128_101506.mp4", SAME),
        ("front_20261128_101500.mp4", "side_20261128_101506.mp4", OTHER),
        ("Station A 03.mp4", "Station B 04.mp4", OTHER),
        ("squat.mp4", "other.mp4", OTHER),
        ("clip_001.mp4", "clip_002.mp4", SAME),
        ("out000.mp4", "out001.mp4", SAME),
        ("seg-009.mp4", "seg-010.mp4", SAME),
        ("IMG_0012.MOV", "img_0013.mov", SAME),
        ("event.mp4", "event (1).mp4", UNTOLD),
        ("GH010042.MP4", "GH020042.MP4", SAME),
        ("GOPR0042.MP4", "GP010042.MP4", SAME),
        ("VID_20261128_101500.mp4", "VID_20261128_101600.mp4", SAME),
        ("PXL_20261128_101500123.mp4", "PXL_20261128_101510456.mp4", SAME),
        ("2026-11-28 10-15-00.mkv", "2026-11-28 10-15-00.mp4", SAME),  # a recorder's remux
        ("2026-11-28T10-15-00Z.mp4", "2026-11-28T10-16-00Z.mp4", SAME),
        ("front-1764324900.123456-abc1de.mp4", "front-1764324960.5-f00d12.mp4", SAME),  # Frigate
        ("front-1764324900.1-abc1de.mp4", "side-1764324960.5-f00d12.mp4", OTHER),
        ("2026-11-28/10/front/15.00.mp4", "2026-11-28/10/front/16.00.mp4", SAME),
        ("2026-11-28/10/front/59.50.mp4", "2026-11-28/11/front/00.00.mp4", SAME),
        ("2026-11-28/10/front/15.00.mp4", "2026-11-28/10/side/15.10.mp4", OTHER),
        ("camera_1/2026-11-28/10:15:00.mp4", "camera_1/2026-11-28/10:15:10.mp4", SAME),  # Viseron
        ("camera_1/2026-11-28/10:15:00.mp4", "camera_2/2026-11-28/10:15:10.mp4", OTHER),
        ("00:00:00/cam.mp4", "00:01:00/cam.mp4", SAME),
        ("01-20261128101500.mp4", "02-20261128101530.mp4", UNTOLD),  # motion counts events
        ("ch01_20261128101500.mp4", "ch02_20261128101530.mp4", OTHER),  # Hikvision
        ("RLC-410_00_20261128101500.mp4", "RLC-410_01_20261128101506.mp4", UNTOLD),  # Reolink
        ("D1_S20261128101500_E20261128101600.mp4", "D1_S20261128101600_E20261128101700.mp4", SAME),
        ("D1_S20261128101500_E20261128101600.mp4", "D2_S20261128101600_E20261128101700.mp4", OTHER),
        ("10.15.00-10.16.00[M][0@0][0].mp4", "10.16.00-10.17.00[M][0@0][0].mp4", SAME),  # Dahua
        ("NO20261128-101500-000123F.MP4", "NO20261128-101600-000124R.MP4", OTHER),  # rear
        (
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301.mp4",
            "7d6f7a3e-0000-4000-8000-0000000000a1.mp4",
            UNTOLD,
        ),
        ("1/001.mp4", "2/002.mp4", UNTOLD),
    ],
)
def test_a_name_without_date_time_and_counter_is_the_camera(
    first: str, second: str, kin: Kinship
) -> None:
    assert kinship_of_names(first, second) is kin
    assert kinship_of_names(second, first) is kin


def test_the_camera_that_a_recorder_names_decides() -> None:
    def of(name: str, camera: str) -> Capture:
        return replace(FIRST, file_name=name, evidence=replace(FIRST.evidence, camera=camera))

    assert kinship(of("clip_001.mp4", "front"), of("clip_002.mp4", "side")) is OTHER
    assert kinship(of("one.mp4", "front"), of("two.mp4", "front")) is SAME


def test_a_folder_is_a_camera_too() -> None:
    def of(folder: str) -> Capture:
        return replace(
            FIRST, file_name="clip_001.mp4", evidence=replace(FIRST.evidence, folder=folder)
        )

    assert kinship(of("front"), of("side")) is OTHER
    assert kinship(of("front/2026-11-28"), of("front/2026-11-29")) is SAME


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2026-03-01_18-00-00.mp4", "2026-03-01_18-01-00.mp4"),
        ("cam1 20260301T180000.mp4", "cam1 20260301T180100.mp4"),
        ("2026-03-01 23.59.30.mkv", "2026-03-02 00.00.30.mkv"),
    ],
)
def test_names_that_tell_the_time_decide_whatever_the_clock_says(first: str, second: str) -> None:
    assert joins(first, second, gap_s=20.0)  # a recorder that writes late


def test_names_that_tell_of_a_gap_are_two_recordings() -> None:
    assert not joins("2026-03-01_18-00-00.mp4", "2026-03-01_18-01-04.mp4")
    assert not joins("2026-03-01_18-00-00.mp4", "2026-03-01_17-59-00.mp4")


@pytest.mark.parametrize("gap_s", [1.3, -1.3, 4.0, -4.0, -30.0])
def test_a_counter_says_nothing_of_a_gap_so_the_clock_decides(gap_s: float) -> None:
    assert joins("clip_001.mp4", "clip_002.mp4", gap_s=0.4)
    assert not joins("clip_001.mp4", "clip_002.mp4", gap_s=gap_s)


@pytest.mark.parametrize("seconds", [0.8, 1.6, 4.0, 60.0])
def test_two_that_ended_at_one_moment_never_join(seconds: float) -> None:
    assert not joins("clip_001.mp4", "clip_002.mp4", gap_s=-seconds, seconds=seconds)


@pytest.mark.parametrize("gap_s", [1.2, 1.3, 1.7])
def test_a_gap_that_whole_seconds_hide_is_seen_by_the_clock(gap_s: float) -> None:
    named = f"front_20260301_1801{int(gap_s):02}.mp4"  # 60 s after 18:00:00, and the gap

    assert not joins("front_20260301_180000.mp4", named, gap_s=gap_s)


def test_another_view_never_joins_whatever_names_and_clocks_say() -> None:
    assert not joins("cam1.mkv", "cam2.mkv", continuous=False)
    assert not joins("2026-03-01_18-00-00.mp4", "2026-03-01_18-01-00.mp4", continuous=False)


@pytest.mark.parametrize(("stamps_gap_s", "gap_s"), [(0.0, 0.0), (0.02, 9.0), (0.0, -60.0)])
def test_time_stamps_that_run_on_join_exactly(stamps_gap_s: float, gap_s: float) -> None:
    gap = gap_between(FIRST, after("set-2.mp4", gap_s=gap_s))

    seam = seam_between(gap, compared(stamps_gap_s=stamps_gap_s), is_next=False)

    assert seam == Seam(shift_s=60.0, overlap_s=0.0)


def test_a_gap_in_time_stamps_that_run_on_stays_a_gap() -> None:
    gap = gap_between(FIRST, after("set-2.mp4", gap_s=1.3))

    seam = seam_between(gap, compared(stamps_gap_s=1.3, continuous=False), is_next=False)

    assert isinstance(seam, Seam) and seam.shift_s == pytest.approx(61.3)


def test_time_stamps_of_another_camera_that_run_on_do_not_join() -> None:
    seam = seam_between(None, compared(stamps_gap_s=0.0, continuous=False), is_next=True)

    assert isinstance(seam, str)


def test_shared_moments_tell_how_two_recordings_lie_whatever_the_clocks_say() -> None:
    gap = gap_between(FIRST, after("set-2.mp4", gap_s=-60.0))

    seam = seam_between(gap, compared(shift_s=56.0, continuous=None), is_next=True)

    assert seam == Seam(shift_s=56.0, overlap_s=4.0)


def test_where_no_clock_tells_only_the_next_of_one_camera_joins() -> None:
    unknown = replace(FIRST, recorded_end_at=None)

    assert gap_between(unknown, replace(FIRST, id=2)) is None
    assert gap_between(FIRST, replace(unknown, id=2)) is None
    assert gap_between(replace(FIRST, duration_s=None), replace(FIRST, id=2)) is None
    assert isinstance(seam_between(None, compared(), is_next=True), Seam)
    assert isinstance(seam_between(None, compared(), is_next=False), str)
    assert isinstance(seam_between(None, compared(continuous=False), is_next=True), str)


@pytest.mark.parametrize(
    ("first", "second", "is_next"),
    [
        ("GX010042.mp4", "GX020042.mp4", True),
        ("GX010042.mp4", "GX010043.mp4", False),
        ("GOPR0042.MP4", "GP010042.MP4", True),
        ("seg-009.mp4", "seg-010.mp4", True),
        ("seg-009.mp4", "seg-011.mp4", False),
        ("seg-010.mp4", "seg-009.mp4", False),
        ("cam1-009.mp4", "cam2-010.mp4", False),
    ],
)
def test_names_that_count_on(first: str, second: str, is_next: bool) -> None:
    assert counts_on(first, second) is is_next


def test_an_impossible_date_in_a_name_is_no_date() -> None:
    assert joins("20269999-999999.mp4", "20269999-999999.mp4", gap_s=0.5)


_NAMES = st.sampled_from(["clip_001.mp4", "clip_002.mp4", "front_20260301_180000.mp4", "a.mp4"])


@given(
    first=_NAMES,
    second=_NAMES,
    gap_s=st.floats(-200, 200),
    seconds=st.floats(0.2, 120),
    continuous=st.booleans(),
)
def test_what_joins_lies_together_by_some_clock_and_goes_on_in_the_picture(
    first: str, second: str, gap_s: float, seconds: float, continuous: bool
) -> None:
    one, other = replace(FIRST, file_name=first), after(second, gap_s=gap_s, seconds=seconds)
    gap = gap_between(one, other)

    if joins(first, second, gap_s=gap_s, seconds=seconds, continuous=continuous):
        assert continuous and gap is not None
        assert gap.least_s <= 0 <= gap.most_s
        assert kinship(one, other) is not OTHER


def test_what_the_recorder_says_of_its_files_goes_before_their_pictures() -> None:
    other = after("main-20261129-120100.mkv", gap_s=0.4)
    said = SidecarTime(
        start=Instant(utc_s=NOW_S), end=Instant(utc_s=NOW_S + 60), continues=FIRST.file_name
    )
    second = replace(other, evidence=replace(other.evidence, sidecar=said))
    assert SidecarTime.of_json(said.as_json()) == said

    assert is_told_to_follow(FIRST, second) and not is_told_to_follow(second, FIRST)
    gap = gap_between(FIRST, second)
    for told in (compared(continuous=False), compared(shift_s=56.0, continuous=None)):
        seam = seam_between(gap, told, is_next=False, is_told=True)
        assert isinstance(seam, Seam) and (seam.shift_s, seam.overlap_s) == (60.0, 0.0)

    much_later = replace(second, recorded_end_at=NOW_S + 3600)
    assert not is_told_to_follow(FIRST, much_later)  # the same name on another day
    elsewhere = replace(FIRST, evidence=replace(FIRST.evidence, folder="side"))
    assert not is_told_to_follow(elsewhere, second)
    assert not is_told_to_follow(replace(FIRST, file_name="other.mkv"), second)
