"""What cameras of other makers do, and GStreamer's server never does by itself."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from agent.camera_link import RecorderTrouble
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


def test_stamps_at_the_wrong_rate_are_replaced_by_when_pictures_arrive(tmp_path: Path) -> None:
    rate, speed = 10, 2.0  # pictures a second, and how fast the camera's stamps run
    camera = FilmedCamera(name="main", source="test:")
    policy = RecorderPolicy(
        camera=camera,
        mode="always",
        tail_s=0.0,
        cutting=CutPolicy(pre_roll_s=1.0, segment_s=3600.0, quiet_s=3600.0, ring_bytes=10_000_000),
        capture=tmp_path,
        min_free_bytes=0.0,
        socket=None,
    )
    moment = [1000.0]  # seconds since boot
    loop = FilmingLoop(
        policy,
        Mailbox(10_000_000),
        now=lambda: Instant(utc_s=1.8e9 + moment[0], boot_id="b", boot_s=moment[0], trusted=True),
        reopen=lambda: None,
    )
    encoder = new_encoder(64, 64, Fraction(rate))
    loop.step(CameraFormat("h264", 64, 64, encoder))
    for number in range(120 * rate):
        picture = VideoFrame.from_ndarray(np.full((64, 64, 3), number % 250, np.uint8))
        moment[0] = 1000.0 + number / rate
        for packet in encode_picture(encoder, picture, at_s=number / rate * speed):
            loop.step(replace(packet, arrived_s=moment[0]))
    loop.run(lambda: True)
    before, after = sorted(tmp_path.glob("*.mkv"))
    assert shown_s(before)[-1] < 60.0 * speed
    steps = [b - a for a, b in pairwise(shown_s(after))]
    assert len(steps) > 60 * rate and max(abs(step - 1 / rate) for step in steps) < 0.002


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
