"""Making a damaged or missing database anew, from ledger, sidecars and files.

What is proven delivered stays delivered, what a person discarded stays discarded.  A clip whose
last word is surely known, and whose body never went out whole, goes on where it was; any other
one that was under way starts `uncertain`: it is looked up before it is sent.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from agent.crashpoints import crash_point
from agent.outbox.database import OutboxDatabase
from agent.outbox.disk.folders import LEDGER_NAME, StateFolder, fsync_file, fsync_folder
from agent.outbox.health import DATABASE_NAME, trust_again
from agent.outbox.journal.images import apply_image
from agent.outbox.journal.ledger import Ledger, Survey
from agent.outbox.journal.sidecars import Sidecar, Sidecars
from agent.outbox.schema.old_copies import copy_damaged
from agent.outbox.schema.version import refuse_newer

_PARTS = ("", "-wal", "-shm")
_KEPT = 3  # damaged databases that stay for a person to look at
_NATURAL_KEYS = {"capture": "sha256", "entry": "clip_code"}

# What names somebody or something whose own line in the ledger is lost.
_LOOSE_ENDS = (
    """
    INSERT INTO athlete (id, name, folded, noted_at)
    SELECT guest_id, 'unknown guest', 'unknown guest', 0.0
      FROM (SELECT guest_id FROM entry UNION SELECT guest_id FROM assignment)
     WHERE guest_id IS NOT NULL AND guest_id NOT IN (SELECT id FROM athlete)
    """,
    "DELETE FROM renewal WHERE assignment_id NOT IN (SELECT id FROM assignment)",
    """
    DELETE FROM resend
     WHERE entry_id NOT IN (SELECT id FROM entry)
        OR undoable_id NOT IN (SELECT id FROM undoable)
        OR new_entry_id NOT IN (SELECT id FROM entry)
    """,
    "DELETE FROM forgetting WHERE undoable_id NOT IN (SELECT id FROM undoable)",
)

log = structlog.get_logger(stage="start")


@dataclass(frozen=True, slots=True)
class _Witnesses:
    """What is known beside the database."""

    ledger: Ledger
    survey: Survey
    sidecars: list[Sidecar]

    @property
    def tell_all(self) -> bool:
        """Whether the ledger knows everything up to the last commit."""
        latest = max((sidecar.seq for sidecar in self.sidecars), default=0)
        return self.survey.is_whole and self.survey.last_seq >= latest

    @property
    def last_seq(self) -> int:
        return max([self.survey.last_seq, *(sidecar.seq for sidecar in self.sidecars)])


def rebuild(root: Path, *, why: str, now_s: float) -> None:
    """Put a new database into the place of one that cannot be trusted.  Only the owner may.

    Cut off anywhere, the next start begins it again: the new one gets its name when it is whole.

    Raises:
        OutboxError: a newer Spotter wrote the ledger.
    """
    log.error("the database cannot be trusted: it is made anew", why=why)
    ledger = Ledger(root / LEDGER_NAME)
    survey = ledger.survey()
    believed = [s for s in Sidecars(root).all() if s.seq not in survey.voided]
    witnesses = _Witnesses(ledger, survey, believed)
    refuse_newer(ledger.path, witnesses.survey.written_by)
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = copy_damaged(DATABASE_NAME, stamp)
    new = StateFolder(root).tmp / DATABASE_NAME
    kept_as = aside if (root / DATABASE_NAME).exists() else None
    counts = _build(new, witnesses, why=why, aside=kept_as, now_s=now_s)
    crash_point("rebuilt")
    _move_aside(root, aside)
    crash_point("damaged-moved-aside")
    fsync_file(new)
    new.replace(root / DATABASE_NAME)
    fsync_folder(root)
    trust_again(root)
    if not witnesses.tell_all and ledger.path.exists():
        ledger.path.replace(ledger.path.with_name(copy_damaged(LEDGER_NAME, stamp)))
    log.error(
        "the database is made anew",
        damaged=kept_as,
        **counts,
        **({} if witnesses.tell_all else {"ledger": "damaged: what it lost is looked up first"}),
    )


def _build(
    path: Path, witnesses: _Witnesses, *, why: str, aside: str | None, now_s: float
) -> dict[str, int]:
    """Write the new database, closed and whole in one file, and return what is in it."""
    for part in _PARTS:
        path.with_name(path.name + part).unlink(missing_ok=True)
    database = OutboxDatabase(path)
    with database.transaction(record=False):
        connection = database.connection
        connection.execute("PRAGMA defer_foreign_keys = ON")
        _apply_all(connection, witnesses)
        for statement in _LOOSE_ENDS:
            connection.execute(statement)
        _doubt(connection, witnesses, now_s=now_s)
        connection.execute(
            "UPDATE ledger_mark SET seq = ?, rebuilt_at = ?, rebuilt_why = ?, set_aside = ?,"
            " history_lost = ?",
            (witnesses.last_seq, now_s, why, aside, int(not witnesses.tell_all)),
        )
    counts = {
        name: int(str(database.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"]))  # noqa: S608  # our own tables
        for name, table in (("captures", "capture"), ("clips", "entry"), ("said", "assignment"))
    }
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return counts


def _apply_all(connection: sqlite3.Connection, witnesses: _Witnesses) -> None:
    """Apply every image in the order in which it was written; the latest of each row stays."""
    latest: dict[tuple[str, object], int] = {}
    for line in witnesses.ledger.lines():
        if line.seq in witnesses.survey.voided:
            continue
        for kind, image in line.rows:
            apply_image(connection, kind, image)
            if kind in _NATURAL_KEYS:
                latest[kind, image[_NATURAL_KEYS[kind]]] = line.seq
    apply_newer(connection, witnesses.sidecars, latest)


def apply_newer(
    connection: sqlite3.Connection,
    sidecars: Iterable[Sidecar],
    latest: dict[tuple[str, object], int],
    *,
    otherwise: int = -1,
) -> None:
    """Apply the sidecars that know more than what was applied before.

    Args:
        connection: of the database.
        sidecars: those that are as they were written.
        latest: the number of what was applied before, by kind and natural key.
        otherwise: the number for what is not named there.
    """
    for sidecar in sorted(sidecars, key=lambda found: (found.kind, found.seq)):
        key = sidecar.kind, sidecar.image[_NATURAL_KEYS[sidecar.kind]]
        if sidecar.seq > latest.get(key, otherwise):
            apply_image(connection, sidecar.kind, sidecar.image)


def _doubt(connection: sqlite3.Connection, witnesses: _Witnesses, *, now_s: float) -> None:
    """Let nothing go out, the last word on which may be lost, before it was looked up."""
    if witnesses.tell_all:
        return
    surely = [s.image["clip_code"] for s in witnesses.sidecars if s.kind == "entry"]
    connection.execute("CREATE TEMP TABLE surely (clip_code TEXT PRIMARY KEY)")
    connection.executemany("INSERT INTO surely VALUES (?)", [(code,) for code in surely])
    doubted = "clip_code NOT IN (SELECT clip_code FROM temp.surely)"
    connection.execute(
        f"UPDATE entry SET look_first = 1 WHERE state IN ('held', 'dead') AND {doubted}"  # noqa: S608  # our own words
    )
    connection.execute(
        "UPDATE entry SET state = 'uncertain', due_at = ?"  # noqa: S608  # our own words
        f" WHERE state IN ('ready', 'uploading') AND {doubted}",
        (now_s,),
    )


def _move_aside(root: Path, name: str) -> None:
    """Keep the damaged database, all its parts, under another name."""
    for part in _PARTS:
        damaged = root / f"{DATABASE_NAME}{part}"
        if damaged.exists():
            damaged.replace(root / f"{name}{part}")
    fsync_folder(root)
    kept = sorted(
        path
        for path in root.glob(copy_damaged(DATABASE_NAME, "*"))
        if not path.name.endswith(_PARTS[1:])
    )
    for old in kept[:-_KEPT]:
        for part in _PARTS:
            old.with_name(old.name + part).unlink(missing_ok=True)
