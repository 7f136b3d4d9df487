"""Single calls that the disk refuses, in the real daemon: open, write, fsync, rename, commit."""

import contextlib
import os
import resource
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.sandbox.server import Sandbox
from tests.disks import mounted
from tests.needs import need
from tests.station import Station, delivered, until
from tests.videos import film_run, name_of

_LOG_AND_MORE_BYTES = 64 * 1024  # the daemon's log fits, the database does not


def film(station: Station, number: int) -> None:
    film_run(station.root / "film.mp4", seed=number).rename(station.capture / name_of(number))


def errors(station: Station) -> int:
    return station.log.read_text().count("level=error")


def look_now(station: Station) -> None:
    """Wake the daemon, as any command does: tests do not wait as long as it would."""
    station.spotter("assign", "--clear")


def check(station: Station, sandbox: Sandbox, clips: int) -> None:
    """Each film was delivered once, and nothing strays about."""
    assert delivered(sandbox, clips), station.log.read_text()[-3000:]
    until(lambda: station.states() == ["uploaded"] * clips)
    sent = Counter(session.video_sha256 for session in sandbox.book.sessions)
    assert sent == Counter(str(row["clip_sha256"]) for row in station.entries())
    assert len(sent) == clips and set(sent.values()) == {1}
    assert not list(station.capture.iterdir())
    assert not list((station.state / "set-aside").iterdir())
    assert not list((station.state / "tmp").glob("*.mp4"))
    log = station.log.read_text()
    assert "Traceback" not in log
    assert log.count("level=error") < 12, log


@contextlib.contextmanager
def refusing(process_id: int, call: str, error: str) -> Iterator[None]:
    """Let the system refuse every such call of a process meanwhile."""
    need(Path("/usr/bin/strace"), "strace")
    asked = ("-e", f"trace={call}", "-e", f"inject={call}:error={error}", "-o", "/dev/null")
    words = ["strace", "-f", "-p", str(process_id), *asked]
    tracing = subprocess.Popen(words, stderr=subprocess.PIPE)
    assert tracing.stderr is not None  # a pipe
    if b"attached" not in tracing.stderr.readline():
        tracing.wait()
        pytest.skip("this system lets nobody trace a process")
    try:
        yield
    finally:
        tracing.terminate()
        tracing.wait()
        tracing.stderr.close()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("fsync", "EIO"),
        pytest.param("rename", "ENOSPC", marks=pytest.mark.soak),
        pytest.param("fdatasync", "EIO", marks=pytest.mark.soak),
        pytest.param("pwrite64", "ENOSPC", marks=pytest.mark.soak),
        pytest.param("fsync", "ENOSPC", marks=pytest.mark.soak),
    ],
)
def test_calls_that_are_refused_for_a_while_cost_nothing(
    station: Station, sandbox: Sandbox, call: str, error: str
) -> None:
    daemon = station.start()
    film(station, 1)
    assert delivered(sandbox, 1)
    with refusing(daemon.pid, call, error):
        before = errors(station)
        film(station, 2)
        until(lambda: errors(station) > before)
        assert daemon.poll() is None

    look_now(station)
    check(station, sandbox, 2)
    daemon.terminate()
    assert daemon.wait(12) == 0


def test_files_that_may_not_grow_are_tried_again(station: Station, sandbox: Sandbox) -> None:
    daemon = station.start()
    film(station, 1)
    assert delivered(sandbox, 1)
    unlimited = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    before = errors(station)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (_LOG_AND_MORE_BYTES, unlimited[1]))
    film(station, 2)
    until(lambda: errors(station) > before)
    assert daemon.poll() is None

    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, unlimited)
    look_now(station)
    check(station, sandbox, 2)
    daemon.terminate()
    assert daemon.wait(12) == 0


def test_a_disk_without_room_for_names_is_full(tmp_path: Path, sandbox: Sandbox) -> None:
    with mounted(tmp_path / "state", "size=64m", "nr_inodes=600") as disk:
        station = Station(tmp_path, sandbox.base_url)
        with station.running():
            film(station, 1)
            assert delivered(sandbox, 1)
            strays = disk / "strays"
            strays.mkdir()
            with contextlib.suppress(OSError):
                for number in range(600):
                    os.close(os.open(strays / str(number), os.O_CREAT))
            film(station, 2)
            until(lambda: "hardly any inodes left" in station.spotter("status"))
            assert len(sandbox.book.sessions) == 1

            shutil.rmtree(strays)
            check(station, sandbox, 2)
