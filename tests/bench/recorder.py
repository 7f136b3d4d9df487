"""What a recorder takes beside ffmpeg, which only stores the same stream."""

import contextlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from agent.disk.state_folder import StateFolder
from agent.errors import AgentError
from agent.sandbox.server import Sandbox
from agent.station.recorders import ask_for_recorders, ask_for_still
from tests.bench.captures import capture
from tests.process_use import cpu_s, peak_bytes
from tests.recorder import RecorderUnderTest
from tests.rtsp import rtsp_server
from tests.station import KEY, Station, until

_SETTLED_S, _WATCHED_S = 8.0, 30.0
_LOOKS_EVERY_S = 0.5  # as the page's camera view


def bench_recorder() -> None:
    """Print a recorder's processor time as a ratio, and its memory beside what its ring holds."""
    with tempfile.TemporaryDirectory(prefix="spotter-bench-") as name, Sandbox(key=KEY) as sandbox:
        for words, is_looked_at in (("nobody looks", False), ("somebody looks", True)):
            station = Station(Path(name, words), sandbox.base_url)
            with station.running():
                _bench(station, words, is_looked_at=is_looked_at)


def _bench(station: Station, words: str, *, is_looked_at: bool) -> None:
    video, socket = capture("live"), StateFolder(station.state).recorder_socket
    with rtsp_server(video) as first, rtsp_server(video) as second:
        recorder = RecorderUnderTest(station.root, second.address)
        recorder.connect_to(socket)
        with _ffmpeg(first.address, station.root) as yardstick, recorder.running() as process:
            until(lambda: ask_for_recorders(socket))
            looking = threading.Event()
            looker = threading.Thread(target=_look, args=(socket, looking))
            if is_looked_at:
                looker.start()
            time.sleep(_SETTLED_S)
            before = [cpu_s(pid) for pid in (process.pid, yardstick)]
            time.sleep(_WATCHED_S)
            ours, theirs = (
                cpu_s(pid) - begun
                for pid, begun in zip((process.pid, yardstick), before, strict=True)
            )
            ring = ask_for_recorders(socket)[0].report.ring_bytes
            peak = peak_bytes(process.pid)
            looking.set()
            if is_looked_at:
                looker.join()
    print(
        f"recorder of 1080p30, {words}: processor / ffmpeg -c copy -f segment {ours / theirs:.2f}, "
        f"peak memory {peak / 1e6:.0f} MB, of which the ring {ring / 1e6:.1f} MB"
    )


def _look(socket: Path, ended: threading.Event) -> None:
    """Ask for a picture twice a second, until it is ended."""
    while not ended.wait(_LOOKS_EVERY_S):
        with contextlib.suppress(AgentError):
            ask_for_still(socket, "main")


@contextlib.contextmanager
def _ffmpeg(address: str, folder: Path) -> Iterator[int]:
    words = ["-v", "error", "-rtsp_transport", "tcp", "-i", address, "-c", "copy", "-f", "segment"]
    target = ["-segment_time", "10", str(folder / "ffmpeg-%03d.mkv")]
    with subprocess.Popen(["/usr/bin/ffmpeg", *words, *target]) as process:
        try:
            yield process.pid
        finally:
            process.kill()
