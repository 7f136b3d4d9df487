"""Making a damaged or missing database anew, from ledger, sidecars and files.

What is proven delivered stays delivered, what a person discarded stays discarded.  A clip whose
last word is surely known, and whose body never went out whole, goes on where it was; any other
one that was under way starts `uncertain`: it is looked up before it is sent.
"""

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from agent.crashpoints import crash_point
from agent.outbox.database import OutboxDatabase
from agent.outbox.disk.folders import LEDGER_NAME, StateFolder, fsync_file, fsync_folder, is_plain
from agent.outbox.health import DATABASE_NAME, trust_again
from agent.outbox.journal.images import apply_image, read_image
from agent.outbox.migrate import copy_damaged, refuse_newer
from agent.outbox.repair.witnesses import (
    NOTHING,
    Known,
    Witnesses,
    apply_newer,
    doubt,
    note_lost_history,
)
from agent.stage import StageName

_PARTS = ("", "-wal", "-shm")
_KEPT = 3  # damaged databases that stay for a person to look at
_ENDED = """
SELECT id, clip_code FROM entry
 WHERE state IN ('held', 'discarded', 'dead')
    OR (state IN ('uploaded', 'completed') AND session_id IS NOT NULL)
"""

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
    """
    DELETE FROM session_deletion WHERE forgetting_id NOT IN
        (SELECT id FROM forgetting WHERE undoable_id IN (SELECT id FROM undoable))
    """,
    "DELETE FROM forgetting WHERE undoable_id NOT IN (SELECT id FROM undoable)",
)

log = structlog.get_logger(stage=StageName.START)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """What a rebuilt database says of its rebuilding."""

    why: str
    set_aside: str | None  # the damaged one's name now
    now_s: float
    is_lost: bool  # whether what was sent before is not all known


def rebuild(
    root: Path, witnesses: Witnesses, *, why: str, now_s: float, is_copy: bool = False
) -> None:
    """Put a new database into the place of one that cannot be trusted.  Only the owner may.

    Cut off anywhere, the next start begins it again: the new one gets its name when it is whole.

    Args:
        root: the state folder.
        witnesses: all that is known beside the database.
        why: it cannot be trusted.
        now_s: Unix time.
        is_copy: whether the folder comes from a backup: what was sent since is not known.

    Raises:
        OutboxError: a newer Spotter wrote the ledger.
    """
    log.error("database rebuild started", why=why)
    ledger = witnesses.ledger
    refuse_newer(ledger.path, witnesses.survey.written_by)
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    kept_as = copy_damaged(DATABASE_NAME, stamp)
    new = StateFolder(root).tmp / DATABASE_NAME
    damaged = root / DATABASE_NAME
    aside = kept_as if damaged.exists() else None
    is_lost = is_copy or witnesses.lack_after(NOTHING)
    mark = _Mark(why=why, set_aside=aside, now_s=now_s, is_lost=is_lost)
    counts = _build(new, witnesses, damaged, mark)
    crash_point("rebuilt")
    _move_aside(root, kept_as)
    crash_point("damaged-moved-aside")
    fsync_file(new)
    new.replace(damaged)
    fsync_folder(root)
    trust_again(root)
    if not witnesses.tell_all and ledger.path.exists():
        ledger.path.replace(ledger.path.with_name(copy_damaged(LEDGER_NAME, stamp)))
    log.error(
        "database rebuilt",
        damaged=aside,
        **counts,
        **({"ledger": "damaged: affected clips are reconciled first"} if is_lost else {}),
    )


def keep_damaged_ledger(path: Path, *, now_s: float) -> None:
    """Give a damaged ledger a second name, under which it stays for a person to look at."""
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    with suppress(OSError):  # it may be gone, or the disk be full
        os.link(path, path.with_name(copy_damaged(LEDGER_NAME, stamp)), follow_symlinks=False)


def tie_loose_ends(connection: sqlite3.Connection) -> None:
    """Let no row name another one that is lost."""
    for statement in _LOOSE_ENDS:
        connection.execute(statement)


def _build(path: Path, witnesses: Witnesses, damaged: Path, mark: _Mark) -> dict[str, int]:
    """Write the new database, closed and whole in one file, and return what is in it."""
    for part in _PARTS:
        path.with_name(path.name + part).unlink(missing_ok=True)
    database = OutboxDatabase(path)
    lost_at = mark.now_s if mark.is_lost else witnesses.survey.lost_at
    with database.transaction(record=False):
        connection = database.connection
        connection.execute("PRAGMA defer_foreign_keys = ON")
        known = apply_newer(connection, witnesses, reached=NOTHING)
        if not witnesses.tell_all:
            _take_over(connection, damaged, known)
        tie_loose_ends(connection)
        if not witnesses.tell_all:
            doubt(connection, known, now_s=mark.now_s)
        connection.execute(
            "UPDATE ledger_mark SET seq = ?, rebuilt_at = ?, rebuilt_why = ?, set_aside = ?",
            (witnesses.last_seq, mark.now_s, mark.why, mark.set_aside),
        )
        if lost_at is not None:
            note_lost_history(connection, now_s=lost_at, doubt_all=witnesses.tell_all)
    counts = {
        name: int(str(database.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"]))  # noqa: S608  # our own tables
        for name, table in (("captures", "capture"), ("clips", "entry"), ("said", "assignment"))
    }
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return counts


def _take_over(connection: sqlite3.Connection, damaged: Path, known: Known) -> None:
    """Take over from a damaged database what nothing else tells surely, if it ended there.

    A state that ends a clip is believed: damage does not make one up, and at worst a person is
    asked.  Whatever cannot be read is left.
    """
    taken = 0
    try:
        with closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)) as old:
            codes = old.execute(_ENDED).fetchall()
            for entry_id, clip_code in codes:
                if known.is_sure(("entry", clip_code)):
                    continue
                apply_image(connection, "entry", read_image(old, ("entry", entry_id)))
                taken += 1
    except (sqlite3.Error, ValueError, KeyError, TypeError, OSError) as error:
        log.warning("database salvage stopped", rows=taken, error=str(error))


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
        if not path.name.endswith(_PARTS[1:]) and is_plain(path)
    )
    for old in kept[:-_KEPT]:
        for part in _PARTS:
            with suppress(OSError):
                old.with_name(old.name + part).unlink(missing_ok=True)
