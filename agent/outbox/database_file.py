"""The database's file: whether it can be trusted, and its migration to this version's schema.

It is checked before anything is written to it.  It is migrated completely or not at all, and never
without a copy.  The copies, and damaged databases, are kept for a person to inspect; Spotter never
reads them.
"""

import errno
import fcntl
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from agent.disk.state_folder import (
    LEDGER_NAME,
    StateFolder,
    fsync_file,
    fsync_folder,
    give_to_owner_of,
    is_plain,
    open_plain,
    rewriting,
)
from agent.errors import OutboxError
from agent.text import read_json

DATABASE_NAME = "outbox.db"

_CHECK_AT_MOST_S = 30.0
_PIECE_BYTES = 4096
_STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's machine: some milliseconds
# Columns that hold JSON, but for reports of the analysis: large, and read one at a time.
_JSON = frozenset(
    {"evidence", "hidden", "remarks", "numbers", "lacks", "payload", "members", "erased"}
)
_SPARE_TABLE = "aside"  # of `OutboxDatabase.set_pages_aside`, there for a moment
_OPENING = threading.Lock()
_KEPT_OPEN: dict[tuple[int, int], BinaryIO] = {}  # by device and inode
_MOST_MARK = 2**31 - 1  # what SQLite's `user_version` holds
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_REFUSED = frozenset(
    {
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM),
        *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM),
        *(sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_PROTOCOL),
    }
)


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error means that the file is damaged, not that disk or lock refuse."""
    code = getattr(error, "sqlite_errorcode", None)
    return _is_no_text(error) if code is None else code & 0xFF in _DAMAGE


def holds_history(root: Path) -> bool:
    """Tell whether a state folder has seen a database before: an empty one is not to be made."""
    folder = StateFolder(root)
    if (root / LEDGER_NAME).exists():
        return True
    return any(place.is_dir() and any(place.iterdir()) for place in (folder.captures, folder.clips))


def mark_corrupt(root: Path, why: str) -> None:
    """Mark the database as corrupt, so that the next start rebuilds it."""
    with rewriting(_mark(root)) as file:
        file.write(why.encode("utf-8", "replace"))
    fsync_folder(root)


def clear_corrupt_mark(root: Path) -> None:
    """Remove the mark of a corrupt database that has been replaced."""
    _mark(root).unlink(missing_ok=True)


def check_integrity(root: Path) -> str | None:
    """Return why the database cannot be trusted, or None.

    Rows and indexes are compared, so that a changed byte in what is indexed shows as well as a
    broken page.  A database too large for that within its time is taken for good as far as it
    was read.

    Raises:
        OutboxError: the disk or its rights refuse the answer.
    """
    path = root / DATABASE_NAME
    if not path.exists() or not path.stat().st_size:
        missing = "missing" if not path.exists() else "empty"
        return f"it is {missing}" if holds_history(root) else None
    if _mark(root).exists():
        return _mark(root).read_text(errors="replace") or "it was found damaged while running"
    try:
        with closing(sqlite3.connect(path, timeout=10.0)) as connection:
            why = _examine(connection, latest_s=time.monotonic() + _CHECK_AT_MOST_S)
    except UnicodeDecodeError as error:  # in what SQLite itself says of the damage
        why = f"malformed: {error}"
    except sqlite3.Error as error:
        why = str(error)
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _REFUSED:
            raise _unreadable(path, error) from error
    if why is not None:
        try:
            _read_through(path)
        except OSError as error:  # SQLite calls a refused reading damage, too
            raise _unreadable(path, error) from error
    return why


def _unreadable(path: Path, error: Exception) -> OutboxError:
    told = f"the outbox {path} cannot be read: {error}"
    return OutboxError(told, hint="check the disk and its rights")


def _read_through(path: Path) -> None:
    """Read a database and its log piece by piece.

    The files stay open: were this process to close one, it would lose the locks that SQLite holds
    on it, and the next command would delete the log that a running daemon writes.  Source:
    fcntl(2); "How To Corrupt An SQLite Database File", section 2.2.

    Raises:
        OSError: the disk refuses.
    """
    for part in (path, path.with_name(f"{path.name}-wal")):
        with suppress(FileNotFoundError):
            file, at_byte = _kept_open(part), 0
            while piece := os.pread(file, _PIECE_BYTES, at_byte):
                at_byte += len(piece)


def _kept_open(path: Path) -> int:
    """Return a descriptor of a plain file that is open for as long as this process lives."""
    with _OPENING:
        found = path.lstat()
        if (found.st_dev, found.st_ino) in _KEPT_OPEN:
            return _KEPT_OPEN[found.st_dev, found.st_ino].fileno()
        file = open_plain(path)
        found = os.fstat(file.fileno())
        return _KEPT_OPEN.setdefault((found.st_dev, found.st_ino), file).fileno()


def _examine(connection: sqlite3.Connection, *, latest_s: float) -> str | None:
    connection.set_progress_handler(lambda: time.monotonic() > latest_s, _STEPS_BETWEEN_LOOKS)
    try:
        why = _damage_in(connection)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        why = None
    connection.set_progress_handler(None, 0)
    if why is not None:
        return why
    known = connection.execute(
        "SELECT count(*) FROM sqlite_schema WHERE name IN ('capture', 'entry', 'assignment')"
    ).fetchone()
    if known != (3,):
        return "its tables are missing"
    (marked,) = connection.execute("PRAGMA user_version").fetchone()
    return "its schema was changed" if marked and marked != _schema_mark(connection) else None


def _damage_in(connection: sqlite3.Connection) -> str | None:
    """Return what is damaged in the rows, or None; text and JSON are read, too.

    A changed byte in those shows in no check of SQLite, but whoever reads the row would fail each
    time.
    """
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        return str(found).splitlines()[-1]
    connection.create_function("is_readable", 1, _is_json)  # of Python, which also reads NaN
    for table, texts in _texts(connection).items():
        documents = [
            f"{name} != '' AND NOT json_valid({name}) AND NOT is_readable({name})"
            for name in sorted(_JSON.intersection(texts))
        ]
        wrong = f"SELECT 1 FROM {table} WHERE {' OR '.join(documents or ['0'])} LIMIT 1"  # noqa: S608  # names of our schema
        try:
            for _ in connection.execute(f"SELECT {', '.join(texts)} FROM {table}"):  # noqa: S608  # names of our schema
                pass
            is_wrong = connection.execute(wrong).fetchone() is not None
        except sqlite3.OperationalError as error:
            if not _is_no_text(error):
                raise
            is_wrong = True
        if is_wrong:
            return f"a row of its table {table} cannot be read"
    return None


def _texts(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the columns of each table that contain text."""
    columns: dict[str, list[str]] = {}
    query = """
        SELECT one.name, part.name FROM sqlite_schema AS one, pragma_table_info(one.name) AS part
         WHERE one.type = 'table' AND part.type = 'TEXT'
    """
    for table, name in connection.execute(query):
        columns.setdefault(table, []).append(name)
    return columns


def _is_no_text(error: sqlite3.Error) -> bool:
    """Tell whether Python found bytes that are no UTF-8 in a text; such an error has no code."""
    return not hasattr(error, "sqlite_errorcode") and "decode to UTF-8" in str(error)


def _is_json(text: str) -> bool:
    try:
        read_json(text)
    except ValueError:
        return False
    return True


def _schema_mark(connection: sqlite3.Connection) -> int:
    """Return a checksum of the definitions of all tables, indexes and triggers, never 0.

    A changed byte in one of them shows in no check of SQLite, but every write may fail by it.
    """
    definitions = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE substr(name, 1, 7) != 'sqlite_' AND name != ? ORDER BY type, name",
        (_SPARE_TABLE,),
    )
    checksum = zlib.crc32(repr(definitions.fetchall()).encode())
    return checksum & _MOST_MARK or 1


def _mark(root: Path) -> Path:
    return root / f"{DATABASE_NAME}.distrusted"


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
    from agent.outbox.schema import apply_to

    give_to_owner_of(path.parent, path)
    path.chmod(0o660)  # the group of the state folder steers the station
    connection.execute("PRAGMA journal_mode = WAL")
    if applied:
        _keep_copy_if_there_is_room(connection, path, before=UP_TO_DATE[-1])
    connection.execute("BEGIN IMMEDIATE")
    try:
        apply_to(connection)
        for name in ADDITIONS:
            connection.execute(_RECORD_ADDITION, (_ADDED, name, _ADDED))
        connection.execute(f"PRAGMA user_version = {_schema_mark(connection)}")
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
    """Keep a copy; on a full disk continue without: the migration itself is one transaction."""
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
