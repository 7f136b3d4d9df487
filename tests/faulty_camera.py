"""A camera that fails in every way a stream can: GStreamer's RTSP server, told what to do.

Each picture carries its number and the time since boot when it was sent, so what was stored says
itself what was lost, and since when the stream is back.
"""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tests.needs import do_without
from tests.recorder import payloads
from tests.rtsp import NEEDS, PYTHON, free_port

FPS = 25
_MARK = re.compile(rb"spotter-sent:(\d{9})@(\d{12})")

# Commands come as lines of JSON: show another stream, shift the stamps, repeat one, drop pictures
# behind the packetiser.  RTP's stamps are the pictures' own: nothing is paced by them.
_SERVER = """
import json, sys, threading, time, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
port, number, kind, name = sys.argv[1:]
number, connections = int(number), 0
state = {"show": name, "shift": 0.0, "repeat": 0, "drop": 0}
SEI = {"h264": b"\\0\\0\\0\\1\\x06\\x05", "h265": b"\\0\\0\\0\\1\\x4e\\x01\\x05"}[kind]
def pictures(path):
    whole, at, found = open(path, "rb").read(), 0, []
    while at < len(whole):
        size = int.from_bytes(whole[at:at + 4], "big")
        found.append(whole[at + 4:at + 4 + size]); at += 4 + size
    return found
def push(source, number):
    shown, at, begun = None, 0, time.monotonic()
    stamp = 0.0
    while True:
        if state["show"] != shown:
            shown, at = state["show"], 0
            stream = pictures(shown)
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        mark = b"spotter-sent:%09d@%012d" % (number, boot * 1000)
        told = SEI + bytes([16 + len(mark)]) + bytes(range(65, 81)) + mark + b"\\x80"
        buffer = Gst.Buffer.new_wrapped(told + stream[at])
        if state["repeat"]:
            state["repeat"] -= 1
        else:
            stamp = max(0.0, time.monotonic() - begun + state["shift"])
        buffer.pts = buffer.dts = round(stamp * Gst.SECOND)
        number, at = number + 1, (at + 1) % len(stream)
        top = source
        while top.get_parent():
            top = top.get_parent()
        sinks = top.iterate_sinks()
        while True:
            told, sink = sinks.next()
            if told != Gst.IteratorResult.OK:
                break
            if sink.find_property("sync"):
                sink.set_property("sync", False)
        if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
            return
        time.sleep(1 / 25)
def lose(pad, info):
    if not state["drop"]:
        return Gst.PadProbeReturn.OK
    state["drop"] -= 1
    return Gst.PadProbeReturn.DROP
def configure(factory, media):
    global connections
    connections += 1
    found = media.get_element()
    kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
    found.get_by_name("pay0").get_static_pad("src").add_probe(kinds, lose)
    source = found.get_by_name("source")
    first = number + connections * 100_000
    threading.Thread(target=push, args=(source, first), daemon=True).start()
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1"); server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( appsrc name=source is-live=true format=time caps=video/x-%s,"
    "stream-format=byte-stream,alignment=au ! %srtp%spay name=pay0 pt=96 config-interval=-1 )"
    % (kind, "h265parse ! " if kind == "h265" else "", kind))
factory.connect("media-configure", configure)
server.get_mount_points().add_factory("/x", factory)
assert server.attach(None)
print("ready", flush=True)
def obey():
    for line in sys.stdin:
        told = json.loads(line)
        state["shift"] += told.pop("shift", 0.0)
        state.update(told)
threading.Thread(target=obey, daemon=True).start()
GLib.MainLoop().run()
"""


class Sent(NamedTuple):
    """What a picture says of itself."""

    number: int
    boot_s: float


class Footage(NamedTuple):
    """A stream that a camera sends over and over."""

    path: Path
    kind: str  # as GStreamer calls it


def make_footage(path: Path, *, size: int, kind: str = "h264") -> Footage:
    """Write four seconds of pictures as a camera encodes them, with a keyframe a second."""
    codec, plain = {"h264": ("libx264", "h264"), "h265": ("libx265", "hevc")}[kind]
    stream_path = path.with_suffix(".mp4")
    with av.open(str(stream_path), "w") as target:
        stream = target.add_stream(codec, rate=FPS)
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        stream.codec_context.gop_size = FPS
        stream.codec_context.options = {"preset": "ultrafast", "tune": "zerolatency"}
        for index in range(4 * FPS):
            image = np.full((size, size, 3), 60 + (index * 3) % 120, np.uint8)
            image[: 4 + index % (size - 8)] = 200
            target.mux(stream.encode(VideoFrame.from_ndarray(image, format="rgb24")))
        target.mux(stream.encode(None))
    with av.open(str(stream_path)) as made, path.open("wb") as out:
        as_sent = BitStreamFilterContext(f"{plain}_mp4toannexb", made.streams.video[0])
        for packet in made.demux(video=0):
            for one in as_sent.filter(packet if packet.size else None):
                payload = bytes(one)
                out.write(len(payload).to_bytes(4, "big") + payload)
    return Footage(path, kind)


def sent_of(path: Path) -> list[Sent]:
    """Return what the pictures of a file say of themselves, in the order in which they came."""
    found = (_MARK.search(payload) for payload in payloads(path))
    return [Sent(int(one[1]), int(one[2]) / 1000) for one in found if one]


class FaultyCamera:
    """A camera on a port of its own, which can be taken away and brought back."""

    def __init__(self) -> None:
        self._port = free_port()
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"rtsp://127.0.0.1:{self._port}/x"

    def start(self, footage: Footage) -> None:
        """Serve; numbers begin at the next ten million, and each connection at a hundred thousand.

        Each has a stream of its own: one that nobody reads any more must not hold up the next.
        """
        number = self._starts * 10_000_000
        self._starts += 1
        words = [PYTHON, "-I", "-c", _SERVER, str(self._port), str(number)]
        self._process = subprocess.Popen(
            [*words, footage.kind, str(footage.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        if self._process.stdout.readline() != b"ready\n":
            self._process.wait(10)
            do_without(f"apt install {NEEDS}: {self._process.stderr.read().decode()[-200:]}")

    def tell(self, **command: object) -> None:
        """Let it do something from the next picture on."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Be gone, as when its power fails."""
        if self._process is not None:
            with self._process as process:
                process.kill()
            self._process = None


@contextmanager
def faulty_camera(footage: Footage) -> Iterator[FaultyCamera]:
    """Serve until the end of the block."""
    camera = FaultyCamera()
    try:
        camera.start(footage)
        yield camera
    finally:
        camera.stop()
