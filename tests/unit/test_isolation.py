"""Every interpreter that Spotter starts is isolated: nothing that others write is imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent.demo import end_daemon, run_command, start_daemon
from tests.conftest import REPOSITORY
from tests.planted import plant
from tests.station import Station, until

_SCRIPTS = ("systemd/install.sh", "systemd/packages.sh", "Makefile")
_OWN_MODULES = re.compile(r"-m (agent|tests|build)\b")  # of the tree that the developer stands in
_STARTS = re.compile(r"(?:\bpython3?|\$python|\$found|\$1|\$\(PYTHON\)|bin/python)\"? +(-\w.*)")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, home and module path in which others have planted modules."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    plant(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_what_is_planted_would_be_imported_by_an_interpreter_that_is_not_isolated(
    hostile: Path,
) -> None:
    subprocess.run([sys.executable, "-c", "import json, av"], check=False, capture_output=True)

    assert (hostile / "imported").exists()


def test_demo_and_drill_start_daemon_and_commands_isolated(hostile: Path, tmp_path: Path) -> None:
    station = Station(tmp_path / "station", "http://127.0.0.1:9")
    log = tmp_path / "log"

    assert run_command(["config"], station.config).returncode == 0
    daemon = start_daemon(station.config, log=log)
    until(
        lambda: daemon.poll() is not None or 'event="daemon started"' in log.read_text(),
        timeout_s=90,
    )
    assert end_daemon(daemon), log.read_text()

    assert not (hostile / "imported").exists()


@pytest.mark.parametrize("name", _SCRIPTS)
def test_scripts_start_python_isolated(name: str) -> None:
    for line in (REPOSITORY / name).read_text().splitlines():
        for words in _STARTS.findall(line):
            if not _OWN_MODULES.search(words):
                assert words.startswith("-I"), line


def test_the_agent_starts_python_isolated() -> None:
    starts = [
        (path, found)
        for path in (REPOSITORY / "agent").rglob("*.py")
        for found in re.findall(r"\[sys\.executable, (.*)", path.read_text())
    ]

    assert len(starts) >= 2
    assert [path for path, found in starts if not found.startswith('"-I"')] == []
