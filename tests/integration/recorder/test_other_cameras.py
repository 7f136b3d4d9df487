"""What cameras of other makers do, and GStreamer's server never does by itself."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from agent.camera_link import RecorderState, RecorderTrouble
from agent.clock import Instant
from agent.recorder.cutting import CutPolicy
from agent.recorder.filming import FilmingLoop, Mailbox
from agent.recorder.policy import FilmedCamera, RecorderPolicy
from agent.recorder.source import (
    CameraError,
    CameraFormat,
    encode_picture,
    new_encoder,
    opened_camera,
)
from tests.faulty_camera import make_footage
from tests.recorder import RecorderUnderTest, shown_s
from tests.scripted_camera import Script, scripted_camera
from tests.station import until

_RATE = 10  # pictures a second


def test_a_clock_in_reports_that_stands_still_interrupts_no_pictures(tmp_path: Path) -> None:
    # Of a stream with sound, libav would move the pictures' times by it at each report.
    footage = make_footage(tmp_path / "usual.au", size=64)
    script = Script(has_sound=True, reported_s=lambda _passed_s: 0.0)
    with scripted_camera(footage, script) as camera:
        recorder = RecorderUnderTest(tmp_path, camera.address)
        with recorder.running():
            until(lambda: "camera connected" in recorder.said())
            sent = camera.reports
            until(lambda: camera.reports >= sent + 5)
    assert "interrupted" not in recorder.said()
    assert [recorder.sidecar(path)["ended_by"] for path in recorder.files()] == ["shutdown"]


class Bench:
    """A recorder that films by a clock of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 1000.0  # since boot
        self.reopened: list[float] = []  # when
        cutting = CutPolicy(pre_roll_s=1.0, segment_s=3600.0, quiet_s=3600.0, ring_bytes=10_000_000)
        policy = RecorderPolicy(
            camera=FilmedCamera(name="main", source="rtsp://camera/x"),
            mode="always",
            tail_s=0.0,
            cutting=cutting,
            capture=folder,
            min_free_bytes=0.0,
            socket=None,
        )
        mailbox = Mailbox(cutting.ring_bytes)
        self.loop = FilmingLoop(policy, mailbox, now=self._now, reopen=self._reopen)
        self._encoder = new_encoder(64, 64, Fraction(_RATE))

    def open(self) -> None:
        """Let the camera be opened."""
        self.loop.step(CameraFormat("h264", 64, 64, self._encoder))

    def send(self, number: int, *, stamp_s: float, keyframes: bool = True) -> None:
        """Let a picture arrive at its time."""
        picture = VideoFrame.from_ndarray(np.full((64, 64, 3), number % 250, np.uint8))
        self.now_s = 1000.0 + number / _RATE
        for packet in encode_picture(self._encoder, picture, at_s=stamp_s):
            if keyframes or not packet.is_keyframe:
                self.loop.step(replace(packet, arrived_s=self.now_s))

    def _now(self) -> Instant:
        return Instant(utc_s=1.8e9 + self.now_s, boot_id="b", boot_s=self.now_s, trusted=True)

    def _reopen(self) -> None:
        self.reopened.append(self.now_s)


def test_stamps_at_the_wrong_rate_are_replaced_by_when_pictures_arrive(tmp_path: Path) -> None:
    bench, speed = Bench(tmp_path), 2.0
    bench.open()
    for number in range(120 * _RATE):
        bench.send(number, stamp_s=number / _RATE * speed)
    bench.loop.run(lambda: True)
    before, after = sorted(tmp_path.glob("*.mkv"))
    assert shown_s(before)[-1] < 60.0 * speed
    steps = [b - a for a, b in pairwise(shown_s(after))]
    assert len(steps) > 60 * _RATE and max(abs(step - 1 / _RATE) for step in steps) < 0.002


def test_a_disk_that_hangs_from_the_start_on_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.now_s += 9.0
    assert bench.loop.report_now().state is RecorderState.CONNECTING
    bench.now_s += 2.0
    assert bench.loop.report_now().state is RecorderState.NOT_STORED


def test_a_camera_without_keyframes_is_told_and_opened_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.open()
    for number in range(29 * _RATE):
        bench.send(number, stamp_s=number / _RATE, keyframes=False)
    assert not bench.reopened
    for number in range(29 * _RATE, 32 * _RATE):
        bench.send(number, stamp_s=number / _RATE, keyframes=False)
    assert len(bench.reopened) == 1
    bench.open()
    bench.send(32 * _RATE, stamp_s=32.0, keyframes=False)
    bench.send(32 * _RATE + 1, stamp_s=32.1, keyframes=False)
    told = bench.loop.report_now()
    assert told.state is RecorderState.CAMERA_LOST and "no keyframe" in str(told.error)
    assert told.trouble is RecorderTrouble.UNREADABLE
    for number in range(32 * _RATE + 2, 34 * _RATE):
        bench.send(number, stamp_s=number / _RATE)
    assert bench.loop.report_now().state is RecorderState.RECORDING
    bench.loop.run(lambda: True)
    assert len(list(tmp_path.glob("*.mkv"))) == 1


@pytest.mark.parametrize(
    ("method", "answer", "words", "trouble"),
    [
        ("SETUP", "453 Not Enough Bandwidth", "refuses one more stream", RecorderTrouble.BUSY),
        ("SETUP", "461 Unsupported Transport", "refuses this transport", RecorderTrouble.BUSY),
        ("PLAY", "454 Session Not Found", "end other viewers", RecorderTrouble.BUSY),
        ("DESCRIBE", "503 Service Unavailable", "no stream to give now", RecorderTrouble.BUSY),
        ("PLAY", "", "ended the connection", RecorderTrouble.BROKE_OFF),
        (
            "DESCRIBE",
            '401 Unauthorized\r\nWWW-Authenticate: Digest realm="x",nonce="y",algorithm=SHA-256',
            "not SHA-256 alone",
            RecorderTrouble.REJECTED,
        ),
    ],
)
def test_what_a_camera_refuses_is_told_with_what_to_do(
    tmp_path: Path, method: str, answer: str, words: str, trouble: RecorderTrouble
) -> None:
    script = Script(answer=lambda asked: answer if asked == method else None)
    with scripted_camera(make_footage(tmp_path / "usual.au", size=64), script) as camera:
        address = camera.address.replace("://", "://kim:s3cret@")
        with (
            pytest.raises(CameraError) as caught,
            opened_camera(FilmedCamera(name="main", source=address)),
        ):
            pass
    told = f"{caught.value}: {caught.value.hint}"
    assert words in told and "s3cret" not in told and caught.value.trouble is trouble


def test_a_camera_with_sound_alone_sends_no_video(tmp_path: Path) -> None:
    script = Script(has_video=False, has_sound=True)
    with (
        scripted_camera(make_footage(tmp_path / "usual.au", size=64), script) as camera,
        pytest.raises(CameraError, match="sends no video") as caught,
        opened_camera(FilmedCamera(name="main", source=camera.address)),
    ):
        pass
    assert caught.value.trouble is RecorderTrouble.UNREADABLE
