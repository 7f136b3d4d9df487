"""Until when the outbox's history is incomplete: what was filmed before is looked up first."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS


@MIGRATIONS()
def lost_history(db: Database) -> None:
    """Remember the moment before which not everything that was sent is on record."""
    db.execute("ALTER TABLE ledger_mark ADD COLUMN lost_at REAL")
    db.execute("ALTER TABLE ledger_mark ADD COLUMN born_ns INTEGER")  # of the file, as its inode
