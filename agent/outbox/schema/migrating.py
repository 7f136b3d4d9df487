"""Bringing an outbox up to date: as a whole or not at all, and never without a copy of before."""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from sqlite_utils.db import Database

from agent.outbox.disk.folders import fsync_file, fsync_folder, give_to_owner_of, is_plain
from agent.outbox.schema.channels import channels as channels  # importing it makes it one of them
from agent.outbox.schema.devices import devices as devices
from agent.outbox.schema.disk import disk as disk  # so do these
from agent.outbox.schema.ledger import ledger as ledger
from agent.outbox.schema.line import line as line
from agent.outbox.schema.migrations import MIGRATIONS
from agent.outbox.schema.old_copies import copy_before
from agent.outbox.schema.results import results as results
from agent.outbox.schema.station import station as station
from agent.outbox.schema.version import refuse_newer

# isort: split
# They change tables from above, and come behind them on a box that is new, too.
from agent.outbox.schema.accounts import accounts as accounts
from agent.outbox.schema.own_inode import own_inode as own_inode

# isort: split
from agent.outbox.schema.athletes import athletes as athletes
from agent.outbox.schema.lost_history import lost_history as lost_history

# isort: split
from agent.outbox.schema.erasures import erasures as erasures

# isort: split
from agent.outbox.schema.device_addresses import device_addresses as device_addresses

# isort: split
from agent.outbox.schema.limits import limits as limits

# isort: split
from agent.outbox.schema.recording_times import recording_times as recording_times

_KEPT = 2  # copies of before a migration
_LOCK = "upgrade.lock"


@cache
def known_migrations() -> tuple[str, ...]:
    """Return the names of every migration this version knows, in order."""
    with Database(memory=True) as empty:
        return tuple(migration.name for migration in MIGRATIONS.pending(empty))


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Make or change the tables of an outbox, all in one transaction.

    Raises:
        OutboxError: a newer Spotter wrote it; it is untouched.
    """
    db = Database(connection, execute_plugins=False)
    refuse_newer(path, [migration.name for migration in MIGRATIONS.applied(db)])
    with _one_at_a_time(path.with_name(_LOCK)):
        pending = [migration.name for migration in MIGRATIONS.pending(db)]
        if pending:
            _change(connection, db, path, pending)


def _change(
    connection: sqlite3.Connection, db: Database, path: Path, pending: Sequence[str]
) -> None:
    give_to_owner_of(path.parent, path)
    path.chmod(0o660)  # the group of the state folder steers the station
    connection.execute("PRAGMA journal_mode = WAL")
    if MIGRATIONS.applied(db):
        _keep_copy_if_there_is_room(connection, path, before=pending[-1])
    connection.execute("BEGIN IMMEDIATE")
    try:
        MIGRATIONS.apply(db)
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
