"""The outbox: whole, in step with its ledger and its files, and of this version."""

import sqlite3
from pathlib import Path

from agent.doctor.finding import Finding, Patient, broken, fine, warning
from agent.errors import AgentError
from agent.outbox.health import DATABASE_NAME, holds_history, trouble_of
from agent.outbox.repair.audit import Audit, audit
from agent.plurals import counted
from agent.unit import unit_of

_A_START = "a start mends it and keeps what was there"
_SHOWN = 5


def check_outbox(patient: Patient) -> list[Finding]:
    """Look the outbox over, without changing it."""
    root = patient.folder.root
    path = root / DATABASE_NAME
    restart = f"sudo systemctl restart {unit_of(patient.config)}; {_A_START}"
    if not path.exists():
        if root.is_dir() and holds_history(root):
            return [broken("outbox", f"{path} is missing, its ledger is there", restart)]
        return [fine("outbox", "none yet: the first start makes it")]
    try:
        why = trouble_of(root)
        if why is not None:
            return [broken("outbox", f"damaged: {why}", restart)]
        found = audit(root)
    except (sqlite3.Error, OSError, AgentError) as error:
        return [broken("outbox", f"cannot be examined: {error}", _right_to_read(path))]
    return judge_audit(found, path, restart=restart)


def judge_audit(found: Audit, path: Path, *, restart: str) -> list[Finding]:
    """Judge what looking the outbox over has shown.

    Args:
        found: what it has shown.
        path: of the database.
        restart: what to say where the next start mends it.
    """
    if found.newer:
        return [
            broken(
                "version",
                f"{path} was written by a newer Spotter ({', '.join(found.newer)})",
                "install that version again; nothing was changed",
            )
        ]
    if found.pending:
        return [fine("version", "the next start brings the outbox up to date, after a copy")]
    if found.busy:
        return [warning("outbox", "in use by another program for seconds", "spotter doctor")]
    return [*_ledger(found, restart), _rules(found), _files(found)]


def _ledger(found: Audit, restart: str) -> list[Finding]:
    if found.contradicts is not None:
        return [broken("outbox", f"against its ledger: {found.contradicts}", restart)]
    if found.behind or found.ledger_damaged:
        told = counted(found.behind, "commit is", "commits are") + " in the ledger alone"
        if found.ledger_damaged:
            damaged = counted(found.ledger_damaged, "line")
            told = f"{damaged} of its ledger cannot be read"
        return [warning("outbox", told, restart)]
    return [fine("outbox", "whole, and in step with its ledger")]


def _rules(found: Audit) -> Finding:
    if not found.broken_rules:
        return fine("outbox rules", "hold for every row")
    told = "; ".join(f"{rule}: {_some(ids)}" for rule, ids in found.broken_rules.items())
    return broken("outbox rules", told, "spotter support, and send the archive to us")


def _files(found: Audit) -> Finding:
    if found.missing_files:
        return broken(
            "files of the outbox",
            f"missing: {_some(found.missing_files)}",
            "put them back if you have them; a lost clip is cut again: "
            f"spotter outbox retry {found.missing_files[0]}",
        )
    if found.other_size:
        return broken(
            "files of the outbox",
            f"not as they were written: {_some(found.other_size)}",
            f"spotter outbox show {found.other_size[0]}; check the disk: sudo dmesg",
        )
    return fine("files of the outbox", "all there")


def _right_to_read(path: Path) -> str:
    return f"as a user of the group of {path.parent} (sudo adduser NAME spotter), or with sudo"


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
