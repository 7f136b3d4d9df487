"""Real files with the times that real cameras write: each take goes to the athlete of its time."""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import av
import pytest

from agent.clock import read_clock
from agent.disk.state_folder import StateFolder
from agent.outbox.models import ClipTarget
from agent.outbox.outbox import Outbox
from agent.outbox.states import Recipient
from agent.sandbox.server import Sandbox
from agent.station.assignments import StationRules, assign
from agent.synthetic import SceneCamera, Segment, Storyboard
from tests.station import Station, until

ANN, BEN = "athlete-0002", "athlete-0003"  # whom the stand-in API knows
_LENGTH_S = 12.0


def film(path: Path, *, tags: Mapping[str, str] | None = None) -> Path:
    """Film somebody who runs in the middle, and write what a camera writes about it."""
    plain = path.with_suffix(".plain.mp4")
    plain.write_bytes(drawn())
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(plain)) as source, av.open(str(path), "w", options=options) as target:
        target.metadata.update(tags or {})
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    plain.unlink()
    return path


@cache
def drawn() -> bytes:
    """The same pictures for every test of a process, without what a camera writes about them."""
    parts = [Segment("nobody", 4.0), Segment("run", 4.0), Segment("nobody", 4.0)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film.mp4")
        SceneCamera(Storyboard(parts, width=160, height=240, fps=15, noise=2.0)).record(path)
        return path.read_bytes()


def told(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def named(at: float, form: str = "%Y%m%d-%H%M%S.mp4") -> str:
    return datetime.fromtimestamp(at).strftime(form)  # noqa: DTZ006  # local


def assigned(station: Station, *, ann: float, ben: float) -> None:
    """Let athletes have come so many seconds ago, Ann before Ben."""
    now = read_clock()
    StateFolder(station.state).prepare()
    plain = ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")
    with Outbox.open(station.state) as outbox:
        for who, seconds in ((ANN, ann), (BEN, ben)):
            wanted = ClipTarget(recipient=Recipient.ATHLETE, user_id=who, activity="running")
            at = now.shifted(-seconds)
            assign(outbox, wanted, rules=StationRules(default=plain), now=at, set_by="test")


def vouched(tmp_path: Path, sandbox: Sandbox) -> Station:
    return Station(tmp_path, sandbox.base_url, {"capture": {"clock_offset_s": 0}})


def entry_of(station: Station) -> dict[str, object]:
    until(lambda: station.states() and station.states()[0] not in {"ready", "uploading"})
    (entry,) = station.entries()
    return entry


@pytest.mark.parametrize(
    "sign",
    [
        "com.android.version",
        "nothing",
        pytest.param("com.android.manufacturer", marks=pytest.mark.soak),
    ],
)
def test_the_end_that_android_writes_gives_the_athlete_of_the_true_time(
    tmp_path: Path, sandbox: Sandbox, sign: str
) -> None:
    station = vouched(tmp_path, sandbox)
    ended_at = time.time() - 20
    assigned(station, ann=60, ben=20)  # taken for its beginning, the end would give ben
    tags = {"creation_time": told(ended_at)} | ({} if sign == "nothing" else {sign: "14"})
    path = film(station.root / "film.mp4", tags=tags)
    os.utime(path, (ended_at, ended_at))
    path.rename(station.capture / "VID.mp4")
    with station.running():
        entry = entry_of(station)

    assert (entry["state"], entry["user_id"]) == ("uploaded", ANN)


def grow(path: Path, content: Path, *, took_s: float) -> None:
    """Let a file grow evenly."""
    whole, parts = content.read_bytes(), max(2, round(took_s * 4))
    with path.open("wb") as file:
        for number in range(parts):
            file.write(whole[len(whole) * number // parts : len(whole) * (number + 1) // parts])
            file.flush()
            time.sleep(took_s / parts)


@pytest.mark.parametrize(
    ("form", "is_vouched"),
    [
        ("%Y%m%d-%H%M%S.mp4", False),
        ("%YY%mM%dD%HH/%MM%SS00.mp4", True),
        pytest.param("%Y%m%d-%H%M%S.mp4", True, marks=pytest.mark.soak),
        pytest.param("%YY%mM%dD%HH/%MM%SS00.mp4", False, marks=pytest.mark.soak),
    ],
)
def test_a_backlog_that_grows_slowly_is_of_its_own_time_or_held(
    tmp_path: Path, sandbox: Sandbox, form: str, is_vouched: bool
) -> None:
    plain = Station(tmp_path, sandbox.base_url)
    station = vouched(tmp_path, sandbox) if is_vouched else plain
    began_at = time.time() - 90
    assigned(station, ann=600, ben=40)
    content = film(station.root / "film.mp4")
    place = station.capture / named(began_at, form)
    place.parent.mkdir(exist_ok=True)
    with station.running():
        grow(place, content, took_s=20.0)
        entry = entry_of(station)

    if is_vouched and entry["state"] == "uploaded":
        assert entry["user_id"] == ANN
    else:  # also where a busy machine saw so little of the growth that it may be a recording's
        assert (entry["state"], entry["reason"]) == ("held", "recording_time_unknown")
        assert f"{ANN}, if" in str(entry["detail"]) and f"{BEN}, if" in str(entry["detail"])
        shown = station.spotter("outbox", "show", str(entry["id"]))
        assert "filmed_by" in shown and "the time in the file name says" in shown


def test_what_grows_as_it_is_filmed_is_of_now(tmp_path: Path, sandbox: Sandbox) -> None:
    station = Station(tmp_path, sandbox.base_url)
    content = film(station.root / "film.mp4")
    assigned(station, ann=600, ben=5)
    with station.running():
        grow(station.capture / "rec.mp4", content, took_s=_LENGTH_S)
        entry = entry_of(station)

    assert (entry["state"], entry["user_id"]) == ("uploaded", BEN)


def test_a_copy_without_a_date_is_held_and_what_is_behind_it_goes_on(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    station = Station(tmp_path, sandbox.base_url)
    content = film(station.root / "film.mp4")
    assigned(station, ann=600, ben=200)
    with station.running():
        shutil.copy(content, station.capture / "IMG_0001.mp4")
        entry = entry_of(station)

    assert (entry["state"], entry["reason"]) == ("held", "recording_time_unknown")


def test_slow_motion_took_less_time_than_it_plays(tmp_path: Path, sandbox: Sandbox) -> None:
    station = vouched(tmp_path, sandbox)
    ended_at = time.time() - 15
    assigned(station, ann=60, ben=18)  # 3 s before the end: all of it, at a quarter of its length
    tags = {
        "creation_time": told(ended_at + 0.9),
        "com.android.version": "14",
        "com.android.capture.fps": "120.0",
    }
    path = film(station.root / "film.mp4", tags=tags)
    os.utime(path, (ended_at, ended_at))
    path.rename(station.capture / "VID.mp4")
    with station.running():
        entry = entry_of(station)

    assert (entry["state"], entry["user_id"]) == ("uploaded", BEN)
    assert "filmed_at_another_pace" in str(entry["remarks"])
