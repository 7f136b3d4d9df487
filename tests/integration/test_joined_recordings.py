"""A recorder that splits its recordings cuts an effort in two: one clip goes over both."""

import json
import os
import shutil
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from agent.synthetic import SceneCamera, Segment, Storyboard
from tests.station import ATHLETE, PATIENCE_S, Station, delivered, until

SPLIT_S = 4.0
NAMES = ("seg-001.mp4", "seg-002.mp4")


def film_in_two(folder: Path) -> tuple[Path, Path]:
    """Film a run of 5 s with idle time around it, split in its middle as a recorder does."""
    whole = folder / "whole.mp4"
    story = Storyboard(
        [Segment("stand", 1.5), Segment("run", 5.0), Segment("stand", 1.5)],
        width=240,
        height=360,
        fps=15,
    )
    SceneCamera(story).record(whole)
    parts = folder / NAMES[0], folder / NAMES[1]
    with av.open(str(whole)) as source:
        stream = source.streams.video[0]
        targets = [av.open(str(path), "w") for path in parts]
        streams = [target.add_stream_from_template(stream) for target in targets]
        base = stream.time_base or Fraction(1)
        for packet in source.demux(stream):
            if packet.pts is None or packet.dts is None:
                continue
            part = int(packet.pts * base >= SPLIT_S)
            shift = round(SPLIT_S / base) * part
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = streams[part]
            targets[part].mux(packet)
        for target in targets:
            target.close()
    return parts


def deliver(part: Path, station: Station, *, filmed_s_ago: float) -> None:
    """Move a recording into the capture folder, as old as it would be."""
    moment = time.time() - filmed_s_ago
    os.utime(part, (moment, moment))
    part.rename(station.capture / part.name)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return film_in_two(tmp_path_factory.mktemp("filmed"))


@pytest.fixture
def parts(filmed: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    first, second = (Path(shutil.copy(part, tmp_path)) for part in filmed)
    return first, second


def test_one_clip_over_both_is_delivered(
    station: Station, sandbox: Sandbox, parts: tuple[Path, Path]
) -> None:
    deliver(parts[0], station, filmed_s_ago=4.0)
    deliver(parts[1], station, filmed_s_ago=0.0)

    with station.running():
        assert delivered(sandbox, 1)
        until(lambda: sorted(map(str, station.states())) == ["discarded", "uploaded"])

    (session,) = sandbox.book.sessions
    first, joined = station.entries()
    assert (first["state"], first["reason"]) == ("discarded", "joined")
    assert session.video_sha256 == joined["clip_sha256"]
    assert joined["clip_seconds"] == pytest.approx(7.0, abs=1.1)  # 5 s and padding
    shown = json.loads(station.spotter("outbox", "show", str(joined["id"]), "--json"))
    assert shown["captures"] == ["c1", "c2"] and shown["user_id"] == ATHLETE
    assert not list((station.state / "tmp").glob("*.mp4"))
    (kept,) = (station.state / "pictures").glob(f"{joined['clip_code']}.pose")
    skeleton, clip_s = json.loads(kept.read_text()), float(str(joined["clip_seconds"]))
    times_s = [at_ms / 1000 for at_ms in skeleton["times_ms"]]
    assert times_s == sorted(set(times_s)) and times_s[0] >= 0 and times_s[-1] <= clip_s + 0.1
    within = [at_s for at_s in times_s if 1.0 < at_s < clip_s - 1.0]  # the run, across the seam
    assert max(b - a for a, b in pairwise(within)) < 0.5
    assert kept.stat().st_size < 3000 * clip_s
    assert "one clip of c1 and c2" in station.spotter("reanalyse", "c1", code=1)


def test_a_first_part_that_was_sent_stays_and_the_second_is_a_clip_of_its_own(
    station: Station, sandbox: Sandbox, parts: tuple[Path, Path]
) -> None:
    deliver(parts[0], station, filmed_s_ago=0.0)
    with station.running():
        assert delivered(sandbox, 1)  # nothing else is being filmed: nothing is waited for
        deliver(parts[1], station, filmed_s_ago=-4.0)
        assert delivered(sandbox, 2)
        until(lambda: station.states() == ["uploaded", "uploaded"])

    shown = [
        json.loads(station.spotter("outbox", "show", str(row["id"]), "--json"))
        for row in station.entries()
    ]
    assert [story["captures"] for story in shown] == [["c1"], ["c2"]]
    assert any("continued after the recording" in told for told in shown[0]["picture"])
    assert any("had begun before the recording" in told for told in shown[1]["picture"])


@pytest.mark.parametrize(
    "point",
    [
        "clip-cut:2",
        *(
            pytest.param(point, marks=pytest.mark.soak)
            for point in ("entries-made:2", "analysis-ended:2")
        ),
    ],
)
def test_a_kill_while_joining_makes_neither_two_clips_nor_none(
    station: Station, sandbox: Sandbox, parts: tuple[Path, Path], point: str
) -> None:
    deliver(parts[0], station, filmed_s_ago=4.0)
    deliver(parts[1], station, filmed_s_ago=0.0)
    assert station.start({"SPOTTER_CRASH_AT": point}).wait(PATIENCE_S) == -9

    with station.running():
        assert delivered(sandbox, 1)
        until(lambda: sorted(map(str, station.states())) == ["discarded", "uploaded"])
    assert len(sandbox.book.sessions) == 1


def test_a_first_part_that_grew_meanwhile_voids_the_clip_and_loses_neither_part(
    station: Station, sandbox: Sandbox, parts: tuple[Path, Path]
) -> None:
    text = station.config.read_text()
    station.config.write_text(text.replace("send_delay_s = 0", "send_delay_s = 600"))
    deliver(parts[0], station, filmed_s_ago=4.0)
    deliver(parts[1], station, filmed_s_ago=0.0)
    with station.running():
        until(lambda: sorted(map(str, station.states())) == ["discarded", "ready"])
    with Outbox.open(station.state) as outbox:
        first = outbox.captures.by_id(1)
        assert first is not None
    with (station.state / "captures" / first.stored_name).open("ab") as file:
        file.write(b"\0\0\0\x08free")  # a box that changes nothing of the video

    station.spotter("outbox", "retry", "e2")
    with station.running():
        until(lambda: station.states().count("ready") == 2)

    assert [row["reason"] for row in station.entries()[:2]] == ["joined", "grew_after_admission"]
    assert {row["capture"] for row in station.entries()[2:]} == {"c1-seg-001.mp4", "seg-002.mp4"}
    assert sandbox.book.sessions == []


def test_a_clip_over_two_recordings_that_was_torn_is_cut_again_from_both(
    station: Station, parts: tuple[Path, Path]
) -> None:
    text = station.config.read_text()
    station.config.write_text(text.replace("send_delay_s = 0", "send_delay_s = 600"))
    deliver(parts[0], station, filmed_s_ago=4.0)
    deliver(parts[1], station, filmed_s_ago=0.0)
    with station.running():
        until(lambda: sorted(map(str, station.states())) == ["discarded", "ready"])
    row = station.entries()[1]
    clip = station.state / "clips" / f"{row['clip_code']}.mp4"
    content = clip.read_bytes()
    clip.write_bytes(b"")

    with station.running():
        until(lambda: "clip recut" in station.log.read_text())
        until(lambda: station.states()[1] == "ready")

    assert clip.read_bytes() == content
    assert station.entries()[1]["clip_sha256"] == row["clip_sha256"]
