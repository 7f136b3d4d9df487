"""A real RTSP server: GStreamer's, in Debian's own Python, which has its bindings."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.needs import do_without

PYTHON = "/usr/bin/python3"
NEEDS = "gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good python3-gi"
_SERVER = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
port, launch, password = sys.argv[1:]
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1"); server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(launch); factory.set_shared(True)
if password:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    factory.add_role_from_structure(Gst.Structure.from_string(
        "user,media.factory.access=true,media.factory.construct=true")[0])
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("kim", password), token)
    server.set_auth(auth)
server.get_mount_points().add_factory("/x", factory)
assert server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class RtspServer:
    """A camera that serves."""

    address: str
    process: "subprocess.Popen[bytes]"


@contextmanager
def rtsp_server(
    video: Path, *, port: int | None = None, password: str = ""
) -> Iterator[RtspServer]:
    """Serve an MP4 file once to whoever asks, packet by packet at its own pace."""
    port = port or free_port()
    launch = (
        f"( filesrc location={video} ! qtdemux ! rtph264pay name=pay0 pt=96 config-interval=0 )"
    )
    words = [PYTHON, "-I", "-c", _SERVER, str(port), launch, password]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdout is not None and server.stderr is not None
        if server.stdout.readline() != b"ready\n":
            server.wait(10)
            do_without(f"apt install {NEEDS}: {server.stderr.read().decode()[-200:]}")
        try:
            yield RtspServer(f"rtsp://127.0.0.1:{port}/x", server)
        finally:
            server.kill()
