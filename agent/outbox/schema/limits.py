"""What the API has said of the account: its limits of sessions, its key, and sessions' dates."""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS

_STATEMENTS = (
    """
    CREATE TABLE session_limit (       -- an athlete whose sessions are used up, as the API says
        account TEXT NOT NULL,         -- the uid of the key's owner
        user_id TEXT NOT NULL,         -- empty: the key owner's own account
        since REAL NOT NULL,
        next_try_at REAL NOT NULL,     -- one clip is sent to find out whether it still holds
        tries INTEGER NOT NULL,        -- uploads that were refused so
        in_row INTEGER NOT NULL,       -- 1: nothing was delivered to anybody since the last one
        detail TEXT NOT NULL,          -- the API's words
        PRIMARY KEY (account, user_id)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE session_date (        -- sessions that are to have the time of filming
        entry_id INTEGER PRIMARY KEY REFERENCES entry (id),
        state TEXT NOT NULL,           -- waiting, dated, or refused
        due_at REAL NOT NULL,
        failures INTEGER NOT NULL,
        detail TEXT
    ) STRICT
    """,
    "ALTER TABLE lane ADD COLUMN key_digest TEXT",  # which key the row speaks of
    "ALTER TABLE lane ADD COLUMN key_expires_at REAL",  # as the key itself says
    "ALTER TABLE lane ADD COLUMN plan TEXT",
    "ALTER TABLE lane ADD COLUMN session_number INTEGER",
)


@MIGRATIONS()
def limits(db: Database) -> None:
    """Keep whose sessions are used up, and what is known of the key, over a restart."""
    for statement in _STATEMENTS:
        db.execute(statement)
