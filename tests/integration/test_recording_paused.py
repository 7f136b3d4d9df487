"""Filming stopped: nothing of it is seen, sent or kept, and nothing else is lost."""

import json
import os
import shutil
import time
from datetime import datetime
from pathlib import Path

import av

from agent.clock import read_clock
from agent.disk.state_folder import StateFolder
from agent.outbox.models import Capture
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState
from agent.sandbox.server import Sandbox
from agent.station.recording_pause import start_filming, stop_filming
from agent.synthetic import SceneCamera, Segment, Storyboard
from tests.station import PATIENCE_S, Station, delivered, until, until_filmed
from tests.videos import film_run, name_of

_RUN_S, _REST_S = 1.6, 1.0  # length of the filmed runs, and of the rest after them
_FINAL_S = 40.0  # a stop so long ago cannot be undone any more


def named(began_at: float, kind: str = ".mp4") -> str:
    """A name as recorders give it: when the recording began."""
    return datetime.fromtimestamp(began_at).strftime(f"%Y%m%d-%H%M%S{kind}")  # noqa: DTZ006  # local


def put(station: Station, film: Path, *, ended_at: float, seconds: float) -> str:
    """Let a recording come that a recorder ended at a moment and named by its beginning."""
    os.utime(film, (ended_at, ended_at))
    return film.rename(station.capture / named(ended_at - seconds)).name


def drawn_film(station: Station, number: int) -> Path:
    """A film in which somebody runs and goes, so that nothing goes on in another one."""
    film = station.root / "film.mp4"
    parts = [Segment("run", _RUN_S), Segment("nobody", _REST_S)]
    story = Storyboard(parts, width=160, height=240, fps=15, seed=number, noise=2.0)
    SceneCamera(story).record(film)
    return film


def filmed(station: Station, number: int, *, ended_at: float, keep: Path | None = None) -> str:
    """Let such a film come."""
    film = drawn_film(station, number)
    if keep is not None:
        shutil.copy(film, keep)
    return put(station, film, ended_at=ended_at, seconds=_RUN_S + _REST_S)


def stopped(station: Station, *, since_s: float, until_s: float | None = None) -> float:
    """Let filming have been stopped so many seconds ago, up to others; return when."""
    now = read_clock()
    StateFolder(station.state).prepare()
    with Outbox.open(station.state) as outbox:
        stop_filming(outbox, now=now.shifted(-since_s), set_by="test")
        if until_s is not None:
            start_filming(outbox, now=now.shifted(-until_s), set_by="test")
    return now.utc_s - since_s


def captures(station: Station) -> dict[str, Capture]:
    with Outbox.open(station.state) as outbox:
        return {one.file_name: one for one in outbox.captures.in_state(*CaptureState)}


def reasons(station: Station) -> dict[str, tuple[str, str | None]]:
    return {name: (one.state, one.reason) for name, one in captures(station).items()}


def test_what_is_filmed_meanwhile_is_removed_unseen_by_when_it_was_filmed(
    station: Station, sandbox: Sandbox
) -> None:
    stopped(station, since_s=_FINAL_S)
    now_s, copy = time.time(), station.root / "copy.mp4"
    with station.running():
        assert "PAUSED" in station.spotter("status")
        before = filmed(station, 1, ended_at=now_s - _FINAL_S - 5)  # arrives now
        during = filmed(station, 2, ended_at=time.time(), keep=copy)
        until(lambda: reasons(station).get(during) == ("discarded", "filming_stopped"))
        shutil.copy(copy, station.capture / "copy.mp4")
        until(lambda: not list(station.capture.iterdir()))
        station.spotter("filming", "start")
        until_filmed(_RUN_S + _REST_S + 1.6, since_s=time.time())
        after = filmed(station, 3, ended_at=time.time())
        assert delivered(sandbox, 2), station.log.read_text()[-3000:]

    found = captures(station)
    assert found[before].state == found[after].state == "analysed"
    kept = {path.stem for path in (station.state / "captures").glob("*.mp4")}
    assert kept == {found[before].sha256, found[after].sha256}
    assert len(sandbox.book.sessions) == 2


def test_a_stop_pressed_after_a_lift_and_taken_back_takes_nothing(
    station: Station, sandbox: Sandbox
) -> None:
    with station.running():
        lift = filmed(station, 1, ended_at=time.time() - 1)
        station.spotter("filming", "stop")
        station.spotter("filming", "start")
        late = filmed(station, 2, ended_at=time.time() - 20)
        assert delivered(sandbox, 2), station.log.read_text()[-3000:]

    assert {reasons(station)[name][0] for name in (lift, late)} == {"analysed"}


WAITS = ("captured", "stop_can_be_undone")


def waits_unseen(station: Station) -> str:
    """Let a recording come that was filmed after a stop that can still be undone."""
    drawn = drawn_film(station, 1)
    station.spotter("filming", "stop")
    until_filmed(_RUN_S + _REST_S + 1.6, since_s=time.time())
    return put(station, drawn, ended_at=time.time(), seconds=_RUN_S + _REST_S)


def test_nothing_is_looked_at_or_removed_while_the_stop_can_be_undone(
    station: Station, sandbox: Sandbox
) -> None:
    with station.running():  # first of all: a start takes long beside the 30 s of the stop
        during = waits_unseen(station)
        until(lambda: reasons(station).get(during) == WAITS)
        told = json.loads(station.spotter("filming", "stop", "--json"))
        assert told["waiting_unseen"] == 1
    with station.running():  # a restart of the daemon changes nothing
        until(lambda: reasons(station).get(during) == WAITS)
        sha256 = captures(station)[during].sha256
        assert not list((station.state / "pictures").glob(f"{sha256}*"))
        assert "undone: stop filming" in station.spotter("undo")
        assert "undone: stop filming" in station.spotter("undo")  # both of them
        assert delivered(sandbox, 1), station.log.read_text()[-3000:]

    assert reasons(station)[during][0] == "analysed"


def test_what_waits_unseen_stands_in_nobodys_way(station: Station, sandbox: Sandbox) -> None:
    during = waits_unseen(station)
    with station.running():
        until(lambda: reasons(station).get(during) == WAITS)
        before = filmed(station, 2, ended_at=time.time() - 60)
        assert delivered(sandbox, 1), station.log.read_text()[-3000:]

    assert reasons(station)[before][0] == "analysed"


def test_of_one_recording_what_is_before_and_after_a_stop_is_cut(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    station = Station(tmp_path, sandbox.base_url, {"capture": {"clock_offset_s": 0}})
    run, rest = Segment("run", 4.0), Segment("nobody", 4.0)
    parts = [run, rest, run, Segment("nobody", 8.0), run, rest]
    story = Storyboard(parts, width=160, height=240, fps=15, noise=2.0)
    SceneCamera(story).record(station.root / "film.mp4")
    ended_at = time.time() - 1
    began_ago_s = 28 + 1 + (time.time() - ended_at - 1)
    # From 6 s to 12 s of it nobody may be seen.
    stopped(station, since_s=began_ago_s - 6 + _FINAL_S, until_s=began_ago_s - 12 + _FINAL_S)
    name = put(station, station.root / "film.mp4", ended_at=ended_at - _FINAL_S, seconds=28)
    with station.running():
        until(lambda: reasons(station).get(name, ("",))[0] == "analysed")
        assert delivered(sandbox, 2), station.log.read_text()[-3000:]

    capture = captures(station)[name]
    ((from_s, to_s),) = capture.hidden_stretches
    assert 2.5 < from_s < 7.5 and 12 < to_s < 18.5  # names tell no fractions
    with Outbox.open(station.state) as outbox:
        entries = outbox.entries.of_capture(capture.id)
        takes = outbox.takes.of(capture)
        assert len(entries) == len(takes) == 2
        first, second = takes
        assert first.end_s <= from_s and second.start_s >= to_s
    for entry in entries:
        shown = frames(station.state / "clips" / entry.stored_name)
        assert shown / 15 <= entry.clip_seconds + 0.1  # every frame that is stored is shown
    refused = station.spotter("takes", "add", capture.name, "7", "11", code=1)
    assert "recording was paused" in refused


def frames(clip: Path) -> int:
    """Count what a player finds that heeds no edit list."""
    with av.open(str(clip), options={"ignore_editlist": "1"}) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_kill_leaves_nothing_of_it_to_be_seen(station: Station) -> None:
    stopped(station, since_s=_FINAL_S)
    filmed(station, 1, ended_at=time.time())
    assert station.start({"SPOTTER_CRASH_AT": "hidden"}).wait(PATIENCE_S) == -9
    assert list((station.state / "captures").glob("*.mp4"))

    with station.running():
        until(lambda: not list((station.state / "captures").iterdir()))


def test_what_may_have_been_filmed_meanwhile_waits_for_a_person(station: Station) -> None:
    stopped(station, since_s=_FINAL_S)
    long_ago = time.time() - 3600
    for number, told in enumerate(("nothing", "name", "creation", "file_time"), start=1):
        film = film_run(station.root / "film.mp4", seed=number)
        if told == "creation":
            film = created_at(film, long_ago)
        if told == "file_time":
            os.utime(film, (long_ago, long_ago))
        film.rename(station.capture / (named(long_ago) if told == "name" else name_of(number)))
    with station.running():
        until(lambda: str(reasons(station)).count("filming_may_be_stopped") == 4)
        assert not list((station.state / "pictures").iterdir())
        for capture in captures(station).values():
            station.spotter("outbox", "retry", capture.name)
        until(lambda: len(station.states()) == 4 and {*station.states()} <= {"uploaded", "held"})


def created_at(film: Path, at: float) -> Path:
    """Write a creation time into a film."""
    told = film.with_suffix(".told.mp4")
    moment = datetime.fromtimestamp(at).astimezone().isoformat()  # local
    with av.open(str(film)) as source, av.open(str(told), "w") as target:
        target.metadata["creation_time"] = moment
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return told
