"""The tables of what is said at the station: people, their queue, corrections and second thoughts.

Migrations of the same set as in `agent.outbox.schema.migrations`, after those.
"""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS

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


_SECOND_THOUGHTS = (
    """
    CREATE TABLE undoable (            -- what a person ended, and may undo for some seconds
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,            -- discard, clear_queue, resend or forget
        asked_at REAL NOT NULL,
        boot_id TEXT,
        boot_s REAL,
        clock_trusted INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'open',  -- or undone, or done: past undoing
        payload TEXT NOT NULL          -- JSON: what it takes to undo it
    ) STRICT
    """,
    "CREATE INDEX undoable_by_state ON undoable (state, id)",
    """
    CREATE TABLE resend (              -- a clip that went to the wrong athlete
        id INTEGER PRIMARY KEY,
        undoable_id INTEGER NOT NULL REFERENCES undoable (id),
        entry_id INTEGER NOT NULL REFERENCES entry (id),
        session_id TEXT NOT NULL,      -- the wrong session
        new_entry_id INTEGER REFERENCES entry (id),
        state TEXT NOT NULL DEFAULT 'asked',
        detail TEXT,
        failures INTEGER NOT NULL DEFAULT 0,
        due_at REAL NOT NULL,
        user_id TEXT NOT NULL,         -- the right athlete
        activity TEXT NOT NULL,
        exercise TEXT,
        barbell_mass_kg REAL,
        incline_deg REAL,
        changed_at REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX resend_open ON resend (entry_id)
     WHERE state IN ('asked', 'sending', 'deleting', 'refused')
    """,
    "CREATE INDEX resend_by_state ON resend (state, id)",
    "CREATE INDEX resend_by_entry ON resend (entry_id, id)",
    "CREATE INDEX resend_by_undoable ON resend (undoable_id)",
    "CREATE INDEX resend_by_new_entry ON resend (new_entry_id) WHERE new_entry_id IS NOT NULL",
    """
    CREATE TABLE forgetting (          -- an athlete who is to go from this box
        id INTEGER PRIMARY KEY,
        undoable_id INTEGER NOT NULL REFERENCES undoable (id),
        user_id TEXT,
        guest_id INTEGER,
        state TEXT NOT NULL DEFAULT 'asked',  -- begun, done or undone
        changed_at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX forgetting_by_user ON forgetting (user_id)",
)


@MIGRATIONS()
def second_thoughts(db: Database) -> None:
    """Keep what can be undone, what is sent anew, and who is to be forgotten."""
    for statement in _SECOND_THOUGHTS:
        db.execute(statement)


@MIGRATIONS()
def forgettings(db: Database) -> None:
    """Find what is unfinished, and who was forgotten, without looking at everything."""
    db.execute("CREATE INDEX forgetting_by_state ON forgetting (state, id)")
    db.execute("CREATE INDEX forgetting_by_undoable ON forgetting (undoable_id)")


@MIGRATIONS()
def latest_assignments(db: Database) -> None:
    """Find what was said last without looking at all that was ever said."""
    db.execute("CREATE INDEX assignment_by_layer ON assignment (layer, id)")
