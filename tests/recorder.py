"""A recorder for tests: its folder, its settings, its process, and what it recorded."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

_FPS = 25


def make_video(
    path: Path, *, seconds: float, b_frames: int = 0, codec: str = "libx264", size: int = 64
) -> Path:
    """Write a small video whose pictures all differ, with a keyframe a second."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=_FPS)
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, _FPS)
        if codec == "libx264":
            stream.codec_context.gop_size = _FPS
            stream.codec_context.options = {"bf": str(b_frames), "sc_threshold": "0"}
        for index in range(round(seconds * _FPS)):
            image = np.full((size, size, 3), (index * 3) % 250, np.uint8)
            image[: 4 + index % (size - 8)] = 255 - (index * 5) % 250
            target.mux(stream.encode(VideoFrame.from_ndarray(image, format="rgb24")))
        target.mux(stream.encode(None))
    return path


def payloads(path: Path) -> list[bytes]:
    """Return the packets of a file in the order in which they are stored."""
    with av.open(str(path)) as video:
        return [bytes(packet) for packet in video.demux(video=0) if packet.size]


def shown_s(path: Path) -> list[float]:
    """Return when each picture of a file is shown, all of them decoded."""
    with av.open(str(path)) as video:
        return [float(frame.time or 0.0) for frame in video.decode(video=0)]


@dataclass(slots=True)
class RecorderUnderTest:
    """One recorder in a folder of its own."""

    root: Path
    source: str
    arm: str = "always"
    segment_s: float = 60.0
    more: str = ""
    name: str = "main"

    def __post_init__(self) -> None:
        self.capture.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f'[camera]\nsource = "{self.source}"\n[arm]\nmode = "{self.arm}"\ntail_s = 0\n'
            f'pre_roll_s = 1\n[files]\ncapture = "{self.capture}"\nsegment_s = {self.segment_s}\n'
            f'min_free_mb = 0\n[station]\nsocket = "{self.socket}"\n{self.more}'
        )

    @property
    def capture(self) -> Path:
        return self.root / "capture"

    @property
    def config(self) -> Path:
        return self.root / f"recorder-{self.name}.toml"

    @property
    def socket(self) -> Path:
        return self.root / "recorder.sock"

    def connect_to(self, socket: Path) -> None:
        """Let it speak with a daemon that listens there."""
        text = self.config.read_text()
        self.config.write_text(text.replace(str(self.socket), str(socket)))

    @property
    def log(self) -> Path:
        return self.root / f"recorder-{self.name}.log"

    def files(self) -> list[Path]:
        """Return what was recorded, in order of time."""
        return sorted(self.capture.glob("*.mkv"), key=lambda path: path.stat().st_mtime_ns)

    def sidecar(self, path: Path) -> dict[str, object]:
        """Return what the recorder says of a file."""
        told = json.loads(path.with_name(f"{path.name}.json").read_text())
        assert isinstance(told, dict)
        return told

    def start(self, **environment: str) -> "subprocess.Popen[bytes]":
        """Start its process."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-m", "agent", "record", "--config", str(self.config)],
                stderr=log,
                env={"PATH": "/usr/bin:/bin", **environment},
                umask=0o007,
            )

    @contextmanager
    def running(self, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Let it run; it ends as the service manager would end it."""
        process = self.start(**environment)
        try:
            yield process
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait(60)

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text() if self.log.exists() else ""


class Scheduling:
    """How late this machine lets a thread run: a busy one delivers orders and pictures later."""

    def __init__(self) -> None:
        self.latest_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._measure)

    def __enter__(self) -> "Scheduling":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _measure(self) -> None:
        step_s = 0.01
        while True:
            before_s = time.monotonic()
            if self._over.wait(step_s):
                return
            self.latest_s = max(self.latest_s, time.monotonic() - before_s - step_s)
