"""What people and scripts see of the outbox: the documented rows, and the counts."""

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from agent.clock import iso_utc
from agent.outbox.counting import count_by_state
from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.states import CaptureState, EntryState

if TYPE_CHECKING:
    from agent.outbox.entry import Entry

# The names are fixed for scripts; what does not apply is null.
_ENTRIES = """
SELECT 'e' || entry.id AS id, 'entry' AS kind, entry.state, entry.reason, entry.detail,
       capture.file_name AS capture, entry.clip_code, entry.clip_sha256, entry.user_id,
       entry.activity, entry.exercise, entry.barbell_mass_kg AS barbell_mass, entry.attempts,
       CASE WHEN entry.state IN ('ready', 'uncertain') THEN entry.due_at END AS next_attempt_at,
       entry.session_id, entry.title, entry.created_at, entry.filmed_at, entry.sent_at,
       entry.clip_seconds, entry.clip_bytes, capture.duration_s AS capture_seconds,
       capture.bytes AS capture_bytes, entry.remarks
  FROM entry
  JOIN entry_capture ON entry_capture.entry_id = entry.id AND entry_capture.position = 1
  JOIN capture ON capture.id = entry_capture.capture_id
 WHERE entry.state IN (SELECT value FROM json_each(?))
 ORDER BY entry.id
"""  # index: entry_by_state_and_due
_CAPTURES = """
SELECT 'c' || id AS id, 'capture' AS kind, state, reason, detail, file_name AS capture,
       NULL AS clip_code, NULL AS clip_sha256, NULL AS user_id, NULL AS activity,
       NULL AS exercise, NULL AS barbell_mass, NULL AS attempts, NULL AS next_attempt_at,
       NULL AS session_id, NULL AS title, admitted_at AS created_at,
       coalesce(recorded_start_at, recorded_end_at - duration_s) AS filmed_at,
       NULL AS sent_at, NULL AS clip_seconds,
       NULL AS clip_bytes, duration_s AS capture_seconds, bytes AS capture_bytes,
       '[]' AS remarks
  FROM capture
 WHERE state IN (SELECT value FROM json_each(?))
 ORDER BY capture.id
"""  # index: capture_by_state
_TIMES = ("next_attempt_at", "created_at", "filmed_at", "sent_at")


class Listing:
    """Read-only views over captures and entries."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def rows(self, *, state: str | None = None, all_captures: bool = False) -> list[Row]:
        """Return entries and captures without clips, as scripts see them.

        Args:
            state: only what is in this state.
            all_captures: captures whose clips have entries of their own, too.
        """
        captures = [str(s) for s in CaptureState if all_captures or s is not CaptureState.ANALYSED]
        entries = [str(s) for s in EntryState]
        if state is not None:
            captures, entries = ([s for s in known if s == state] for known in (captures, entries))
        found = [
            *self._db.rows(_CAPTURES, (json.dumps(captures),)),
            *self._db.rows(_ENTRIES, (json.dumps(entries),)),
        ]
        return [_shown(row) for row in found]

    def of_session(self, session_id: str) -> "list[Entry]":
        """Return the clips that became this session; one, unless the API gave an id twice."""
        rows = self._db.rows("SELECT * FROM entry WHERE session_id = ?", (session_id,))
        return _as_entries(rows)

    def of_athlete(self, user_id: str, *, most: int) -> "list[Entry]":
        """Return an athlete's latest clips, the newest first."""
        rows = self._db.rows(
            "SELECT * FROM entry WHERE user_id = ? ORDER BY id DESC LIMIT ?", (user_id, most)
        )
        return _as_entries(rows)

    def of_guest(self, guest_id: int, *, most: int) -> "list[Entry]":
        """Return a guest's latest clips, the newest first."""
        rows = self._db.rows(
            "SELECT * FROM entry WHERE guest_id = ? ORDER BY id DESC LIMIT ?", (guest_id, most)
        )
        return _as_entries(rows)

    def counts(
        self,
        *,
        captures: Collection[CaptureState] | None = None,
        entries: Collection[EntryState] | None = None,
    ) -> dict[str, dict[str, int]]:
        """Return how many captures and entries are in each state, or in each of some."""
        return {
            "captures": count_by_state(self._db, "capture", CaptureState, captures),
            "entries": count_by_state(self._db, "entry", EntryState, entries),
        }

    def set_aside(self) -> list[Row]:
        """Return the captures that could not be read, each with its reason, the newest first."""
        return self._db.rows(
            "SELECT 'c' || id AS id, file_name AS capture, reason FROM capture"
            " WHERE state = 'quarantined' ORDER BY capture.id DESC"
        )

    def failing_at_server(self) -> list[Row]:
        """Return the clips on which the API fails again and again while others pass."""
        return self._db.rows(
            "SELECT 'e' || id AS id, clip_code, due_at FROM entry"
            " WHERE state IN ('ready', 'uncertain') AND reason = 'fails_at_server'"
            " ORDER BY entry.id"
        )

    def oldest_waiting_at(self) -> float | None:
        """Return when the oldest clip that still waits for delivery was made."""
        return self._time(
            """
            SELECT min(created_at) AS at FROM entry
             WHERE state IN ('ready', 'uploading', 'uncertain')
            """
        )

    def last_sent_at(self) -> float | None:
        """Return when a clip was last acknowledged."""
        return self._time("SELECT max(sent_at) AS at FROM entry WHERE sent_at IS NOT NULL")

    def captures_ahead_of(self, capture_id: int) -> int:
        """Return how many captures are looked into before this one."""
        return self._count(
            "SELECT count(*) AS n FROM capture WHERE state = 'captured' AND id < ?", capture_id
        )

    def clips_ahead_of(self, due_at: float) -> int:
        """Return how many clips are due before a moment."""
        return self._count(
            "SELECT count(*) AS n FROM entry WHERE state = 'ready' AND due_at < ?", due_at
        )

    def _count(self, query: str, value: float) -> int:
        row = self._db.row(query, (value,))
        assert row is not None  # an aggregate gives one row
        return int(str(row["n"]))

    def _time(self, query: str) -> float | None:
        row = self._db.row(query)
        return None if row is None or row["at"] is None else float(str(row["at"]))


def _as_entries(rows: list[Row]) -> "list[Entry]":
    from agent.outbox.entry import Entry  # who asks for counts alone does without

    return [Entry.from_row(row) for row in rows]


def _shown(row: Row) -> Mapping[str, object]:
    times = {name: iso_utc(_number(row[name])) for name in _TIMES}
    return {**row, **times}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
