"""The units: clean, hardened, and the daemon does its whole work under equal restrictions."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.hub.settings import SiteSettings, load_hub
from agent.sandbox.server import Sandbox
from agent.web.auth import read_pin
from tests.conftest import REPOSITORY
from tests.facility import Hub
from tests.hardened import command, directives
from tests.needs import need
from tests.recorder import RecorderUnderTest, shown_s
from tests.station import Station, delivered, until
from tests.videos import film_run

_UNITS = REPOSITORY / "systemd"
_MOST_EXPOSED = 1.5
_RECORDER = "spotter-recorder@.service"
_READER = "spotter-reader@.service"
_HUB = "spotter-hub.service"
_WORKER = "spotter-worker.service"
_ALL = ["spotter.service", "spotter@.service", _RECORDER, _READER, _HUB, _WORKER]


@pytest.mark.parametrize("name", _ALL)
def test_the_service_is_exposed_little(name: str) -> None:
    analyze = need(Path("/usr/bin/systemd-analyze"), "systemd")
    told = subprocess.run(
        [analyze, "security", "--offline=true", _UNITS / name],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    overall = told.strip().splitlines()[-1]
    assert float(overall.split(":")[1].split()[0]) <= _MOST_EXPOSED, told


def test_a_box_of_several_stations_runs_them_alike() -> None:
    one, several = directives(), directives(_UNITS / "spotter@.service")
    assert [name for name, _ in one] == [name for name, _ in several]
    differ = {name for (name, left), (_, right) in zip(one, several, strict=True) if left != right}
    own = {"Description", "ExecStart", "ExecReload", "StateDirectory", "WorkingDirectory"}
    own |= {"RuntimeDirectory"}
    assert differ == own


def test_a_wrong_configuration_is_not_started_again_and_all_else_is() -> None:
    said = dict(directives())
    assert said["RestartPreventExitStatus"] == "78"
    assert (said["Restart"], said["StartLimitIntervalSec"]) == ("always", "0")


def test_the_recorder_sees_the_capture_folder_and_nothing_else_of_what_is_kept() -> None:
    said = directives(_UNITS / _RECORDER)

    assert ("TemporaryFileSystem", "/var/lib:ro") in said
    opened = [value for name, value in said if name in {"BindPaths", "ReadWritePaths"}]
    assert set(opened) == {"-/var/lib/spotter/capture"}
    assert ("InaccessiblePaths", "-/etc/spotter") in said


def test_the_reader_sees_input_devices_and_nothing_that_is_kept() -> None:
    said = directives(_UNITS / _READER)

    assert ("TemporaryFileSystem", "/var/lib:ro") in said
    assert [value for name, value in said if name == "DeviceAllow"] == ["char-input r"]
    assert not [value for name, value in said if name in {"BindPaths", "ReadWritePaths"}]
    assert ("InaccessiblePaths", "-/etc/spotter") in said


@pytest.mark.parametrize("name", _ALL)
def test_every_unit_is_bounded_and_leaves_no_core(name: str) -> None:
    said = dict(directives(_UNITS / name))

    assert (said["LimitCORE"], said["KeyringMode"], said["PrivateIPC"]) == ("0", "private", "yes")
    assert 0 < int(said["TasksMax"]) <= 512 and 0 < int(said["LimitNOFILE"]) <= 65536


@pytest.mark.parametrize("name", _ALL)
def test_a_unit_starts_only_what_every_minimal_system_has(name: str) -> None:
    programs = [
        value.split()[0] for key, value in directives(_UNITS / name) if key.startswith("Exec")
    ]

    assert programs
    assert [one for one in programs if one != "/bin/sh" and "/opt/spotter/" not in one] == []


def test_model_database_and_watcher_work_under_the_restrictions_of_the_unit(
    station: Station, sandbox: Sandbox, tmp_path: Path
) -> None:
    under = command(tmp_path, station.root)
    for path in (station.root, station.capture):
        path.chmod(0o2770)
    refused = subprocess.run(
        [*under, "/usr/bin/python3", "-c", _PROBE], capture_output=True, text=True, check=False
    )
    told = refused.stdout + refused.stderr
    assert told.split() == ["namespace", "packet", "executable", "system", "setgid"]

    daemon = station.start(under=under)
    try:
        film_run(station.capture / "one.mp4")
        assert delivered(sandbox, 1), station.log.read_text()[-3000:]
    finally:
        daemon.terminate()
        daemon.wait(15)
    assert "folder watch failed" not in station.log.read_text()


def test_the_recorder_films_under_the_restrictions_of_its_unit(tmp_path: Path) -> None:
    recorder = RecorderUnderTest(tmp_path / "gym", "test:", segment_s=2.0)
    for path in (tmp_path, recorder.root, recorder.capture):
        path.chmod(0o777)
    recorder.config.chmod(0o644)
    under = command(tmp_path, recorder.root, _UNITS / _RECORDER)
    words = [sys.executable, "-I", "-m", "agent", "record", "--config", str(recorder.config)]
    with recorder.log.open("ab") as log, subprocess.Popen([*under, *words], stderr=log) as process:
        try:
            until(recorder.files)
        finally:
            process.terminate()
    assert len(shown_s(recorder.files()[0])) >= 2 * 25, recorder.said()


def test_the_hub_sees_its_own_folder_and_nothing_else_of_what_is_kept() -> None:
    said = directives(_UNITS / _HUB)

    assert ("TemporaryFileSystem", "/var/lib:ro") in said
    opened = [value for name, value in said if name in {"BindPaths", "ReadWritePaths"}]
    assert set(opened) == {"/var/lib/spotter-hub"}
    assert ("InaccessiblePaths", "-/etc/spotter") in said
    assert dict(said)["RestartPreventExitStatus"] == "78 243"


def test_the_worker_sees_its_own_folder_and_nothing_else_of_what_is_kept() -> None:
    said = directives(_UNITS / _WORKER)

    assert ("TemporaryFileSystem", "/var/lib:ro") in said
    opened = [value for name, value in said if name in {"BindPaths", "ReadWritePaths"}]
    assert set(opened) == {"/var/lib/spotter-worker"}
    assert ("InaccessiblePaths", "-/etc/spotter") in said


def test_hub_and_broker_run_and_answer_systemd_under_the_restrictions_of_the_unit(
    tmp_path: Path,
) -> None:
    root = tmp_path / "hub"
    hub = Hub(root)  # only its settings: nobody has started it
    under = command(tmp_path, root, _UNITS / _HUB)
    given = {**os.environ, "NOTIFY_SOCKET": str(root / "notify"), "WATCHDOG_USEC": "400000"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(root / "notify"))
        manager.settimeout(20)
        with hub.log.open("wb") as log:
            words = [sys.executable, "-m", "agent", "hub", "run", "--config", str(hub.config)]
            running = subprocess.Popen([*under, *words], env=given, stderr=log)
        try:
            told = b""
            while b"READY=1" not in told or told.count(b"WATCHDOG=1") < 3:
                told += manager.recv(4096) + b"\n"
            assert b"0 stations joined" in told, told
        finally:
            running.terminate()
            running.wait(20)
    assert "broker failed" not in hub.log.read_text()


def test_the_hubs_sample_is_whole_and_its_pin_is_read_where_systemd_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = (REPOSITORY / "config" / "hub.sample.toml").read_text()
    for name in SiteSettings.model_fields:
        assert f"\n{name} = " in sample or f"\n# {name} = " in sample, name
    config = tmp_path / "hub.toml"
    config.write_text(sample.replace("# pin_file", "pin_file"))
    loaded = load_hub(config)
    assert loaded.hub == SiteSettings(site="gym-1")
    assert loaded.web.pin_file == Path("/etc/spotter/hub-pin")
    (tmp_path / "hub-pin").write_text("482913\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_pin(load_hub(config).web) == "482913"


# What the restrictions refuse, each told by its word: proof that they are there.
_PROBE = """
import ctypes, mmap, os, socket
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000) == -1: print("namespace")
try: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
except OSError: print("packet")
try: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)
except OSError: print("executable")
try: open("/etc/spotter-probe", "w")
except OSError: print("system")
try: os.mkdir("/tmp/x"); os.chmod("/tmp/x", 0o2770)
except OSError: print("setgid")
"""
