"""The connection to the outbox: durable, one per thread, migrated as a whole or not at all."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils.db import Database

from agent.errors import OutboxError
from agent.outbox.folders import give_to_owner_of
from agent.outbox.schema import MIGRATIONS
from agent.outbox.schema_disk import disk as disk  # importing it makes it one of them
from agent.outbox.schema_station import station as station  # so does this

Row = Mapping[str, object]
Params = Sequence[object] | Mapping[str, object]

_WAIT_FOR_LOCK_S = 10.0


class OutboxDatabase:
    """A SQLite file whose commits survive a power cut.

    WAL with `synchronous=FULL`: captures are deleted on the strength of a commit, and with
    NORMAL a commit may be lost with the power (sqlite.org, PRAGMA synchronous).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._opening = threading.Lock()
        try:
            self._migrate()
        except sqlite3.DatabaseError as error:
            self.close()
            raise OutboxError(
                f"the outbox {path} cannot be opened: {error}", hint=_hint(error, path)
            ) from error

    @property
    def here(self) -> Database:
        """This thread's own connection."""
        db: Database | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = self._connect()
        return db

    def rows(self, sql: str, params: Params = ()) -> list[Row]:
        """Return what a query gives; a writing one (`RETURNING`) is committed by itself."""
        return list(self.here.query(sql, params))  # type: ignore[arg-type]  # Mapping serves as dict

    def row(self, sql: str, params: Params = ()) -> Row | None:
        """Return the first row of `rows`, or None."""
        found = self.rows(sql, params)
        return found[0] if found else None

    def change(self, sql: str, params: Params = ()) -> int:
        """Carry out one writing statement and return how many rows it changed."""
        return self.here.execute(sql, params).rowcount  # type: ignore[arg-type]  # as above

    def insert(self, table: str, values: Mapping[str, object]) -> int:
        """Insert one row and return its id."""
        row_id = self.here.table(table).insert(dict(values)).last_pk
        assert isinstance(row_id, int), f"{table} has no integer key"  # our own schema
        return row_id

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside one commit, or nothing of it.

        It takes the write lock at once: a transaction that read first and writes later would
        be refused when another process wrote in between.
        """
        connection = self.here.conn
        if connection.in_transaction:
            yield
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._opening:
            for connection in self._opened:
                connection.close()
            self._opened.clear()
        self._local = threading.local()

    def _connect(self) -> Database:
        connection = sqlite3.connect(
            self.path, timeout=_WAIT_FOR_LOCK_S, isolation_level=None, check_same_thread=False
        )
        with self._opening:
            self._opened.append(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return Database(connection, execute_plugins=False)

    def _migrate(self) -> None:
        db = self.here
        newer = [m.name for m in MIGRATIONS.applied(db) if m.name not in _known_migrations()]
        if newer:
            raise OutboxError(
                f"the outbox {self.path} was written by a newer Spotter ({', '.join(newer)})",
                hint="install that version again; nothing was changed",
            )
        if MIGRATIONS.pending(db):
            give_to_owner_of(self.path.parent, self.path)
            self.path.chmod(0o660)  # the group of the state folder steers the station
            db.conn.execute("PRAGMA journal_mode = WAL")
            with self.transaction():
                MIGRATIONS.apply(db)


def _known_migrations() -> frozenset[str]:
    """Return the names of every migration this version knows."""
    with Database(memory=True) as empty:
        return frozenset(migration.name for migration in MIGRATIONS.pending(empty))


def _hint(error: sqlite3.DatabaseError, path: Path) -> str:
    if "unable to open" in str(error) or "readonly" in str(error):
        return f"you need the right to write in {path.parent}: join the group spotter, or use sudo"
    return "stop the daemon, move the file aside, and start again"
