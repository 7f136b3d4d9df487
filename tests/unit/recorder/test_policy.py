"""What `spotter record` hands to the process that films."""

from pathlib import Path

import pytest

from agent.recorder.policy import RecorderPolicy
from agent.recorder.settings import load_recorder

_SETTINGS = """
[camera]
source = "rtsp://kim:s3cret@10.0.0.9:8554/x"
transport = "udp"
password_file = "/etc/spotter/camera-password-side"
size = "1280x720"
rate = 29.97
[arm]
mode = "Mon-Fri 06:00-22:00 = unlimited, else off"
tail_s = 12.5
pre_roll_s = 3
[files]
capture = "/mnt/a folder/\u00fc"
segment_s = 30
quiet_s = 2
ring_mb = 32
min_free_mb = 100
[station]
socket = "/run/spotter/recorder.sock"
"""


@pytest.mark.parametrize("settings", [_SETTINGS, '[camera]\nsource = "test:"\n'])
def test_everything_that_was_set_arrives(tmp_path: Path, settings: str) -> None:
    file = tmp_path / "recorder-side.toml"
    file.write_text(settings)
    policy = load_recorder(file).policy()

    arrived = RecorderPolicy.from_json(policy.as_json())

    assert arrived == policy
    assert arrived.camera.name == "side"


def test_no_password_is_in_what_is_printed_of_a_policy(tmp_path: Path) -> None:
    file = tmp_path / "recorder-side.toml"
    file.write_text(_SETTINGS)
    assert "s3cret" not in repr(load_recorder(file).policy())
