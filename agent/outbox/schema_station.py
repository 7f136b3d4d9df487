"""The tables of what is said at the station: people, their queue, corrections and second thoughts.

Migrations of the same set as in `agent.outbox.schema`, after those.
"""

from sqlite_utils.db import Database

from agent.outbox.schema import MIGRATIONS

_STATION = (
    """
    CREATE TABLE athlete (             -- the roster: the only place where names are kept
        id INTEGER PRIMARY KEY,
        user_id TEXT UNIQUE,           -- NULL: a guest
        name TEXT NOT NULL,
        folded TEXT NOT NULL,          -- the name as it is searched
        resolved_to TEXT,              -- the user_id that a guest turned out to be
        noted_at REAL NOT NULL,
        gone_at REAL                   -- no longer offered: left the account, or resolved
    ) STRICT
    """,
    "ALTER TABLE assignment ADD COLUMN guest_id INTEGER REFERENCES athlete (id)",
    "ALTER TABLE assignment ADD COLUMN idle_s REAL",  # without a take for so long: nobody
    "CREATE INDEX assignment_by_user ON assignment (user_id, id) WHERE user_id IS NOT NULL",
    "CREATE INDEX assignment_by_guest ON assignment (guest_id, id) WHERE guest_id IS NOT NULL",
    "ALTER TABLE entry ADD COLUMN guest_id INTEGER REFERENCES athlete (id)",
    "CREATE INDEX entry_by_guest ON entry (guest_id) WHERE guest_id IS NOT NULL",
    """
    CREATE TABLE renewal (             -- what kept an assignment from running out
        id INTEGER PRIMARY KEY,
        assignment_id INTEGER NOT NULL REFERENCES assignment (id),
        at REAL NOT NULL,
        boot_id TEXT,
        boot_s REAL,
        clock_trusted INTEGER NOT NULL,
        why TEXT NOT NULL              -- take, or kept (a person's word)
    ) STRICT
    """,
    "CREATE INDEX renewal_by_assignment ON renewal (assignment_id, id)",
    """
    CREATE TABLE queue (               -- who comes next
        id INTEGER PRIMARY KEY,
        position INTEGER NOT NULL,
        user_id TEXT,
        guest_id INTEGER REFERENCES athlete (id),
        activity TEXT NOT NULL,
        exercise TEXT,
        barbell_mass_kg REAL,
        incline_deg REAL
    ) STRICT
    """,
    """
    CREATE TABLE switch (              -- what is on or off, or was last done, at the station
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT
    """,
)


@MIGRATIONS()
def station(db: Database) -> None:
    """Keep the roster, who comes next, and what keeps an assignment alive."""
    for statement in _STATION:
        db.execute(statement)
