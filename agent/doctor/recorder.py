"""The sample recorder, where this box uses it: whether what films is up."""

import time
from collections.abc import Mapping

from agent.doctor.finding import Finding, Patient, broken, fine, warning
from agent.doctor.service import ask_systemd
from agent.plurals import counted

_UNSTEADY_S = 60.0  # a camera that cannot be reached is given up after ten seconds, again and again
_MEANT = frozenset({"enabled", "enabled-runtime"})
_NAME = "recorder"


def check_recorders(patient: Patient) -> list[Finding]:
    """Ask systemd about each camera that has its settings beside the station's."""
    files = sorted(patient.config.parent.glob("camera-*.env"))
    units = [f"spotter-camera@{file.stem.removeprefix('camera-')}.service" for file in files]
    judged = [judge_recorder(unit, ask_systemd(unit), now_s=time.monotonic()) for unit in units]
    return [found for found in judged if found is not None]


def judge_recorder(unit: str, told: Mapping[str, str], *, now_s: float) -> Finding | None:
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
        return broken(_NAME, f"{unit} does not stay up: nothing is filmed", why)
    if state != "active":
        is_meant = told.get("UnitFileState") in _MEANT
        remedy = f"sudo systemctl start {unit}"
        return broken(_NAME, f"{unit} is {state}: nothing is filmed", remedy) if is_meant else None
    since_s = now_s - int(told.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    if again and since_s < _UNSTEADY_S:
        times = counted(again, "time")
        return warning(_NAME, f"{unit} was started again {times}, {since_s:.0f} s ago too", why)
    return fine(_NAME, f"{unit} is {state}")
