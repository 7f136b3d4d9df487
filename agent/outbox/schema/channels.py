"""The tables of those who are told what happens: how far each has heard, and what it refused."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS

_CHANNELS = (
    """
    CREATE TABLE channel (
        name TEXT PRIMARY KEY,         -- webhook or mqtt; no row: it is off
        cursor INTEGER NOT NULL,       -- the last event that it has acknowledged, or need not hear
        acknowledged_at REAL,
        failures INTEGER NOT NULL DEFAULT 0,  -- in a row
        failing_since REAL,            -- NULL: all is well
        next_try_at REAL,
        last_error TEXT
    ) STRICT
    """,
    """
    CREATE TABLE refused_notice (      -- what a receiver refused while it took others
        id INTEGER PRIMARY KEY,
        channel TEXT NOT NULL,
        notice TEXT NOT NULL,          -- its id
        at REAL NOT NULL,
        why TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX refused_notice_by_channel ON refused_notice (channel, id)",
)


@MIGRATIONS()
def channels(db: Database) -> None:
    """Keep how far each receiver of notices has heard."""
    for statement in _CHANNELS:
        db.execute(statement)
