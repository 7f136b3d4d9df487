"""The real daemon in a folder of its own: for the demo and the drill.

Nothing of the station's own settings reaches it, and nothing that stands in the working directory
or in Python's variables is imported: root may run it in a folder that others write.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

END_WITHIN_S = 10.0  # what `spotter run` promises
_NOBODYS = "/"  # only root writes there


def start_daemon(
    config: Path, *, log: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start `spotter run`, its log appended to a file."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            _command(["run"], config),
            stderr=stream,
            cwd=_NOBODYS,
            env={**_plain_environment(), **(environment or {})},
        )


def end_daemon(daemon: "subprocess.Popen[bytes]") -> bool:
    """End a daemon as the service manager would; False if it did not end in time by itself."""
    daemon.send_signal(signal.SIGTERM)
    try:
        return daemon.wait(END_WITHIN_S) == 0
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
        return False


def run_command(words: Sequence[str], config: Path) -> "subprocess.CompletedProcess[str]":
    """Run another command of Spotter's on the same settings."""
    return subprocess.run(
        _command(words, config),
        capture_output=True,
        text=True,
        cwd=_NOBODYS,
        env=_plain_environment(),
        timeout=60,
        check=False,
    )


def _command(words: Sequence[str], config: Path) -> list[str]:
    return [sys.executable, "-I", "-m", "agent", *words, "--config", str(config.absolute())]


def _plain_environment() -> dict[str, str]:
    """Return the environment without a station's settings and without proxies."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SPOTTER_") and not name.lower().endswith("_proxy")
    }
