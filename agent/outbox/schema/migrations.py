"""The tables of the outbox, as migrations: append only, never edited once released."""

from sqlite_utils import Migrations
from sqlite_utils.db import Database

MIGRATIONS = Migrations("outbox")

_FIRST = (
    """
    CREATE TABLE boot (
        boot_id TEXT NOT NULL UNIQUE,
        seq INTEGER PRIMARY KEY  -- boots in the order in which the outbox met them
    ) STRICT
    """,
    """
    CREATE TABLE capture (
        id INTEGER PRIMARY KEY,
        sha256 TEXT NOT NULL UNIQUE,
        file_name TEXT NOT NULL,       -- as the camera program named it
        stored_name TEXT NOT NULL,     -- in the folder `captures`
        bytes INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        detail TEXT,                   -- the reason in a sentence
        fence INTEGER NOT NULL DEFAULT 0,
        file_state TEXT NOT NULL DEFAULT 'present',
        evidence TEXT NOT NULL,        -- JSON: what intake saw of its recording time
        recorded_by TEXT,              -- which evidence served
        recorded_end_at REAL,
        duration_s REAL,
        report TEXT,                   -- JSON: what the analysis said
        admitted_at REAL NOT NULL,
        changed_at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX capture_by_state ON capture (state, id)",
    "CREATE INDEX capture_on_disk ON capture (file_state, id)",
    "CREATE INDEX capture_by_file_name ON capture (file_name)",
    """
    CREATE TABLE take (
        capture_id INTEGER NOT NULL REFERENCES capture (id),
        number INTEGER NOT NULL,       -- 1 for the first
        start_s REAL NOT NULL,         -- bounds of the clip, in presentation time
        end_s REAL NOT NULL,
        active_start_s REAL NOT NULL,  -- bounds of the movement
        active_end_s REAL NOT NULL,
        reps INTEGER,
        confidence REAL,
        PRIMARY KEY (capture_id, number)
    ) STRICT
    """,
    """
    CREATE TABLE entry (
        id INTEGER PRIMARY KEY,
        clip_code TEXT NOT NULL UNIQUE,
        generation INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        detail TEXT,                   -- the server's words, or what a person should know
        fence INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        due_at REAL NOT NULL,
        recipient TEXT NOT NULL,
        user_id TEXT,
        activity TEXT NOT NULL,
        exercise TEXT,
        barbell_mass_kg REAL,
        incline_deg REAL,
        remarks TEXT NOT NULL,         -- JSON: what a coach should know
        filmed_at REAL,
        stored_name TEXT NOT NULL,     -- in the folder `clips`
        clip_sha256 TEXT NOT NULL,
        clip_bytes INTEGER NOT NULL,
        clip_seconds REAL NOT NULL,
        file_state TEXT NOT NULL DEFAULT 'present',
        title TEXT,
        session_id TEXT,
        server_title TEXT,
        created_at REAL NOT NULL,
        sent_at REAL,
        changed_at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX entry_by_state_and_due ON entry (state, due_at, id)",
    "CREATE INDEX entry_by_session ON entry (session_id) WHERE session_id IS NOT NULL",
    """
    CREATE TABLE entry_capture (       -- a clip joined over two files has two captures
        entry_id INTEGER NOT NULL REFERENCES entry (id),
        position INTEGER NOT NULL,
        capture_id INTEGER NOT NULL REFERENCES capture (id),
        take_number INTEGER NOT NULL,
        start_s REAL NOT NULL,
        end_s REAL NOT NULL,
        PRIMARY KEY (entry_id, position)
    ) STRICT
    """,
    "CREATE INDEX entry_capture_by_capture ON entry_capture (capture_id, entry_id)",
    """
    CREATE TABLE attempt (
        id INTEGER PRIMARY KEY,
        entry_id INTEGER NOT NULL REFERENCES entry (id),
        kind TEXT NOT NULL,            -- upload or look_up
        began_at REAL NOT NULL,
        body_complete_at REAL,         -- marked before the last part of the body goes out
        seconds REAL,
        bytes INTEGER,
        status INTEGER,
        outcome TEXT,
        detail TEXT
    ) STRICT
    """,
    "CREATE INDEX attempt_by_entry ON attempt (entry_id, id)",
    """
    CREATE TABLE assignment (
        id INTEGER PRIMARY KEY,
        layer TEXT NOT NULL,           -- coach, or station (its default)
        kind TEXT NOT NULL,            -- athlete, nobody, or default (back to the station's)
        user_id TEXT,
        activity TEXT,
        exercise TEXT,
        barbell_mass_kg REAL,
        incline_deg REAL,
        starts_at REAL NOT NULL,
        boot_id TEXT,
        boot_s REAL,
        clock_trusted INTEGER NOT NULL,
        lasts_s REAL,                  -- after that, nobody; NULL: until the next
        set_by TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE lane (
        host TEXT PRIMARY KEY,
        paused_reason TEXT,            -- NULL: open
        paused_detail TEXT,
        paused_at REAL,
        next_probe_at REAL,
        probes INTEGER NOT NULL DEFAULT 0,
        key_header TEXT,               -- which form of the key header this host accepts
        role TEXT,
        uid TEXT,
        answered_at REAL,              -- last good organization-status with the present key
        titles_altered INTEGER NOT NULL DEFAULT 0,
        last_error TEXT,
        last_error_at REAL
    ) STRICT
    """,
)


@MIGRATIONS()
def first_tables(db: Database) -> None:
    """Create every table of the first release."""
    for statement in _FIRST:
        db.execute(statement)


@MIGRATIONS()
def takes_by_hand(db: Database) -> None:
    """Let people make takes, the analysis look again, and the record say how a clip was cut."""
    for column in (
        "take ADD COLUMN decisive_s REAL",  # the moment worth a picture
        "take ADD COLUMN origin TEXT NOT NULL DEFAULT 'found'",  # or by_hand
        "take ADD COLUMN retired_at REAL",  # given up when the analysis looked again
        "entry ADD COLUMN cut_method TEXT",  # copy, encode, or whole
        "entry ADD COLUMN cut_why TEXT",
    ):
        db.execute(f"ALTER TABLE {column}")


@MIGRATIONS()
def takes_cut_off(db: Database) -> None:
    """Keep which takes a capture's beginning or end cut off: one clip may go over two captures."""
    for column in ("begins_before", "goes_on"):
        db.execute(f"ALTER TABLE take ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")


_EVENTS = (
    """
    CREATE TABLE event (               -- append only: a capture's or clip's life, in order
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        capture_id INTEGER REFERENCES capture (id),
        entry_id INTEGER REFERENCES entry (id),
        what TEXT NOT NULL,            -- state, file (on the disk), athlete, or attempt
        word TEXT,                     -- the new one; an attempt's id
        reason TEXT,
        detail TEXT
    ) STRICT
    """,
    "CREATE INDEX event_by_capture ON event (capture_id, id) WHERE capture_id IS NOT NULL",
    "CREATE INDEX event_by_entry ON event (entry_id, id) WHERE entry_id IS NOT NULL",
    """
    INSERT INTO event (at, capture_id, what, word, reason, detail)
    SELECT admitted_at, id, 'state', state, reason, detail FROM capture
    """,
    """
    INSERT INTO event (at, entry_id, what, word, reason, detail)
    SELECT created_at, id, 'state', state, reason, detail FROM entry
    """,
    """
    INSERT INTO event (at, entry_id, what, word)
    SELECT began_at, entry_id, 'attempt', id FROM attempt ORDER BY id
    """,
    """
    CREATE TRIGGER capture_made AFTER INSERT ON capture BEGIN
        INSERT INTO event (at, capture_id, what, word, reason, detail)
        VALUES (NEW.admitted_at, NEW.id, 'state', NEW.state, NEW.reason, NEW.detail);
    END
    """,
    """
    CREATE TRIGGER capture_moved AFTER UPDATE OF state ON capture WHEN OLD.state != NEW.state BEGIN
        INSERT INTO event (at, capture_id, what, word, reason, detail)
        VALUES (NEW.changed_at, NEW.id, 'state', NEW.state, NEW.reason, NEW.detail);
    END
    """,
    """
    CREATE TRIGGER capture_filed AFTER UPDATE OF file_state ON capture
    WHEN OLD.file_state != NEW.file_state BEGIN
        INSERT INTO event (at, capture_id, what, word)
        VALUES (NEW.changed_at, NEW.id, 'file', NEW.file_state);
    END
    """,
    """
    CREATE TRIGGER entry_made AFTER INSERT ON entry BEGIN
        INSERT INTO event (at, entry_id, what, word, reason, detail)
        VALUES (NEW.created_at, NEW.id, 'state', NEW.state, NEW.reason, NEW.detail);
    END
    """,
    """
    CREATE TRIGGER entry_moved AFTER UPDATE OF state ON entry WHEN OLD.state != NEW.state BEGIN
        INSERT INTO event (at, entry_id, what, word, reason, detail)
        VALUES (NEW.changed_at, NEW.id, 'state', NEW.state, NEW.reason, NEW.detail);
    END
    """,
    """
    CREATE TRIGGER entry_filed AFTER UPDATE OF file_state ON entry
    WHEN OLD.file_state != NEW.file_state BEGIN
        INSERT INTO event (at, entry_id, what, word)
        VALUES (NEW.changed_at, NEW.id, 'file', NEW.file_state);
    END
    """,
    """
    CREATE TRIGGER entry_named AFTER UPDATE OF user_id ON entry
    WHEN OLD.user_id IS NOT NEW.user_id BEGIN
        INSERT INTO event (at, entry_id, what, word)
        VALUES (NEW.changed_at, NEW.id, 'athlete', NEW.user_id);
    END
    """,
    """
    CREATE TRIGGER attempt_begun AFTER INSERT ON attempt BEGIN
        INSERT INTO event (at, entry_id, what, word)
        VALUES (NEW.began_at, NEW.entry_id, 'attempt', NEW.id);
    END
    """,
    "CREATE INDEX event_delivered ON event (id) WHERE what = 'state' AND word = 'uploaded'",
    "CREATE INDEX event_attempt ON event (word, id) WHERE what = 'attempt'",
    "CREATE INDEX entry_by_user ON entry (user_id, id) WHERE user_id IS NOT NULL",
    "CREATE INDEX entry_by_sending ON entry (sent_at) WHERE sent_at IS NOT NULL",
    """
    CREATE INDEX entry_waiting ON entry (created_at)
     WHERE state IN ('ready', 'uploading', 'uncertain')
    """,
)


@MIGRATIONS()
def events(db: Database) -> None:
    """Keep every change of state as a line of its own, written by triggers: none can forget it."""
    for statement in _EVENTS:
        db.execute(statement)


@MIGRATIONS()
def held_by_reason(db: Database) -> None:
    """Find what is held for one reason without looking at everything that is held."""
    db.execute("CREATE INDEX entry_held ON entry (reason, due_at) WHERE state = 'held'")
