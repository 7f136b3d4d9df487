"""Looking an outbox over without changing it: whether its rows, ledger and files agree."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent.outbox import migrate
from agent.outbox.disk.folders import LEDGER_NAME, StateFolder, acting_as_owner
from agent.outbox.file_name import plain_name
from agent.outbox.health import DATABASE_NAME
from agent.outbox.journal.comparing import contradiction
from agent.outbox.journal.ledger import Ledger
from agent.outbox.store import Outbox

_WAIT_FOR_LOCK_S = 3.0
_SOME = 20

# What must hold of every row, whatever happened; each with what it would mean.
_INVARIANTS = {
    "delivered without a session": """
        SELECT 'e' || id FROM entry
         WHERE state IN ('uploaded', 'completed') AND session_id IS NULL
    """,
    "a session that nobody follows": """
        SELECT 'e' || id FROM entry WHERE state IN ('uploaded', 'completed')
           AND id NOT IN (SELECT entry_id FROM follow_up)
    """,
    "a clip without a capture": """
        SELECT 'e' || id FROM entry WHERE id NOT IN (SELECT entry_id FROM entry_capture)
    """,
    "undelivered and cleared away": """
        SELECT 'e' || id FROM entry WHERE file_state IN ('clearing', 'cleared')
           AND state IN ('ready', 'held', 'uploading', 'uncertain')
    """,
    "not looked into and cleared away": """
        SELECT 'c' || id FROM capture WHERE file_state IN ('clearing', 'cleared')
           AND state IN ('captured', 'analysing')
    """,
}
_FILES = {
    "captures": """
        SELECT 'c' || id, stored_name, bytes FROM capture
         WHERE file_state = 'present' ORDER BY id
    """,
    "clips": """
        SELECT 'e' || id, stored_name, clip_bytes FROM entry
         WHERE file_state = 'present' AND state NOT IN ('uploaded', 'completed', 'discarded')
         ORDER BY id
    """,
}


@dataclass(slots=True, kw_only=True)
class Audit:
    """What an outbox is worth; lists hold names as people use them, the first of many."""

    busy: bool = False  # somebody writes: nothing was compared
    newer: list[str] = field(default_factory=list)  # migrations that this version does not know
    pending: list[str] = field(default_factory=list)  # those that the next start applies
    contradicts: str | None = None  # what speaks against the rows
    behind: int = 0  # lines of the ledger that the database has not seen
    ledger_damaged: int = 0  # lines
    broken_rules: dict[str, list[str]] = field(default_factory=dict)
    missing_files: list[str] = field(default_factory=list)
    other_size: list[str] = field(default_factory=list)


def audit(root: Path) -> Audit:
    """Look over the outbox of a state folder whose database can be read.

    The write lock is held meanwhile, for only then do rows and ledger tell of the same moment.

    Raises:
        sqlite3.Error: it cannot be read, or not written by this user.
    """
    found = Audit()
    uri = f"{(root / DATABASE_NAME).resolve().as_uri()}?mode=rw"
    with closing(
        sqlite3.connect(uri, uri=True, timeout=_WAIT_FOR_LOCK_S, isolation_level=None)
    ) as connection:
        applied = migrate.applied_migrations(connection)
        found.newer = [name for name in applied if name not in migrate.UP_TO_DATE]
        found.pending = [name for name in migrate.UP_TO_DATE if name not in applied]
        if found.newer or found.pending:
            return found  # its tables are not the ones we know
        with _locked(connection) as is_ours:
            if not is_ours:
                found.busy = True
                return found
            _compare(connection, Ledger(root / LEDGER_NAME), found)
            _look_at_files(connection, StateFolder(root), found)
            for rule, query in _INVARIANTS.items():
                rows = connection.execute(query).fetchmany(_SOME)
                if rows:
                    found.broken_rules[rule] = [str(row[0]) for row in rows]
    return found


@contextmanager
def opened_as_it_is(root: Path) -> Iterator[Outbox | None]:
    """Open an outbox to read from it; None where there is none, or opening would change it.

    Root has the rights of the folder's owner alone meanwhile.
    """
    with acting_as_owner(root), _opened_as_it_is(root) as outbox:
        yield outbox


@contextmanager
def _opened_as_it_is(root: Path) -> Iterator[Outbox | None]:
    path = root / DATABASE_NAME
    if not path.exists() or not path.stat().st_size:
        yield None
        return
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        is_current = tuple(migrate.applied_migrations(connection)) == migrate.UP_TO_DATE
    if not is_current:
        yield None
        return
    with Outbox.open(root) as outbox:
        yield outbox


@contextmanager
def _locked(connection: sqlite3.Connection) -> Iterator[bool]:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        yield False
        return
    try:
        yield True
    finally:
        connection.rollback()


def _compare(connection: sqlite3.Connection, ledger: Ledger, found: Audit) -> None:
    survey = ledger.survey()
    (reached,) = connection.execute("SELECT seq FROM ledger_mark WHERE id = 1").fetchone()
    found.ledger_damaged = max(survey.damaged, int(survey.last_seq < reached))
    failed = sum(seq > reached for seq in survey.voided)  # each with the line that says so
    found.behind = max(0, survey.last_seq - reached - 2 * failed)
    if (
        not found.behind and survey.last_seq >= reached
    ):  # else the next start makes good what is missing before it compares
        found.contradicts = contradiction(connection, ledger, survey)


def _look_at_files(connection: sqlite3.Connection, folder: StateFolder, found: Audit) -> None:
    for place, query in _FILES.items():
        for name, stored_name, size_bytes in connection.execute(query):
            if plain_name(stored_name) != stored_name:
                found.broken_rules.setdefault("a file's name that is a path", []).append(name)
                continue
            try:
                size = (folder.root / place / stored_name).stat().st_size
            except OSError:
                found.missing_files.append(name)
                continue
            if size != size_bytes:
                found.other_size.append(name)
