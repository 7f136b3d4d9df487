"""What the record of an attempt says about the line."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS

_LINE = (
    "ALTER TABLE attempt ADD COLUMN sending_s REAL",  # from the body's first part to its arrival
    "ALTER TABLE attempt ADD COLUMN throttled_s REAL",  # of these, waited because of our own cap
    # Less than 64 KiB says nothing about a line.
    """
    CREATE INDEX attempt_on_line ON attempt (kind, id)
     WHERE bytes >= 65536 AND sending_s IS NOT NULL
    """,
)


@MIGRATIONS()
def line(db: Database) -> None:
    """Keep how long each body took, and how much of that our own cap."""
    for statement in _LINE:
        db.execute(statement)
