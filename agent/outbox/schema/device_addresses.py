"""From where devices of the page came in."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS


@MIGRATIONS()
def device_addresses(db: Database) -> None:
    """Remember from which address each device came in: it never waits because of others' PINs."""
    db.execute("ALTER TABLE device ADD COLUMN address TEXT")
