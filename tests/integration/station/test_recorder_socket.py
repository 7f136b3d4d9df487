"""The daemon's end of the recorders' socket, against a recorder that acts between its steps."""

import socket
from pathlib import Path

from agent.camera_link import RecorderReport, RecorderState, as_line
from agent.clock import Instant, read_clock
from agent.outbox.outbox import Outbox
from agent.station.recorders import RecorderBoard, RecorderStage
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

    board = RecorderBoard()
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
