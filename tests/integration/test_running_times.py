"""Recordings whose timestamps are no lengths, and streams without any, through a whole station."""

import time
from dataclasses import replace
from pathlib import Path

import av
import pytest

from agent.clock import Instant, read_clock
from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from agent.station.recording_pause import start_filming, stop_filming
from tests.integration.analysis.test_times import restamped
from tests.station import Station, delivered
from tests.videos import film_run, name_of


def ago(seconds: float) -> Instant:
    """Return a moment of this boot."""
    now = read_clock()
    boot_s = None if now.boot_s is None else now.boot_s - seconds
    return replace(now, utc_s=now.utc_s - seconds, boot_s=boot_s)


def record_at_pace(film: Path, target: Path, *, seconds: float) -> None:
    """Write a recording as slowly as it was filmed: only such growth tells when that was."""
    content, parts = film.read_bytes(), 16
    size = -(-len(content) // parts)
    with target.open("wb", buffering=0) as file:
        for begins in range(0, len(content), size):
            file.write(content[begins : begins + size])
            time.sleep(seconds / parts)


@pytest.mark.parametrize("suffix", [".mkv", pytest.param(".ts", marks=pytest.mark.soak)])
def test_times_that_run_on_do_not_reach_back_into_a_stop_of_filming(
    suffix: str, station: Station, sandbox: Sandbox
) -> None:
    whole = film_run(station.root / "film.mp4", seconds=3)
    path = restamped(whole, station.root / f"film{suffix}", lambda n: 3600 + n / 15)
    station.spotter("status")  # makes the outbox
    with Outbox.open(station.state) as outbox:
        stop_filming(outbox, now=ago(1200), set_by="test")
        start_filming(outbox, now=ago(600), set_by="test")
    with station.running():
        record_at_pace(path, station.capture / Path(name_of(1)).with_suffix(suffix), seconds=3.2)
        assert delivered(sandbox, 1), station.log.read_text()[-3000:]

    (entry,) = station.entries()
    assert entry["capture_seconds"] == pytest.approx(3.0, abs=0.1)
    assert 2.0 < float(str(entry["clip_seconds"])) < 3.1


def test_a_raw_stream_becomes_a_clip_like_any_other(station: Station, sandbox: Sandbox) -> None:
    whole, path = film_run(station.root / "film.mp4", seconds=3), station.root / "film.h264"
    with av.open(str(whole)) as given, av.open(str(path), "w", format="h264") as target:
        copied = target.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
    with station.running():
        path.rename(station.capture / "chunk0001.h264")
        assert delivered(sandbox, 1), station.log.read_text()[-3000:]

    (clip,) = (station.state / "clips").glob("*.mp4")
    with av.open(str(clip)) as shown, av.open(str(whole)) as filmed:
        assert sum(1 for _ in shown.decode(video=0)) > 30
        assert shown.streams.video[0].codec_context.name == "h264"
        assert filmed.streams.video[0].average_rate == shown.streams.video[0].average_rate
