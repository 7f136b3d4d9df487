"""The command line in processes that are forked from one which has the agent loaded.

Loading the agent takes most of a second of a core, and hundreds of tests start a daemon.  Such a
process has its own id, environment, standard error and exit code, as one that was started by the
command has; tests of the start itself start the command.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent import cli

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *("agent.cli.run", "agent.cli.hub", "agent.cli.worker", "agent.daemon.run"),
        # what those load when they first need it
        *("agent.outbox.schema", "sqlite_utils.db", "sqlite_utils.plugins", "dateutil.parser"),
        *("httpcore", "certifi", "encodings.ascii", "encodings.idna", "stringprep"),
        *("jinja2.ext", "uvicorn.lifespan.off"),
        "tests.forked",
    ]
)


class ForkedCommand:
    """A command of Spotter's, with what `subprocess.Popen` offers that tests need."""

    def __init__(
        self, words: Sequence[str], *, environment: Mapping[str, str], log: Path, umask: int = 0o022
    ) -> None:
        """Run the command.

        Args:
            words: of the command, behind `spotter`.
            environment: its whole environment.
            log: gets its standard error, at the end.
            umask: of its files.
        """
        self.args = ["spotter", *words]
        log.touch()
        self._process = _CONTEXT.Process(
            target=_run,
            args=(list(words), dict(environment), str(log), umask),
            daemon=True,  # a test that forgot it does not keep its own process
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or the negative signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the same."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _run(words: list[str], environment: dict[str, str], log: str, umask: int) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.umask(umask)
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.dup2(written, sys.stderr.fileno())
    os.close(written)
    sys.argv = ["spotter", *words]
    cli.main()
