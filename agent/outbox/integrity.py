"""Checks whether the database file can be trusted before anything is written to it."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from agent.disk.state_folder import LEDGER_NAME, StateFolder, fsync_folder, open_plain, rewriting
from agent.errors import OutboxError

DATABASE_NAME = "outbox.db"

_CHECK_AT_MOST_S = 30.0
_PIECE_BYTES = 4096
_STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's machine: some milliseconds
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
    return code is not None and code & 0xFF in _DAMAGE


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


def check_integrity(root: Path, *, monotonic: Callable[[], float] = time.monotonic) -> str | None:
    """Return why the database cannot be trusted, or None.

    Rows and indexes are compared, so that a changed byte in what is indexed shows as well as a
    broken page.  A database too large for that within its time is taken for good as far as it
    was read.

    Raises:
        OutboxError: the disk or its rights refuse to tell.
    """
    path = root / DATABASE_NAME
    if not path.exists() or not path.stat().st_size:
        missing = "missing" if not path.exists() else "empty"
        return f"it is {missing}" if holds_history(root) else None
    if _mark(root).exists():
        return _mark(root).read_text(errors="replace") or "it was found damaged while running"
    try:
        with closing(sqlite3.connect(path, timeout=10.0)) as connection:
            latest_s = monotonic() + _CHECK_AT_MOST_S
            why = _examine(connection, latest_s=latest_s, clock=monotonic)
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

    Raises:
        OSError: the disk refuses.
    """
    for part in (path, path.with_name(f"{path.name}-wal")):
        with suppress(FileNotFoundError), open_plain(part) as file:
            while os.read(file.fileno(), _PIECE_BYTES):
                pass


def _examine(
    connection: sqlite3.Connection, *, latest_s: float, clock: Callable[[], float]
) -> str | None:
    connection.set_progress_handler(lambda: clock() > latest_s, _STEPS_BETWEEN_LOOKS)
    try:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        found = "ok"
    connection.set_progress_handler(None, 0)
    if found != "ok":
        return str(found).splitlines()[-1]
    known = connection.execute(
        "SELECT count(*) FROM sqlite_schema WHERE name IN ('capture', 'entry', 'assignment')"
    ).fetchone()
    return None if known == (3,) else "its tables are missing"


def _mark(root: Path) -> Path:
    return root / f"{DATABASE_NAME}.distrusted"
