"""The date and time in a file's name."""

from datetime import UTC, datetime

import pytest

from agent.station.recording_time import is_later_chapter, named_time, was_passed_on
from tests.conftest import InZone

HERE_S = datetime(2026, 11, 28, 14, 2, 33).timestamp()  # noqa: DTZ001  # the box's zone
UTC_S = datetime(2026, 11, 28, 14, 2, 33, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "name",
    [
        "20261128-140233.mkv",
        "2026-11-28_14-02-33.mp4",
        "2026-11-28 14.02.33.mkv",
        "VID_20261128_140233.mp4",
        "20261128140233.mp4",
        "2026_1128_140233_0001.MP4",
        "DJI_20261128140233_0001_D.MP4",
        "cam1-20261128T140233.mkv",
        "cam_2026-11-28-14h02m33s.mkv",
        "RLC-410_00_20261128140233.mp4",
        "ch01_20261128140233_20261128140333.mp4",
        "Screen Recording 2026-11-28 at 2.02.33 PM.mov",
        "28-11-2026 14-02-33.mp4",
        "11-28-2026_14.02.33.mp4",
    ],
)
def test_the_first_moment_is_read_from_a_name(name: str) -> None:
    found = named_time(name)

    assert found is not None
    assert found.readings[0] == HERE_S


@pytest.mark.parametrize(
    "name", ["PXL_20261128_140233123.mp4", "2026-11-28T14:02:33Z.mkv", f"{int(UTC_S)}-ab.mp4"]
)
def test_some_names_tell_utc(name: str) -> None:
    found = named_time(name)

    assert found is not None
    assert found.readings[0] == UTC_S


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("2026Y11M28D14H", "02M33S60.mp4"),
        ("2026-11-28/001/dav/14", "14.02.33-14.03.33[M][0@0][0].mp4"),
        ("2026/11/28", "14-02-33_x.mp4"),
    ],
)
def test_some_cameras_write_the_date_into_the_folder(folder: str, name: str) -> None:
    found = named_time(name, folder=folder)

    assert found is not None
    assert found.readings[0] == HERE_S


def test_a_minute_is_less_exact_than_a_second() -> None:
    found = named_time("2026-11-28 14-02.mp4")

    assert found is not None
    assert (found.readings[0], found.precision_s) == (HERE_S - 33, 60.0)


@pytest.mark.parametrize(
    "name",
    [
        *("clip_001.mp4", "GX010012.MP4", "IMG_1234.MOV", "set-1.mp4", "recording_12345678.mp4"),
        *("20261128_0001.mp4", "2026-13-45_14-02-33.mp4", "VID-20261128-WA0003.mp4", "1.mp4"),
        *("WhatsApp Video 2026-11-28 at 14.02.33.mp4", "20261128.mp4", ""),
    ],
)
def test_a_counter_or_a_messenger_tells_no_time(name: str) -> None:
    assert named_time(name) is None


def test_what_was_passed_on_and_what_goes_on_are_known_by_name() -> None:
    assert was_passed_on("VID-20261128-WA0003.mp4")
    assert not was_passed_on("VID_20261128_140233.mp4")
    assert is_later_chapter("GX020012.MP4")
    assert not is_later_chapter("GX010012.MP4")


def test_seconds_since_the_epoch_keep_their_fraction() -> None:
    found = named_time(f"front-{int(UTC_S)}.25-ab.mp4")

    assert found is not None and found.readings == (UTC_S + 0.25,)


@pytest.mark.parametrize("folder", ["2026-11-28/14", "2026-11-28/14/front"])
def test_minute_and_second_alone_belong_to_the_folder_of_the_hour(folder: str) -> None:
    found = named_time("02.33.mp4", folder=folder)

    assert found is not None
    assert (found.readings[0], found.precision_s) == (HERE_S, 1.0)


@pytest.mark.parametrize(
    ("name", "equals"),
    [("20261025_023000.mp4", 2), ("20261025_013000.mp4", 1), ("20261025_033000.mp4", 1)],
)
def test_the_hour_that_comes_twice_names_two_moments(
    in_zone: InZone, name: str, equals: int
) -> None:
    in_zone("Europe/Berlin")

    found = named_time(name)

    assert found is not None and found.equals == equals
    local = [datetime.fromtimestamp(at) for at in found.readings[:equals]]  # noqa: DTZ006  # local
    assert {f"{at:%Y%m%d_%H%M%S}.mp4" for at in local} == {name}
    assert found.readings[equals - 1] - found.readings[0] == 3600 * (equals - 1)
