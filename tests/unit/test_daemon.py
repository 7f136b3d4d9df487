"""The daemon's loop around a stage: what goes wrong in it never ends a stage without a word."""

import errno
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.daemon import supervisor as daemons
from agent.daemon.supervisor import Daemon, DaemonHooks, StageEvents
from agent.daemon.systemd import NotifySocket, SystemdNotifier
from agent.errors import OutboxError
from agent.heartbeat import Heartbeats
from agent.stage import StopFlag


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def waits_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemons, "_AFTER_FAILURE_S", 0.0)
    monkeypatch.setattr(daemons, "_WITH_RESERVE_S", 0.0)


class FailingStage:
    """Fails as told at each of its first steps, then asks for the end."""

    name = "failing"

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.done: Callable[[], object] = lambda: None
        self.is_closed = False

    def step(self) -> float:
        if self._failures:
            raise self._failures.pop(0)
        self.done()
        return 60.0

    def close(self) -> None:
        self.is_closed = True


def run(
    stage: FailingStage,
    folder: Path,
    *,
    watching: DaemonHooks | None = None,
) -> None:
    """Run the daemon until the stage is through with its failures; else end it as not through."""
    daemon = Daemon(
        [stage],
        events=StageEvents([stage.name]),
        stop=StopFlag(),
        wake_path=folder / "wake",
        watching=watching,
    )
    through = threading.Event()

    def end() -> None:
        through.set()
        daemon.end()

    stage.done = end
    guard = threading.Timer(10.0, daemon.end)
    guard.start()
    try:
        daemon.run()
    finally:
        guard.cancel()
    assert through.is_set(), "the stage did not go on"


def refuse() -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def sqlite_error(code: int) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "failure",
    [OSError(errno.ENOSPC, "No space left on device"), sqlite_error(sqlite3.SQLITE_FULL)],
)
def test_a_remedy_that_fails_too_does_not_end_the_stage(tmp_path: Path, failure: Exception) -> None:
    stage = FailingStage(failure)
    run(stage, tmp_path, watching=DaemonHooks(on_disk_full=refuse))
    assert stage.is_closed


def test_a_failure_that_nobody_thought_of_does_not_end_the_stage(tmp_path: Path) -> None:
    run(FailingStage(KeyError("row"), RecursionError()), tmp_path)


def test_a_damaged_file_ends_the_daemon_even_where_nothing_can_be_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemons, "mark_corrupt", lambda *_: refuse())
    with pytest.raises(OutboxError, match="cannot be trusted"):
        run(FailingStage(sqlite_error(sqlite3.SQLITE_CORRUPT)), tmp_path)


class BrokenOff(BaseException):
    """What no handler of errors catches."""


def test_a_stage_that_breaks_off_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    watching = DaemonHooks(heartbeats=Heartbeats(bound_s=1.0, clock=lambda: now_s))

    class BreakingStage(FailingStage):
        def step(self) -> float:
            raise BrokenOff

    stage = BreakingStage()
    monkeypatch.setattr(threading, "excepthook", lambda _: stage.done())
    run(stage, tmp_path, watching=watching)  # ended from outside: the stage cannot any more
    now_s = 10.0
    assert watching.heartbeats.stuck() == [stage.name]


def test_the_outbox_is_not_closed_under_a_look_at_it_for_the_service_manager(
    tmp_path: Path,
) -> None:
    looks, may_end = threading.Event(), threading.Event()

    def look() -> str:
        looks.set()
        may_end.wait(60)
        return "watching"

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        told = NotifySocket(str(tmp_path / "notify"), watchdog_s=0.02)
        with SystemdNotifier(told, Heartbeats()) as notifier:
            notifier.has_started()
            notifier.describe = look
            assert looks.wait(60)
            ending = threading.Thread(target=notifier.end)
            ending.start()
            ending.join(0.1)
            assert ending.is_alive()
            may_end.set()
            ending.join(60)
            assert not ending.is_alive()
