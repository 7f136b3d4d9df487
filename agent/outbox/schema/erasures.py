"""What was erased of athletes, here and at the API, and what the API said to it."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS

_ERASURES = (
    "ALTER TABLE forgetting ADD COLUMN at_api INTEGER NOT NULL DEFAULT 0",  # 1: sessions go too
    "ALTER TABLE forgetting ADD COLUMN asked_at REAL",
    "ALTER TABLE forgetting ADD COLUMN done_at REAL",
    "ALTER TABLE forgetting ADD COLUMN erased TEXT",  # JSON: how much went from this box
    """
    CREATE TABLE session_deletion (    -- one session of an erased athlete at the API
        id INTEGER PRIMARY KEY,
        forgetting_id INTEGER NOT NULL REFERENCES forgetting (id),
        session_id TEXT NOT NULL UNIQUE,
        clip_code TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'kept',  -- waiting, deleted, refused
        status INTEGER,                -- of the last answer
        answer TEXT,                   -- the API's own words
        attempts INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,    -- in a row
        due_at REAL NOT NULL,
        asked_at REAL NOT NULL,
        ended_at REAL,
        changed_at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX session_deletion_by_state ON session_deletion (state, due_at)",
    "CREATE INDEX session_deletion_by_forgetting ON session_deletion (forgetting_id, id)",
)


@MIGRATIONS()
def erasures(db: Database) -> None:
    """Delete an athlete's sessions at the API too, and keep what a receipt needs."""
    for statement in _ERASURES:
        db.execute(statement)
