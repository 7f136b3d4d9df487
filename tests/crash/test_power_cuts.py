"""The power goes at any moment of a capture's life: promise 1 holds, whatever the disk kept."""

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.clock import read_clock
from agent.disk.state_folder import StateFolder
from agent.intake.admission import Admission
from agent.outbox.consistency import ConsistencyCheck
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.states import CaptureState, EntryState, FileState
from agent.sandbox.server import Sandbox
from agent.wakeup import wake
from tests.crash.power import CALLS, Call, Disk, Variant, moments, read_trace, replay
from tests.needs import need
from tests.station import KEY, Station, delivered, until
from tests.videos import film_run

SENT = frozenset({EntryState.UNCERTAIN, EntryState.UPLOADED})


@dataclass(slots=True)
class Recording:
    """One capture on its way to its session, and away again, call by call."""

    station: Station
    sandbox: Sandbox
    before: dict[str, bytes]
    calls: list[Call]
    sha256: str  # of the capture

    @property
    def made_at(self) -> float:
        """When the API made the session."""
        return self.sandbox.book.sessions[0].created_at


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """Record the real daemon with one capture, from its first start to its end."""
    need(Path("/usr/bin/strace"), "strace")
    root = tmp_path_factory.mktemp("power")
    with Sandbox(key=KEY, processing_s=0.0) as sandbox:
        settings: dict[str, dict[str, object]] = {
            "disk": {"reserve_mb": 0},
            "capture": {
                **{"settle_s": 0.3, "settle_unseen_s": 1.0, "rescan_s": 1.0},
                **{"keep_originals_h": 0},
            },
        }
        station = Station(root, sandbox.base_url, settings)
        film = film_run(station.capture / "one.mp4")
        sha256 = hashlib.sha256(film.read_bytes()).hexdigest()
        before = {str(film): film.read_bytes()}
        trace = root / "trace"
        record(station, trace)
        yield Recording(station, sandbox, before, read_trace(trace, root), sha256)


def record(station: Station, trace: Path) -> None:
    """Run the daemon under strace until its capture is delivered and cleared away."""
    command = ["strace", "-ff", "-y", "-xx", "-ttt", "-s", "4000000", "--seccomp-bpf"]
    command += ["-e", f"trace={CALLS}", "-o", str(trace)]
    command += [sys.executable, "-m", "agent", "run", "--config", str(station.config)]
    with station.log.open("ab") as log, subprocess.Popen(command, stderr=log) as daemon:
        lock = station.state / "owner.lock"
        try:
            until(lambda: 'event="clip uploaded"' in station.log.read_text())
            wake(station.state / "wake.sock")  # nothing is said, but the original may go
            until(lambda: 'event="original cleared"' in station.log.read_text())
        finally:
            os.kill(int(lock.read_text()), signal.SIGTERM)
            daemon.wait(20)


def start_on(state: Path) -> Outbox:
    """Set right what every start sets right."""
    folder = StateFolder(state)
    folder.prepare()
    folder.empty_tmp()
    outbox = open_as_owner(state, now_s=read_clock().utc_s)
    outbox.resume_interrupted(now_s=read_clock().utc_s)
    Admission(outbox, folder, now=read_clock).resume()
    ConsistencyCheck(outbox, folder, now=read_clock).run()
    return outbox


def check(recording: Recording, place: Path, *, at: float) -> None:
    """Promise 1, on what is left of a station: the capture, or its session, is not lost."""
    root = recording.station.root
    copy = Station.__new__(Station)
    copy.root = place
    with start_on(copy.state) as outbox:
        assert outbox.database.row("PRAGMA quick_check") == {"quick_check": "ok"}
        entries = outbox.entries.in_states(set(EntryState))
        for entry in entries:
            clip = copy.state / "clips" / entry.stored_name
            if entry.file_state is FileState.PRESENT:
                assert hashlib.sha256(clip.read_bytes()).hexdigest() == entry.clip_sha256, root
        if at >= recording.made_at:
            assert [entry.state in SENT for entry in entries] == [True]
        if any(entry.state is EntryState.UPLOADED for entry in entries):
            assert entries[0].session_id == recording.sandbox.book.sessions[0].session_id
            return
        assert any(is_whole(recording, path) for path in where_it_may_be(copy, outbox))


def where_it_may_be(station: Station, outbox: Outbox) -> Iterator[Path]:
    """Where the undelivered capture may lie: before it was taken in, or after, with its row."""
    yield from station.capture.iterdir() if station.capture.exists() else ()
    for capture in outbox.captures.in_state(CaptureState.CAPTURED, CaptureState.ANALYSED):
        yield station.state / "captures" / capture.stored_name


def is_whole(recording: Recording, path: Path) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == recording.sha256


def look_at(recording: Recording, cuts: list[int], place: Path) -> Iterator[tuple[Disk, float]]:
    """Yield the disk at each cut, and check every variant of what it may hold."""
    for cut, disk in zip(cuts, replay(recording.before, recording.calls, cuts), strict=True):
        at = recording.calls[cut].at if cut < len(recording.calls) else float("inf")
        for variant in Variant:
            disk.hold(recording.station.root, place, variant)
            check(recording, place, at=at)
        yield disk, at


def test_the_run_was_recorded_whole(recording: Recording, tmp_path: Path) -> None:
    disk = Disk(recording.before)
    for call in recording.calls:
        disk.carry_out(call)
    disk.hold(recording.station.root, tmp_path / "copy", Variant.ALL)

    copied = files(tmp_path / "copy" / "state")
    assert copied == files(recording.station.state)


def files(state: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(state)): path.read_bytes()
        for path in state.rglob("*")
        if path.is_file() and path.parent.name != "tmp"
    }


def test_a_power_cut_loses_nothing_and_tears_no_clip(recording: Recording, tmp_path: Path) -> None:
    every = moments(recording.calls)
    cuts = sorted(random.Random(5).sample(every, 12))

    assert len([at for _, at in look_at(recording, cuts, tmp_path / "copy")]) == len(cuts)


def test_after_a_power_cut_the_daemon_delivers_once(recording: Recording, tmp_path: Path) -> None:
    made = next(n for n, c in enumerate(recording.calls) if c.at >= recording.made_at)
    deliver_after(recording, [made // 2, made + 2], tmp_path)


def deliver_after(recording: Recording, cuts: list[int], tmp_path: Path) -> None:
    """Let the real daemon start on what two extreme disks hold; the API's book has the word."""
    for cut, disk in zip(cuts, replay(recording.before, recording.calls, cuts), strict=True):
        for variant in (Variant.NOTHING, Variant.NAMES):
            place = tmp_path / f"{cut}-{variant}"
            disk.hold(recording.station.root, place, variant)
            with Sandbox(key=KEY, processing_s=0.0) as fresh:
                made = recording.calls[cut].at >= recording.made_at
                sandbox = recording.sandbox if made else fresh
                station = Station(place, sandbox.base_url)
                with station.running():
                    assert delivered(sandbox, 1)
                    until(lambda: station.states() == ["uploaded"])  # noqa: B023  # at once
                assert len(sandbox.book.sessions) == 1


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_power_cut_at_every_moment_loses_nothing(recording: Recording, tmp_path: Path) -> None:
    every = moments(recording.calls)

    assert len(list(look_at(recording, every, tmp_path / "copy"))) == len(every)
    deliver_after(recording, every[:: len(every) // 12], tmp_path)
