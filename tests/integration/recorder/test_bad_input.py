"""What a recorder cannot use is said in one line, with what to do and without the password."""

import errno
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import av.error
import httpx
import pytest

from agent.camera_link import RecorderTrouble
from agent.recorder.source import explained
from agent.sandbox.server import Sandbox
from tests.recorder import RecorderUnderTest, make_video
from tests.rtsp import free_port, rtsp_server
from tests.station import Station, give, until

_TOLD = {  # by the recorder's name: the trouble, and words of the line
    "closed": (RecorderTrouble.NO_ANSWER, "refuses the connection", "is the port right"),
    "codec": (RecorderTrouble.UNREADABLE, "no video of a known codec", "H.264"),
    "device": (RecorderTrouble.NOT_THERE, "does not exist", "plugged in"),
    "full": (RecorderTrouble.DISK_FULL, "MB free", "free space"),
    "missing": (RecorderTrouble.FOLDER_MISSING, "is missing", "create it"),
    "password": (RecorderTrouble.REJECTED, "rejects user or password", "check the user"),
    "silent": (RecorderTrouble.NO_ANSWER, "does not answer", "is it on"),
}
_SECRETS = ("s3cret", "kim")


@contextmanager
def bad_sources(root: Path, video: Path) -> Iterator[dict[str, str]]:
    """Give what each recorder is to film."""
    unknown = root / "unknown.mkv"
    subprocess.run(
        ["/usr/bin/ffmpeg", "-loglevel", "error", "-i", video, "-c", "copy", unknown], check=True
    )
    unknown.write_bytes(unknown.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_NOSUCH/ISO/XYZ"))
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        rtsp_server(video, password="another") as camera,
    ):
        yield {
            "closed": f"rtsp://kim:s3cret@127.0.0.1:{free_port()}/x",
            "codec": str(unknown),
            "device": "/dev/video99",
            "full": str(video),
            "missing": str(video),
            "password": camera.address.replace("://", "://kim:s3cret@"),
            "silent": f"rtsp://kim:s3cret@127.0.0.1:{silent.getsockname()[1]}/x",
        }


def test_each_bad_input_is_one_clear_line_everywhere_and_nowhere_the_password(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    station = Station(tmp_path / "station", sandbox.base_url, {"web": {"listen": listen}})
    video = make_video(tmp_path / "long.mp4", seconds=60)
    changes = {
        "full": ("min_free_mb = 0", "min_free_mb = 1e6"),
        "missing": (f'capture = "{station.capture}"', f'capture = "{tmp_path}/nowhere"'),
    }
    with bad_sources(tmp_path, video) as sources, station.running(), ExitStack() as running:
        recorders: dict[str, RecorderUnderTest] = {}
        processes: dict[str, subprocess.Popen[bytes]] = {}
        for name, source in sources.items():
            one = RecorderUnderTest(station.root, source, name=name, arm="assigned")
            text = one.config.read_text().replace(*changes.get(name, ("", "")))
            one.config.write_text(text)
            one.connect_to(station.state / "recorder.sock")
            recorders[name], processes[name] = one, running.enter_context(one.running())

        def seen() -> dict[str, dict[str, object]]:
            told = json.loads(give(["camera", "--json", "--config", str(station.config)]).stdout)
            return {one["camera"]: one for one in told}

        until(lambda: {name for name, one in seen().items() if one["trouble"]} == set(sources))
        for name, (trouble, *words) in _TOLD.items():
            found = seen()[name]
            assert found["trouble"] == trouble
            line = str(found["fault"])
            assert all(word in line for word in words) and "\n" not in line
            said = recorders[name].said()
            # Tried again, and said once.
            assert said.count("camera lost") + said.count("recording not stored") == 1
            assert processes[name].poll() is None
        # Everywhere else the first one is told.
        status, page = station.spotter("status"), httpx.get(f"http://{listen}/").text
        doctor = give(["doctor", "--config", str(station.config)]).stdout
        for told in (status, doctor):
            assert "refuses the connection" in told and "is the port right" in told
        assert "The camera does not answer." in page
        listed = [
            Path(f"/proc/{process.pid}/{name}").read_bytes().decode()
            for process in processes.values()
            for name in ("cmdline", "environ")
        ]
        logs = [station.log.read_text(), *(one.said() for one in recorders.values())]
        for told in (status, doctor, page, json.dumps(seen()), *listed, *logs):
            assert not [word for word in _SECRETS if word in told]


@pytest.mark.parametrize(
    ("number", "trouble", "words"),
    [
        (errno.EBUSY, RecorderTrouble.BUSY, "in use by another program"),
        (errno.EACCES, RecorderTrouble.NOT_ALLOWED, "may not be opened"),
        (errno.ENODEV, RecorderTrouble.NOT_THERE, "does not exist"),
    ],
)
def test_what_a_video_device_refuses_is_told_by_what_libav_makes_of_it(
    number: int, trouble: RecorderTrouble, words: str
) -> None:
    with pytest.raises((av.error.FFmpegError, OSError)) as caught:
        av.error.err_check(-number, "/dev/video0")
    error = explained(caught.value, "/dev/video0")
    assert error.trouble is trouble and words in str(error) and error.hint
