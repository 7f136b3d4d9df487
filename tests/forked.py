"""Spotter's processes, forked from one that has the agent loaded, and one that has the analysis.

Loading either takes most of a second of a core, and hundreds of tests start a daemon, which starts
an analysis.  Such a process has its own id, environment, standard streams and exit code, as one
that was started by a command has; tests of the start itself start the command.
"""

import contextlib
import gc
import multiprocessing
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from agent import cli
from agent.clipping import analysis_process

_NUMBER = struct.Struct("i")

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *("agent.cli.run", "agent.cli.hub", "agent.cli.worker", "agent.daemon.run"),
        # what those load when they first need it
        *("agent.outbox.schema", "sqlite_utils.db", "sqlite_utils.plugins", "dateutil.parser"),
        *("httpcore", "certifi", "encodings.ascii", "encodings.idna", "stringprep"),
        "encodings.utf_8_sig",
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
            args=(list(words), dict(environment), str(log), umask, _analyses()),
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


class ForkedAnalysis:
    """An analysis process, with what `subprocess.Popen` offers that the agent needs.

    Its environment is that of the tests, which a started one has not.
    """

    def __init__(self, address: str) -> None:
        requests, stdin = os.pipe()
        stdout, answers = os.pipe()
        stderr, log = os.pipe()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(address)
        socket.send_fds(self._server, [b"+"], [requests, answers, log])
        for end in (requests, answers, log):
            os.close(end)
        self.pid = _NUMBER.unpack(self._server.recv(_NUMBER.size))[0]
        self.returncode: int | None = None
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
        self.stderr = os.fdopen(stderr, "rb")

    def poll(self) -> int | None:
        """Return the exit code, or the negative signal; None while it runs."""
        has_ended = self.returncode is None and select.select([self._server], [], [], 0)[0]
        return self.wait() if has_ended else self.returncode

    def wait(self) -> int:
        """Return the same once it has ended."""
        if self.returncode is None:
            with self._server:
                (self.returncode,) = _NUMBER.unpack(self._server.recv(_NUMBER.size))
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        """End it."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


@cache
def _analyses() -> str:
    """Return the address at which analyses are forked for this process and its daemons."""
    address = f"\0spotter-analyses-{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    _CONTEXT.Process(target=_fork_analyses, args=(listener,), daemon=True).start()
    listener.close()
    return address


def _fork_analyses(listener: socket.socket) -> None:
    """Fork an analysis for each connection."""
    worker = import_module("analysis.worker")  # with its native libraries: no daemon has them
    for later in ("av.subtitles.stream", "encodings.cp437", "numpy.ma"):
        import_module(later)
    _load_pose_library()
    gc.freeze()
    forking = threading.Lock()  # a child holds no pipe of another one

    def serve(asked: socket.socket) -> None:
        with forking:
            _, ends, *_ = socket.recv_fds(asked, 1, 3)
            pid = os.fork()
            if pid == 0:
                _analyse(worker, ends)
            for end in ends:
                os.close(end)
        asked.sendall(_NUMBER.pack(pid))
        _, status = os.waitpid(pid, 0)
        with asked, contextlib.suppress(OSError):  # whoever asked may have ended before
            asked.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(status)))

    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def _load_pose_library() -> None:
    """Load all of MediaPipe but a model, whose threads no fork would have."""
    pose_model = import_module("analysis.pose_model")
    with pose_model._nothing_in_place_of(pose_model._NEVER_USED):
        import_module("mediapipe.tasks.python.vision")
    import_module("mediapipe.tasks.python.core.mediapipe_c_bindings").load_raw_library()


def _analyse(worker: ModuleType, ends: Sequence[int]) -> NoReturn:
    try:
        os.setsid()
        os.chdir("/")
        for number, end in enumerate(ends):
            os.dup2(end, number)
        os.closerange(3, 1024)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        worker.main()
    finally:
        os._exit(1)


def _run(
    words: list[str], environment: dict[str, str], log: str, umask: int, analyses: str
) -> None:
    forked = partial(ForkedAnalysis, analyses)
    analysis_process.start_child = forked  # type: ignore[assignment]  # all that is asked of it
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.umask(umask)
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.dup2(written, sys.stderr.fileno())
    os.close(written)
    sys.argv = ["spotter", *words]
    cli.main()
