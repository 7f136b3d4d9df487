"""The service: up, alone on its folder and its port, and guarded where others can reach it."""

import os
import shutil
import socket
import sqlite3
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.doctor.finding import Finding, Patient, broken, fine, warning
from agent.doctor.waiting import waiting_for_daemon
from agent.errors import AgentError
from agent.outbox.pauses import Pause
from agent.outbox.repair.audit import opened_as_it_is
from agent.plurals import counted
from agent.settings.tables import is_loopback
from agent.unit import SYSTEMD, unit_of

_SHOWN = (
    *("LoadState", "ActiveState", "SubState", "NRestarts", "Result", "UnitFileState"),
    "ActiveEnterTimestampMonotonic",
)
_STARTS_BY_ITSELF = frozenset({"enabled", "enabled-runtime", "static", "linked", ""})
_ASK_WITHIN_S = 10
_MANY_RESTARTS = 3
_WHICH = "sudo ss -ltnp 'sport = :{port}' says which; or set another web.listen"


def judge_unit(
    unit: str, told: Mapping[str, str], *, runs: bool, waiting: str | None = None
) -> Finding:
    """Judge what systemd says of the unit.

    A station that is meant to run and does not is broken; so is one for which something waits,
    whoever starts it.  Else somebody may have stopped it on purpose, or not begun yet.

    Args:
        unit: its name.
        told: what `systemctl show` says; nothing where there is no systemd.
        runs: whether a daemon holds the state folder, whoever started it.
        waiting: what waits for the daemon, in words; None: nothing.
    """
    if told.get("LoadState") != "loaded":
        return _judge_plain(runs, waiting)
    state, restarts = told.get("ActiveState", ""), int(told.get("NRestarts") or 0)
    if state == "failed":
        return broken(
            "service",
            f"{unit} has failed ({told.get('Result')})",
            f"sudo journalctl -u {unit} -n 20; then sudo systemctl restart {unit}",
        )
    if state not in {"active", "activating", "reloading"}:
        is_meant = told.get("UnitFileState") in _STARTS_BY_ITSELF
        found = f"{unit} is {state}" if waiting is None else f"{unit} is {state}, and {waiting}"
        judge = broken if is_meant or waiting else warning
        return judge("service", found, f"sudo systemctl enable --now {unit}")
    if restarts >= _MANY_RESTARTS:
        return warning(
            "service",
            f"{unit} was started again {counted(restarts, 'time')}",
            f"sudo journalctl -u {unit} -p warning",
        )
    return fine("service", f"{unit} is {state}")


def judge_others(patient: Patient, others: Mapping[Path, Mapping[str, Any]]) -> list[Finding]:
    """Look for another station's settings on this box with the same folder or port."""
    own, findings = patient.settings, []
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
            findings.append(
                broken(
                    "other stations",
                    f"{path} has the same {', '.join(same)}",
                    f"give each station its own, or remove {path}",
                )
            )
    return findings or [fine("other stations", f"{len(others)} on this box, none in the way")]


def check_service(patient: Patient) -> list[Finding]:
    """Carry out every check of this module."""
    unit = unit_of(patient.config)
    return [
        judge_unit(
            unit,
            ask_systemd(unit),
            runs=patient.runs,
            waiting=None if patient.runs else waiting_for_daemon(patient),
        ),
        *judge_others(patient, dict(_other_stations(patient.config))),
        *_page(patient),
    ]


def _judge_plain(runs: bool, waiting: str | None) -> Finding:
    if runs:
        return fine("service", "running, without systemd")
    if waiting is not None:
        return broken("service", f"the daemon does not run, and {waiting}", "spotter run")
    return warning("service", "the daemon does not run", "spotter run")


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
    own = config.resolve()
    for path in sorted(config.parent.glob("*.toml")):
        if path.resolve() == own or path.name.endswith(".sample.toml"):
            continue
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if "station" in tables:
            yield path, tables


def _page(patient: Patient) -> list[Finding]:
    listen = patient.settings.web.listen
    if not listen:
        return [fine("page", 'turned off (web.listen = "")')]
    host, _, port = listen.rpartition(":")
    answers = _is_open(host.strip("[]"), int(port))
    if answers and not patient.runs:
        return [
            broken(
                "page",
                f"another program has {listen}",
                _WHICH.format(port=port),
            )
        ]
    log = f"sudo journalctl -u {unit_of(patient.config)} -n 20"
    pause = _pause_of_page(patient)
    if pause is not None:
        remedy = _WHICH.format(port=port) if pause.reason == "port_taken" else log
        return [broken("page", f"it is not open: {pause.detail}", remedy)]
    if patient.runs and not answers:
        return [warning("page", f"nobody answers at {listen}", f"the log says why: {log}")]
    if not is_loopback(host.strip("[]")) and patient.settings.web.tls == "off":
        return [
            warning(
                "page",
                f"at {listen}; without TLS the PIN can be read on the network",
                patient.setting('web.tls = "own"'),
            )
        ]
    return [fine("page", f"at {listen}" if answers else f"at {listen}, once the daemon runs")]


def _pause_of_page(patient: Patient) -> Pause | None:
    """Return why the daemon cannot serve its page; None where it can, or does not run."""
    if not patient.runs:
        return None
    with suppress(sqlite3.Error, AgentError), opened_as_it_is(patient.folder.root) as outbox:
        pauses = [] if outbox is None else outbox.pauses.all()
        return next((pause for pause in pauses if pause.part == "page"), None)
    return None  # the outbox is judged elsewhere


def _is_open(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(2.0)
        try:
            return probe.connect_ex((host, port)) == 0
        except OSError:
            return False
