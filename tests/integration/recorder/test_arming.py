"""The real daemon arms a real recorder, and says what its camera does."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from tests.recorder import RecorderUnderTest, make_video, shown_s
from tests.station import Station, give, until


def test_a_file_with_a_sidecar_is_ingested_at_once_at_the_time_that_it_says(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A file of another program waits until it has been quiet for long."""
    waits: dict[str, object] = {"settle_s": 600.0, "settle_unseen_s": 600.0, "rescan_s": 1.0}
    station = Station(tmp_path / "slow", sandbox.base_url, settings={"capture": waits})
    video = make_video(tmp_path / "short.mp4", seconds=1.6, b_frames=2)
    recorder = RecorderUnderTest(station.root, str(video))
    with station.running():
        shutil.copy(video, station.capture / "other.mp4")
        with recorder.running():
            until(lambda: [row["capture"] for row in station.rows()])
    with Outbox.open(station.state) as outbox:
        capture = outbox.captures.by_id(1)
    assert capture is not None and capture.file_name.startswith("main-2")
    sidecar = capture.evidence.sidecar
    assert sidecar is not None and capture.evidence.camera == "main"
    assert sidecar.start.elapsed_s(sidecar.end) == pytest.approx(1.6, abs=0.1)
    assert (station.capture / "other.mp4").exists()


@pytest.fixture
def recorder(station: Station, tmp_path: Path) -> Iterator[RecorderUnderTest]:
    """A recorder of the station's, on twenty seconds of video over and over."""
    video = make_video(tmp_path / "long.mp4", seconds=20)
    one = RecorderUnderTest(station.root, str(video), arm="assigned")
    one.connect_to(station.state / "recorder.sock")
    yield one


def seen(station: Station) -> dict[str, object]:
    """Return what the daemon knows of the only recorder."""
    asked = give(["camera", "--json", "--config", str(station.config)])
    (told,) = json.loads(asked.stdout) or [{}]
    assert isinstance(told, dict)
    return told


def test_an_athlete_arms_it_and_stop_filming_disarms_it_at_once(
    station: Station, recorder: RecorderUnderTest
) -> None:
    hidden = recorder.capture / ".recorder-main"
    station.spotter("assign", "--nobody")
    with station.running(), recorder.running():
        until(lambda: seen(station).get("state") == "watching")
        until(lambda: float(str(seen(station)["ring_s"])) > 0)
        assert not list(hidden.iterdir())
        picture = station.root / "seen.jpg"
        station.spotter("camera", "snapshot", str(picture))
        assert shown_s(picture) == [0.0] and picture.stat().st_size > 200
        remarks = json.loads(
            give(["camera", "check", "--json", "--config", str(station.config)]).stdout
        )
        assert remarks["remarks"][0]["code"] in {"nobody", "too_dark"}
        station.spotter("camera", "check", str(picture), code=1)
        assert "no recorder films" in station.spotter(
            "camera", "snapshot", str(picture), "--camera", "other", code=75
        )

        station.spotter("assign", "someUserId123")
        until(lambda: list(hidden.iterdir()))
        until(lambda: seen(station)["state"] == "recording")
        assert seen(station)["armed_by"] == "assigned"
        assert json.loads(station.spotter("status", "--json"))["camera"]["state"] == "recording"

        station.spotter("filming", "stop")
        stopped_s = time.monotonic()
        until(lambda: not list(hidden.iterdir()))
        assert time.monotonic() - stopped_s < 5  # not at the end of the segment
        until(lambda: "ended_by=disarmed" in recorder.said())
        until(lambda: seen(station)["state"] == "watching")


def test_a_recorder_that_is_killed_is_missed_within_five_seconds_and_one_that_ends_is_not(
    station: Station, recorder: RecorderUnderTest
) -> None:
    station.spotter("assign", "--nobody")
    with station.running(), recorder.running() as process:
        until(lambda: seen(station).get("state") == "watching")
        process.kill()
        killed_s = time.monotonic()
        until(lambda: seen(station).get("fault"))
        assert time.monotonic() - killed_s < 5
        told = give(["camera", "--config", str(station.config)])
        assert "its recorder main is not running" in told.stdout and told.returncode == 1
        status = json.loads(station.spotter("status", "--json"))
        assert status["camera"]["state"] == "lost"
        assert [need["what"] for need in status["needs_you"]].count("camera") == 1
    with station.running():  # as after an update: the recorder is expected, and is not there
        until(lambda: seen(station).get("fault"))
        with recorder.running():
            until(lambda: seen(station)["fault"] is None)
        until(lambda: json.loads(station.spotter("camera", "--json")) == [])
