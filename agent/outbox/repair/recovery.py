"""Opening the outbox as its owner: checked, made good from the ledger, or made anew.

A commit that the database lost, as when its write-ahead log is damaged, is in the ledger; it is
applied again before anything is done.  Rows that contradict the ledger mean that the file is
damaged where no page shows it.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from agent.crashpoints import crash_point
from agent.outbox import migrate
from agent.outbox.disk.device import born_ns_of
from agent.outbox.disk.folders import LEDGER_NAME, StateFolder, is_plain, quarantine
from agent.outbox.health import DATABASE_NAME, trouble_of
from agent.outbox.journal.comparing import contradiction
from agent.outbox.journal.images import read_image
from agent.outbox.journal.ledger import Survey
from agent.outbox.journal.sidecars import Sidecars
from agent.outbox.repair.rebuild import keep_damaged_ledger, rebuild, tie_loose_ends
from agent.outbox.repair.witnesses import (
    NATURAL_KEYS,
    Known,
    Witnesses,
    apply_newer,
    doubt,
    note_lost_history,
)
from agent.outbox.store import Outbox
from agent.stage import StageName

_RECORDS = (
    *(DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm", f"{DATABASE_NAME}-journal"),
    *(f"{DATABASE_NAME}.distrusted", LEDGER_NAME, "upgrade.lock", "reserve"),
)
_SMALLEST_TO_SHORTEN_BYTES = 16 << 20
_SHORTEN_BEYOND = 4  # times what the ledger of the whole outbox takes, by the database's size
log = structlog.get_logger(stage=StageName.START)


def open_as_owner(root: Path, *, now_s: float) -> Outbox:
    """Open the outbox of a state folder that this process owns, whatever happened to it.

    Raises:
        OutboxError: a newer Spotter wrote it, or the disk refuses.
    """
    quarantine_strange_records(root)
    why = trouble_of(root)
    witnesses = Witnesses.read(root)
    if why is not None:
        rebuild(root, witnesses, why=why, now_s=now_s)
        witnesses = Witnesses.read(root)
    try:
        return _opened(root, witnesses, now_s=now_s)
    except (_ContradictionError, sqlite3.IntegrityError) as error:
        was_copied = isinstance(error, _ContradictionError) and error.was_copied
        rebuild(root, witnesses, why=str(error), now_s=now_s, is_copy=was_copied)
    return _opened(root, Witnesses.read(root), now_s=now_s)


def _opened(root: Path, witnesses: Witnesses, *, now_s: float) -> Outbox:
    """Open the outbox and make good what it lacks; where that fails it is closed again."""
    outbox = Outbox.open(root)
    try:
        _make_good(outbox, witnesses, now_s=now_s)
    except BaseException:
        outbox.close()
        raise
    return outbox


def quarantine_strange_records(root: Path) -> None:
    """Take away what has the name of a record of the outbox, but is no plain file."""
    for name in _RECORDS:
        path = root / name
        if os.path.lexists(path) and not is_plain(path):
            quarantine(path, StateFolder(root), why="it is not a plain file")


def tend_ledger(outbox: Outbox) -> None:
    """Write the ledger anew where it has grown far beyond what it tells."""
    ledger = outbox.database.journal.ledger
    size_bytes = ledger.path.stat().st_size if ledger.path.exists() else 0
    needed_bytes = outbox.database.path.stat().st_size
    if size_bytes > max(_SMALLEST_TO_SHORTEN_BYTES, _SHORTEN_BEYOND * needed_bytes):
        with outbox.database.transaction(record=False):
            _begin_anew(outbox)


class _ContradictionError(Exception):
    """The rows are not what the ledger says: the database cannot be trusted."""

    def __init__(self, why: str, *, was_copied: bool) -> None:
        super().__init__(why)
        self.was_copied = was_copied


def _make_good(outbox: Outbox, witnesses: Witnesses, *, now_s: float) -> None:
    """Apply what the database lost, and doubt what may be lost.

    Raises:
        _ContradictionError: the database cannot be trusted; nothing was changed.
    """
    database, survey = outbox.database, witnesses.survey
    with database.transaction(record=False):
        connection = database.connection
        connection.execute("PRAGMA defer_foreign_keys = ON")
        was_copied = _doubt_copy(connection, database.path)
        (reached,) = connection.execute("SELECT seq FROM ledger_mark WHERE id = 1").fetchone()
        known = apply_newer(connection, witnesses, reached=reached)
        if witnesses.tell_all and survey.last_seq >= reached:
            why = contradiction(connection, witnesses.ledger, survey)
            if why is not None:
                raise _ContradictionError(why, was_copied=was_copied)
        if known.applied:
            tie_loose_ends(connection)
            log.warning("lost commits replayed", rows=known.applied)
        doubted = [] if witnesses.agree_with(reached) else doubt(connection, known, now_s=now_s)
        lacks = witnesses.lack_after(reached)
        lost_at = _note_loss(connection, survey, lacks=lacks, was_copied=was_copied, now_s=now_s)
        if lacks or doubted or not _is_in_step(survey, reached):
            if survey.damaged or survey.last_seq < reached:
                log.error("ledger rewritten", lines=survey.damaged)
                keep_damaged_ledger(witnesses.ledger.path, now_s=now_s)
            _begin_anew(outbox, last_seq=witnesses.last_seq)
        else:
            seq = survey.last_seq
            if lost_at is not None:
                seq = witnesses.ledger.append({"lost_at": lost_at}, after=seq)
            connection.execute("UPDATE ledger_mark SET seq = ? WHERE seq < ?", (seq, seq))
        _renew_sidecars(connection, database.path.parent, known, doubted)


def _is_in_step(survey: Survey, reached: int) -> bool:
    """Tell whether a ledger can go on as it is."""
    return (
        survey.is_whole and survey.last_seq >= reached and survey.written_by == migrate.UP_TO_DATE
    )


def _note_loss(
    connection: sqlite3.Connection, survey: Survey, *, lacks: bool, was_copied: bool, now_s: float
) -> float | None:
    """Remember a loss that was found now and return its moment; also one from the ledger alone."""
    if lacks or was_copied:
        log.error("upload history lost")
        return note_lost_history(connection, now_s=now_s, doubt_all=was_copied)
    (known,) = connection.execute("SELECT lost_at FROM ledger_mark WHERE id = 1").fetchone()
    if known is None and survey.lost_at is not None:
        note_lost_history(connection, now_s=survey.lost_at, doubt_all=True)
    return None


def _renew_sidecars(
    connection: sqlite3.Connection, root: Path, known: Known, doubted: list[int]
) -> None:
    """Let the sidecars say what the rows say, where they say less."""
    sidecars = Sidecars(root)
    (seq,) = connection.execute("SELECT seq FROM ledger_mark WHERE id = 1").fetchone()
    ids = set(doubted)
    stale = {"entry": ids, "capture": set[int]()}
    for (kind, natural_key), line_seq in known.latest.items():
        sidecar = known.witnesses.sidecars.get((kind, natural_key))
        if line_seq != known.witnesses.survey.first_seq and (
            sidecar is None or sidecar.seq < line_seq
        ):
            query = f"SELECT id FROM {kind} WHERE {NATURAL_KEYS[kind]} = ?"  # noqa: S608  # our own words
            stale[kind].update(row[0] for row in connection.execute(query, (natural_key,)))
    for kind, row_ids in stale.items():
        for row_id in sorted(row_ids):
            sidecars.write(kind, read_image(connection, (kind, row_id)), seq=seq)


def _doubt_copy(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell whether the database is a copy, from a backup perhaps; have its clips looked up then.

    What was sent since is not in it.  A copied capture is looked at as another file.
    """
    query = "SELECT inode, born_ns FROM ledger_mark WHERE id = 1"
    inode, born_ns = connection.execute(query).fetchone()
    own, own_born_ns = path.stat().st_ino, born_ns_of(path)
    if (inode, born_ns) == (own, own_born_ns):
        return False
    connection.execute("UPDATE ledger_mark SET inode = ?, born_ns = ?", (own, own_born_ns))
    is_copy = inode not in (None, own) or born_ns not in (None, own_born_ns)
    if is_copy:
        log.warning("outbox copy detected")
    return is_copy


@contextmanager
def ledger_written_anew(outbox: Outbox) -> Iterator[None]:
    """Make what is done inside one commit, with a ledger that tells nothing of before it.

    Cut off in between, the next start finds either the old rows with the old ledger, or the new
    ledger, by which it makes the rows new.
    """
    with outbox.database.transaction(record=False):
        yield
        _begin_anew(outbox)
        crash_point("ledger-anew")


def _begin_anew(outbox: Outbox, *, last_seq: int = 0) -> None:
    database = outbox.database
    connection = database.connection
    (reached,) = connection.execute("SELECT seq FROM ledger_mark WHERE id = 1").fetchone()
    last_seq = max(last_seq, reached, database.journal.ledger.survey().last_seq)
    database.journal.begin_anew(connection, seq=last_seq + 1, written_by=list(migrate.UP_TO_DATE))
