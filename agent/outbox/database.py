"""Connections to the outbox: durable, one per thread."""

import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from agent.disk.space import is_disk_full, is_nearly_full, is_refusal
from agent.disk.state_folder import LEDGER_NAME, device_of
from agent.errors import BusyError, OutboxError
from agent.failpoints import crash_point
from agent.outbox.database_file import migrate
from agent.outbox.journal.log import ChangeLog, Journal, PendingChanges
from agent.outbox.journal.snapshots import Sidecars

Row = Mapping[str, Any]  # by column; STRICT tables keep the types
Made = TypeVar("Made")
Params = Sequence[object] | Mapping[str, object]

_WAIT_FOR_LOCK_S = 10.0
_WRITES = ("INSERT", "UPDATE", "DELETE")


def built(make: type[Made], row: Row, /, **read: Any) -> Made:
    """Return a dataclass with slots from a row that has columns of its fields' names.

    Args:
        make: the class.
        row: it may have further columns.
        read: the fields that are not as their column has them.
    """
    plain = {name: row[name] for name in make.__slots__ if name not in read}  # type: ignore[attr-defined]  # it has slots
    return make(**read, **plain)


class OutboxDatabase:
    """A SQLite file whose commits survive a power cut, and whose loss the ledger survives.

    WAL with `synchronous=FULL`: captures are deleted on the strength of a commit, and with
    NORMAL a commit may be lost with the power (sqlite.org, PRAGMA synchronous).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._opened: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._opening = threading.Lock()
        self._identity: tuple[int, int] | None = None
        try:
            migrate(self.connection, path)
            self._identity = _identity(path)
            ledger, sidecars = ChangeLog(path.with_name(LEDGER_NAME)), Sidecars(path.parent)
            self.journal = Journal(ledger, sidecars)
        except sqlite3.DatabaseError as error:
            self.close()
            raise OutboxError(
                f"the outbox {path} cannot be opened: {error}", hint=_hint(error, path)
            ) from error
        except BaseException:
            self.close()
            raise

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's own."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection

    def rows(self, sql: str, params: Params = ()) -> list[Row]:
        """Return what a query gives; a writing one (`RETURNING`) is committed separately."""
        if sql.lstrip().startswith(_WRITES):
            with self.transaction():
                return self._query(sql, params)
        try:
            return self._query(sql, params)
        except sqlite3.Error as error:
            self._give_up_if_refused(error)
            raise

    def row(self, sql: str, params: Params = ()) -> Row | None:
        """Return the first row of `rows`, or None."""
        found = self.rows(sql, params)
        return found[0] if found else None

    def one(self, make: Callable[[Row], Made], sql: str, params: Params = ()) -> Made | None:
        """Return what is made of the first row of `rows`, or None."""
        found = self.row(sql, params)
        return None if found is None else make(found)

    def all(self, make: Callable[[Row], Made], sql: str, params: Params = ()) -> list[Made]:
        """Return what is made of each row of `rows`."""
        return [make(row) for row in self.rows(sql, params)]

    def value(self, make: Callable[[Any], Made], sql: str, params: Params = ()) -> Made | None:
        """Return what is made of the first column of the first row; None for NULL, or no row."""
        found = self.row(sql, params)
        value = None if found is None else next(iter(found.values()))
        return None if value is None else make(value)

    def number(self, sql: str, params: Params = ()) -> int:
        """Return the whole number that a query gives, as a count; 0 for NULL, or no row."""
        return self.value(int, sql, params) or 0

    def has(self, sql: str, params: Params = ()) -> bool:
        """Tell whether a query gives any row."""
        return self.row(sql, params) is not None

    def in_states(
        self, make: Callable[[Row], Made], table: str, states: Collection[StrEnum]
    ) -> list[Made]:
        """Return what is made of a table's rows in any of `states`, oldest first."""
        marks = ", ".join("?" * len(states))
        query = f"SELECT * FROM {table} WHERE state IN ({marks}) ORDER BY id"  # noqa: S608  # our own words
        return self.all(make, query, [str(state) for state in states])

    def version(self) -> int:
        """Return a number that changes whenever another connection has written.

        It is this thread's own: it is compared with nothing but itself.
        """
        return self.number("PRAGMA data_version")

    def change(self, sql: str, params: Params = ()) -> int:
        """Carry out one writing statement and return how many rows it changed."""
        with self.transaction():
            return self.connection.execute(sql, params).rowcount

    def insert(self, table: str, values: Mapping[str, object]) -> int:
        """Insert one row and return its id."""
        marks = ", ".join("?" * len(values))
        statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"  # noqa: S608  # names are ours
        with self.transaction():
            row_id = self.connection.execute(statement, tuple(values.values())).lastrowid
        assert row_id is not None  # an INSERT has made one
        return row_id

    @contextmanager
    def transaction(self, *, record: bool = True) -> Iterator[None]:
        """Make everything inside one commit, or nothing of it.

        It takes the write lock at once: a transaction that read first and writes later would
        be refused when another process wrote in between.

        Args:
            record: whether ledger and sidecars are written first; not of what comes from there.

        Raises:
            OutboxError: the file was taken away, or another is in its place.
            BusyError: the whole disk was.
            OSError: the disk refuses; nothing was changed.
        """
        connection = self.connection
        if connection.in_transaction:
            yield
            return
        self._refuse_if_replaced()
        try:
            changes, told = self._changes(connection), None
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._give_up_if_refused(error)
            raise
        try:
            yield
            keys = changes.take()
            if record and keys:
                told = self.journal.write(connection, keys)
                crash_point("ledger-written")
            connection.execute("COMMIT")
        except BaseException as error:
            try:
                connection.rollback()
                changes.take()
                if told is not None:
                    self._void(connection, told)
            finally:
                self._give_up_if_refused(error)
            raise

    @property
    def log_path(self) -> Path:
        """Where SQLite keeps its write-ahead log."""
        return self.path.with_name(f"{self.path.name}-wal")

    def set_pages_aside(self, size_bytes: int) -> bool:
        """Keep free pages inside the file, so that it need not grow for a while.

        The pages are written with zeros and freed in two commits: in a single one SQLite would
        not write them, and the file system would give them no blocks.  True if any were missing.
        """
        pages, page_bytes = (
            self.number(f"PRAGMA {name}") for name in ("freelist_count", "page_size")
        )
        free = pages * page_bytes
        if free >= size_bytes // 2:
            return False
        self.change("CREATE TABLE IF NOT EXISTS aside (zeros BLOB)")
        self.change("INSERT INTO aside VALUES (zeroblob(?))", (size_bytes - free,))
        self.change("DROP TABLE aside")
        return True

    def checkpoint(self) -> bool:
        """Bring the log's content into the file; return whether the log can be used again."""
        row = self.row("PRAGMA wal_checkpoint(RESTART)")  # waits for readers, as for a lock
        return row is not None and row["busy"] == 0

    def truncate_log(self) -> bool:
        """Leave nothing in the write-ahead log, where deleted content would stay; False: not now.

        What a reserve has allocated of it is given up; its next `top_up` takes that again.
        """
        row = self.row("PRAGMA wal_checkpoint(TRUNCATE)")  # waits for readers, as for a lock
        return row is not None and row["busy"] == 0

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._opening:
            for _, connection in self._opened:
                connection.close()
            self._opened.clear()
        self._local = threading.local()

    def _connect(self) -> sqlite3.Connection:
        """Connect; only the first makes the file: another one, later, would be made below a mount.

        Raises:
            OutboxError: the file was taken away, or another is in its place.
            BusyError: the whole disk was.
        """
        mode = "rwc" if self._identity is None else "rw"
        if self._identity is not None:
            self._refuse_if_replaced()
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_WAIT_FOR_LOCK_S,
            isolation_level=None,
            check_same_thread=False,
        )
        with self._opening:
            self._close_of_ended_threads()
            self._opened.append((threading.current_thread(), connection))
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            # What is deleted is overwritten: else an erased name stays in the file, and in copies.
            connection.execute("PRAGMA secure_delete = ON")
        except sqlite3.Error:
            with self._opening:
                self._opened = [kept for kept in self._opened if kept[1] is not connection]
            connection.close()
            raise
        return connection

    def _give_up_if_refused(self, error: BaseException) -> None:
        """Connect again after a refusal of the disk.

        Where a file cannot be opened for writing at that moment, SQLite opens it to read alone,
        and the connection would never write again.
        """
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None or not _may_be_refusal(error) or connection.in_transaction:
            return
        with self._opening:
            self._opened = [kept for kept in self._opened if kept[1] is not connection]
        del self._local.connection
        self._local.changes = None
        with suppress(sqlite3.Error):
            connection.close()

    def _close_of_ended_threads(self) -> None:
        """Let no handle stay behind: each reload, and each call of the page, may end threads."""
        for owner, connection in self._opened:
            if not owner.is_alive():
                connection.close()
        self._opened = [(owner, of) for owner, of in self._opened if owner.is_alive()]

    def _changes(self, connection: sqlite3.Connection) -> PendingChanges:
        """Return what this thread's connection has changed, watched from its first writing on."""
        changes: PendingChanges | None = getattr(self._local, "changes", None)
        if changes is None:
            changes = self._local.changes = self.journal.watch(connection)
        return changes

    def _query(self, sql: str, params: Params) -> list[Row]:
        cursor = self.connection.execute(sql, params)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor]

    def _void(self, connection: sqlite3.Connection, seq: int) -> None:
        """Say in the ledger that a commit failed; without the lock the next start applies it."""
        with suppress(sqlite3.Error):
            connection.execute("BEGIN IMMEDIATE")
            self.journal.void(seq)
            connection.rollback()

    def _refuse_if_replaced(self) -> None:
        """Write nothing into a file that nobody will ever find again."""
        if self._identity != _identity(self.path):
            if self._identity is not None and self._identity[0] != device_of(self.path.parent):
                raise BusyError(f"the disk of {self.path.parent} was taken away")
            raise OutboxError(
                f"the outbox {self.path} was removed, or replaced by another file",
                hint="restart the daemon: it rebuilds the database from its files and its ledger",
            )


def _may_be_refusal(error: BaseException) -> bool:
    """Tell whether the disk may have refused; SQLite calls a refused reading damage."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return is_refusal(error) or code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _hint(error: sqlite3.DatabaseError, path: Path) -> str:
    if is_disk_full(error) or is_nearly_full(path.parent):
        return f"the disk is full: free disk space on the disk of {path.parent}; nothing is lost"
    if "unable to open" in str(error) or "readonly" in str(error):
        return f"you need the right to write in {path.parent}: join the group spotter, or use sudo"
    return "restart the daemon: it rebuilds the database from its files and its ledger"


_EACH = """
SELECT state, n FROM (SELECT value AS state,
                             (SELECT count(*) FROM {table} WHERE state = value) AS n
                        FROM json_each(?))
 WHERE n > 0
"""
_ALL = """
WITH usual AS MATERIALIZED (
         SELECT state FROM {table} WHERE rowid >= (SELECT max(rowid) / 2 FROM {table})
          ORDER BY rowid LIMIT 1),
     counted AS MATERIALIZED (
         SELECT value AS state, (SELECT count(*) FROM {table} WHERE state = value) AS n
           FROM json_each(?) WHERE value NOT IN (SELECT state FROM usual))
SELECT state, n FROM counted WHERE n > 0
 UNION ALL
SELECT state, (SELECT count(*) FROM {table}) - (SELECT coalesce(sum(n), 0) FROM counted) FROM usual
"""


def count_by_state(
    database: OutboxDatabase,
    table: str,
    kind: type[StrEnum],
    only: Collection[StrEnum] | None = None,
) -> dict[str, int]:
    """Return how many rows are in each state, in the order of the states, where there are any.

    Args:
        database: the outbox.
        table: one with an index that begins with `state`.
        kind: every state that there is.
        only: count these alone; None: all of them.
    """
    query = _ALL if only is None else _EACH
    states = json.dumps([str(state) for state in (kind if only is None else only)])
    rows = database.rows(query.format(table=table), (states,))
    found = {str(row["state"]): int(row["n"]) for row in rows}
    return {state.value: found[state] for state in kind if state in found}
