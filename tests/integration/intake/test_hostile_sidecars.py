"""What lies beside a recording may be anybody's: it is believed where it is a sidecar, else not."""

import json
import os
from pathlib import Path

import pytest

from agent.clock import read_clock
from agent.intake.folder import CaptureFolder, sidecar_of
from agent.intake.stage import read_sidecar, whole_bytes

MOMENT = {"utc_s": 1_795_000_000.0}
TOLD = {"schema": 1, "start": MOMENT, "end": MOMENT, "uncertainty_ms": 5, "size_bytes": 7}
HUGE = 10**400  # more than a float can hold

NO_SIDECARS = {
    "nested": "[" * 60_000,
    "long": " " * (1 << 20) + json.dumps(TOLD),
    "list": "[]",
    "number": "7",
    "empty": "",
    "binary": "\x00\x01",
}
NO_TIMES = {
    "word as a moment": {"start": "noon"},
    "nothing as a moment": {"end": None},
    "list as a moment": {"end": [1, 2]},
    "word as a time": {"start": {"utc_s": "1795000000"}},
    "no number": {"start": {"utc_s": float("nan")}},
    "without end": {"end": {"utc_s": float("inf")}},
    "huge moment": {"start": {"utc_s": HUGE}},
    "huge uncertainty": {"uncertainty_ms": HUGE},
    "huge time since boot": {"end": {**MOMENT, "boot_id": "b", "boot_s": HUGE}},
    "no time since boot": {"end": {**MOMENT, "boot_id": "b"}},
}


def camera_of(video: Path) -> str | None:
    suffixes = frozenset({".mp4"})
    return CaptureFolder(video.parent, suffixes=suffixes, now=read_clock).camera_of(video)


@pytest.mark.parametrize("content", NO_SIDECARS.values(), ids=NO_SIDECARS)
def test_what_is_no_sidecar_says_nothing(tmp_path: Path, content: str) -> None:
    sidecar = sidecar_of(tmp_path / "a.mp4")
    sidecar.write_text(content)

    assert (read_sidecar(sidecar), whole_bytes(sidecar)) == (None, None)
    assert camera_of(tmp_path / "a.mp4") is None


@pytest.mark.parametrize("said", NO_TIMES.values(), ids=NO_TIMES)
def test_a_time_that_is_none_is_not_believed_and_the_rest_is(
    tmp_path: Path, said: dict[str, object]
) -> None:
    sidecar = sidecar_of(tmp_path / "a.mp4")
    sidecar.write_text(json.dumps({**TOLD, "camera": "side", **said}))

    assert read_sidecar(sidecar) is None
    assert (whole_bytes(sidecar), camera_of(tmp_path / "a.mp4")) == (7, "side")


def test_whole_ones_are_read(tmp_path: Path) -> None:
    sidecar = sidecar_of(tmp_path / "a.mp4")
    sidecar.write_text(json.dumps(TOLD))

    read = read_sidecar(sidecar)

    assert read is not None and read.start.utc_s == MOMENT["utc_s"]


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_pipe_is_not_waited_for_and_a_link_not_followed(tmp_path: Path, kind: str) -> None:
    video = tmp_path / "a.mp4"
    sidecar, elsewhere = sidecar_of(video), tmp_path / "elsewhere"
    elsewhere.write_text(json.dumps({**TOLD, "camera": "side"}))
    if kind == "pipe":
        os.mkfifo(sidecar)
    elif kind == "link":
        sidecar.symlink_to(elsewhere)
    else:
        sidecar.mkdir()

    assert (read_sidecar(sidecar), whole_bytes(sidecar), camera_of(video)) == (None, None, None)


def test_a_name_as_long_as_names_can_be_has_no_sidecar(tmp_path: Path) -> None:
    video = tmp_path / ("n" * 251 + ".mp4")
    video.write_bytes(b"video")

    assert (read_sidecar(sidecar_of(video)), camera_of(video)) == (None, None)
