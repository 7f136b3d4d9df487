"""The daemon's end of the recorders' socket, against a recorder that acts between its steps."""

import asyncio
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from agent.camera_link import (
    CameraChoice,
    LineReader,
    PictureKind,
    RecorderReport,
    RecorderState,
    StillPicture,
    as_line,
)
from agent.clock import Instant, read_clock
from agent.disk.state_folder import StateFolder
from agent.errors import BusyError
from agent.outbox.outbox import Outbox
from agent.station import recorders as station_recorders
from agent.station.page_settings import camera_choice, save_camera_choice
from agent.station.recorders import (
    RecorderBoard,
    RecorderMemory,
    RecorderStage,
    ask_for_still,
)
from agent.wakeup import short_path
from agent.web.views.camera import LivePictures

REPORT = RecorderReport(camera="main", state=RecorderState.WATCHING, since_s=0.0)


def test_two_recorders_of_one_name_are_told_until_one_ends(outbox: Outbox, tmp_path: Path) -> None:
    board = RecorderBoard(RecorderMemory(StateFolder(tmp_path)), now_s=0.0)
    stage = RecorderStage(outbox, board, tmp_path / "recorder.sock", now=read_clock)
    stage.step()
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        for recorder in (first, second):
            with short_path(tmp_path / "recorder.sock") as short:
                recorder.connect(short)

        def fault_after(*recorders: socket.socket) -> str | None:
            for recorder in recorders:
                recorder.sendall(as_line({"report": REPORT.message()}))
            stage.step()
            (sight,) = board.sights()
            return sight.fault

        assert fault_after(first) is None
        for recorders in ((second,), (first,), (second, first)):
            assert "two recorders are named main" in str(fault_after(*recorders))
        second.close()
        stage.step()  # hears of it
        assert fault_after(first) is None
    stage.close()


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


@contextmanager
def serving(outbox: Outbox, folder: Path) -> Iterator[tuple[Path, socket.socket]]:
    """Serve the socket in a thread, and return a recorder's end of it."""
    path, over = folder / "recorder.sock", threading.Event()
    board = RecorderBoard(RecorderMemory(StateFolder(folder)), now_s=0.0)
    stage = RecorderStage(outbox, board, path, now=read_clock)

    def serve() -> None:
        while not over.is_set():
            over.wait(min(stage.step(), 0.05))
        stage.close()

    stage.step()  # it listens
    with ThreadPoolExecutor(1) as pool, socket.socket(socket.AF_UNIX) as recorder:
        served = pool.submit(serve)
        try:
            with short_path(path) as short:
                recorder.connect(short)
            recorder.sendall(as_line({"report": REPORT.message()}))
            yield path, recorder
        finally:
            over.set()
            served.result()


def next_still(recorder: socket.socket, lines: LineReader) -> int:
    """Wait until a recorder is asked for a picture; return the number of the question."""
    while received := recorder.recv(65536):
        for message in lines.take(received):
            if "still" in message:
                return int(message["still"])
    raise EOFError


def test_all_who_look_at_once_share_one_picture(outbox: Outbox, tmp_path: Path) -> None:
    asked: list[int] = []

    def answer(recorder: socket.socket) -> None:
        lines = LineReader()
        asked.append(next_still(recorder, lines))
        told = StillPicture(jpeg=b"a picture", age_s=0.1).message()
        recorder.sendall(as_line({"still": {"id": asked[-1], **told}}))

    async def look(path: Path) -> list[StillPicture]:
        pictures = LivePictures(path)
        return await asyncio.gather(*(pictures.of("main", PictureKind.LIVE) for _ in range(5)))

    with serving(outbox, tmp_path) as (path, recorder), ThreadPoolExecutor(1) as pool:
        answered = pool.submit(answer, recorder)
        seen = asyncio.run(look(path))
        answered.result()

    assert [one.jpeg for one in seen] == [b"a picture"] * 5
    assert len(asked) == 1


def test_who_waits_for_a_picture_hears_at_once_that_the_recorder_has_gone(
    outbox: Outbox, tmp_path: Path
) -> None:
    with serving(outbox, tmp_path) as (path, recorder), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask_for_still, path, "main", kind=PictureKind.LIVE, within_s=60.0)
        next_still(recorder, LineReader())
        recorder.shutdown(socket.SHUT_RDWR)
        with pytest.raises(BusyError, match="the recorder main has gone"):
            waiting.result()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be another user")
def test_the_camera_is_told_to_no_other_user_without_the_token(outbox: Outbox) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = StateFolder(Path(name))
        folder.root.chmod(0o711)
        choice = CameraChoice(id="a", source="rtsp://kim:s3cret@192.168.1.20/stream")
        save_camera_choice(folder, choice)
        stage = RecorderStage(
            outbox,
            RecorderBoard(RecorderMemory(folder), now_s=0.0),
            folder.recorder_socket,
            now=read_clock,
            choice=partial(camera_choice, folder),
            token=lambda: "of-the-box",
        )
        stage.step()
        folder.recorder_socket.chmod(0o666)

        def told(uid: int, token: str | None) -> bool:
            """Connect as a user, report as a recorder without a camera, and look for one."""
            with socket.socket(socket.AF_UNIX) as recorder:
                os.seteuid(uid)
                try:
                    recorder.connect(str(folder.recorder_socket))
                finally:
                    os.seteuid(0)
                if token is not None:
                    recorder.sendall(as_line({"token": token}))
                recorder.sendall(as_line({"report": replace(REPORT, choice="").message()}))
                stage.step()
                heard = recorder.recv(65536)
                assert b'"order"' in heard
                return b"s3cret" in heard

        try:
            assert [told(0, None), told(65534, "of-the-box")] == [True, True]
            assert [told(65534, None), told(65534, "a guess")] == [False, False]
        finally:
            stage.close()


def test_what_is_no_camera_is_no_choice() -> None:
    for source in (
        "/etc/shadow",
        "file:///etc/shadow",
        "/dev/../etc/shadow",
        "station:",
        "rtsp://",
    ):
        assert CameraChoice.of_message({"id": "a", "source": source, "transport": "tcp"}) is None
    for source in ("/dev/video0", "test:", "rtsp://kim:x@10.0.0.9/1"):
        choice = CameraChoice(id="a", source=source)
        assert CameraChoice.of_message(choice.message()) == choice
        assert source not in repr(choice)
