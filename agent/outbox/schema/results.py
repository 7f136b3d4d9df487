"""The tables of what comes after the upload: what is asked about, and what came back.

Migrations of the same set as in `agent.outbox.schema.migrations`, after those.
"""

from sqlite_utils.db import Database

from agent.outbox.schema.migrations import MIGRATIONS

_RESULTS = (
    """
    CREATE TABLE follow_up (           -- one per session: whether its analysis is there
        entry_id INTEGER PRIMARY KEY REFERENCES entry (id),
        session_id TEXT NOT NULL,
        state TEXT NOT NULL,           -- waiting, completed, failed, gone or not_seen
        detail TEXT,                   -- the reason in words
        fence INTEGER NOT NULL DEFAULT 0,
        polls INTEGER NOT NULL DEFAULT 0,     -- looks that were answered
        failures INTEGER NOT NULL DEFAULT 0,  -- looks in a row that the API failed on
        absences INTEGER NOT NULL DEFAULT 0,  -- looks in a row that did not find the session
        due_at REAL,                   -- the next look; NULL: nobody looks any more
        began_at REAL NOT NULL,        -- when the session was made, as far as is known here
        first_asked_at REAL,
        last_asked_at REAL,
        changed_at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX follow_up_due ON follow_up (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX follow_up_by_state ON follow_up (state, began_at)",
    """
    CREATE TABLE result (              -- what the API made of a clip
        entry_id INTEGER PRIMARY KEY REFERENCES entry (id),
        session_id TEXT NOT NULL,
        got_at REAL NOT NULL,
        numbers TEXT NOT NULL,         -- JSON: every metric that is a plain value, by its path
        analysed_video_url TEXT,       -- signed: who has it may see the video, until it expires
        url_at REAL,                   -- when it was told
        document_state TEXT NOT NULL DEFAULT 'none',  -- of the file: see DocumentState
        document_bytes INTEGER NOT NULL DEFAULT 0,
        video_state TEXT NOT NULL DEFAULT 'none',  -- wanted, fetching, present, cleared or failed
        video_detail TEXT,             -- the reason in words
        video_bytes INTEGER NOT NULL DEFAULT 0,
        video_at REAL                  -- when it was wished for, then when it came
    ) STRICT
    """,
    "CREATE INDEX result_on_disk ON result (document_state, entry_id, document_bytes)",
    "CREATE INDEX result_by_video ON result (video_state, entry_id, video_bytes)",
    "CREATE INDEX entry_failing ON entry (reason, id) WHERE reason = 'fails_at_server'",
    """
    INSERT INTO follow_up (entry_id, session_id, state, due_at, began_at, changed_at)
    SELECT id, session_id, 'waiting', coalesce(sent_at, changed_at),
           coalesce(sent_at, changed_at), changed_at
      FROM entry WHERE session_id IS NOT NULL AND state = 'uploaded'
    """,
    # Triggers, so that no way to a session can forget it: an upload, a look-up, a rebuild.
    """
    CREATE TRIGGER entry_followed_from_start AFTER INSERT ON entry
    WHEN NEW.session_id IS NOT NULL AND NEW.state IN ('uploaded', 'completed') BEGIN
        INSERT INTO follow_up (entry_id, session_id, state, due_at, began_at, changed_at)
        VALUES (NEW.id, NEW.session_id, iif(NEW.state = 'uploaded', 'waiting', 'completed'),
                iif(NEW.state = 'uploaded', coalesce(NEW.sent_at, NEW.changed_at), NULL),
                coalesce(NEW.sent_at, NEW.changed_at), NEW.changed_at);
    END
    """,
    """
    CREATE TRIGGER entry_followed AFTER UPDATE OF session_id ON entry
    WHEN NEW.session_id IS NOT NULL AND OLD.session_id IS NULL BEGIN
        INSERT INTO follow_up (entry_id, session_id, state, due_at, began_at, changed_at)
        SELECT NEW.id, NEW.session_id, iif(NEW.state = 'uploaded', 'waiting', 'completed'),
               iif(NEW.state = 'uploaded', coalesce(NEW.sent_at, NEW.changed_at), NULL),
               coalesce(NEW.sent_at, NEW.changed_at), NEW.changed_at
         WHERE NOT EXISTS (SELECT 1 FROM follow_up WHERE entry_id = NEW.id);
    END
    """,
    """
    CREATE TRIGGER entry_need_not_be_followed AFTER UPDATE OF state ON entry
    WHEN OLD.state != NEW.state AND NEW.state IN ('completed', 'discarded') BEGIN
        UPDATE follow_up
           SET state = iif(NEW.state = 'completed', 'completed', 'gone'), due_at = NULL,
               detail = iif(NEW.state = 'completed', NULL, 'the clip was discarded'),
               fence = fence + 1, changed_at = NEW.changed_at
         WHERE entry_id = NEW.id
           AND state != iif(NEW.state = 'completed', 'completed', 'gone');
    END
    """,
    """
    CREATE TRIGGER follow_up_moved AFTER UPDATE OF state ON follow_up
    WHEN OLD.state != NEW.state AND NEW.state != 'completed' BEGIN
        INSERT INTO event (at, entry_id, what, word, detail)
        VALUES (NEW.changed_at, NEW.entry_id, 'follow_up', NEW.state, NEW.detail);
    END
    """,
)


@MIGRATIONS()
def results(db: Database) -> None:
    """Ask about every session until its analysis is there, and keep what came back."""
    for statement in _RESULTS:
        db.execute(statement)
