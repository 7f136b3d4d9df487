"""The daemon: starts the stages, wakes them, ends them.  It decides nothing.

Every stage runs in its own thread and waits for its bell or for the time that its last step
named.  A stage that fails is logged and tried again; only a database that cannot be trusted
ends the daemon.
"""

import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import structlog

from agent.errors import AgentError, OutboxError
from agent.outbox.health import distrust, is_damage
from agent.outbox.space import is_disk_full
from agent.stage import Stage, StopFlag, Stopping, ignore_wake
from agent.wake import WakeSocket

_LONGEST_WAIT_S = 60.0  # a stage looks at the clock at least this often: it may have jumped
_AFTER_FAILURE_S = 30.0
_WITH_RESERVE_S = 0.5  # a full disk, and the reserve was given up for this
_END_WITHIN_S = 8.0  # a stage that is slower is cut off: the next start goes on from there

log = structlog.get_logger(stage="daemon")


class Bells:
    """One bell a stage; ringing never blocks and is never lost."""

    def __init__(self, names: Sequence[str]) -> None:
        self._bells = {name: threading.Event() for name in names}

    def ringer(self, name: str) -> Callable[[], None]:
        """Return what wakes the stage `name`."""
        return self._bells[name].set

    def ring_all(self) -> None:
        """Wake every stage."""
        for bell in self._bells.values():
            bell.set()

    def wait(self, name: str, seconds: float) -> None:
        """Wait for a stage's bell, at most `seconds`."""
        self._bells[name].wait(seconds)

    def silence(self, name: str) -> None:
        """Take note of a bell: what rings from now on counts for the next wait."""
        self._bells[name].clear()


class Daemon:
    """The stages of one station, running."""

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        bells: Bells,
        stop: StopFlag,
        wake_path: Path,
        on_disk_full: Callable[[], None] = ignore_wake,
    ) -> None:
        self._stages = stages
        self._bells = bells
        self._stop = stop
        self._wake_path = wake_path
        self._listener: WakeSocket | None = None
        self._on_disk_full = on_disk_full
        self._troubles: dict[str, str] = {}  # each stage's standing trouble is logged once
        self._fatal: OutboxError | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then end within ten seconds.

        Raises:
            OutboxError: the database cannot be trusted any more.
        """
        listener = self._listener = WakeSocket(self._wake_path)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        threads = [
            threading.Thread(target=self._drive, args=(stage,), name=stage.name, daemon=True)
            for stage in self._stages
        ]
        for thread in threads:
            thread.start()
        log.info("running", process=os.getpid())
        while not self._stop.is_set():
            listener.wait()
            self._bells.ring_all()
        self._listener = None
        listener.close()
        self._await_end(threads)
        if self._fatal is not None:
            raise self._fatal

    def end(self) -> None:
        """Ask the daemon to end; may be called from anywhere."""
        self._stop.set()
        self._bells.ring_all()
        listener = self._listener
        if listener is not None:
            listener.interrupt()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        log.info("asked to end", signal=signal.Signals(number).name)
        self.end()

    def _drive(self, stage: Stage) -> None:
        """Run one stage until the daemon ends."""
        while not self._stop.is_set():
            self._bells.silence(stage.name)
            try:
                wait_s = stage.step()
                self._troubles.pop(stage.name, None)
            except Stopping:
                break
            except (OutboxError, sqlite3.DatabaseError) as error:
                wait_s = self._after_database_error(stage, error)
            except (OSError, AgentError) as error:
                wait_s = self._after_error(stage, error)
            except Exception:  # one bad minute never stops the service
                log.exception("step failed unexpectedly", part=stage.name)
                wait_s = _AFTER_FAILURE_S
            if wait_s > 0 and not self._stop.is_set():
                self._bells.wait(stage.name, min(wait_s, _LONGEST_WAIT_S))
        stage.close()

    def _after_database_error(
        self, stage: Stage, error: OutboxError | sqlite3.DatabaseError
    ) -> float:
        """Wait where the disk or a lock is at fault; end the daemon where the file is.

        A damaged file is distrusted from now on, so that the next start makes it anew.
        """
        if is_disk_full(error):
            return self._after_full_disk(stage, error)
        self._is_news("database error", stage, error)
        damaged = isinstance(error, sqlite3.Error) and is_damage(error)
        if damaged:
            distrust(self._wake_path.parent, str(error))
        if damaged or isinstance(error, OutboxError):
            self._fatal = OutboxError(
                f"the outbox cannot be trusted: {error}",
                hint="start again: it is made anew from its files and its ledger",
            )
            self.end()
        return _AFTER_FAILURE_S

    def _after_error(self, stage: Stage, error: OSError | AgentError) -> float:
        """Wait; on a full disk not long, for the reserve may be enough."""
        if is_disk_full(error):
            return self._after_full_disk(stage, error)
        self._is_news("step failed", stage, error)
        return _AFTER_FAILURE_S

    def _after_full_disk(self, stage: Stage, error: Exception) -> float:
        """Let the outbox use its reserve, and wait."""
        is_news = self._is_news("the disk is full", stage, error)
        self._on_disk_full()
        return _WITH_RESERVE_S if is_news else _AFTER_FAILURE_S

    def _is_news(self, message: str, stage: Stage, error: Exception) -> bool:
        """Log a stage's trouble, unless it is the one that it had before; tell which."""
        if self._troubles.get(stage.name) == str(error):
            return False
        self._troubles[stage.name] = str(error)
        log.error(message, part=stage.name, error=str(error))
        return True

    def _await_end(self, threads: Sequence[threading.Thread]) -> None:
        latest_s = time.monotonic() + _END_WITHIN_S
        for thread in threads:
            thread.join(max(0.0, latest_s - time.monotonic()))
        late = [thread.name for thread in threads if thread.is_alive()]
        if late:
            log.warning("cut off", parts=",".join(late))
            sys.stderr.flush()
            os._exit(0 if self._fatal is None else self._fatal.exit_code)
        log.info("ended")
