"""What a recorder takes beside ffmpeg, which only stores the same stream.

Somebody looks as the page's camera view does: live for a minute, then at keyframes.
"""

import contextlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from agent.camera_link import PictureKind
from agent.disk.state_folder import StateFolder
from agent.errors import AgentError
from agent.sandbox.server import Sandbox
from agent.station.recorders import ask_for_recorders, ask_for_still
from tests.bench.captures import capture
from tests.process_use import code_bytes, cpu_s, peak_bytes
from tests.recorder import RecorderUnderTest
from tests.rtsp import rtsp_server
from tests.station import KEY, Station, until

_SETTLED_S, _WATCHED_S = 8.0, 30.0
_LOOKS = {
    "nobody looks": None,
    "somebody looks": (PictureKind.GLANCE, 3.0),
    "somebody looks live": (PictureKind.LIVE, 0.5),
}  # what for, and every how many seconds


def bench_recorder() -> None:
    """Print a recorder's processor time as a ratio, and its memory beside what its ring holds."""
    with tempfile.TemporaryDirectory(prefix="spotter-bench-") as name, Sandbox(key=KEY) as sandbox:
        for words, looks in _LOOKS.items():
            station = Station(Path(name, words), sandbox.base_url)
            with station.running():
                _bench(station, words, looks)


def _bench(station: Station, words: str, looks: tuple[PictureKind, float] | None) -> None:
    video, socket = capture("live"), StateFolder(station.state).recorder_socket
    with rtsp_server(video) as first, rtsp_server(video) as second:
        recorder = RecorderUnderTest(station.root, second.address)
        recorder.connect_to(socket)
        with _ffmpeg(first.address, station.root) as yardstick, recorder.running() as process:
            until(lambda: ask_for_recorders(socket))
            looking = threading.Event()
            looker = threading.Thread(target=_look, args=(socket, looking, *(looks or ())))
            if looks is not None:
                looker.start()
            time.sleep(_SETTLED_S)
            before = [cpu_s(pid) for pid in (process.pid, yardstick)]
            time.sleep(_WATCHED_S)
            ours, theirs = (
                cpu_s(pid) - begun
                for pid, begun in zip((process.pid, yardstick), before, strict=True)
            )
            ring = ask_for_recorders(socket)[0].report.ring_bytes
            peak, code = peak_bytes(process.pid), code_bytes(process.pid)
            looking.set()
            if looks is not None:
                looker.join()
    print(
        f"recorder of 1080p30, {words}: processor / ffmpeg -c copy -f segment {ours / theirs:.2f}, "
        f"peak memory {peak / 1e6:.0f} MB, of which the ring {ring / 1e6:.1f} MB and the code of "
        f"programs and libraries, which processes share, {code / 1e6:.0f} MB"
    )


def _look(socket: Path, ended: threading.Event, kind: PictureKind, every_s: float) -> None:
    """Ask for pictures until it is ended."""
    while not ended.wait(every_s):
        with contextlib.suppress(AgentError):
            ask_for_still(socket, "main", kind=kind)


@contextlib.contextmanager
def _ffmpeg(address: str, folder: Path) -> Iterator[int]:
    words = ["-v", "error", "-rtsp_transport", "tcp", "-i", address, "-c", "copy", "-f", "segment"]
    target = ["-segment_time", "10", str(folder / "ffmpeg-%03d.mkv")]
    with subprocess.Popen(["/usr/bin/ffmpeg", *words, *target]) as process:
        try:
            yield process.pid
        finally:
            process.kill()
