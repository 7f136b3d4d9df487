"""The tables that keep the database in step with its ledger."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS

_LEDGER = (
    """
    CREATE TABLE ledger_mark (         -- one row: how far the ledger is in this database
        id INTEGER PRIMARY KEY CHECK (id = 1),
        seq INTEGER NOT NULL,
        rebuilt_at REAL,               -- NULL: it never was
        rebuilt_why TEXT,
        set_aside TEXT,                -- the name under which the damaged one is kept
        history_lost INTEGER NOT NULL DEFAULT 0  -- 1: what was delivered before is not all known
    ) STRICT
    """,
    "INSERT INTO ledger_mark (id, seq) VALUES (1, 0)",
    # 1: the record of it may be incomplete, so it is looked up before it is sent
    "ALTER TABLE entry ADD COLUMN look_first INTEGER NOT NULL DEFAULT 0",
)


@MIGRATIONS()
def ledger(db: Database) -> None:
    """Keep in step with the ledger, and say when the outbox was made anew from it."""
    for statement in _LEDGER:
        db.execute(statement)
