"""The tables about the disk: what waits for space, and how its room has gone."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS

_DISK = (
    """
    CREATE TABLE pause (               -- what waits by itself, and why; empty on a good day
        part TEXT PRIMARY KEY,         -- intake, analysis or clearing
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,          -- in a sentence, with what would help
        since REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE room (                -- of the disk, over the last days
        at REAL PRIMARY KEY,
        free_bytes INTEGER NOT NULL,
        may_go_bytes INTEGER NOT NULL  -- cleared away as soon as space is short
    ) STRICT
    """,
    "CREATE INDEX entry_on_disk ON entry (file_state, state, id, clip_bytes)",
    "CREATE INDEX capture_weight ON capture (file_state, state, id, bytes)",
)


@MIGRATIONS()
def disk(db: Database) -> None:
    """Keep what waits for space, and how the room on the disk has gone."""
    for statement in _DISK:
        db.execute(statement)
