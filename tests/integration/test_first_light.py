"""A video in the capture folder becomes a session at the API, end to end."""

import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from agent.sandbox.server import Sandbox
from tests.station import (
    ATHLETE,
    KEY,
    Daemon,
    Station,
    child_of,
    delivered,
    run_spotter,
    until,
    until_filmed,
)
from tests.videos import film_nobody, film_run

_RUN_S = 1.6  # length of the filmed runs


@dataclass(frozen=True, slots=True)
class Working:
    """A station whose daemon runs and has delivered one clip: to be looked at, not changed."""

    station: Station
    sandbox: Sandbox
    daemon: Daemon


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Working]:
    """What lay in the folder before the start was taken in, too."""
    with Sandbox(key=KEY, processing_s=0.0) as api:
        as_shipped: dict[str, object] = {"others_in_picture": "warn"}
        settings = {"quality": as_shipped}
        station = Station(tmp_path_factory.mktemp("working"), api.base_url, settings)
        film_run(station.capture / "before.mkv")
        with station.running() as daemon:
            assert delivered(api, 1)
            until(lambda: station.states() == ["uploaded"])
            yield Working(station, api, daemon)


def test_what_lay_there_before_the_start_was_delivered(working: Working) -> None:
    (row,) = working.station.entries()
    assert row["capture"] == "before.mkv"
    assert [session.video_sha256 for session in working.sandbox.book.sessions] == [
        row["clip_sha256"]
    ]


def test_the_daemons_own_process_holds_no_decoder_and_no_model(working: Working) -> None:
    libraries = Path(f"/proc/{working.daemon.pid}/maps").read_text()

    assert "_sqlite3" in libraries  # the list says something
    assert not [name for name in ("libav", "cv2", "mediapipe") if name in libraries]


def test_a_second_daemon_on_the_same_folder_leaves_the_first_alone(working: Working) -> None:
    second = run_spotter(["run", "--config", str(working.station.config)])

    assert second.returncode == 75
    assert "another spotter" in second.stderr
    assert "Traceback" not in second.stderr
    assert working.daemon.poll() is None
    assert json.loads(working.station.spotter("status", "--json"))["running"] is True


def test_status_and_list_speak_json(working: Working) -> None:
    station, sandbox = working.station, working.sandbox

    status = json.loads(station.spotter("status", "--json"))

    assert status["running"] is True
    assert status["assignment"]["user_id"] == ATHLETE
    assert status["entries"] == {"uploaded": 1}
    (capture, _) = json.loads(station.spotter("outbox", "list", "--all", "--json"))
    assert (capture["kind"], capture["attempts"], capture["clip_code"]) == ("capture", None, None)
    (row,) = json.loads(station.spotter("outbox", "list", "--json"))
    assert set(row) >= {
        *("id", "kind", "state", "reason", "capture", "clip_code", "clip_sha256", "user_id"),
        *("activity", "exercise", "attempts", "next_attempt_at", "session_id", "title"),
        *("created_at", "clip_seconds", "clip_bytes", "capture_seconds", "capture_bytes"),
    }
    assert row["state"] == "uploaded" and row["attempts"] == 1
    assert row["session_id"] == sandbox.book.sessions[0].session_id
    shown = json.loads(station.spotter("outbox", "show", str(row["clip_code"]), "--json"))
    assert [attempt["outcome"] for attempt in shown["tries"]] == ["uploaded"]
    told = station.spotter("outbox", "show", "e1")
    assert str(row["session_id"]) in told and "outcome=uploaded" in told
    assert "e1" in station.spotter("outbox", "show", "c1")
    listed = station.spotter("outbox", "list", "--all").splitlines()
    assert [line.split()[0] for line in listed] == ["ID", "c1", "e1"]


def test_a_real_run_is_delivered_once_however_often_it_is_copied(
    station: Station, sandbox: Sandbox, real_video: Path
) -> None:
    with station.running():
        shutil.copy(real_video, station.capture / "set-1.mp4")
        assert delivered(sandbox, 1)
        shutil.copy(real_video, station.capture / "the same again.mp4")
        until(lambda: not list(station.capture.iterdir()))

    (session,) = sandbox.book.sessions
    (entry,) = station.entries()
    assert (session.endpoint, session.activity) == ("management", "running")
    assert session.fields == {"user_id": ATHLETE, "session_name": session.title}
    assert session.title.startswith(f"[{entry['clip_code']}] running ")
    assert session.video_name == f"{entry['clip_code']}.mp4"
    assert session.video_sha256 == entry["clip_sha256"]
    assert session.video_path is not None
    with av.open(str(session.video_path)) as clip:
        assert sum(1 for _ in clip.decode(video=0)) == 360
        assert not clip.streams.audio
    kept = list((station.state / "captures").glob("*.mp4"))
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in kept] == [
        hashlib.sha256(real_video.read_bytes()).hexdigest()
    ]


def test_the_athlete_is_who_the_coach_said_and_nobody_is_guessed(
    station: Station, sandbox: Sandbox
) -> None:
    station.spotter("assign", "athlete-0002")

    with station.running():
        until_filmed(_RUN_S, since_s=time.time())  # after the coach's word
        film_run(station.capture / "one.mp4", seed=1)
        assert delivered(sandbox, 1)
        station.spotter("assign", "--nobody")
        until_filmed(_RUN_S, since_s=time.time())
        film_run(station.capture / "two.mp4", seed=2)
        until(lambda: "held" in station.states())
        (held,) = (row for row in station.entries() if row["state"] == "held")
        assert held["reason"] == "unassigned"
        station.spotter("outbox", "release", str(held["id"]), "--user-id", "athlete-0003")
        assert delivered(sandbox, 2)

    assert [session.user_id for session in sandbox.book.sessions] == [
        "athlete-0002",
        "athlete-0003",
    ]


def test_an_empty_place_makes_no_clip_and_junk_is_set_aside(
    station: Station, sandbox: Sandbox
) -> None:
    film_nobody(station.capture / "empty.mp4")
    (station.capture / 'notes\nof a "coach".mp4').write_text("not a video")
    cut_off = film_run(station.capture / "cut-off.mp4", seed=3)
    os.truncate(cut_off, cut_off.stat().st_size // 2)
    (station.capture / "recording.part").write_bytes(b"x")
    (station.capture / "link.mp4").symlink_to("/etc/passwd")
    os.mkfifo(station.capture / "pipe.mp4")

    with station.running():
        film_run(station.capture / "good.mp4", seed=4)
        assert delivered(sandbox, 1)
        until(lambda: len([r for r in station.rows() if r["kind"] == "capture"]) == 4)

    found = {row["capture"]: (row["state"], row["reason"]) for row in station.rows()}
    assert found["empty.mp4"] == ("skipped", None)
    assert found['notes\\nof a "coach".mp4'] == ("quarantined", "unreadable")
    assert found["cut-off.mp4"] == ("quarantined", "incomplete")
    assert sorted(path.name for path in station.capture.iterdir()) == [
        "link.mp4",
        "pipe.mp4",
        "recording.part",
    ]


def test_a_file_still_open_is_not_taken_in(station: Station, sandbox: Sandbox) -> None:
    whole = film_run(station.root / "whole.mp4").read_bytes()

    with station.running():
        with (station.capture / "growing.mp4").open("wb") as growing:
            growing.write(whole[:-1000])
            growing.flush()
            closed = film_run(station.capture / "closed.mp4", seed=2).name
            until(lambda: closed in {row["capture"] for row in station.rows()})
            # That came later, and has been quiet for as long as it must be.
            assert "growing.mp4" not in {row["capture"] for row in station.rows()}
            growing.write(whole[-1000:])
        assert delivered(sandbox, 2)


def test_it_ends_within_ten_seconds_in_the_middle_of_an_upload(
    station: Station, sandbox: Sandbox
) -> None:
    sandbox.add_fault("silent")
    station.put_clip()
    daemon = station.start()
    until(lambda: "uploading" in station.states())

    began_s = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(12) == 0
    assert time.monotonic() - began_s < 10

    with station.running():
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])
    assert len(sandbox.book.sessions) == 1


def test_it_ends_within_ten_seconds_in_the_middle_of_an_analysis(station: Station) -> None:
    film_run(station.capture / "long.mp4", seconds=8)
    daemon = station.start()
    until(lambda: child_of(daemon.pid) is not None)
    child = child_of(daemon.pid)
    assert child is not None
    os.kill(child, signal.SIGSTOP)  # in its middle, however quick this machine is

    began_s = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(12) == 0

    assert time.monotonic() - began_s < 10
    assert [row["state"] for row in station.rows()] == ["captured"]


def test_a_capture_that_grows_after_it_was_taken_in_is_taken_in_anew(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    station = Station(tmp_path, sandbox.base_url, {"delivery": {"send_delay_s": 4}})
    with station.running():
        film_run(station.capture / "one.mkv")
        until(lambda: station.states() == ["ready"])
        (taken_in,) = (station.state / "captures").glob("*.mkv")
        with taken_in.open("ab") as again:
            again.write(b"\0" * 100)
        assert delivered(sandbox, 1)

    states = sorted(str(row["state"]) for row in station.entries())
    assert states == ["discarded", "uploaded"]
    assert len(sandbox.book.sessions) == 1


def test_the_api_key_is_nowhere_in_logs_or_process_lists(
    station: Station, sandbox: Sandbox
) -> None:
    secret = "k-3f9a-very-secret"
    station.key_file.write_text(secret)
    sandbox.replace_key("another-key")

    station.put_clip()
    with station.running():
        until(lambda: "uploads paused" in station.log.read_text())
        processes = [
            path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)
        ]
        shown = (
            station.spotter("status")
            + station.spotter("config")
            + station.spotter("status", "--json")
        )

    assert secret not in station.log.read_text() + shown
    assert not [line for line in processes if secret.encode() in line]


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("words", [["outbox", "show", "e99"], ["outbox", "retry", "nonsense"]])
def test_what_is_not_there_is_one_clear_line(station: Station, words: list[str]) -> None:
    error = station.spotter(*words, code=1)

    assert error.startswith("spotter: no ") and "Traceback" not in error
