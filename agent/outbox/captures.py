"""Captures in the outbox: taken in once by their hash, analysed once, kept until delivered."""

import json
from collections.abc import Collection, Sequence

from agent.outbox.capture import Capture, Evidence, FileFacts, integer
from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.file_name import printable
from agent.outbox.states import CAPTURE_MOVES, CaptureState, FileState

_BROKEN = "'unreadable', 'incomplete', 'no_video', 'refused'"  # files, by their reasons
_BLIND = "'too_dark', 'picture_frozen'"  # remarks on captures in which nobody was seen
_LOOKED_INTO = (CaptureState.ANALYSED, CaptureState.SKIPPED, CaptureState.QUARANTINED)
_AT_ONCE = 5000  # rows


class Captures:
    """The table of captures."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def admit(
        self,
        *,
        sha256: str,
        file_name: str,
        stored_name: str,
        facts: FileFacts,
        evidence: Evidence,
        now_s: float,
    ) -> Capture:
        """Record a capture whose file lies durably in the work folder.

        Content that is known already gives the row it has; nothing new is made.
        """
        self._db.change(
            """
            INSERT INTO capture (sha256, file_name, stored_name, bytes, mtime_ns, inode,
                                 state, evidence, admitted_at, changed_at)
            VALUES (?, ?, ?, ?, ?, ?, 'captured', ?, ?, ?)
            ON CONFLICT (sha256) DO NOTHING
            """,
            (
                sha256,
                file_name,
                stored_name,
                facts.size_bytes,
                facts.mtime_ns,
                facts.inode,
                evidence.to_json(),
                now_s,
                now_s,
            ),
        )
        capture = self.by_sha256(sha256)
        assert capture is not None  # inserted, or there before
        return capture

    def by_id(self, capture_id: int) -> Capture | None:
        """Return one capture."""
        return _one(self._db.row("SELECT * FROM capture WHERE id = ?", (capture_id,)))

    def by_sha256(self, sha256: str) -> Capture | None:
        """Return the capture with this content."""
        return _one(self._db.row("SELECT * FROM capture WHERE sha256 = ?", (sha256,)))

    def by_hash_prefix(self, prefix: str, *, most: int) -> list[Capture]:
        """Return the captures whose hash begins with some hexadecimal digits."""
        query = "SELECT * FROM capture WHERE sha256 BETWEEN ? AND ? ORDER BY sha256 LIMIT ?"
        rows = self._db.rows(query, (prefix, prefix + "g", most))
        return [Capture.from_row(row) for row in rows]

    def by_file_name(self, file_name: str) -> list[Capture]:
        """Return the captures that the camera program gave this name, oldest first."""
        query = "SELECT * FROM capture WHERE file_name = ? ORDER BY id"
        rows = self._db.rows(query, (printable(file_name),))
        return [Capture.from_row(row) for row in rows]

    def stored_names(self) -> set[str]:
        """Return the names of every file that should lie in the work folder."""
        rows = self._db.rows("SELECT stored_name FROM capture WHERE file_state != 'cleared'")
        return {str(row["stored_name"]) for row in rows}

    def in_state(self, *states: CaptureState) -> list[Capture]:
        """Return the captures in any of `states`, oldest first."""
        marks = ", ".join("?" * len(states))
        query = f"SELECT * FROM capture WHERE state IN ({marks}) ORDER BY id"  # noqa: S608  # marks only
        return [Capture.from_row(row) for row in self._db.rows(query, [str(s) for s in states])]

    def latest(self, state: CaptureState, *, most: int) -> list[Capture]:
        """Return the captures in a state, the newest first."""
        query = "SELECT * FROM capture WHERE state = ? ORDER BY id DESC LIMIT ?"
        return [Capture.from_row(row) for row in self._db.rows(query, (state, most))]

    def any_waits(self) -> bool:
        """Tell whether any capture waits to be analysed."""
        row = self._db.row("SELECT 1 AS one FROM capture WHERE state = 'captured' LIMIT 1")
        return row is not None

    def last_admitted_at(self) -> float | None:
        """Return when a capture was last taken in."""
        row = self._db.row(
            "SELECT admitted_at AS at FROM capture WHERE id = (SELECT max(id) FROM capture)"
        )
        return None if row is None else float(str(row["at"]))

    def last_usable_at(self) -> float | None:
        """Return when a capture was last taken in that is no broken file (Unix time)."""
        rows = [
            row for state in CaptureState for row in self._db.rows(_LAST_USABLE, {"state": state})
        ]
        return max((float(str(row["at"])) for row in rows), default=None)

    def last_faults(self, *, most: int) -> list[str | None]:
        """Return what the camera did wrong in the last captures that were looked into.

        "unreadable", "dark" (black, or a picture that never changes) or None, the latest first.
        """
        rows = [
            row
            for state in _LOOKED_INTO
            for row in self._db.rows(_LAST_FAULTS, {"state": state, "most": most})
        ]
        latest = sorted(rows, key=lambda row: integer(row, "id"), reverse=True)[:most]
        return [None if row["fault"] is None else str(row["fault"]) for row in latest]

    def recorded_since(self, since_s: float) -> list[tuple[float, float]]:
        """Return begin and end (Unix time) of what was recorded, as far as it can be read."""
        found: list[tuple[float, float]] = []
        before = 2**62
        while rows := self._db.rows(_RECORDED, {"before": before, "most": _AT_ONCE}):
            for row in rows:
                if float(str(row["admitted_at"])) < since_s:
                    return found
                if not row["is_broken"]:
                    end = float(str(row["ended_at"]))
                    found.append((end - float(str(row["length"] or 0.0)), end))
            before = integer(rows[-1], "id")
        return found

    def count_ended(self, reason: str, *, since_s: float) -> int:
        """Return how many captures were discarded for a reason since a Unix time."""
        row = self._db.row(
            """
            SELECT count(*) AS n FROM capture
             WHERE state = 'discarded' AND reason = ? AND changed_at >= ?
            """,
            (reason, since_s),
        )
        assert row is not None  # an aggregate gives one row
        return integer(row, "n")

    def count_waiting(self, reason: str) -> int:
        """Return how many captures wait to be analysed for a reason."""
        row = self._db.row(
            "SELECT count(*) AS n FROM capture WHERE state = 'captured' AND reason = ?", (reason,)
        )
        assert row is not None  # an aggregate gives one row
        return integer(row, "n")

    def claim_next(self, now_s: float, *, but_not: Collection[int] = ()) -> Capture | None:
        """captured -> analysing, for the oldest one; None where nothing waits."""
        parameters = {"now": now_s, "but_not": json.dumps(sorted(but_not))}
        return _one(self._db.row(CLAIM_NEXT, parameters))

    def resume_interrupted(self, *, now_s: float) -> int:
        """analysing -> captured, for what nobody has in hand; return how many there were."""
        interrupted = self.in_state(CaptureState.ANALYSING)
        for capture in interrupted:
            self.move(capture, CaptureState.CAPTURED, now_s=now_s)
        return len(interrupted)

    def move(
        self,
        capture: Capture,
        to: CaptureState,
        *,
        now_s: float,
        reason: str | None = None,
        detail: str | None = None,
    ) -> Capture | None:
        """Make one transition; None where somebody else moved the capture first."""
        if to not in CAPTURE_MOVES[capture.state]:
            raise ValueError(f"no way from {capture.state} to {to}")
        return _one(
            self._db.row(
                """
                UPDATE capture SET state = ?, reason = ?, detail = ?, fence = fence + 1,
                                   changed_at = ?
                 WHERE id = ? AND state = ? AND fence = ? RETURNING *
                """,
                (to, reason, detail, now_s, capture.id, capture.state, capture.fence),
            )
        )

    def record_recording_time(
        self,
        capture: Capture,
        *,
        by: str,
        end_at: float | None,
        duration_s: float,
        start_at: float | None = None,
        detail: str | None = None,
    ) -> None:
        """Store when the capture was filmed, which evidence said so, and what contradicts it."""
        self._db.change(
            """
            UPDATE capture SET recorded_by = ?, recorded_start_at = ?, recorded_end_at = ?,
                               recorded_detail = ?, duration_s = ? WHERE id = ?
            """,
            (by, start_at, end_at, detail, duration_s, capture.id),
        )

    def record_hidden(self, capture: Capture, stretches: Sequence[tuple[float, float]]) -> None:
        """Store which stretches of a capture, in its seconds, nobody may see."""
        hidden = json.dumps(stretches) if stretches else None
        self._db.change(
            "UPDATE capture SET hidden = ? WHERE id = ? AND hidden IS NOT ?",
            (hidden, capture.id, hidden),
        )

    def set_file_state(self, capture_id: int, to: FileState, *, now_s: float) -> None:
        """Record that a capture's file is going, gone, or back."""
        self._db.change(
            "UPDATE capture SET file_state = ?, changed_at = ? WHERE id = ?",
            (to, now_s, capture_id),
        )

    def restore_file(self, capture: Capture, facts: FileFacts, *, now_s: float) -> None:
        """Record that the same content lies in the work folder again, as another file."""
        self._db.change(
            """
            UPDATE capture SET file_state = 'present', bytes = ?, mtime_ns = ?, inode = ?,
                               changed_at = ? WHERE id = ?
            """,
            (facts.size_bytes, facts.mtime_ns, facts.inode, now_s, capture.id),
        )


_LAST_USABLE = f"""
SELECT admitted_at AS at FROM capture
 WHERE state = :state AND NOT (state = 'quarantined' AND coalesce(reason, '') IN ({_BROKEN}))
 ORDER BY id DESC LIMIT 1
"""  # noqa: S608  # our own words; index: capture_by_state

_LAST_FAULTS = f"""
SELECT id, CASE WHEN state = 'quarantined' AND reason IN ({_BROKEN}) THEN 'unreadable'
                WHEN state = 'skipped' AND json_valid(report) AND EXISTS (
                     SELECT 1 FROM json_each(report, '$.quality')
                      WHERE json_extract(value, '$.code') IN ({_BLIND})) THEN 'dark'
           END AS fault
  FROM capture WHERE state = :state ORDER BY id DESC LIMIT :most
"""  # noqa: S608  # our own words; index: capture_by_state

_RECORDED = f"""
SELECT id, admitted_at, coalesce(recorded_end_at, admitted_at) AS ended_at, duration_s AS length,
       state = 'quarantined' AND coalesce(reason, '') IN ({_BROKEN}) AS is_broken
  FROM capture WHERE id < :before ORDER BY id DESC LIMIT :most
"""  # noqa: S608  # our own words; index: the primary key


# captured -> analysing.  One process owns the outbox, so a claim never expires.
CLAIM_NEXT = """
UPDATE capture SET state = 'analysing', fence = fence + 1, changed_at = :now
 WHERE id = (SELECT id FROM capture WHERE state = 'captured'
               AND id NOT IN (SELECT value FROM json_each(:but_not)) ORDER BY id LIMIT 1)
RETURNING *
"""  # index: capture_by_state


def _one(row: Row | None) -> Capture | None:
    return None if row is None else Capture.from_row(row)
