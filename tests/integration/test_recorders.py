"""Debian's ffmpeg records by its own test source: every segment once, none too early."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.conftest import REPOSITORY
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


@pytest.fixture
def recorder(station: Station) -> Iterator["subprocess.Popen[bytes]"]:
    """The sample recorder, on ffmpeg's test source, as its unit starts it."""
    need(Path("/usr/bin/ffmpeg"), "ffmpeg")
    environment = {
        "PATH": "/usr/bin:/bin",
        "SOURCE": f"lavfi:{_SOURCE}",
        "CAPTURE": str(station.capture),
        "SEGMENT_S": "2",
    }
    cut_off = station.capture / ".camera-main" / "main-cut-off.mkv"
    cut_off.parent.mkdir()
    subprocess.run(
        [
            *("/usr/bin/ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", _SOURCE, "-t", "1"),
            str(cut_off),
        ],
        check=True,
    )
    with subprocess.Popen(
        [REPOSITORY / "systemd" / "spotter-camera", "main"], env=environment
    ) as running:
        yield running
        running.kill()


def test_the_sample_recorder_says_what_is_wrong_without_the_cameras_password(
    tmp_path: Path,
) -> None:
    need(Path("/usr/bin/ffmpeg"), "ffmpeg")
    done = subprocess.run(
        [REPOSITORY / "systemd" / "spotter-camera", "main"],
        env={
            "PATH": "/usr/bin:/bin",
            "SOURCE": "rtsp://kim:s3cret@127.0.0.1:1/x",  # where nobody listens
            "CAPTURE": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "rtsp://***@127.0.0.1:1/x: Connection refused" in done.stderr
    assert "s3cret" not in done.stderr and "kim" not in done.stderr


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://127.0.0.1:1/user=kim&password=s3cret&channel=1&stream=0.sdp",
        "rtsp://127.0.0.1:1/user=kim_password=s3cret_channel=1",
        "rtsp://127.0.0.1:1/x?channel=0&USER=kim&pwd=s3cret",
        "http://127.0.0.1:1/videostream.cgi?usr=kim&pwd=s3cret&n=1",
        "rtsp://kim:s3c/ret@127.0.0.1:1/x",
    ],
)
def test_wherever_a_cameras_address_has_its_password_the_journal_does_not(
    tmp_path: Path, source: str
) -> None:
    need(Path("/usr/bin/ffmpeg"), "ffmpeg")
    done = subprocess.run(
        [REPOSITORY / "systemd" / "spotter-camera", "main"],
        env={"PATH": "/usr/bin:/bin", "SOURCE": source, "CAPTURE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0 and "***" in done.stderr
    assert not [word for word in ("s3c", "ret@", "kim") if word in done.stderr]


def test_the_sample_recorder_renames_closed_segments_into_place(
    station: Station, recorder: "subprocess.Popen[bytes]"
) -> None:
    def placed() -> list[Path]:
        return sorted(station.capture.glob("main-2*.mkv"))

    until(lambda: len(placed()) >= 2)
    assert (station.capture / "main-cut-off.mkv").exists()  # of the time before a power cut
    whole = [frames_of(path) for path in placed()]
    assert whole == [2 * _FPS] * len(whole)
    hidden = station.capture / ".camera-main"
    until(lambda: any(path.stat().st_size for path in hidden.iterdir()))  # one has begun
    recorder.send_signal(signal.SIGTERM)
    recorder.wait(15)
    assert not list(hidden.iterdir())
    assert frames_of(placed()[-1]) > 0
    assert all(os.access(path, os.R_OK) for path in placed())
