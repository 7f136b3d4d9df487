"""Checks of the service: running, stable, and not in conflict with another station."""

import os
import shutil
import sqlite3
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.daemon.systemd import SYSTEMD, start_command, unit_of
from agent.disk.rights import how_to_give, may_read, service_user_of
from agent.doctor.check import CheckResult, StationUnderTest, broken, fine, warning
from agent.doctor.recordings import files_in
from agent.errors import AgentError, ConfigError
from agent.outbox.consistency import opened_as_it_is
from agent.outbox.states import TO_BE_LOOKED_INTO, TO_BE_SENT
from agent.settings import Settings
from agent.settings.load import how_to_edit, toml_tables
from agent.text import counted


def waiting_for_daemon(station: StationUnderTest) -> str | None:
    """Return in words what a daemon would have to do; None where there is nothing."""
    suffixes = station.settings.capture.suffixes
    lying = sum(path.suffix.lower() in suffixes for path in files_in(station))
    return waiting_words(lying, _counts(station))


def waiting_words(lying: int, counts: Mapping[str, Mapping[str, int]]) -> str | None:
    """Return in words what waits; None where nothing does.

    Args:
        lying: videos in the capture folder.
        counts: captures and entries by their states.
    """
    captures, clips = (
        sum(counts.get(kind, {}).get(state, 0) for state in states)
        for kind, states in (("captures", TO_BE_LOOKED_INTO), ("entries", TO_BE_SENT))
    )
    parts = (
        (lying, "file in the capture folder", "files in the capture folder"),
        (captures, "capture", "captures"),
        (clips, "clip", "clips"),
    )
    told = [counted(number, one, many) for number, one, many in parts if number]
    verb = "waits" if lying + captures + clips == 1 else "wait"
    return f"{', '.join(told)} {verb}" if told else None


def _counts(station: StationUnderTest) -> Mapping[str, Mapping[str, int]]:
    try:
        with opened_as_it_is(station.folder.root) as outbox:
            return {} if outbox is None else outbox.listing.counts()
    except (sqlite3.Error, OSError, AgentError):
        return {}  # said by the check of the outbox


_SHOWN = (
    *("LoadState", "ActiveState", "SubState", "NRestarts", "Result", "UnitFileState"),
    *("ActiveEnterTimestampMonotonic", "ExecMainCode", "ExecMainStatus", "StatusText"),
)
_STARTS_BY_ITSELF = frozenset({"enabled", "enabled-runtime", "static", "linked", ""})
_ASK_WITHIN_S = 10
_MANY_RESTARTS = 3
_STEADY_S = 300.0  # a unit that ends repeatedly is started again after five minutes at most
_UP = frozenset({"running", "reload", "reload-signal", "reload-notify"})
_RESTARTING = frozenset({"auto-restart", "auto-restart-queued"})
# What systemd itself reports by an exit status (systemd.exec(5)), and where to fix it.
_STARTS_NOT = {
    "200": "its working directory is missing: chdir",
    "203": "its program cannot be run: exec",
    "216": "its group does not exist: group",
    "217": "its user does not exist: user",
    "226": "its namespace cannot be created: a path of the unit is missing",
    "238": "its state directory cannot be created",
    "243": "its credentials cannot be read",
}


def judge_unit(
    unit: str,
    told: Mapping[str, str],
    *,
    runs: bool,
    waiting: str | None = None,
    start: str = "spotter run",
    boot_s: float = 0.0,
) -> CheckResult:
    """Judge what systemd says of the unit.

    A station that is meant to run and does not is broken; so is one for which something waits,
    whoever starts it.  Else somebody may have stopped it on purpose, or not begun yet.

    Args:
        unit: its name.
        told: what `systemctl show` says; nothing where there is no systemd.
        runs: whether a daemon holds the state folder, whoever started it.
        waiting: what waits for the daemon, in words; None: nothing.
        start: how a person starts it without systemd.
        boot_s: seconds since the box started, as systemd counts them.
    """
    loaded = told.get("LoadState", "not-found")
    if loaded == "not-found" or (loaded != "loaded" and runs):
        return _judge_plain(runs, waiting, start)
    state, sub = told.get("ActiveState", ""), told.get("SubState", "")
    why = f"sudo journalctl -u {unit} -n 20"
    if loaded != "loaded":
        return broken(
            "service",
            f"{unit} cannot be used: {loaded}",
            f"systemd-analyze verify {unit}; sudo systemctl unmask {unit}",
        )
    if state == "failed":
        return broken(
            "service",
            f"{unit} has failed ({_result(told)})",
            f"{why}; then sudo systemctl restart {unit}",
        )
    if sub in _RESTARTING:
        return broken("service", f"{unit} exits and restarts ({_result(told)})", why)
    if state not in {"active", "activating", "reloading", "refreshing"}:
        is_meant = told.get("UnitFileState") in _STARTS_BY_ITSELF
        found = f"{unit} is {state}" if waiting is None else f"{unit} is {state}, and {waiting}"
        judge = broken if is_meant or waiting else warning
        return judge("service", found, f"sudo systemctl enable --now {unit}")
    return _judge_steadiness(unit, told, boot_s=boot_s)


def _judge_steadiness(unit: str, told: Mapping[str, str], *, boot_s: float) -> CheckResult:
    """Judge a unit that is up, or is being started."""
    state, sub = told["ActiveState"], told.get("SubState", "running")
    restarts, why = int(told.get("NRestarts") or 0), f"sudo journalctl -u {unit} -n 20"
    times = counted(restarts, "time")
    if sub not in _UP:
        if restarts:
            found = f"{unit} was restarted {times} and is not running ({sub})"
            return broken("service", found, why)
        if state == "activating":
            text = told.get("StatusText") or "see its log"
            return warning("service", f"{unit} is starting: {text}", why)
        return broken("service", f"{unit} is {state}, but not running ({sub})", why)
    since_s = boot_s - int(told.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    if restarts >= _MANY_RESTARTS and 0 <= since_s < _STEADY_S:
        found = f"{unit} keeps restarting: {times}, last {since_s:.0f} s ago"
        return broken("service", found, why)
    if restarts >= _MANY_RESTARTS:
        return warning("service", f"{unit} was restarted {times}", f"{why} -p warning")
    return fine("service", f"{unit} is {state}")


def _result(told: Mapping[str, str]) -> str:
    """Say how a unit ended: systemd's word, and the status where it says more."""
    result, status = told.get("Result") or "no result", told.get("ExecMainStatus", "0")
    if status in {"", "0"}:
        return result
    kind = "signal" if told.get("ExecMainCode") in {"2", "3"} else "status"
    reason = _STARTS_NOT.get(status) if kind == "status" else None
    return f"{result}, {kind} {status}" + (f": {reason}" if reason else "")


def judge_others(
    station: StationUnderTest, others: Mapping[Path, Mapping[str, Any]]
) -> list[CheckResult]:
    """Look for another station's settings on this box with the same folder or port."""
    own, findings = station.settings, []
    port = own.web.listen.rpartition(":")[2]
    for path, tables in sorted(others.items()):
        theirs = {name: tables.get(name, {}) for name in ("paths", "web")}
        places = {
            "paths.state": (str(own.paths.state), theirs["paths"].get("state", "/var/lib/spotter")),
            "paths.capture": (
                str(own.paths.capture),
                theirs["paths"].get("capture", "/var/lib/spotter/capture"),
            ),
            "web.listen": (
                port,
                str(theirs["web"].get("listen", "127.0.0.1:8377")).rpartition(":")[2],
            ),
        }
        same = [key for key, (ours, other) in places.items() if ours and ours == str(other)]
        if same:
            told = f"{path} has the same {', '.join(same)}"
            remedy = f"give each station its own, or remove {path}"
            findings.append(broken("other stations", told, remedy))
    return findings or [fine("other stations", f"{len(others)} on this box, no conflicts")]


def check_service(station: StationUnderTest) -> list[CheckResult]:
    """Carry out every check of this module."""
    unit = unit_of(station.config)
    return [
        judge_unit(
            unit,
            ask_systemd(unit),
            runs=station.runs,
            waiting=None if station.runs else waiting_for_daemon(station),
            start=start_command(station.config),
            boot_s=time.clock_gettime(time.CLOCK_MONOTONIC),
        ),
        *judge_others(station, dict(_other_stations(station.config))),
    ]


def _judge_plain(runs: bool, waiting: str | None, start: str) -> CheckResult:
    if runs:
        return fine("service", "running, without systemd")
    if waiting is not None:
        return broken("service", f"the daemon is not running, and {waiting}", start)
    return warning("service", "the daemon is not running", start)


def ask_systemd(unit: str) -> dict[str, str]:
    """Return what systemd says of a unit; nothing where there is no systemd."""
    command = shutil.which("systemctl")
    if command is None or not SYSTEMD.is_dir():
        return {}
    try:
        done = subprocess.run(
            [command, "show", unit, f"--property={','.join(_SHOWN)}"],
            capture_output=True,
            text=True,
            timeout=_ASK_WITHIN_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def _other_stations(config: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the settings beside these by which a station of this box runs, or is meant to.

    A copy, or another program's file, is none: it says no settings of a station, or no unit of
    systemd's takes it.
    """
    own = config.resolve()
    for path in sorted(config.parent.glob("*.toml")):
        if path.resolve() == own or path.name.endswith(".sample.toml"):
            continue
        try:
            tables = toml_tables(path.read_text(encoding="utf-8"))
            Settings.model_validate(tables)
        except (OSError, ValueError, ConfigError):
            continue
        if "station" in tables and _is_used(ask_systemd(unit_of(path))):
            yield path, tables


def _is_used(told: Mapping[str, str]) -> bool:
    """Tell whether a unit runs or starts automatically; True without systemd."""
    if not told:
        return True
    starts = told.get("UnitFileState") in {"enabled", "enabled-runtime", "linked"}
    return starts or told.get("ActiveState") not in {"inactive", None}


_UNSTEADY_S = 60.0  # a camera that cannot be reached is given up after ten seconds, repeatedly
_MEANT = frozenset({"enabled", "enabled-runtime"})
_NAME = "recorder"


def check_recorders(station: StationUnderTest) -> list[CheckResult]:
    """Ask systemd about each camera that has its settings beside the station's."""
    folder = station.config.parent
    units = [f"spotter-recorder@{name}.service" for name in _names(folder, "recorder-", ".toml")]
    judged = [judge_recorder(unit, ask_systemd(unit), now_s=time.monotonic()) for unit in units]
    left = [
        broken(
            _NAME,
            f"{folder}/camera-{name}.env is of an older version: nothing is recorded by it",
            f"write {folder}/recorder-{name}.toml (docs/cameras.md), then remove it",
        )
        for name in _names(folder, "camera-", ".env")
    ]
    return [found for found in judged if found is not None] + left


def _names(folder: Path, begin: str, end: str) -> list[str]:
    found = sorted(path.name for path in folder.glob(f"{begin}*{end}"))
    return [name.removeprefix(begin).removesuffix(end) for name in found]


def judge_recorder(unit: str, told: Mapping[str, str], *, now_s: float) -> CheckResult | None:
    """Judge what systemd says of a recorder; None where nobody wants it to run.

    Args:
        unit: its name.
        told: what `systemctl show` says; nothing where there is no systemd.
        now_s: seconds since the box started, as systemd counts them.
    """
    if told.get("LoadState") != "loaded":
        return None
    state, again = told.get("ActiveState", ""), int(told.get("NRestarts") or 0)
    why = f"sudo journalctl -u {unit} -n 20"
    if state == "failed" or told.get("SubState") == "auto-restart":
        return broken(_NAME, f"{unit} keeps restarting: nothing is recorded", why)
    if state != "active":
        is_meant = told.get("UnitFileState") in _MEANT
        remedy = f"sudo systemctl start {unit}"
        return (
            broken(_NAME, f"{unit} is {state}: nothing is recorded", remedy) if is_meant else None
        )
    since_s = now_s - int(told.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    if again and since_s < _UNSTEADY_S:
        times = counted(again, "time")
        return warning(
            _NAME, f"{unit} was restarted {times}, the last time {since_s:.0f} s ago", why
        )
    return fine(_NAME, f"{unit} is {state}")


def check_settings(station: StationUnderTest) -> list[CheckResult]:
    """Name what is worth a second thought; what is wrong does not load at all."""
    findings = [
        *_closed(station),
        *(warning("settings", *thought) for thought in _second_thoughts(station)),
    ]
    return findings or [fine("settings", f"{station.config} is valid")]


def _second_thoughts(station: StationUnderTest) -> Iterator[tuple[str, str]]:
    """Yield what is found, and the remedy."""
    settings = station.settings
    if settings.station.unassigned == "discard":
        remedy = station.setting('station.unassigned = "hold" keeps them for review')
        yield "clips without an assigned athlete are discarded", remedy
    if settings.api.allow_http and settings.api.base_url.startswith("http:"):
        yield "the API key is sent without TLS", station.setting("api.base_url with https")
    if settings.disk.reserve_mb == 0:
        remedy = station.setting("disk.reserve_mb = 32")
        yield "no disk space is reserved for uploads on a full disk", remedy
    pin_file = settings.web.pin_file
    if pin_file is not None and settings.web.listen and not _has_content(pin_file):
        told = f"no PIN in {pin_file}: only paired devices can log in"
        yield told, f"{how_to_edit(pin_file)}: six characters or more"
    holds_secret = settings.api.key is not None or settings.web.pin is not None
    if holds_secret and _is_open(station.config):
        told = f"{station.config} contains a secret and is readable by every user"
        yield told, f"sudo chmod o= {station.config}"


def _closed(station: StationUnderTest) -> list[CheckResult]:
    """Report settings that root can read, who asks, and the service cannot, as after an edit."""
    who, file = service_user_of(station.settings.paths.state), station.config
    try:
        if may_read(file, who):
            return []
    except OSError:
        return []  # not there: all comes from the environment
    told = f"the service ({who.name}) cannot read {file}"
    return [broken("settings", told, how_to_give(file, who))]


def _is_open(file: Path) -> bool:
    """Tell whether a file is open to every user."""
    try:
        return bool(file.stat().st_mode & stat.S_IRWXO)
    except OSError:
        return False


def _has_content(path: Path) -> bool:
    try:
        return bool(path.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return False
