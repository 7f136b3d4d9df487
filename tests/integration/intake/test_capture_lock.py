"""One daemon ingests from a capture folder; a second one waits, and resumes once that has ended."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli import status as cli_status
from agent.clock import read_clock
from agent.disk import capture_lock
from agent.disk.capture_lock import CaptureFolderLock, find_conflict
from agent.doctor import folders
from agent.doctor.check import Severity, StationUnderTest
from agent.doctor.folders import check_others
from agent.settings.load import load_settings
from tests.disks import mount, mounted
from tests.station import Station, until

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
_HOLD = """
import sys, time
from pathlib import Path
from agent.disk.capture_lock import CaptureFolderLock
lock = CaptureFolderLock(Path(sys.argv[1]))
print(lock.take(), flush=True)
time.sleep(60)
"""


def second_of(station: Station, capture: Path) -> Station:
    """Another station with a state folder of its own, on a capture folder."""
    root = station.root / "second"
    paths: dict[str, object] = {"capture": str(capture), "state": str(root / "state")}
    return Station(root, "http://127.0.0.1:9", settings={"paths": paths})


def intake(station: Station) -> dict[str, str | None]:
    found = json.loads(station.spotter("status", "--json"))["intake"]
    assert isinstance(found, dict)
    return found


def captures(station: Station) -> list[object]:
    return [row["capture"] for row in station.rows() if row["kind"] == "capture"]


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path, "http://127.0.0.1:9")


def test_a_second_station_waits_says_so_and_takes_over_when_the_first_has_ended(
    station: Station,
) -> None:
    second = second_of(station, station.capture)
    first = station.start()
    try:
        with second.running():
            until(lambda: intake(second)["reason"] == "folder_in_use")
            assert intake(station)["reason"] is None
            (station.capture / "one.mp4").write_bytes(b"no video, but a capture")
            until(lambda: captures(station))
            told = intake(second)["detail"]
            shown = second.spotter("status")
            needs = json.loads(second.spotter("status", "--json"))["needs_you"]
            (found,) = check_others(examined(second))
            assert check_others(examined(station)) == []
            first.send_signal(signal.SIGKILL)  # whatever becomes of it, and of its children
            first.wait(12)
            (station.capture / "two.mp4").write_bytes(b"another one")
            until(lambda: intake(second)["reason"] is None)
            until(lambda: captures(second))
    finally:
        if first.poll() is None:
            first.send_signal(signal.SIGKILL)
            first.wait(12)
    assert captures(station) == ["one.mp4"] and captures(second) == ["two.mp4"]
    assert told == (
        f"another spotter (process {first.pid}) ingests from {station.capture}: give each station "
        "a capture folder of its own (paths.capture), or stop the other one; intake then resumes "
        "automatically"
    )
    assert "intake PAUSED" in shown and {"what": "paused", "told": "intake is paused"}.items() <= (
        next(need for need in needs if need["what"] == "paused").items()
    )
    assert found.state is Severity.BROKEN and f"ingests from {station.capture}" in found.finding
    log = second.log.read_text()
    assert log.count('event="stage paused"') == 1 and log.count('event="stage resumed"') == 1


def examined(station: Station) -> StationUnderTest:
    return StationUnderTest(
        settings=load_settings(station.config), config=station.config, now=read_clock(), environ={}
    )


@contextlib.contextmanager
def started(*words: str | Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a process, and end it afterwards."""
    with subprocess.Popen(
        [str(word) for word in words], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def says(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Let another process have a folder meanwhile."""
    with started(sys.executable, "-c", _HOLD, folder) as process:
        assert says(process) == "None"
        yield


@pytest.mark.parametrize("first", ["outer", "inner"])
def test_a_folder_within_the_other_one_s_counts_too(tmp_path: Path, first: str) -> None:
    places = {"outer": tmp_path / "outer", "inner": tmp_path / "outer" / "day" / "inner"}
    places["inner"].mkdir(parents=True)
    other = places["inner" if first == "outer" else "outer"]
    with held(places[first]):
        lock = CaptureFolderLock(other)
        conflict = lock.take()
        (tmp_path / "beside").mkdir()
        beside = CaptureFolderLock(tmp_path / "beside")
        assert beside.take() is None and beside.take() is None
        beside.release()
    assert conflict is not None and conflict.folder == places[first]
    where = "above" if first == "outer" else "inside"
    assert f"{places[first]}, {where} {other}:" in conflict.words(other)
    assert lock.take() is None and lock.take() is None
    lock.release()


def test_a_hidden_folder_is_out_of_the_way(tmp_path: Path) -> None:
    hidden = tmp_path / "capture" / ".other" / "capture"
    hidden.mkdir(parents=True)
    locks = CaptureFolderLock(tmp_path / "capture"), CaptureFolderLock(hidden)
    assert [lock.take() for lock in locks] == [None, None]
    for lock in locks:
        lock.release()


def test_another_path_to_the_same_folder_is_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "capture").mkdir()
    (tmp_path / "link").symlink_to("capture")
    one, other = CaptureFolderLock(tmp_path / "capture"), CaptureFolderLock(tmp_path / "link")
    assert one.take() is None
    assert other.take() is not None
    one.release()
    assert other.take() is None
    other.release()


def test_a_folder_that_is_another_one_now_is_locked_again(tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    capture.mkdir()
    lock, other = CaptureFolderLock(capture), CaptureFolderLock(capture)
    assert lock.take() is None
    capture.rename(tmp_path / "before")
    assert lock.take() is None  # none is there
    capture.mkdir()
    assert lock.take() is None and other.take() is not None
    before = CaptureFolderLock(tmp_path / "before")
    assert before.take() is None  # and nobody has the one from before
    before.release()
    lock.release()


def test_nothing_is_written_into_the_folder_and_nothing_keeps_its_disk_busy(tmp_path: Path) -> None:
    (tmp_path / "capture").mkdir()
    changed = (tmp_path / "capture").stat().st_mtime_ns
    lock = CaptureFolderLock(tmp_path / "capture")
    assert lock.take() is None
    opened = [os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()]
    assert str(tmp_path / "capture") not in opened
    assert list((tmp_path / "capture").iterdir()) == []
    assert (tmp_path / "capture").stat().st_mtime_ns == changed
    lock.release()


def test_children_do_not_keep_it(tmp_path: Path) -> None:
    lock = CaptureFolderLock(tmp_path)
    assert lock.take() is None
    with started(
        sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"
    ) as child:
        assert says(child) == "1"
        lock.release()
        other = CaptureFolderLock(tmp_path)
        assert other.take() is None
        other.release()


def test_many_who_ask_are_answered(tmp_path: Path) -> None:
    lock = CaptureFolderLock(tmp_path)
    assert lock.take() is None
    for _ in range(100):
        assert find_conflict(tmp_path) is not None
    assert lock.take() is None
    conflict = find_conflict(tmp_path)
    assert conflict is not None and conflict.pid == os.getpid()
    lock.release()


@AS_ROOT
def test_a_name_of_a_user_who_may_not_take_files_out_is_not_in_the_way(tmp_path: Path) -> None:
    found = tmp_path.stat()
    name = f"\\0spotter-capture-{found.st_dev:x}-{found.st_ino:x}"
    code = (
        "import socket, time; s = socket.socket(socket.AF_UNIX); "
        f"s.bind('{name}'); s.listen(); print('has it', flush=True); time.sleep(60)"
    )
    words = ["setpriv", "--reuid", "65534", "--clear-groups", "--regid", "65534"]
    with started(*words, "/usr/bin/env", "python3", "-I", "-c", code) as taker:
        if says(taker) != "has it":
            pytest.skip("no python3 that another user may start")
        lock = CaptureFolderLock(tmp_path)
        # It could be one that has only just begun: that is waited for once, not twice.
        assert lock.take() is None or lock.take() is None
        tmp_path.chmod(0o777)
        assert lock.take() is not None
    assert lock.take() is None
    lock.release()


def test_a_name_whose_owner_never_answers_is_waited_for_once(tmp_path: Path) -> None:
    found = tmp_path.stat()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"\0spotter-capture-{found.st_dev:x}-{found.st_ino:x}")
        lock = CaptureFolderLock(tmp_path)
        assert lock.take() is not None
        assert lock.take() is None  # it does not listen: it is no daemon


def test_a_system_without_such_sockets_goes_on_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_lock, "_SOCKETS", tmp_path / "none")
    lock = CaptureFolderLock(tmp_path)
    assert lock.take() is None
    lock.release()


def test_two_that_begin_at_the_same_moment_are_never_both_let_in(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; "
        "from agent.disk.capture_lock import CaptureFolderLock; "
        "lock = CaptureFolderLock(Path(sys.argv[1])); sys.stdin.readline(); "
        "print(lock.take() is None, flush=True); sys.stdin.readline()"
    )
    for _ in range(3):
        words = (sys.executable, "-c", code, tmp_path)
        with started(*words) as one, started(*words) as other:
            time.sleep(1.0)  # until both are about to
            for process in (one, other):
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            assert [says(one), says(other)].count("True") <= 1


def test_a_pause_for_a_folder_that_is_there_is_always_among_what_must_be_done(
    tmp_path: Path,
) -> None:
    """A folder that cannot be read is no missing one: nothing else would name it."""
    pauses = [{"part": "intake", "reason": "folder_missing", "detail": "", "since": None}]
    assert cli_status._pause_needs(pauses, tmp_path)
    assert not cli_status._pause_needs(pauses, tmp_path / "none")


def test_a_disk_that_is_unmounted_while_the_daemon_runs_and_mounted_again_is_locked_again(
    station: Station,
) -> None:
    second = second_of(station, station.capture)
    station.capture.rmdir()
    with mounted(station.capture, "size=16m"), station.running():
        until(lambda: (station.state / "mounts.json").exists())
        # Not a lazy one: whatever the daemon had open there would refuse it.
        subprocess.run(["umount", str(station.capture)], check=True)  # noqa: S607  # on every Linux
        until(lambda: intake(station)["reason"] == "mount_missing")
        mount(station.capture, "size=16m")
        until(lambda: intake(station)["reason"] is None)
        with second.running():
            until(lambda: intake(second)["reason"] == "folder_in_use")
            assert intake(station)["reason"] is None


def test_a_user_who_cannot_tell_the_own_daemon_is_told_of_no_other(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    station.state.mkdir()
    with held(station.capture):
        assert len(check_others(examined(station))) == 1
        monkeypatch.setattr(folders, "may_look", lambda _root: False)  # root may look everywhere
        assert check_others(examined(station)) == []
