"""Debian's ffmpeg records by its own test source: every segment once, none too early."""

import subprocess
from pathlib import Path

import av
import pytest

from tests.needs import need
from tests.station import PATIENCE_S, Station, until

_FPS = 10
_SOURCE = f"testsrc2=size=320x240:rate={_FPS}"
_SHORT_S, _LONG_S = 4, 600
_HUES = {"mkv": 0, "mp4": 90}


def frames_of(path: Path) -> int:
    """Decode a file to its end and count its pictures."""
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


def begin(container: str, seconds: float, station: Station) -> "subprocess.Popen[bytes]":
    """Record straight into the capture folder, in segments of two seconds."""
    ffmpeg = need(Path("/usr/bin/ffmpeg"), "ffmpeg")
    muxer = {"mkv": "matroska"}.get(container, container)
    told = station.root / f"{container}.txt"
    source = f"{_SOURCE},hue=h={_HUES[container]}"  # two cameras never film the very same
    words = [
        *("-hide_banner", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", source),
        *("-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-g", str(_FPS)),
        *("-f", "segment", "-segment_format", muxer, "-segment_time", "2"),
        *("-reset_timestamps", "1", "-segment_list", str(told), "-segment_list_type", "flat"),
        str(station.capture / f"set-%04d.{container}"),
    ]
    return subprocess.Popen([ffmpeg, *words])


def record_and_check(station: Station, seconds: int) -> None:
    """Record with two cameras; every segment becomes one capture, whole, and never another."""
    for recording in [begin(container, seconds, station) for container in _HUES]:
        assert recording.wait(seconds + 60) == 0
    names = [n for c in _HUES for n in (station.root / f"{c}.txt").read_text().split()]
    assert len(names) == seconds  # two cameras, two seconds each
    until(lambda: not list(station.capture.iterdir()))
    until(
        lambda: not [r for r in station.rows() if r["state"] in {"captured", "analysing"}],
        timeout_s=PATIENCE_S + 10 * len(names),
    )
    rows = [row for row in station.rows() if row["kind"] == "capture"]
    assert sorted(str(row["capture"]) for row in rows) == sorted(names)
    # what the model makes of a test picture is no matter here: some hues look like somebody to it
    assert {row["state"] for row in rows} <= {"skipped", "analysed"}
    kept = [p for p in (station.state / "captures").iterdir() if p.suffix in {".mkv", ".mp4"}]
    assert len(kept) == len(names)
    assert sum(frames_of(path) for path in kept) == len(_HUES) * seconds * _FPS


def test_segments_written_straight_into_the_folder(station: Station) -> None:
    with station.running():
        record_and_check(station, _SHORT_S)


@pytest.mark.soak
@pytest.mark.timeout(4000)
def test_ten_minutes_of_segments(station: Station) -> None:
    with station.running():
        record_and_check(station, _LONG_S)
