"""The demo cleans up after itself."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from agent import demo
from tests.station import PATIENCE_S, give, until


def lock_in(folder: Path) -> str:
    """What the demo's daemon has written into its lock, once it has."""
    return "".join(path.read_text() for path in folder.glob("spotter-demo-*/state/owner.lock"))


def test_a_demo_removes_what_an_earlier_one_left_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    for name in ("spotter-demo-left", "spotter-demo-runs", "elsewhere", "another"):
        (tmp_path / name / "state").mkdir(parents=True)
    (tmp_path / "spotter-demo-link").symlink_to(elsewhere)
    with demo._locked(tmp_path / "spotter-demo-runs"):
        demo._remove_earlier()

    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"spotter-demo-runs", "spotter-demo-link", "elsewhere", "another"}
    assert (elsewhere / "state").exists()


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGHUP])  # HUP: a closed terminal
def test_a_demo_that_is_ended_ends_everything_that_it_started(
    tmp_path: Path, ended_by: signal.Signals
) -> None:
    if signal.getsignal(ended_by) is signal.SIG_IGN:
        pytest.skip("these tests run under nohup, and so would the demo")
    told = tmp_path / "told"
    with told.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent", "demo", "--keep"],
            stdout=out,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    until(lambda: lock_in(tmp_path))
    daemon = int(lock_in(tmp_path))
    assert Path(f"/proc/{daemon}").exists()

    process.send_signal(ended_by)

    assert process.wait(15) == 130
    assert not Path(f"/proc/{daemon}").exists()
    assert [path for path in tmp_path.iterdir() if path != told] == []


def test_a_live_station_ends_with_the_first_take_that_is_analysed(tmp_path: Path) -> None:
    """Recorder, daemon and sandbox: an assignment arms, and the effort becomes a session."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", "demo", "--live"],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    steps = (
        "pictures stay in memory",
        "the recorder films",
        "on its card",
        "delivered",
        "analysed",
    )
    first = [next(n for n, line in enumerate(lines) if step in line) for step in steps]
    assert first == sorted(first)
    (folder,) = tmp_path.glob("spotter-demo-*")
    assert not Path(f"/proc/{(folder / 'state' / 'owner.lock').read_text()}").exists()
    assert "recorder stopped" in (folder / "recorder.log").read_text()


def test_a_facility_that_cannot_start_says_so_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    done = give(["demo", "--facility"])

    assert done.returncode == 78 and "nats-server is missing" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert give(["demo", "--facility", "--live"]).returncode == 2


@pytest.mark.soak
def test_a_facility_delivers_every_take_once_although_its_broker_is_killed(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent", "demo", "--facility"],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "broker killed" in done.stdout
    assert "6 takes of 3 stations, each delivered exactly once" in done.stdout
    (folder,) = tmp_path.glob("spotter-demo-*")
    logs = [log.read_text() for log in folder.rglob("*.log")]
    assert len(logs) >= 6 and not any("Traceback" in log or "destroyed" in log for log in logs)
