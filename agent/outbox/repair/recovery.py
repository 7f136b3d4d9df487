"""Opening the outbox as its owner: checked, made good from the ledger, or made anew.

A commit that the database lost, as when its write-ahead log is damaged, is in the ledger; it is
applied again before anything is done.  Rows that contradict the ledger mean that the file is
damaged where no page shows it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from agent.crashpoints import crash_point
from agent.outbox.health import trouble_of
from agent.outbox.journal.comparing import contradiction
from agent.outbox.journal.images import apply_image
from agent.outbox.journal.ledger import Survey
from agent.outbox.repair.rebuild import apply_newer, rebuild
from agent.outbox.schema.version import UP_TO_DATE
from agent.outbox.store import Outbox

_SMALLEST_TO_SHORTEN_BYTES = 16 << 20
_SHORTEN_BEYOND = 4  # times what the ledger of the whole outbox takes, by the database's size
log = structlog.get_logger(stage="start")


def open_as_owner(root: Path, *, now_s: float) -> Outbox:
    """Open the outbox of a state folder that this process owns, whatever happened to it.

    Raises:
        OutboxError: a newer Spotter wrote it, or the disk refuses.
    """
    why = trouble_of(root)
    if why is not None:
        rebuild(root, why=why, now_s=now_s)
    outbox = Outbox.open(root)
    why = _make_good(outbox)
    if why is not None:
        outbox.close()
        rebuild(root, why=why, now_s=now_s)
        outbox = Outbox.open(root)
        _make_good(outbox)
    outbox.load()
    return outbox


def tend_ledger(outbox: Outbox) -> None:
    """Write the ledger anew where it has grown far beyond what it tells."""
    ledger = outbox.database.journal.ledger
    size_bytes = ledger.path.stat().st_size if ledger.path.exists() else 0
    needed_bytes = outbox.database.path.stat().st_size
    if size_bytes > max(_SMALLEST_TO_SHORTEN_BYTES, _SHORTEN_BEYOND * needed_bytes):
        with outbox.database.transaction(record=False):
            _begin_anew(outbox)


def _make_good(outbox: Outbox) -> str | None:
    """Apply what the database lost; return why it cannot be trusted, or None."""
    database = outbox.database
    ledger = database.journal.ledger
    with database.transaction(record=False):
        connection = database.connection
        connection.execute("PRAGMA defer_foreign_keys = ON")
        _doubt_copy(connection, database.path)
        survey = ledger.survey()
        (reached,) = connection.execute("SELECT seq FROM ledger_mark WHERE id = 1").fetchone()
        _apply_lost(outbox, connection, survey, reached=reached)
        why = contradiction(connection, ledger, survey)
        if why is not None:
            return why
        if not survey.is_whole or survey.last_seq < reached or _is_of_another_version(survey):
            if survey.damaged or survey.last_seq < reached:
                log.error("the ledger is damaged: it is written anew", lines=survey.damaged)
            _begin_anew(outbox)
        elif survey.last_seq > reached:
            connection.execute("UPDATE ledger_mark SET seq = ?", (survey.last_seq,))
    return None


def _doubt_copy(connection: sqlite3.Connection, path: Path) -> None:
    """Take every capture for another file, if the database itself is one: it may be a backup.

    What was sent since is not in it; each clip is looked up before it is sent by that.
    """
    (known,) = connection.execute("SELECT inode FROM ledger_mark WHERE id = 1").fetchone()
    own = path.stat().st_ino
    if known == own:
        return
    if known is not None:
        log.warning("the outbox was copied here: clips are looked up before they are sent")
        connection.execute("UPDATE capture SET inode = 0 WHERE file_state = 'present'")
    connection.execute("UPDATE ledger_mark SET inode = ? WHERE id = 1", (own,))


def _apply_lost(
    outbox: Outbox, connection: sqlite3.Connection, survey: Survey, *, reached: int
) -> None:
    journal = outbox.database.journal
    applied = 0
    for line in journal.ledger.lines(after=reached):
        if line.seq in survey.voided:
            continue
        for kind, image in line.rows:
            apply_image(connection, kind, image)
            journal.sidecars.write(kind, image, seq=line.seq)
            applied += 1
    known = max(reached, survey.last_seq)
    apply_newer(connection, journal.sidecars.all(), {}, otherwise=known)
    if applied:
        log.warning("commits that the database lost are made good", rows=applied)


def _is_of_another_version(survey: Survey) -> bool:
    return survey.written_by != UP_TO_DATE


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


def _begin_anew(outbox: Outbox) -> None:
    database = outbox.database
    connection = database.connection
    (reached,) = connection.execute("SELECT seq FROM ledger_mark WHERE id = 1").fetchone()
    last_seq = max(reached, database.journal.ledger.survey().last_seq)
    database.journal.begin_anew(connection, seq=last_seq + 1, written_by=list(UP_TO_DATE))
