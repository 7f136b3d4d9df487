"""The outbox: whole, in step with its ledger and its files, and of this version."""

import sqlite3
from pathlib import Path

from agent.doctor.finding import Finding, Patient, broken, fine, warning
from agent.errors import AgentError
from agent.outbox.health import DATABASE_NAME, holds_history, trouble_of
from agent.outbox.repair.audit import Audit, audit
from agent.plurals import counted

_RESTART = "sudo systemctl restart spotter; a start mends it and keeps what was there"
_SHOWN = 5


def check_outbox(patient: Patient) -> list[Finding]:
    """Look the outbox over, without changing it."""
    root = patient.folder.root
    path = root / DATABASE_NAME
    if not path.exists():
        if root.is_dir() and holds_history(root):
            return [broken("outbox", f"{path} is missing, its ledger is there", _RESTART)]
        return [fine("outbox", "none yet: the first start makes it")]
    try:
        why = trouble_of(root)
        if why is not None:
            return [broken("outbox", f"damaged: {why}", _RESTART)]
        found = audit(root)
    except (sqlite3.Error, OSError, AgentError) as error:
        return [broken("outbox", f"cannot be examined: {error}", _right_to_read(path))]
    return judge_audit(found, path)


def judge_audit(found: Audit, path: Path) -> list[Finding]:
    """Judge what looking the outbox over has shown."""
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
    return [*_ledger(found), _rules(found), _files(found)]


def _ledger(found: Audit) -> list[Finding]:
    if found.contradicts is not None:
        return [broken("outbox", f"against its ledger: {found.contradicts}", _RESTART)]
    if found.behind or found.ledger_damaged:
        told = counted(found.behind, "commit is", "commits are") + " in the ledger alone"
        if found.ledger_damaged:
            damaged = counted(found.ledger_damaged, "line")
            told = f"{damaged} of its ledger cannot be read"
        return [warning("outbox", told, _RESTART)]
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
