"""Armed, disarmed and killed at random moments: every picture on the disk was to be filmed.

Each picture that was stored says itself when it was filmed: those of a web server show the time
since boot in black and white squares, those of an RTSP server carry it beside the picture.
"""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from agent.camera_link import FilmingOrder, OrderReason, as_line
from agent.clock import Instant, read_clock
from tests.faulty_camera import faulty_camera, make_footage, sent_of
from tests.recorder import RecorderUnderTest, Scheduling
from tests.station import PATIENCE_S, until

_SQUARE, _COLUMNS, _ROWS = 16, 8, 4  # 32 bits of milliseconds
_PRE_ROLL_S = 1.0
_LATE_S = 0.4  # an order takes so long; and pictures are rounded


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _picture(at_s: float) -> bytes:
    bits = [(round(at_s * 1000) >> bit) & 1 for bit in range(_ROWS * _COLUMNS)]
    grid = np.array(bits, np.uint8).reshape(_ROWS, _COLUMNS) * 255
    return cv2.imencode(".jpg", np.kron(grid, np.ones((_SQUARE, _SQUARE), np.uint8)))[1].tobytes()


def _times_s(path: Path) -> list[float]:
    """Return when each picture of a file was filmed, by what it shows."""
    times = []
    with av.open(str(path)) as video:
        for frame in video.decode(video=0):
            grey = frame.to_ndarray(format="gray8")
            half = _SQUARE // 2
            bits = (grey[half::_SQUARE, half::_SQUARE] > 127).ravel().tolist()
            times.append(sum(1 << bit for bit, is_set in enumerate(bits) if is_set) / 1000)
    return times


class _Clock(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        with suppress(OSError):
            while True:
                picture = _picture(_boot_s())
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}"
                self.wfile.write(f"{head}\r\n\r\n".encode() + picture + b"\r\n")
                time.sleep(0.04)

    def log_message(self, format: str, *args: object) -> None:  # http.server's name
        """Say nothing."""


@contextmanager
def _web_camera(_folder: Path) -> Iterator[str]:
    """Serve a picture of the clock 25 times a second."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Clock) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/clock"
        finally:
            server.shutdown()


@contextmanager
def _rtsp_camera(folder: Path) -> Iterator[str]:
    """Serve a stream whose packets the recorder lets gather before it reads them."""
    with faulty_camera(make_footage(folder / "footage", size=64)) as camera:
        yield camera.address


@dataclass(frozen=True, slots=True)
class _Camera:
    """One kind of camera."""

    serve: Callable[[Path], AbstractContextManager[str]]  # into a folder of its own: its address
    times_s: Callable[[Path], list[float]]  # when each picture of a file was filmed


_WEB = _Camera(_web_camera, _times_s)
_RTSP = _Camera(_rtsp_camera, lambda path: [sent.boot_s for sent in sent_of(path)])


class _Station:
    """A daemon's end of the socket, which says what it is told to."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(60)
        self._link: socket.socket | None = None
        self.is_connected = False
        self.windows: list[list[float]] = []  # in which something may be filmed

    def connect(self) -> None:
        self.hang_up()
        self._link, _ = self._listener.accept()
        self.is_connected = True
        # A recorder hangs up on a daemon that takes none of its reports for 40 s.
        threading.Thread(target=_take_reports, args=(self._link.dup(),), daemon=True).start()

    def arm(self) -> None:
        self.windows.append([_boot_s(), float("inf")])
        self._say(OrderReason.ASSIGNED, read_clock().shifted(600))

    def disarm(self, reason: OrderReason) -> None:
        self._say(reason, None)
        self.windows[-1][1] = _boot_s()

    def killed(self) -> None:
        self.windows[-1][1] = _boot_s()
        self.is_connected = False

    def hang_up(self) -> None:
        if self._link is not None:
            with suppress(OSError):  # the recorder was killed
                self._link.shutdown(socket.SHUT_RDWR)  # closes the reader's end, too
            self._link.close()

    def close(self) -> None:
        self._listener.close()
        self.hang_up()

    def _say(self, reason: OrderReason, until_s: Instant | None) -> None:
        assert self._link is not None
        order = FilmingOrder(reason=reason, said=read_clock(), until=until_s)
        self._link.sendall(as_line({"order": order.message()}))

    def outside(self, times_s: list[float], late_s: float) -> list[float]:
        """Return the moments at which nothing was to be filmed, when orders come `late_s` late."""
        return [
            at_s
            for at_s in times_s
            if not any(
                begin - _PRE_ROLL_S - late_s <= at_s <= end + late_s for begin, end in self.windows
            )
        ]


def _take_reports(link: socket.socket) -> None:
    with link, suppress(OSError):
        while link.recv(1 << 16):
            pass


def play(root: Path, camera: _Camera, cycles: int, *, kill_every: int, seed: int = 7) -> None:
    """Arm and disarm at random moments, with kills, and look at every picture on the disk."""
    chance = random.Random(seed)
    with camera.serve(root) as address, Scheduling() as scheduling:
        recorder = RecorderUnderTest(root, address, arm="assigned")
        text = recorder.config.read_text()
        recorder.config.write_text(text.replace("pre_roll_s = 1", f"pre_roll_s = {_PRE_ROLL_S}"))
        station = _Station(recorder.socket)
        process, starts = recorder.start(), 0
        try:
            for cycle in range(1, cycles + 1):
                if process.poll() is not None:
                    process = recorder.start()
                if not station.is_connected:
                    starts += 1
                    station.connect()
                    until(lambda: recorder.said().count("camera connected") == starts)  # noqa: B023
                # What a busy machine is allowed at both ends must not fill the pause.
                time.sleep(chance.uniform(0.2, 3.5) + 6 * scheduling.latest_s)
                station.arm()
                time.sleep(chance.uniform(0.3, 1.5))
                if cycle % kill_every == 0:
                    process.kill()
                    process.wait(60)
                    station.killed()
                else:
                    station.disarm(chance.choice((OrderReason.UNASSIGNED, OrderReason.STOPPED)))
            if process.poll() is None:
                process.terminate()
                assert process.wait(PATIENCE_S) == 0
            with recorder.running():  # places what the last kill left
                until(lambda: recorder.said().count("camera connected") == starts + 1)
        finally:
            process.kill()
            process.wait(60)
            station.close()
        stored = {
            path.name: camera.times_s(path) for path in recorder.files() if path.stat().st_size
        }
    # A picture passes the camera's thread and the recorder's, an order the recorder's too.
    late_s = _LATE_S + 3 * scheduling.latest_s
    outside = {name: found for name, at in stored.items() if (found := station.outside(at, late_s))}
    assert outside == {}
    all_s = [at for times in stored.values() for at in times]
    assert len(all_s) == len(set(all_s))  # no picture in two files
    # Most windows are on the disk: the recorder was not merely idle.
    seen = [any(b <= at <= e for at in all_s) for b, e in station.windows]
    assert sum(seen) >= 0.7 * cycles


_KINDS = pytest.mark.parametrize("camera", [_WEB, _RTSP], ids=["web", "rtsp"])


@_KINDS
def test_what_is_on_the_disk_was_filmed_while_armed_or_just_before(
    tmp_path: Path, camera: _Camera
) -> None:
    play(tmp_path, camera, 5, kill_every=3)


@pytest.mark.soak
@pytest.mark.timeout(7000)
@_KINDS
def test_a_thousand_cycles_with_kills(tmp_path: Path, camera: _Camera) -> None:
    play(tmp_path, camera, 1000, kill_every=7)
