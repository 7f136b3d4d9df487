"""What the record of an attempt says about the account it was made for."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS


@MIGRATIONS()
def accounts(db: Database) -> None:
    """Keep into whose account each body may have gone: the list of another tells nothing of it."""
    db.execute("ALTER TABLE attempt ADD COLUMN account TEXT")
