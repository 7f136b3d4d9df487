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
from agent.stage import Stage, StopFlag, Stopping
from agent.wake import WakeSocket, wake

_LONGEST_WAIT_S = 60.0  # a stage looks at the clock at least this often: it may have jumped
_AFTER_FAILURE_S = 30.0
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
        self, stages: Sequence[Stage], *, bells: Bells, stop: StopFlag, wake_path: Path
    ) -> None:
        self._stages = stages
        self._bells = bells
        self._stop = stop
        self._wake_path = wake_path
        self._fatal: OutboxError | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then end within ten seconds.

        Raises:
            OutboxError: the database cannot be trusted any more.
        """
        listener = WakeSocket(self._wake_path)
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
        listener.close()
        self._await_end(threads)
        if self._fatal is not None:
            raise self._fatal

    def end(self) -> None:
        """Ask the daemon to end; may be called from anywhere."""
        self._stop.set()
        self._bells.ring_all()
        wake(self._wake_path)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        log.info("asked to end", signal=signal.Signals(number).name)
        self.end()

    def _drive(self, stage: Stage) -> None:
        """Run one stage until the daemon ends."""
        while not self._stop.is_set():
            self._bells.silence(stage.name)
            try:
                wait_s = stage.step()
            except Stopping:
                break
            except (OutboxError, sqlite3.DatabaseError) as error:
                wait_s = self._after_database_error(stage, error)
            except (OSError, AgentError) as error:
                log.error("step failed", part=stage.name, error=str(error))
                wait_s = _AFTER_FAILURE_S
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
        log.error("database error", part=stage.name, error=str(error))
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
