"""The journal: what a transaction changed goes into ledger and sidecars before it is committed.

Triggers of the connection itself note which rows change in a way that a rebuild must know of, so
that no code can forget to.  What costs nothing to lose is left out: claims, delays, counters.
An upload counts from the mark on, before which no session can have been made of it.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress

from agent.outbox.journal.images import Key, every_key, order_of, read_image
from agent.outbox.journal.ledger import Ledger
from agent.outbox.journal.sidecars import Sidecars

_ALWAYS = "1"
_CAPTURE_TOLD = """
(NEW.state IS NOT OLD.state AND NEW.state != 'analysing'
     AND NOT (OLD.state = 'analysing' AND NEW.state = 'captured'))
OR (NEW.file_state IS NOT OLD.file_state AND NEW.file_state != 'clearing')
OR NEW.inode IS NOT OLD.inode
OR (NEW.report IS NOT OLD.report AND NEW.report IS NULL)
OR NEW.hidden IS NOT OLD.hidden
"""
_ENTRY_TOLD = """
(NEW.state IS NOT OLD.state AND NEW.state != 'uploading'
     AND (OLD.state != 'uploading' OR NEW.state != 'ready'
          OR EXISTS (SELECT 1 FROM main.attempt
                      WHERE entry_id = NEW.id AND body_complete_at IS NOT NULL)))
OR NEW.session_id IS NOT OLD.session_id OR NEW.title IS NOT OLD.title
OR NEW.recipient IS NOT OLD.recipient OR NEW.user_id IS NOT OLD.user_id
OR NEW.guest_id IS NOT OLD.guest_id OR NEW.look_first IS NOT OLD.look_first
OR NEW.activity IS NOT OLD.activity OR NEW.exercise IS NOT OLD.exercise
OR NEW.barbell_mass_kg IS NOT OLD.barbell_mass_kg OR NEW.incline_deg IS NOT OLD.incline_deg
OR NEW.clip_sha256 IS NOT OLD.clip_sha256 OR NEW.remarks IS NOT OLD.remarks
OR (NEW.file_state IS NOT OLD.file_state AND NEW.file_state != 'clearing')
"""
_TOLD = (
    ("INSERT", "boot", "boot", "NEW.seq", _ALWAYS),
    ("INSERT", "athlete", "athlete", "NEW.id", "NEW.user_id IS NULL"),
    ("UPDATE", "athlete", "athlete", "NEW.id", "NEW.user_id IS NULL"),
    ("INSERT", "capture", "capture", "NEW.id", _ALWAYS),
    ("UPDATE", "capture", "capture", "NEW.id", _CAPTURE_TOLD),
    ("INSERT", "take", "capture", "NEW.capture_id", _ALWAYS),
    ("UPDATE", "take", "capture", "NEW.capture_id", _ALWAYS),
    ("INSERT", "entry", "entry", "NEW.id", _ALWAYS),
    ("UPDATE", "entry", "entry", "NEW.id", _ENTRY_TOLD),
    ("UPDATE", "attempt", "entry", "NEW.entry_id",
     "NEW.kind = 'upload' AND NEW.body_complete_at IS NOT NULL"),
    ("INSERT", "assignment", "assignment", "NEW.id", _ALWAYS),
    ("UPDATE", "assignment", "assignment", "NEW.id", "NEW.taken_back_at IS NOT OLD.taken_back_at"),
    ("INSERT", "renewal", "renewal", "NEW.id", _ALWAYS),
    ("INSERT", "undoable", "undoable", "NEW.id", "NEW.kind IN ('resend', 'forget')"),
    ("INSERT", "resend", "resend", "NEW.id", _ALWAYS),
    ("UPDATE", "resend", "resend", "NEW.id", "NEW.state IS NOT OLD.state"),
    ("INSERT", "forgetting", "forgetting", "NEW.id", _ALWAYS),
    ("UPDATE", "forgetting", "forgetting", "NEW.id", _ALWAYS),
    ("INSERT", "session_deletion", "session_deletion", "NEW.id", _ALWAYS),
    ("UPDATE", "session_deletion", "session_deletion", "NEW.id", "NEW.state IS NOT OLD.state"),
    ("INSERT", "lane", "lane", "NEW.host", "NEW.titles_altered"),
    ("UPDATE", "lane", "lane", "NEW.host", "NEW.titles_altered != OLD.titles_altered"),
)  # fmt: skip

_REACHED = "SELECT seq FROM ledger_mark WHERE id = 1"
_ADVANCE = "UPDATE ledger_mark SET seq = ? WHERE id = 1"


class Changes:
    """What one connection has changed since its last commit."""

    def __init__(self) -> None:
        self._keys: dict[Key, None] = {}

    def note(self, kind: str, key: object) -> None:
        """Remember a row; called by the triggers."""
        self._keys[(kind, key)] = None

    def take(self) -> list[Key]:
        """Return what was noted, in the order in which it can be applied, and forget it."""
        keys, self._keys = sorted(self._keys, key=order_of), {}
        return keys


class Journal:
    """Ledger and sidecars of one outbox."""

    def __init__(self, ledger: Ledger, sidecars: Sidecars) -> None:
        self.ledger = ledger
        self.sidecars = sidecars

    @staticmethod
    def watch(connection: sqlite3.Connection) -> Changes:
        """Note what a connection changes from now on; cut off by an error, it can be done again."""
        changes = Changes()
        connection.create_function("note_change", 2, changes.note)
        connection.execute("PRAGMA temp_store = MEMORY")
        for number, (verb, table, kind, key, condition) in enumerate(_TOLD):
            connection.execute(
                f"CREATE TEMP TRIGGER IF NOT EXISTS told_{number} AFTER {verb} ON main.{table}"
                f" WHEN {condition} BEGIN SELECT note_change('{kind}', {key}); END"
            )
        return changes

    def write(self, connection: sqlite3.Connection, keys: Iterable[Key]) -> int:
        """Make durable what this transaction is about to commit, and return its number.

        Raises:
            OSError: the disk refuses; the transaction must be rolled back.
        """
        rows = [(key[0], read_image(connection, key)) for key in keys]
        (reached,) = connection.execute(_REACHED).fetchone()
        seq = self.ledger.append({"rows": rows}, after=reached)
        try:
            for kind, image in rows:
                self.sidecars.write(kind, image, seq=seq)
            # What does not follow leaves the mark behind: the next start applies what is missing.
            if seq == reached + 1 or self.ledger.tells_nothing(after=reached, before=seq):
                connection.execute(_ADVANCE, (seq,))
        except BaseException:
            self.void(seq)
            raise
        return seq

    def void(self, seq: int) -> None:
        """Say that a commit failed after all, if the disk lets us; else it is made good later."""
        with suppress(OSError):
            self.ledger.append({"void": seq}, after=seq)

    def begin_anew(
        self, connection: sqlite3.Connection, *, seq: int, written_by: list[str]
    ) -> None:
        """Write a ledger of everything that this transaction sees, in the old one's place."""
        keys = every_key(connection)
        (lost_at,) = connection.execute("SELECT lost_at FROM ledger_mark WHERE id = 1").fetchone()
        self.ledger.write_anew(
            ((key[0], read_image(connection, key)) for key in keys),
            seq=seq,
            count=len(keys),
            written_by=written_by,
            lost_at=lost_at,
        )
        connection.execute("UPDATE ledger_mark SET seq = ?", (seq,))
