"""The outbox's tables, indexes and triggers, and the migrations of sqlite-utils that make them.

A change of the schema of a released version is a function at the end of this module, decorated
with `@MIGRATIONS()`, and its name in `UP_TO_DATE` of the module `database_file`; what stands here
is not edited any more.  A release only adds, so that the version before works with its outbox: such
a migration is named in `ADDITIONS` there, too.  What is not needed any more is removed one release
later.  The file can also be used by sqlite-utils itself:
`sqlite-utils migrate outbox.db agent/outbox/schema.py --list`.

Times are Unix times in seconds, durations end in `_s`.  States and reasons are those of
`agent.outbox.states`.  Rows of captures and clips are never deleted.
"""

import sqlite3
from collections.abc import Iterator

from sqlite_utils import Migrations
from sqlite_utils.db import Database

MIGRATIONS = Migrations("outbox")


def apply_to(connection: sqlite3.Connection) -> None:
    """Apply the migrations that a database lacks, within the transaction that is open."""
    MIGRATIONS.apply(Database(connection, execute_plugins=False))


_CAPTURES = """
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
    evidence TEXT NOT NULL,        -- JSON: what is known of its recording time
    recorded_by TEXT,              -- which evidence served
    recorded_start_at REAL,
    recorded_end_at REAL,
    recorded_detail TEXT,          -- why, and what contradicts it
    duration_s REAL,
    report TEXT,                   -- JSON: the report of the analysis
    hidden TEXT,                   -- JSON: [[from_s, to_s], ...] recorded while filming was stopped
    admitted_at REAL NOT NULL,
    changed_at REAL NOT NULL
) STRICT;
CREATE INDEX capture_by_state ON capture (state, id);
CREATE INDEX capture_by_file_name ON capture (file_name);
CREATE INDEX capture_on_disk ON capture (file_state, id);
CREATE INDEX capture_weight ON capture (file_state, state, id, bytes);

CREATE TABLE take (
    capture_id INTEGER NOT NULL REFERENCES capture (id),
    number INTEGER NOT NULL,       -- 1 for the first
    start_s REAL NOT NULL,         -- bounds of the clip, in presentation time
    end_s REAL NOT NULL,
    active_start_s REAL NOT NULL,  -- bounds of the movement
    active_end_s REAL NOT NULL,
    decisive_s REAL,               -- the moment of the thumbnail
    begins_before INTEGER NOT NULL DEFAULT 0,  -- 1: cut off by the capture's beginning
    goes_on INTEGER NOT NULL DEFAULT 0,        -- 1: cut off by its end
    reps INTEGER,
    confidence REAL,
    origin TEXT NOT NULL DEFAULT 'found',      -- or by_hand
    retired_at REAL,               -- replaced by a later analysis
    PRIMARY KEY (capture_id, number)
) STRICT;
"""

_CLIPS = """
CREATE TABLE entry (
    id INTEGER PRIMARY KEY,
    clip_code TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    detail TEXT,                   -- the API's words, or what a person should know
    fence INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL,
    look_first INTEGER NOT NULL DEFAULT 0,  -- 1: its record may be incomplete: reconcile first
    recipient TEXT NOT NULL,
    user_id TEXT,
    guest_id INTEGER REFERENCES athlete (id),
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
    cut_method TEXT,               -- copy, encode, or whole
    cut_why TEXT,
    file_state TEXT NOT NULL DEFAULT 'present',
    title TEXT,
    session_id TEXT,
    server_title TEXT,
    created_at REAL NOT NULL,
    sent_at REAL,
    changed_at REAL NOT NULL
) STRICT;
CREATE INDEX entry_by_state_and_due ON entry (state, due_at, id);
CREATE INDEX entry_waiting ON entry (created_at)
 WHERE state IN ('ready', 'uploading', 'uncertain');
CREATE INDEX entry_held ON entry (reason, due_at) WHERE state = 'held';
CREATE INDEX entry_failing ON entry (reason, id) WHERE reason = 'fails_at_server';
CREATE INDEX entry_in_question ON entry (instr(remarks, 'may_be:') > 0);
CREATE INDEX entry_by_session ON entry (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX entry_by_user ON entry (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX entry_by_guest ON entry (guest_id) WHERE guest_id IS NOT NULL;
CREATE INDEX entry_by_sending ON entry (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX entry_on_disk ON entry (file_state, state, id, clip_bytes);

CREATE TABLE entry_capture (       -- a clip joined over two files has two captures
    entry_id INTEGER NOT NULL REFERENCES entry (id),
    position INTEGER NOT NULL,
    capture_id INTEGER NOT NULL REFERENCES capture (id),
    take_number INTEGER NOT NULL,
    start_s REAL NOT NULL,
    end_s REAL NOT NULL,
    PRIMARY KEY (entry_id, position)
) STRICT;
CREATE INDEX entry_capture_by_capture ON entry_capture (capture_id, entry_id);

CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    entry_id INTEGER NOT NULL REFERENCES entry (id),
    kind TEXT NOT NULL,            -- upload or look_up
    account TEXT,                  -- the account the body may have gone to
    began_at REAL NOT NULL,
    body_complete_at REAL,         -- marked before the last part of the body goes out
    seconds REAL,
    sending_s REAL,                -- from the body's first part to its arrival
    throttled_s REAL,              -- of these, waited because of our own limit
    bytes INTEGER,
    status INTEGER,
    outcome TEXT,
    detail TEXT
) STRICT;
CREATE INDEX attempt_by_entry ON attempt (entry_id, id);
-- Smaller bodies do not measure a line.
CREATE INDEX attempt_on_line ON attempt (kind, id)
 WHERE bytes >= 65536 AND sending_s IS NOT NULL;
"""

# The history of a capture or a clip.  Triggers write it, so that no statement can omit it.
_EVENTS = """
CREATE TABLE event (               -- append only, in order
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    capture_id INTEGER REFERENCES capture (id),
    entry_id INTEGER REFERENCES entry (id),
    what TEXT NOT NULL,            -- state, file (on the disk), athlete, attempt or follow_up
    word TEXT,                     -- the new one; an attempt's id
    reason TEXT,
    detail TEXT
) STRICT;
CREATE INDEX event_by_capture ON event (capture_id, id) WHERE capture_id IS NOT NULL;
CREATE INDEX event_by_entry ON event (entry_id, id) WHERE entry_id IS NOT NULL;
CREATE INDEX event_delivered ON event (id) WHERE what = 'state' AND word = 'uploaded';
CREATE INDEX event_attempt ON event (word, id) WHERE what = 'attempt';

CREATE TRIGGER capture_made AFTER INSERT ON capture BEGIN
    INSERT INTO event (at, capture_id, what, word, reason, detail)
    VALUES (NEW.admitted_at, NEW.id, 'state', NEW.state, NEW.reason, NEW.detail);
END;
CREATE TRIGGER capture_moved AFTER UPDATE OF state ON capture WHEN OLD.state != NEW.state BEGIN
    INSERT INTO event (at, capture_id, what, word, reason, detail)
    VALUES (NEW.changed_at, NEW.id, 'state', NEW.state, NEW.reason, NEW.detail);
END;
CREATE TRIGGER capture_filed AFTER UPDATE OF file_state ON capture
WHEN OLD.file_state != NEW.file_state BEGIN
    INSERT INTO event (at, capture_id, what, word)
    VALUES (NEW.changed_at, NEW.id, 'file', NEW.file_state);
END;
CREATE TRIGGER entry_made AFTER INSERT ON entry BEGIN
    INSERT INTO event (at, entry_id, what, word, reason, detail)
    VALUES (NEW.created_at, NEW.id, 'state', NEW.state, NEW.reason, NEW.detail);
END;
CREATE TRIGGER entry_moved AFTER UPDATE OF state ON entry WHEN OLD.state != NEW.state BEGIN
    INSERT INTO event (at, entry_id, what, word, reason, detail)
    VALUES (NEW.changed_at, NEW.id, 'state', NEW.state, NEW.reason, NEW.detail);
END;
CREATE TRIGGER entry_filed AFTER UPDATE OF file_state ON entry
WHEN OLD.file_state != NEW.file_state BEGIN
    INSERT INTO event (at, entry_id, what, word)
    VALUES (NEW.changed_at, NEW.id, 'file', NEW.file_state);
END;
CREATE TRIGGER entry_named AFTER UPDATE OF user_id ON entry
WHEN OLD.user_id IS NOT NEW.user_id BEGIN
    INSERT INTO event (at, entry_id, what, word)
    VALUES (NEW.changed_at, NEW.id, 'athlete', NEW.user_id);
END;
CREATE TRIGGER attempt_begun AFTER INSERT ON attempt BEGIN
    INSERT INTO event (at, entry_id, what, word)
    VALUES (NEW.began_at, NEW.entry_id, 'attempt', NEW.id);
END;
"""

# What comes after the upload.  Triggers, so that no way to a session can omit its follow-up: an
# upload, a reconciliation, a rebuild.
_RESULTS = """
CREATE TABLE follow_up (           -- one per session: whether its analysis is available
    entry_id INTEGER PRIMARY KEY REFERENCES entry (id),
    session_id TEXT NOT NULL,
    state TEXT NOT NULL,           -- waiting, completed, failed, gone or not_seen
    detail TEXT,                   -- the reason in words
    fence INTEGER NOT NULL DEFAULT 0,
    polls INTEGER NOT NULL DEFAULT 0,     -- that were answered
    failures INTEGER NOT NULL DEFAULT 0,  -- polls in a row that the API failed on
    absences INTEGER NOT NULL DEFAULT 0,  -- polls in a row that did not find the session
    due_at REAL,                   -- the next poll; NULL: none
    began_at REAL NOT NULL,        -- when the session was made, as far as is known here
    first_asked_at REAL,
    last_asked_at REAL,
    changed_at REAL NOT NULL
) STRICT;
CREATE INDEX follow_up_due ON follow_up (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX follow_up_by_state ON follow_up (state, began_at);

CREATE TABLE result (              -- what the API made of a clip
    entry_id INTEGER PRIMARY KEY REFERENCES entry (id),
    session_id TEXT NOT NULL,
    got_at REAL NOT NULL,
    numbers TEXT NOT NULL,         -- JSON: every metric that is a plain value, by its path
    analysed_video_url TEXT,       -- signed: anyone who has it may see the video, until it expires
    url_at REAL,                   -- when it was received
    document_state TEXT NOT NULL DEFAULT 'none',  -- of the file: see DocumentState
    document_bytes INTEGER NOT NULL DEFAULT 0,
    video_state TEXT NOT NULL DEFAULT 'none',  -- wanted, fetching, present, cleared or failed
    video_detail TEXT,             -- the reason in words
    video_bytes INTEGER NOT NULL DEFAULT 0,
    video_at REAL                  -- when it was requested, then when it arrived
) STRICT;
CREATE INDEX result_on_disk ON result (document_state, entry_id, document_bytes);
CREATE INDEX result_by_video ON result (video_state, entry_id, video_bytes);

CREATE TABLE session_date (        -- sessions that are to get the time of recording
    entry_id INTEGER PRIMARY KEY REFERENCES entry (id),
    state TEXT NOT NULL,           -- waiting, dated, or refused
    due_at REAL NOT NULL,
    failures INTEGER NOT NULL,
    detail TEXT
) STRICT;

CREATE TRIGGER entry_followed_from_start AFTER INSERT ON entry
WHEN NEW.session_id IS NOT NULL AND NEW.state IN ('uploaded', 'completed') BEGIN
    INSERT INTO follow_up (entry_id, session_id, state, due_at, began_at, changed_at)
    VALUES (NEW.id, NEW.session_id, iif(NEW.state = 'uploaded', 'waiting', 'completed'),
            iif(NEW.state = 'uploaded', coalesce(NEW.sent_at, NEW.changed_at), NULL),
            coalesce(NEW.sent_at, NEW.changed_at), NEW.changed_at);
END;
CREATE TRIGGER entry_followed AFTER UPDATE OF session_id ON entry
WHEN NEW.session_id IS NOT NULL AND OLD.session_id IS NULL BEGIN
    INSERT INTO follow_up (entry_id, session_id, state, due_at, began_at, changed_at)
    SELECT NEW.id, NEW.session_id, iif(NEW.state = 'uploaded', 'waiting', 'completed'),
           iif(NEW.state = 'uploaded', coalesce(NEW.sent_at, NEW.changed_at), NULL),
           coalesce(NEW.sent_at, NEW.changed_at), NEW.changed_at
     WHERE NOT EXISTS (SELECT 1 FROM follow_up WHERE entry_id = NEW.id);
END;
CREATE TRIGGER entry_need_not_be_followed AFTER UPDATE OF state ON entry
WHEN OLD.state != NEW.state AND NEW.state IN ('completed', 'discarded') BEGIN
    UPDATE follow_up
       SET state = iif(NEW.state = 'completed', 'completed', 'gone'), due_at = NULL,
           detail = iif(NEW.state = 'completed', NULL, 'the clip was discarded'),
           fence = fence + 1, changed_at = NEW.changed_at
     WHERE entry_id = NEW.id
       AND state != iif(NEW.state = 'completed', 'completed', 'gone');
END;
CREATE TRIGGER follow_up_moved AFTER UPDATE OF state ON follow_up
WHEN OLD.state != NEW.state AND NEW.state != 'completed' BEGIN
    INSERT INTO event (at, entry_id, what, word, detail)
    VALUES (NEW.changed_at, NEW.entry_id, 'follow_up', NEW.state, NEW.detail);
END;
"""

_STATION = """
CREATE TABLE boot (
    seq INTEGER PRIMARY KEY,       -- boots in the order in which the outbox met them
    boot_id TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE athlete (             -- the roster: the only place where names are kept
    id INTEGER PRIMARY KEY,
    user_id TEXT UNIQUE,           -- NULL: a guest
    name TEXT NOT NULL,
    folded TEXT NOT NULL,          -- the name as it is searched
    resolved_to TEXT,              -- the user_id that a guest was linked to
    lacks TEXT,                    -- JSON: body measures that are missing; NULL: not known
    noted_at REAL NOT NULL,
    gone_at REAL                   -- no longer offered: left the account, or linked
) STRICT;

CREATE TABLE assignment (          -- who is on the station: the latest of a layer counts
    id INTEGER PRIMARY KEY,
    layer TEXT NOT NULL,           -- coach, or station (its default)
    kind TEXT NOT NULL,            -- athlete, nobody, or default (back to the station's)
    user_id TEXT,
    guest_id INTEGER REFERENCES athlete (id),
    activity TEXT,
    exercise TEXT,
    barbell_mass_kg REAL,
    incline_deg REAL,
    starts_at REAL NOT NULL,
    boot_id TEXT,
    boot_s REAL,
    clock_trusted INTEGER NOT NULL,
    lasts_s REAL,                  -- after that, nobody; NULL: until the next
    idle_s REAL,                   -- without a take for so long: nobody
    set_by TEXT NOT NULL,
    taken_back_at REAL             -- not NULL: undone, as if it had never been made
) STRICT;
CREATE INDEX assignment_by_layer ON assignment (layer, id);
CREATE INDEX assignment_by_user ON assignment (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX assignment_by_guest ON assignment (guest_id, id) WHERE guest_id IS NOT NULL;

CREATE TABLE renewal (             -- what extended an assignment
    id INTEGER PRIMARY KEY,
    assignment_id INTEGER NOT NULL REFERENCES assignment (id),
    at REAL NOT NULL,
    boot_id TEXT,
    boot_s REAL,
    clock_trusted INTEGER NOT NULL,
    why TEXT NOT NULL              -- take, or kept (by a person)
) STRICT;
CREATE INDEX renewal_by_assignment ON renewal (assignment_id, id);

CREATE TABLE queue (               -- who comes next
    id INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    user_id TEXT,
    guest_id INTEGER REFERENCES athlete (id),
    activity TEXT NOT NULL,
    exercise TEXT,
    barbell_mass_kg REAL,
    incline_deg REAL
) STRICT;

CREATE TABLE switch (              -- what is on or off, or was last done, at the station
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE device (              -- that may use the page
    id TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,            -- coach, or wall (read-only)
    way TEXT NOT NULL,             -- paired, or pin
    name TEXT NOT NULL,
    address TEXT,                  -- it logged in from: never slowed down by the PINs of others
    paired_at REAL NOT NULL,
    ended_at REAL                  -- NULL: not revoked
) STRICT;

CREATE TABLE pairing (             -- links by which devices can be paired
    token_sha256 TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    made_at REAL NOT NULL,
    expires_at REAL NOT NULL
) STRICT;
"""

_CORRECTIONS = """
CREATE TABLE undoable (            -- what a person ended, and may undo for some seconds
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,            -- discard, clear_queue, resend or forget
    asked_at REAL NOT NULL,
    boot_id TEXT,
    boot_s REAL,
    clock_trusted INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'open',  -- or undone, or done: past undoing
    payload TEXT NOT NULL          -- JSON: what is needed to undo it
) STRICT;
CREATE INDEX undoable_by_state ON undoable (state, id);

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
) STRICT;
CREATE UNIQUE INDEX resend_open ON resend (entry_id)
 WHERE state IN ('asked', 'sending', 'deleting', 'refused');
CREATE INDEX resend_by_state ON resend (state, id);
CREATE INDEX resend_by_entry ON resend (entry_id, id);
CREATE INDEX resend_by_undoable ON resend (undoable_id);
CREATE INDEX resend_by_new_entry ON resend (new_entry_id) WHERE new_entry_id IS NOT NULL;

CREATE TABLE forgetting (          -- the erasure of an athlete from this box
    id INTEGER PRIMARY KEY,
    undoable_id INTEGER NOT NULL REFERENCES undoable (id),
    user_id TEXT,
    guest_id INTEGER,
    state TEXT NOT NULL DEFAULT 'asked',  -- begun, done or undone
    at_api INTEGER NOT NULL DEFAULT 0,    -- 1: sessions are deleted too
    asked_at REAL,
    done_at REAL,
    erased TEXT,                   -- JSON: how much was erased from this box
    changed_at REAL NOT NULL
) STRICT;
CREATE INDEX forgetting_by_state ON forgetting (state, id);
CREATE INDEX forgetting_by_user ON forgetting (user_id);
CREATE INDEX forgetting_by_undoable ON forgetting (undoable_id);

CREATE TABLE session_deletion (    -- one session of an erased athlete at the API
    id INTEGER PRIMARY KEY,
    forgetting_id INTEGER NOT NULL REFERENCES forgetting (id),
    session_id TEXT NOT NULL UNIQUE,
    clip_code TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'kept',   -- waiting, deleted, refused
    status INTEGER,                -- of the last answer
    answer TEXT,                   -- the API's own words
    attempts INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,  -- in a row
    due_at REAL NOT NULL,
    asked_at REAL NOT NULL,
    ended_at REAL,
    changed_at REAL NOT NULL
) STRICT;
CREATE INDEX session_deletion_by_state ON session_deletion (state, due_at);
CREATE INDEX session_deletion_by_forgetting ON session_deletion (forgetting_id, id);
"""

_CONNECTIONS = """
CREATE TABLE lane (                -- the connection to an API host
    host TEXT PRIMARY KEY,
    paused_reason TEXT,            -- NULL: not paused
    paused_detail TEXT,
    paused_at REAL,
    next_probe_at REAL,
    probes INTEGER NOT NULL DEFAULT 0,
    key_header TEXT,               -- which form of the key header this host accepts
    key_digest TEXT,               -- which key this row is about
    key_expires_at REAL,           -- as the key itself says
    role TEXT,
    uid TEXT,
    plan TEXT,
    session_number INTEGER,
    answered_at REAL,              -- last good organization-status with the present key
    titles_altered INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    last_error_at REAL
) STRICT;

CREATE TABLE session_limit (       -- an athlete whose sessions are used up, as the API says
    account TEXT NOT NULL,         -- the uid of the key's owner
    user_id TEXT NOT NULL,         -- empty: the key owner's own account
    since REAL NOT NULL,
    next_try_at REAL NOT NULL,     -- one clip is sent to find out whether it still holds
    tries INTEGER NOT NULL,        -- uploads that were refused for it
    in_row INTEGER NOT NULL,       -- 1: nothing was delivered to anybody since the last one
    detail TEXT NOT NULL,          -- the API's words
    PRIMARY KEY (account, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel (             -- a receiver of notifications
    name TEXT PRIMARY KEY,         -- webhook or mqtt; no row: it is off
    cursor INTEGER NOT NULL,       -- the last event that it acknowledged, or need not receive
    acknowledged_at REAL,
    failures INTEGER NOT NULL DEFAULT 0,  -- in a row
    failing_since REAL,            -- NULL: not failing
    next_try_at REAL,
    last_error TEXT
) STRICT;

CREATE TABLE refused_notice (      -- what a receiver refused while it accepted others
    id INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    notice TEXT NOT NULL,          -- its id
    at REAL NOT NULL,
    why TEXT NOT NULL
) STRICT;
CREATE INDEX refused_notice_by_channel ON refused_notice (channel, id);
"""

_UPKEEP = """
CREATE TABLE pause (               -- stages that wait, and why; empty in normal operation
    part TEXT PRIMARY KEY,         -- intake, analysis or clearing
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,          -- in a sentence, with what would help
    since REAL NOT NULL
) STRICT;

CREATE TABLE room (                -- free space on the disk, over the last days
    at REAL PRIMARY KEY,
    free_bytes INTEGER NOT NULL,
    may_go_bytes INTEGER NOT NULL  -- removed as soon as space is short
) STRICT;

CREATE TABLE ledger_mark (         -- one row: which line of the ledger this database has reached
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL,
    inode INTEGER,                 -- of this file: a copy from a backup has another
    born_ns INTEGER,
    rebuilt_at REAL,               -- NULL: never
    rebuilt_why TEXT,
    set_aside TEXT,                -- the name under which the damaged database is kept
    history_lost INTEGER NOT NULL DEFAULT 0,  -- 1: not every earlier delivery is known
    lost_at REAL                   -- what was recorded before is reconciled before it is sent
) STRICT;
INSERT INTO ledger_mark (id, seq) VALUES (1, 0);
"""


@MIGRATIONS()
def first_schema(db: Database) -> None:
    """Create every table, index and trigger."""
    parts = (_CAPTURES, _CLIPS, _EVENTS, _RESULTS, _STATION, _CORRECTIONS, _CONNECTIONS, _UPKEEP)
    for part in parts:
        for statement in _statements(part):
            db.execute(statement)


_CHECK_IN = """
CREATE TABLE athlete_group (       -- a class or a team
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    members TEXT NOT NULL,         -- JSON: keys of people, in the coach's order
    changed_at REAL NOT NULL,
    removed_at REAL                -- not NULL: removed; the ledger tells of no deletion
) STRICT;

CREATE TABLE card (                -- a card, code or fob by which somebody checks in
    digest TEXT PRIMARY KEY,       -- of what it says, with the station's card-secret
    athlete TEXT,                  -- key of a person; NULL: unlinked
    changed_at REAL NOT NULL
) STRICT;
CREATE INDEX card_by_athlete ON card (athlete) WHERE athlete IS NOT NULL;
"""


@MIGRATIONS()
def groups_and_cards(db: Database) -> None:
    """Create the tables of groups of athletes, and of the cards by which they check in."""
    for statement in _statements(_CHECK_IN):
        db.execute(statement)


_HUB = """
CREATE TABLE hub_confirmation (    -- one row: the last event that the hub has stored
    id INTEGER PRIMARY KEY CHECK (id = 1),
    event INTEGER NOT NULL,
    sequence INTEGER NOT NULL      -- its place in the hub's stream: a shorter one has lost it
) STRICT;
"""


@MIGRATIONS()
def hub_confirmation(db: Database) -> None:
    """Create the table of what the hub has stored: a hub that lost it is sent it again."""
    for statement in _statements(_HUB):
        db.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """Split a script: `executescript` would commit the transaction that all of them belong to."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
