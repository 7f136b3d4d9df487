"""Migrates an outbox: completely or not at all, and never without a copy.

The copies, and damaged databases, are kept for a person to inspect; Spotter never reads them.
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from agent.disk.state_folder import (
    LEDGER_NAME,
    fsync_file,
    fsync_folder,
    give_to_owner_of,
    is_plain,
)
from agent.errors import OutboxError
from agent.outbox.integrity import DATABASE_NAME

# The migrations in `agent.outbox.schema`, in order.
UP_TO_DATE: tuple[str, ...] = ("first_schema", "groups_and_cards", "hub_confirmation")

# Those of them that only add tables, indexes, and columns that may be left out.  They are recorded
# in the outbox as such, so that the version before, which does not know their names, works with it.
ADDITIONS = frozenset({"groups_and_cards", "hub_confirmation"})

_KEPT = 2  # copies of before a migration
_LOCK = "upgrade.lock"
_ADDED = "outbox additions"  # a set of its own in the record of migrations
_RECORD_ADDITION = """
INSERT INTO _sqlite_migrations (migration_set, name, applied_at)
SELECT ?, name, applied_at FROM _sqlite_migrations
 WHERE migration_set = 'outbox' AND name = ?
   AND name NOT IN (SELECT name FROM _sqlite_migrations WHERE migration_set = ?)
"""


def applied_migrations(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the migrations that an outbox has been through, in order."""
    query = "SELECT 1 FROM sqlite_schema WHERE name = '_sqlite_migrations'"
    if connection.execute(query).fetchone() is None:
        return []
    query = "SELECT name FROM _sqlite_migrations WHERE migration_set = 'outbox' ORDER BY rowid"
    return [str(name) for (name,) in connection.execute(query)]


def binding(connection: sqlite3.Connection, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of some migrations that a version must know to work with an outbox.

    Args:
        connection: of the outbox, which says what only added to it.
        names: the migrations that it, or its ledger, has been through.
    """
    query = "SELECT name FROM _sqlite_migrations WHERE migration_set = ?"
    names = list(names)
    additions = {name for (name,) in connection.execute(query, (_ADDED,))} if names else set()
    return tuple(name for name in names if name in UP_TO_DATE or name not in additions)


def refuse_newer(path: Path, names: Sequence[str]) -> None:
    """Refuse what a newer Spotter has written, before anything is changed.

    Args:
        path: what was written.
        names: the migrations that its Spotter knew.

    Raises:
        OutboxError: some of them are unknown here.
    """
    newer = [name for name in names if name not in UP_TO_DATE]
    if newer:
        raise OutboxError(
            f"{path} was written by a newer Spotter ({', '.join(newer)})",
            hint="install that version again; nothing was changed",
        )


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Make or change the tables of an outbox where that is due, all in one transaction.

    Raises:
        OutboxError: a newer Spotter wrote it; it is untouched.
    """
    applied = binding(connection, applied_migrations(connection))
    if applied == UP_TO_DATE:
        return
    refuse_newer(path, applied)
    with _one_at_a_time(path.with_name(_LOCK)):
        applied = tuple(applied_migrations(connection))  # another process may have been first
        if applied != UP_TO_DATE:
            _apply_pending(connection, path, applied)


def _apply_pending(connection: sqlite3.Connection, path: Path, applied: Sequence[str]) -> None:
    # sqlite-utils loads numpy, a native library that stays out of the daemon but for this.
    from sqlite_utils.db import Database

    from agent.outbox.schema import MIGRATIONS

    give_to_owner_of(path.parent, path)
    path.chmod(0o660)  # the group of the state folder steers the station
    connection.execute("PRAGMA journal_mode = WAL")
    if applied:
        _keep_copy_if_there_is_room(connection, path, before=UP_TO_DATE[-1])
    connection.execute("BEGIN IMMEDIATE")
    try:
        MIGRATIONS.apply(Database(connection, execute_plugins=False))
        for name in ADDITIONS:
            connection.execute(_RECORD_ADDITION, (_ADDED, name, _ADDED))
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    fsync_folder(path.parent)  # SQLite makes the name of its log durable, not that of the file


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Let a start and a command of a new version wait for each other: both would change it.

    The folder itself, which the daemon has locked as its owner, would not do: a start changes it.
    """
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
    try:
        give_to_owner_of(lock.parent, lock)
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _keep_copy_if_there_is_room(connection: sqlite3.Connection, path: Path, *, before: str) -> None:
    """Keep a copy; on a full disk go on without: the migration itself is one transaction."""
    try:
        _keep_copy(connection, path, before=before)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise


def _keep_copy(connection: sqlite3.Connection, path: Path, *, before: str) -> None:
    """Keep the outbox as it was; only the latest copies stay."""
    copy = path.with_name(copy_before(path.name, before))
    unfinished = copy.with_name(f"{copy.name}.new")
    unfinished.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(unfinished)) as target:
            connection.backup(target)
        unfinished.chmod(0o660)
        give_to_owner_of(path.parent, unfinished)
        fsync_file(unfinished)
        unfinished.replace(copy)
    finally:
        unfinished.unlink(missing_ok=True)
    fsync_folder(path.parent)
    copies = sorted(
        (found for found in path.parent.glob(copy_before(path.name, "*")) if is_plain(found)),
        key=lambda found: found.stat().st_mtime,
    )
    for old in copies[:-_KEPT]:
        with suppress(OSError):
            old.unlink()


def copy_before(name: str, migration: str) -> str:
    """Return what a file is called as it was before a migration; `*` stands for any."""
    return f"{name}.before-{migration}"


def copy_damaged(name: str, stamp: str) -> str:
    """Return what a damaged file is called that was replaced at a moment; `*` stands for any."""
    return f"{name}.damaged-{stamp}"


def remove_old_copies(root: Path) -> list[str]:
    """Remove every copy from a state folder, and return their names."""
    copies = (
        copy_before(DATABASE_NAME, "*"),
        copy_damaged(DATABASE_NAME, "*"),
        copy_damaged(LEDGER_NAME, "*"),
    )
    names = []
    for path in sorted(path for pattern in copies for path in root.glob(pattern)):
        if is_plain(path):
            path.unlink(missing_ok=True)
            names.append(path.name)
    fsync_folder(root)
    return names
