"""What the account does not know of its athletes."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS


@MIGRATIONS()
def athletes(db: Database) -> None:
    """Remember which body measures of an athlete are missing; no measure itself is kept."""
    db.execute("ALTER TABLE athlete ADD COLUMN lacks TEXT")  # JSON; NULL: not asked for yet
