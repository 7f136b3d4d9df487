"""A station for tests: its folders, its settings, the real daemon and the real commands."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from agent import cli
from agent.disk.state_folder import StateFolder
from agent.outbox.models import ClipTarget, Take
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, Recipient
from agent.sandbox.server import Sandbox
from tests.factories import waiting_clip
from tests.forked import ForkedCommand

Daemon = subprocess.Popen[bytes] | ForkedCommand

KEY = "sandbox-key"
ATHLETE = "someUserId123"
_RUNNING = 'event="daemon started"'
PATIENCE_S = 300.0  # what is waited for comes in moments: this ends a test that hangs
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.2  # between two looks; one costs up to 10 ms
_PYTHON = Path(sys.executable)
# For the whole process, so they get their own.
_SET_UP_LOGS = {"run", "forget", "--look", "--open", "--download"}


@dataclass(slots=True)
class Station:
    """One station in a folder of its own."""

    root: Path
    base_url: str
    settings: dict[str, dict[str, object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.capture.mkdir(parents=True, exist_ok=True)
        self.key_file.write_text(KEY)
        tables: dict[str, dict[str, object]] = {
            "station": {"id": "test", "activity": "running", "user_id": ATHLETE},
            "paths": {"capture": str(self.capture), "state": str(self.state)},
            "api": {"base_url": self.base_url, "key_file": str(self.key_file)},
            "capture": {"settle_s": 0.3, "settle_unseen_s": 2.0, "rescan_s": 1.0},
            "analysis": {"poster": False},
            "quality": {"others_in_picture": "ignore"},  # which takes a third of the looks
            "delivery": {"send_delay_s": 0, "reconcile_wait_s": 0.4, "backoff_base_s": 0.2},
            "results": {"follow": False},  # what is delivered stays `uploaded`
            "web": {"listen": ""},
            "disk": {"reserve_mb": 1},  # which every first start writes
        }
        for table, values in self.settings.items():
            tables[table] = {**tables.get(table, {}), **values}
        self.config.write_text(_toml(tables))

    @property
    def capture(self) -> Path:
        return self.root / "capture"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def config(self) -> Path:
        return self.root / "station.toml"

    @property
    def key_file(self) -> Path:
        return self.root / "api-key"

    @property
    def log(self) -> Path:
        return self.root / "daemon.log"

    def start(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        wait: bool = True,
        under: Sequence[str] = (),
        python: Path = _PYTHON,
    ) -> Daemon:
        """Start the real daemon, under another command if need be, and wait until it runs."""
        before = self.log.read_text().count(_RUNNING) if self.log.exists() else 0
        words = ["run", "--config", str(self.config)]
        given = {**_plain_environment(), **(environment or {})}
        if under or python != _PYTHON or "LD_PRELOAD" in given:
            with self.log.open("ab") as log:
                command = [*under, str(python), "-I", "-m", "agent", *words]
                daemon: Daemon = subprocess.Popen(command, stderr=log, env=given)
        else:
            daemon = ForkedCommand(words, environment=given, log=self.log)
        if wait:
            until(
                lambda: daemon.poll() is not None or self.log.read_text().count(_RUNNING) > before
            )
        return daemon

    @contextlib.contextmanager
    def running(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        under: Sequence[str] = (),
        python: Path = _PYTHON,
    ) -> Iterator[Daemon]:
        """Run the real daemon meanwhile, and end it as systemd would."""
        daemon = self.start(environment, under=under, python=python)
        try:
            yield daemon
        finally:
            daemon.send_signal(signal.SIGTERM)
            code = daemon.wait(12)
        assert code == 0, f"{code}: {self.log.read_text()[-3000:]}"

    def put_clip(self, number: int = 1, *, size_bytes: int = 100_000) -> None:
        """Let a clip wait to be sent, as if its capture had been analysed."""
        folder = StateFolder(self.state)
        folder.prepare()
        now_s = time.time()
        target = ClipTarget(recipient=Recipient.ATHLETE, user_id=ATHLETE, activity="running")
        # In one commit: a daemon that runs may not see the capture before it was analysed.
        with Outbox.open(folder.root) as outbox, outbox.transaction():
            waiting_clip(outbox, folder, number, target=target, size_bytes=size_bytes, now_s=now_s)
            capture = outbox.captures.claim_next(now_s)
            assert capture is not None
            take = Take(number=1, start_s=1.0, end_s=4.0, active_start_s=2.0, active_end_s=3.0)
            outbox.takes.record(capture, [take], report="{}")
            outbox.captures.move(capture, CaptureState.ANALYSED, now_s=now_s)

    def spotter(self, *words: str, code: int = 0) -> str:
        """Give a command; return what it prints, and insist on its exit code."""
        command = give if _SET_UP_LOGS.isdisjoint(words) else run_spotter
        done = command([*words, "--config", str(self.config)])
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def rows(self) -> list[dict[str, object]]:
        """Return the outbox as scripts see it."""
        with Outbox.open(self.state) as outbox:
            return [dict(row) for row in outbox.listing.rows(all_captures=True)]

    def entries(self) -> list[dict[str, object]]:
        """Return the clips as scripts see them."""
        return [row for row in self.rows() if row["kind"] == "entry"]

    def states(self) -> list[object]:
        """Return the states of all clips."""
        return [row["state"] for row in self.entries()]


def give(words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run the command line here: the same from its first word to its exit code, but the process."""
    told, complained = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    code = 0
    mask = os.umask(0o022)
    with (
        mock.patch.object(sys, "argv", ["spotter", *words]),
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(complained),
    ):
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            os.umask(mask)
    return subprocess.CompletedProcess(words, code, _written(told), _written(complained))


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def run_spotter(words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run the real command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "agent", *words],
        capture_output=True,
        text=True,
        env=_plain_environment(),
        timeout=PATIENCE_S,
        check=False,
    )


def until(condition: object, *, timeout_s: float = PATIENCE_S) -> None:
    """Wait until a condition on another process holds: long, for a busy machine is slow."""
    assert callable(condition)
    latest_s, pause_s = time.monotonic() + timeout_s, _FIRST_PAUSE_S
    while not condition():
        assert time.monotonic() < latest_s, "it did not happen in time"
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, _LONGEST_PAUSE_S)


def until_filmed(seconds: float, *, since_s: float) -> None:
    """Wait until what takes so long to film can have begun after a moment, in Unix time."""
    until(lambda: time.time() - since_s > seconds)


def child_of(daemon: int) -> int | None:
    """The analysis process of a daemon, once it has the pose model loaded."""
    pipes = {_opened(path) for path in Path(f"/proc/{daemon}/fd").iterdir()} - {None}
    for path in Path("/proc").glob("[0-9]*/fd/0"):
        pid = int(path.parts[2])
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            is_of_daemon = pid != daemon and _opened(path) in pipes
            if is_of_daemon and _has_pose_model(pid):
                return pid
    return None


def _has_pose_model(pid: int) -> bool:
    """Tell by the threads of a process: a forked one has the library before it has a model."""
    named = Path(f"/proc/{pid}/task").glob("*/comm")
    return any(path.read_text().startswith("drishti") for path in named)


def _opened(descriptor: Path) -> str | None:
    """Return the pipe that is open under a descriptor."""
    with contextlib.suppress(OSError):
        opened = str(descriptor.readlink())
        return opened if opened.startswith("pipe:") else None
    return None


def delivered(sandbox: Sandbox, count: int, *, timeout_s: float = PATIENCE_S) -> bool:
    """Wait until the sandbox has made so many sessions."""
    return sandbox.book.wait_for(lambda book: len(book.sessions) >= count, timeout_s)


def _plain_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SPOTTER_") and not name.lower().endswith("_proxy")
    }


def _toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    lines = []
    for table, values in tables.items():
        lines.append(f"[{table}]")
        given = {key: value for key, value in values.items() if value is not None}
        lines += [f"{key} = {json.dumps(value)}" for key, value in given.items()]
    return "\n".join(lines)
