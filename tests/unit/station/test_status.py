"""The one large word says what matters most."""

from dataclasses import replace

import pytest

from agent.station.camera import Camera, CameraState
from agent.station.status import StationStatus, StatusInputs, station_status

QUIET = StatusInputs(
    is_stopped=False,
    is_filming=False,
    folder_is_missing=False,
    paused=(),
    captures_waiting=0,
    clips_waiting=0,
    held=0,
    refused=0,
    unreadable=0,
    lane_reason=None,
    sent=0,
    ever_sent=False,
)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, StationStatus.IDLE),
        ({"ever_sent": True}, StationStatus.SAFE),
        ({"clips_waiting": 2, "ever_sent": True}, StationStatus.SENDING),
        ({"clips_waiting": 2, "lane_reason": "network"}, StationStatus.OFFLINE),
        ({"lane_reason": "tls"}, StationStatus.OFFLINE),
        ({"lane_reason": "no_key"}, StationStatus.NEEDS),
        ({"held": 1, "lane_reason": "network"}, StationStatus.NEEDS),
        ({"refused": 1, "ever_sent": True}, StationStatus.NEEDS),
        ({"unreadable": 1}, StationStatus.NEEDS),
        ({"failing": 1, "clips_waiting": 1}, StationStatus.NEEDS),
        ({"captures_waiting": 1, "held": 3}, StationStatus.ANALYSING),
        ({"captures_waiting": 1, "paused": ("clipping",)}, StationStatus.NEEDS),
        ({"is_filming": True, "captures_waiting": 1, "held": 1}, StationStatus.FILMING),
        ({"folder_is_missing": True, "is_filming": True}, StationStatus.NEEDS),
        ({"is_stopped": True, "is_filming": True, "held": 1}, StationStatus.STOPPED),
    ],
)
def test_the_word_is(changes: dict[str, object], word: StationStatus) -> None:
    assert station_status(replace(QUIET, **changes)) is word  # type: ignore[arg-type]  # as above


def camera(state: CameraState) -> Camera:
    return Camera(state=state, last_at=1.0)


FAULTS: dict[str, dict[str, object]] = {
    "held": {"held": 1},
    "refused": {"refused": 1},
    "failing": {"failing": 1},
    "unreadable": {"unreadable": 1},
    "wrong session kept": {"undeleted": 1},
    "videos left alone": {"left_videos": 1},
    "folder missing": {"folder_is_missing": True},
    "disk full": {"paused": ("intake",)},
    "no analysis": {"paused": ("clipping",)},
    "stuck": {"stuck": ("delivery",)},
    "disk low": {"disk_is_low": True},
    "camera silent": {"camera": camera(CameraState.SILENT)},
    "camera unreadable": {"camera": camera(CameraState.UNREADABLE)},
    "camera dark": {"camera": camera(CameraState.DARK)},
    **{f"lane {reason}": {"lane_reason": reason} for reason in ("no_key", "key", "account")},
    **{f"lane {reason}": {"lane_reason": reason} for reason in ("network", "tls", "not_the_api")},
}
HEALTHY = ("recording", "quiet", "closed", "stopped")
CALM = {StationStatus.SAFE, StationStatus.IDLE}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"ever_sent": True, "sent": 5},
        {"ever_sent": True, "clips_waiting": 2},
        {"ever_sent": True, "captures_waiting": 1},
        {"ever_sent": True, "is_filming": True},
        {"is_stopped": True, "ever_sent": True},
        *({"ever_sent": True, "camera": camera(CameraState(state))} for state in HEALTHY),
    ],
)
def test_no_word_is_green_beside_a_fault(beside: dict[str, object], fault: str) -> None:
    facts = replace(QUIET, **{**beside, **FAULTS[fault]})  # type: ignore[arg-type]  # as above
    assert station_status(facts) not in CALM


@pytest.mark.parametrize("state", HEALTHY)
def test_a_camera_that_is_well_does_not_change_the_word(state: str) -> None:
    facts = replace(QUIET, ever_sent=True, camera=camera(CameraState(state)))
    assert station_status(facts) is StationStatus.SAFE


def test_a_silent_camera_comes_before_what_is_under_way() -> None:
    facts = replace(QUIET, captures_waiting=3, camera=camera(CameraState.SILENT))
    assert station_status(facts) is StationStatus.NEEDS
