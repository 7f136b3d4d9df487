"""What the installer writes: a recorder's settings, and apart from them its camera's password."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.recorder.settings import (
    environment,
    load_recorder,
    without_password,
    write_recorder,
)


@pytest.mark.parametrize(
    ("source", "kept", "password"),
    [
        ("rtsp://kim:s3cret@10.0.0.9:8554/x", "rtsp://kim@10.0.0.9:8554/x", "s3cret"),
        ("rtsp://kim:s3c%2Fret@10.0.0.9/x", "rtsp://kim@10.0.0.9/x", "s3c/ret"),
        ("rtsp://kim:s3c/ret@10.0.0.9/x", "rtsp://kim@10.0.0.9/x", "s3c/ret"),
        ("rtsp://kim:s3c@ret@10.0.0.9/x", "rtsp://kim@10.0.0.9/x", "s3c@ret"),
        ("rtsp://:s3cret@10.0.0.9/x", "rtsp://:{password}@10.0.0.9/x", "s3cret"),
        ("rtsp://10.0.0.9/user=k&password=s3cret&n=1", None, "s3cret"),
        ("rtsp://10.0.0.9/user=k_password=s3cret_channel=1", None, "s3cret"),
        ("http://10.0.0.9/video.cgi?usr=k&PWD=s3cret", None, "s3cret"),
        ("rtsp://kim:{password}@10.0.0.9/x", "rtsp://kim:{password}@10.0.0.9/x", None),
        ("rtsp://kim@10.0.0.9/x?channel=1@2", "rtsp://kim@10.0.0.9/x?channel=1@2", None),
        ("/dev/video0", "/dev/video0", None),
        ("test:", "test:", None),
    ],
)
def test_a_password_is_taken_out_of_an_address_wherever_it_stands(
    source: str, kept: str | None, password: str | None, tmp_path: Path
) -> None:
    expected = kept if kept is not None else source.replace("s3cret", "{password}")
    assert without_password(source) == (expected, password)

    write_recorder(tmp_path, "main", {"SOURCE": source}, arm="assigned")
    settings = tmp_path / "recorder-main.toml"
    assert settings.stat().st_mode & 0o777 == 0o600
    camera = load_recorder(settings).policy().camera
    assert camera.source == expected
    beside = tmp_path / "camera-password-main"
    assert beside.exists() == (password is not None)
    if password is not None:
        assert (beside.read_text(), beside.stat().st_mode & 0o777) == (f"{password}\n", 0o600)
        told = replace(camera, password_file=beside).address()
        assert told.replace("s3c%2Fret", "s3c/ret").replace("s3c%40ret", "s3c@ret") == (
            source.replace("%2F", "/")
        )


def test_the_settings_of_a_version_that_recorded_with_ffmpeg_are_read_as_systemd_read_them(
    tmp_path: Path,
) -> None:
    old = environment(
        "# Read by spotter-camera@side.service.\nSOURCE='rtsp://k:pa=ss@10.0.0.9/x'\n\n"
        "CAPTURE=/mnt/side\nSEGMENT_S=30\nSIZE=1280x720\nRATE=25\nCONTAINER=mp4\n"
    )
    write_recorder(tmp_path, "side", old, arm="always")
    settings = load_recorder(tmp_path / "recorder-side.toml")
    assert (settings.camera.name, settings.arm.mode) == ("side", "always")
    assert (str(settings.files.capture), settings.files.segment_s) == ("/mnt/side", 30.0)
    assert (settings.camera.size, settings.camera.rate) == ("1280x720", 25.0)
    assert (tmp_path / "camera-password-side").read_text() == "pa=ss\n"


def test_what_a_recorder_cannot_use_changes_nothing_and_is_said_without_the_address(
    tmp_path: Path,
) -> None:
    path = tmp_path / "recorder-main.toml"
    path.write_text("[camera]\nsource = 'test:'\n")
    for source in ("lavfi:testsrc2=s3cret", "", "rtsp://:s3cret@/x"):
        with pytest.raises(ConfigError) as caught:
            write_recorder(tmp_path, "main", {"SOURCE": source}, arm="assigned")
        assert "s3cret" not in str(caught.value)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    write_recorder(tmp_path, "main", {"SOURCE": "/dev/video0"}, arm="assigned")
    assert "test:" in (tmp_path / "recorder-main.toml.before").read_text()
