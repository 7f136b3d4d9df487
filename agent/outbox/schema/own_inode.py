"""Which file the outbox is: one that was copied may know nothing of what was sent since."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS


@MIGRATIONS()
def own_inode(db: Database) -> None:
    """Know the outbox's own file again."""
    db.execute("ALTER TABLE ledger_mark ADD COLUMN inode INTEGER")
