"""The tables of the devices that may use the page.

Migrations of the same set as in `agent.outbox.schema.migrations`, after those.
"""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS


@MIGRATIONS()
def devices(db: Database) -> None:
    """Remember which devices may use the page, and the links by which others are paired."""
    db.execute(
        """
        CREATE TABLE device (
            id TEXT NOT NULL UNIQUE,
            role TEXT NOT NULL,        -- coach, or wall (sees, changes nothing)
            way TEXT NOT NULL,         -- paired, or pin
            name TEXT NOT NULL,
            paired_at REAL NOT NULL,
            ended_at REAL              -- NULL: it may come in
        ) STRICT
        """
    )
    db.execute(
        """
        CREATE TABLE pairing (
            token_sha256 TEXT PRIMARY KEY,
            role TEXT NOT NULL,
            name TEXT NOT NULL,
            made_at REAL NOT NULL,
            expires_at REAL NOT NULL
        ) STRICT
        """
    )
