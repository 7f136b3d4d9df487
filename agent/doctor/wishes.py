"""Settings that are allowed, and that somebody may not have meant."""

import stat
from pathlib import Path

from agent.doctor.finding import Finding, Patient, broken, fine, warning
from agent.doctor.folders import how_to_give, may_read, whose_rights


def check_settings(patient: Patient) -> list[Finding]:
    """Name what is worth a second thought; what is wrong does not load at all."""
    findings = [*_closed(patient), *_second_thoughts(patient), *_open_secrets(patient)]
    return findings or [fine("settings", f"{patient.config} loads")]


def _second_thoughts(patient: Patient) -> list[Finding]:
    settings, findings = patient.settings, []
    if settings.station.unassigned == "discard":
        findings.append(
            warning(
                "settings",
                "clips of nobody are thrown away",
                patient.setting('station.unassigned = "hold" keeps them for a person'),
            )
        )
    if settings.api.allow_http and settings.api.base_url.startswith("http:"):
        findings.append(
            warning(
                "settings",
                "the key goes over the network without TLS",
                patient.setting("api.base_url with https"),
            )
        )
    if settings.disk.reserve_mb == 0:
        findings.append(
            warning(
                "settings",
                "nothing is held ready for a disk that others fill to the last byte",
                patient.setting("disk.reserve_mb = 32"),
            )
        )
    pin_file = settings.web.pin_file
    if pin_file is not None and settings.web.listen and not _has_content(pin_file):
        findings.append(
            warning(
                "settings",
                f"no PIN in {pin_file}: only paired devices come in",
                f"sudoedit {pin_file}; six characters or more",
            )
        )
    return findings


def _closed(patient: Patient) -> list[Finding]:
    """Tell of settings that root can read, who asks, and the service cannot, as after an edit."""
    who, file = whose_rights(patient.settings.paths.state), patient.config
    try:
        if may_read(file, who):
            return []
    except OSError:
        return []  # not there: all comes from the environment
    told = f"{who.name}, as whom the service runs, may not read {file}"
    return [broken("settings", told, how_to_give(file, who))]


def _open_secrets(patient: Patient) -> list[Finding]:
    holds = patient.settings.api.key is not None or patient.settings.web.pin is not None
    try:
        is_open = bool(patient.config.stat().st_mode & stat.S_IRWXO)
    except OSError:
        return []
    if not (holds and is_open):
        return []
    return [
        warning(
            "settings",
            f"{patient.config} holds a secret and every user of this box can read it",
            f"sudo chmod o= {patient.config}",
        )
    ]


def _has_content(path: Path) -> bool:
    try:
        return bool(path.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return False
