"""The daemon's end of the recorders' socket, against a recorder that acts between its steps."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from agent.camera_link import RecorderReport, RecorderState, as_line
from agent.clock import Instant, read_clock
from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.station import recorders as station_recorders
from agent.station.recorders import RecorderBoard, RecorderMemory, RecorderStage
from agent.wakeup import short_path

REPORT = RecorderReport(camera="main", state=RecorderState.WATCHING, since_s=0.0)


def test_a_recorder_that_ends_while_its_order_is_on_the_way_is_not_missed(
    outbox: Outbox, tmp_path: Path
) -> None:
    path = tmp_path / "recorder.sock"
    ends: list[socket.socket] = []

    def now() -> Instant:
        """Read the clock, which the stage does after hearing and before it sends."""
        for recorder in ends:
            recorder.sendall(as_line({"bye": True}))
            recorder.close()
        return read_clock()

    board = RecorderBoard(RecorderMemory(StateFolder(tmp_path)), now_s=0.0)
    stage = RecorderStage(outbox, board, path, now=now)
    stage.step()
    recorder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(path) as short:
        recorder.connect(short)
    recorder.sendall(as_line({"report": REPORT.message()}))
    stage.step()
    assert [sight.report.camera for sight in board.sights()] == ["main"]
    ends.append(recorder)
    stage.step()
    assert board.sights() == ()
    stage.close()


def test_a_recorder_is_expected_after_a_restart_until_it_says_good_bye(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.prepare()
    board = RecorderBoard(RecorderMemory(folder), now_s=0.0)
    for name in ("main", "side", "../../x"):
        board.hear(replace(REPORT, camera=name))
    board.forget("side")

    (sight,) = RecorderBoard(RecorderMemory(folder), now_s=0.0).sights()
    assert sight.fault is None  # it has a moment to report
    assert replace(sight, silent_s=4.0).fault == "its recorder main is not running"

    folder.recorders.write_text('["torn"')
    assert RecorderMemory(folder).expected() == []


def test_under_systemd_those_are_expected_that_are_enabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a box that shuts down each says good-bye; one that is disabled is not wanted any more."""
    monkeypatch.setattr(StateFolder, "is_system", True)
    monkeypatch.setattr(station_recorders, "_ENABLED", tmp_path)
    folder = StateFolder(tmp_path)
    folder.prepare()
    enabled = tmp_path / "spotter-recorder@main.service"
    enabled.symlink_to("elsewhere")
    board = RecorderBoard(RecorderMemory(folder), now_s=0.0)
    for name in ("main", "side"):
        board.hear(replace(REPORT, camera=name))
    board.forget("main")
    assert [sight.report.camera for sight in board.sights()] == ["side"]
    assert RecorderMemory(folder).expected() == ["main"]
    enabled.unlink()
    assert RecorderMemory(folder).expected() == []
