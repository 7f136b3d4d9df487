"""Starts, wakes and stops the stages.  It makes no decisions of its own.

Every stage runs in its own thread and waits for its event or for the time that its last step
named.  A stage that fails is logged and tried again; only a database that cannot be trusted
ends the daemon.
"""

import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import structlog

from agent.disk.space import is_disk_full, is_refusal
from agent.errors import AgentError, OutboxError
from agent.heartbeat import START_BOUND_S, Heartbeats, allow, beat
from agent.outbox.database_file import DATABASE_NAME, check_integrity, is_damage, mark_corrupt
from agent.stage import ShutdownRequested, Stage, StageName, StopFlag, ignore_wake
from agent.wakeup import WakeSocket, wake

_LONGEST_WAIT_S = 60.0  # a stage reads the clock at least this often: it may have jumped
_AFTER_FAILURE_S = 30.0
_AFTER_REFUSAL_S = 5.0  # of the disk: what waits resumes soon after the last one
_WHILE_FULL_S = 10.0
_WITH_RESERVE_S = 0.5  # a full disk, and the reserve was given up for this
_LAST_STEP_WITHIN_S = 20.0  # what a reload leaves a stage for the step that it is in
_EXIT_CUT_OFF = 75  # a reload that had to cut a stage off: the service manager restarts it
_JOIN_S = 0.2
_END_WITHIN_S = 8.0  # a slower stage is interrupted: the next start continues from there

log = structlog.get_logger(stage=StageName.DAEMON)


class StageEvents:
    """One event per stage; setting it never blocks and is never lost."""

    def __init__(self, names: Sequence[str]) -> None:
        self._events = {name: threading.Event() for name in names}

    def waker(self, name: str) -> Callable[[], None]:
        """Return what wakes the stage `name`."""
        return self._events[name].set

    def wake_all(self) -> None:
        """Wake every stage."""
        for event in self._events.values():
            event.set()

    def wait(self, name: str, seconds: float) -> None:
        """Wait for a stage's event, at most `seconds`."""
        self._events[name].wait(seconds)

    def clear(self, name: str) -> None:
        """Clear a stage's event: a wake-up from now on counts for the next wait."""
        self._events[name].clear()


@dataclass(slots=True, kw_only=True)
class DaemonHooks:
    """Who watches while daemons run one after another: each reload makes another one."""

    heartbeats: Heartbeats = field(default_factory=Heartbeats)  # of the stages
    on_running: Callable[[], None] = ignore_wake  # hears that all stages run
    on_disk: Callable[[Mapping[str, str]], None] = field(
        default=lambda _refusals: None
    )  # hears after each step what the disk refuses, by stage
    on_disk_full: Callable[[], None] = ignore_wake  # makes way for the outbox
    on_stopping: Callable[[], None] = ignore_wake  # hears that the daemon was asked to end
    on_reload: Callable[[], bool] = lambda: False  # reads settings; whether stages must end for it
    reload_asked: bool = False  # by SIGHUP, maybe while another daemon is being put together
    stop_asked: signal.Signals | None = None  # by which signal, likewise

    def reload(self, wake_path: Path) -> None:
        """Let the daemon that is woken there read its settings again, as SIGHUP would."""
        self.reload_asked = True
        wake(wake_path)


class Daemon:
    """The stages of one station, running."""

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        events: StageEvents,
        stop: StopFlag,
        wake_path: Path,
        watching: DaemonHooks | None = None,
        without_end: Collection[str] = (),
    ) -> None:
        """Prepare to run.

        Args:
            stages: what runs.
            events: of these stages.
            stop: the request to end, as the stages know it.
            wake_path: where commands wake all stages.
            watching: who watches; nobody if absent.
            without_end: stages whose step continues until the daemon ends.
        """
        self._stages = stages
        self._events = events
        self._stop = stop
        self._wake_path = wake_path
        self._listener: WakeSocket | None = None
        self._watching = DaemonHooks() if watching is None else watching
        self._heartbeats = self._watching.heartbeats
        self._without_end = without_end
        self._is_reloading = False
        self._faulty: set[str] = set()  # stages that a faulty disk keeps from any progress
        self._troubles: dict[str, str] = {}  # each stage's standing trouble is logged once
        self._fatal: OutboxError | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then end within ten seconds; or until a reload.

        Raises:
            OutboxError: the database cannot be trusted any more.
        """
        listener = self._listener = WakeSocket(self._wake_path)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_hangup)
        # A signal just before the wait would not end it: Python runs handlers only between steps.
        signal.set_wakeup_fd(listener.interrupt_fd, warn_on_full_buffer=False)
        threads = [
            threading.Thread(target=self._drive, args=(stage,), name=stage.name, daemon=True)
            for stage in self._stages
        ]
        for thread in threads:
            thread.start()
        log.info("daemon started", pid=os.getpid())
        self._watching.on_running()
        if self._watching.stop_asked or self._watching.reload_asked:
            listener.interrupt()
        while not self._stop.is_set():
            listener.wait()
            self._events.wake_all()
            if self._watching.reload_asked:
                self._reload(threads)
            if self._watching.stop_asked:
                self._end_as_asked(self._watching.stop_asked)
        self._listener = None
        signal.set_wakeup_fd(-1)
        listener.close()
        self._await_end(threads)
        if self._fatal is not None:
            raise self._fatal

    def end(self) -> None:
        """Ask the daemon to end; may be called from anywhere."""
        self._stop.set()
        self._events.wake_all()
        listener = self._listener
        if listener is not None:
            listener.interrupt()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Note the wish, and no more: whatever lock is wanted, the main thread may hold it now."""
        self._watching.stop_asked = signal.Signals(number)
        listener = self._listener
        if listener is not None:
            listener.interrupt()

    def _end_as_asked(self, by: signal.Signals) -> None:
        log.info("shutdown requested", signal=by.name)
        self._watching.on_stopping()
        self._is_reloading = False
        self.end()

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        """Read the settings again; or end, where SIGHUP says that the terminal is gone."""
        if sys.stderr.isatty():
            self._on_signal(number, frame)
            return
        self._watching.reload_asked = True
        listener = self._listener
        if listener is not None:
            listener.interrupt()

    def _reload(self, threads: Sequence[threading.Thread]) -> None:
        """Let every stage end its step, where there are settings to take over."""
        self._watching.reload_asked = False
        if not self._watching.on_reload():
            return
        self._is_reloading = True
        self._events.wake_all()
        latest_s = time.monotonic() + _LAST_STEP_WITHIN_S
        for thread in threads:
            while thread.name not in self._without_end and thread.is_alive():
                if self._watching.stop_asked or time.monotonic() > latest_s:
                    break
                thread.join(_JOIN_S)
        if not self._watching.stop_asked:
            self.end()

    def _drive(self, stage: Stage) -> None:
        """Run one stage until the daemon ends; one that breaks off is missed from then on."""
        self._heartbeats.begin(stage.name)
        self._go_on_with(stage)
        self._heartbeats.end(stage.name)

    def _go_on_with(self, stage: Stage) -> None:
        while not (self._stop.is_set() or self._is_reloading):
            self._events.clear(stage.name)
            self._beat_for(stage)
            try:
                wait_s = self._step(stage)
            except ShutdownRequested:
                break
            except Exception:  # one bad minute never stops the service, nor does a failed remedy
                log.exception("step crashed", stage=stage.name)
                wait_s = _AFTER_FAILURE_S
            if wait_s > 0 and not (self._stop.is_set() or self._is_reloading):
                wait_s = min(wait_s, _LONGEST_WAIT_S)
                self._beat_for(stage, waits_s=wait_s)
                self._events.wait(stage.name, wait_s)
        stage.close()

    def _beat_for(self, stage: Stage, *, waits_s: float = 0.0) -> None:
        """Say that a stage makes progress, unless a faulty disk keeps it from any."""
        if stage.name not in self._faulty:
            beat(waits_s=waits_s)

    def _step(self, stage: Stage) -> float:
        """Let a stage do its step, or do what helps against its failure; return what to wait."""
        try:
            wait_s = stage.step()
        except (OutboxError, sqlite3.DatabaseError) as error:
            return self._after_database_error(stage, error)
        except (OSError, AgentError) as error:
            return self._after_error(stage, error)
        self._troubles.pop(stage.name, None)
        self._faulty.discard(stage.name)
        self._heartbeats.note_step(stage.name)
        self._watching.on_disk(self._heartbeats.refusals())
        return wait_s

    def _after_database_error(
        self, stage: Stage, error: OutboxError | sqlite3.DatabaseError
    ) -> float:
        """Wait where the disk or a lock is at fault; end the daemon where the file is.

        A damaged database is marked, so that the next start rebuilds it.
        """
        if is_disk_full(error):
            return self._after_full_disk(stage, error)
        if is_refusal(error):
            return self._after_refusal(stage, error)
        damaged = isinstance(error, sqlite3.Error) and is_damage(error)
        if damaged and not self._is_surely_damaged():
            return self._after_refusal(stage, error)
        self._is_news("database access failed", stage, error)
        if damaged:
            with suppress(OSError):  # a card may have gone read-only: the next start checks anyway
                mark_corrupt(self._wake_path.parent, str(error))
        if damaged or isinstance(error, OutboxError):
            self._fatal = OutboxError(
                f"the outbox cannot be trusted: {error}",
                hint="restart the daemon: it rebuilds the database from its files and its ledger",
            )
            self.end()
        return _AFTER_FAILURE_S

    def _is_surely_damaged(self) -> bool:
        """Check the database once more: what SQLite calls damage may be a refused reading."""
        root = self._wake_path.parent
        if not (root / DATABASE_NAME).exists():
            return True
        try:
            with allow(START_BOUND_S):
                return check_integrity(root) is not None
        except (OutboxError, OSError):
            return False

    def _after_error(self, stage: Stage, error: OSError | AgentError) -> float:
        """Wait; on a full disk not long, for the reserve may be enough."""
        if is_disk_full(error):
            return self._after_full_disk(stage, error)
        if is_refusal(error):
            return self._after_refusal(stage, error)
        self._is_news("step failed", stage, error)
        return _AFTER_FAILURE_S

    def _after_refusal(self, stage: Stage, error: Exception) -> float:
        """Say that the disk refuses, and try again soon; that is no progress."""
        self._is_news("disk access failed", stage, error)
        self._faulty.add(stage.name)
        self._heartbeats.note_refusal(stage.name, str(error))
        self._watching.on_disk(self._heartbeats.refusals())
        return _AFTER_REFUSAL_S

    def _after_full_disk(self, stage: Stage, error: Exception) -> float:
        """Let the outbox use its reserve, and wait."""
        is_news = self._is_news("disk space exhausted", stage, error)
        with suppress(OSError, sqlite3.Error, AgentError):  # it may refuse the remedy, too
            self._watching.on_disk_full()
        self._faulty.discard(stage.name)
        self._heartbeats.note_refusal(stage.name, str(error))
        return _WITH_RESERVE_S if is_news else _WHILE_FULL_S

    def _is_news(self, event: str, stage: Stage, error: Exception) -> bool:
        """Log a stage's trouble, unless it is the one that it had before; return which."""
        if self._troubles.get(stage.name) == str(error):
            return False
        self._troubles[stage.name] = str(error)
        log.error(event, stage=stage.name, error=str(error))
        return True

    def _await_end(self, threads: Sequence[threading.Thread]) -> None:
        latest_s = time.monotonic() + _END_WITHIN_S
        for thread in threads:
            thread.join(max(0.0, latest_s - time.monotonic()))
        late = [thread.name for thread in threads if thread.is_alive()]
        if late:
            log.warning("shutdown forced", stages=",".join(late))
            with suppress(OSError):
                sys.stderr.flush()
            os._exit(self._exit_code_cut_off())
        log.info("daemon stopped")

    def _exit_code_cut_off(self) -> int:
        if self._fatal is not None:
            return self._fatal.exit_code
        return _EXIT_CUT_OFF if self._is_reloading else 0
