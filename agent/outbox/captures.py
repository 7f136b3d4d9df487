"""Captures: admitted once by their hash, analysed once, kept until delivered."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from agent.outbox.database import OutboxDatabase, Row, built
from agent.outbox.entries import Entries
from agent.outbox.models import (
    Capture,
    CaptureEvidence,
    ClipSource,
    Entry,
    FileFacts,
    Take,
    TakeOrigin,
)
from agent.outbox.states import CAPTURE_MOVES, CaptureState, EntryState, FileState, Reason
from agent.text import printable_file_name

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
        evidence: CaptureEvidence,
        now_s: float,
    ) -> Capture:
        """Record a capture whose file is durably in the work folder.

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
        return self._db.one(Capture.from_row, "SELECT * FROM capture WHERE id = ?", (capture_id,))

    def existing(self, capture_id: int) -> Capture:
        """Return a capture that has been ingested: its row is never deleted."""
        found = self.by_id(capture_id)
        assert found is not None
        return found

    def by_sha256(self, sha256: str) -> Capture | None:
        """Return the capture with this content."""
        return self._db.one(Capture.from_row, "SELECT * FROM capture WHERE sha256 = ?", (sha256,))

    def by_hash_prefix(self, prefix: str, *, most: int) -> list[Capture]:
        """Return the captures whose hash begins with some hexadecimal digits."""
        query = "SELECT * FROM capture WHERE sha256 BETWEEN ? AND ? ORDER BY sha256 LIMIT ?"
        return self._db.all(Capture.from_row, query, (prefix, prefix + "g", most))

    def by_file_name(self, file_name: str) -> list[Capture]:
        """Return the captures that the camera program gave this name, oldest first."""
        query = "SELECT * FROM capture WHERE file_name = ? ORDER BY id"
        return self._db.all(Capture.from_row, query, (printable_file_name(file_name),))

    def stored_names(self) -> set[str]:
        """Return the names of every file that should be in the work folder."""
        rows = self._db.rows("SELECT stored_name FROM capture WHERE file_state != 'cleared'")
        return {str(row["stored_name"]) for row in rows}

    def in_state(self, *states: CaptureState) -> list[Capture]:
        """Return the captures in any of `states`, oldest first."""
        return self._db.in_states(Capture.from_row, "capture", states)

    def latest(self, state: CaptureState, *, most: int) -> list[Capture]:
        """Return the captures in a state, the newest first."""
        query = "SELECT * FROM capture WHERE state = ? ORDER BY id DESC LIMIT ?"
        return self._db.all(Capture.from_row, query, (state, most))

    def any_waits(self) -> bool:
        """Tell whether any capture waits to be analysed."""
        return self._db.has("SELECT 1 FROM capture WHERE state = 'captured' LIMIT 1")

    def last_admitted_at(self) -> float | None:
        """Return when a capture was last ingested."""
        return self._db.value(
            float, "SELECT admitted_at AS at FROM capture WHERE id = (SELECT max(id) FROM capture)"
        )

    def last_usable_at(self) -> float | None:
        """Return when a capture was last ingested that is no broken file (Unix time)."""
        times = [self._db.value(float, _LAST_USABLE, {"state": state}) for state in CaptureState]
        return max((at for at in times if at is not None), default=None)

    def last_faults(self, *, most: int) -> list[str | None]:
        """Return what the camera did wrong in the last captures that were analysed.

        "unreadable", "dark" (black, or a picture that never changes) or None, the latest first.
        """
        rows = [
            row
            for state in _LOOKED_INTO
            for row in self._db.rows(_LAST_FAULTS, {"state": state, "most": most})
        ]
        latest = sorted(rows, key=lambda row: row["id"], reverse=True)[:most]
        return [None if row["fault"] is None else str(row["fault"]) for row in latest]

    def recorded_since(self, since_s: float, *, apart_s: float) -> list[tuple[float, float]]:
        """Return begin and end (Unix time) of what was recorded, as far as it can be read.

        Args:
            since_s: Unix time of admission.
            apart_s: recordings that begin in the same interval of so many seconds are one.
        """
        found: list[tuple[float, float]] = []
        scope = {"since": since_s, "apart": apart_s, "most": _AT_ONCE}
        before, is_over = 2**62, False
        while not is_over and (rows := self._db.rows(_RECORDED, {**scope, "before": before})):
            found += [
                (float(row["began_at"]), float(row["ended_at"]))
                for row in rows
                if row["began_at"] is not None
            ]
            before = min(row["first_id"] for row in rows)
            is_over = any(row["has_older"] for row in rows)
        return found

    def count_ended(self, reason: str, *, since_s: float) -> int:
        """Return how many captures were discarded for a reason since a Unix time."""
        query = """
        SELECT count(*) AS n FROM capture
         WHERE state = 'discarded' AND reason = ? AND changed_at >= ?
        """
        return self._db.number(query, (reason, since_s))

    def count_waiting(self, reason: str) -> int:
        """Return how many captures wait to be analysed for a reason."""
        query = "SELECT count(*) AS n FROM capture WHERE state = 'captured' AND reason = ?"
        return self._db.number(query, (reason,))

    def claim_next(self, now_s: float, *, but_not: Collection[int] = ()) -> Capture | None:
        """captured -> analysing, for the oldest one; None where nothing waits."""
        parameters = {"now": now_s, "but_not": json.dumps(sorted(but_not))}
        return self._db.one(Capture.from_row, CLAIM_NEXT, parameters)

    def waiting_ids(self, *, but_not: Collection[int] = (), most: int) -> list[int]:
        """Return which captures wait to be analysed, oldest first."""
        query = """
        SELECT id FROM capture WHERE state = 'captured'
           AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?
        """  # index: capture_by_state
        rows = self._db.rows(query, (json.dumps(sorted(but_not)), most))
        return [row["id"] for row in rows]

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
        return self._db.one(
            Capture.from_row,
            """
                UPDATE capture SET state = ?, reason = ?, detail = ?, fence = fence + 1,
                                   changed_at = ?
                 WHERE id = ? AND state = ? AND fence = ? RETURNING *
                """,
            (to, reason, detail, now_s, capture.id, capture.state, capture.fence),
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
        """Record that the same content is in the work folder again, as another file."""
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
WITH latest AS (
    SELECT id, admitted_at >= :since AS is_recent,
           state = 'quarantined' AND coalesce(reason, '') IN ({_BROKEN}) AS is_broken,
           coalesce(recorded_end_at, admitted_at) - coalesce(duration_s, 0.0) AS began_at,
           coalesce(recorded_end_at, admitted_at) AS ended_at
      FROM capture WHERE id < :before ORDER BY id DESC LIMIT :most
)
SELECT min(id) AS first_id, min(is_recent) = 0 AS has_older,
       min(began_at) FILTER (WHERE is_recent AND NOT is_broken) AS began_at,
       max(ended_at) FILTER (WHERE is_recent AND NOT is_broken) AS ended_at
  FROM latest GROUP BY CAST(began_at / :apart AS INTEGER)
"""  # noqa: S608  # our own words; index: the primary key


# captured -> analysing.  One process owns the outbox, so a claim never expires.
CLAIM_NEXT = """
UPDATE capture SET state = 'analysing', fence = fence + 1, changed_at = :now
 WHERE id = (SELECT id FROM capture WHERE state = 'captured'
               AND id NOT IN (SELECT value FROM json_each(:but_not)) ORDER BY id LIMIT 1)
RETURNING *
"""  # index: capture_by_state


# Delivered, on its way, waiting, or refused: a person's no is the only thing that frees a stretch.
_HAS_ENTRY = """
EXISTS (SELECT 1 FROM entry_capture JOIN entry ON entry.id = entry_capture.entry_id
         WHERE entry_capture.capture_id = take.capture_id
           AND entry_capture.take_number = take.number AND entry.state != 'discarded')
"""
_WAS_CUT = """
EXISTS (SELECT 1 FROM entry_capture
         WHERE entry_capture.capture_id = take.capture_id
           AND entry_capture.take_number = take.number)
"""


class Takes:
    """The table of takes."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def record(self, capture: Capture, takes: Sequence[Take], *, report: str) -> list[Take]:
        """Commit what the analysis found, all of it at once and before anything is cut.

        What is on record already stays.  The takes get the numbers that follow the highest one
        ever given in this capture, and are returned with them.
        """
        with self._db.transaction():
            if self.report(capture.id) is None:
                self._db.change("UPDATE capture SET report = ? WHERE id = ?", (report, capture.id))
                for take in takes:
                    self._insert(capture, take)
            return self.waiting(capture)

    def add_by_hand(self, capture: Capture, *, start_s: float, end_s: float) -> Take:
        """Record a take that a person saw."""
        take = Take(
            number=0,
            start_s=start_s,
            end_s=end_s,
            active_start_s=start_s,
            active_end_s=end_s,
            origin=TakeOrigin.BY_HAND,
        )
        with self._db.transaction():
            return self._insert(capture, take)

    def of(self, capture: Capture) -> list[Take]:
        """Return the takes on record for a capture, in order, without those given up."""
        return self._where(capture, "retired_at IS NULL")

    def waiting(self, capture: Capture) -> list[Take]:
        """Return the takes that have no clip yet."""
        return self._where(capture, f"retired_at IS NULL AND NOT {_WAS_CUT}")

    def kept(self, capture: Capture) -> list[Take]:
        """Return the takes whose clips are sent, waiting or refused, but not discarded."""
        return self._where(capture, _HAS_ENTRY)

    def reset(self, capture: Capture, *, now_s: float) -> None:
        """Give up what the analysis found and has no clip to keep, so that it analyses again."""
        with self._db.transaction():
            self._db.change("UPDATE capture SET report = NULL WHERE id = ?", (capture.id,))
            self._db.change(
                f"""
                UPDATE take SET retired_at = ?
                 WHERE capture_id = ? AND origin = 'found' AND retired_at IS NULL
                   AND NOT {_HAS_ENTRY}
                """,  # noqa: S608  # our own words
                (now_s, capture.id),
            )

    def retire(self, capture: Capture, take: Take, *, now_s: float) -> None:
        """Give up a take whose moment another clip shows."""
        self._db.change(
            "UPDATE take SET retired_at = ? WHERE capture_id = ? AND number = ?",
            (now_s, capture.id, take.number),
        )

    def report(self, capture_id: int) -> str | None:
        """Return the analysis report as it was stored, or None."""
        return self._db.value(str, "SELECT report FROM capture WHERE id = ?", (capture_id,))

    def _insert(self, capture: Capture, take: Take) -> Take:
        query = "SELECT max(number) AS last FROM take WHERE capture_id = ?"
        last = self._db.number(query, (capture.id,))
        numbered = replace(take, number=last + 1)
        values = {name: getattr(numbered, name) for name in Take.__slots__}
        self._db.insert("take", {"capture_id": capture.id, **values})
        return numbered

    def _where(self, capture: Capture, condition: str) -> list[Take]:
        query = f"SELECT * FROM take WHERE capture_id = ? AND {condition} ORDER BY number"  # noqa: S608  # our own words
        return self._db.all(_take, query, (capture.id,))


def _take(row: Row) -> Take:
    return built(
        Take,
        row,
        origin=TakeOrigin(row["origin"]),
        begins_before=bool(row["begins_before"]),
        goes_on=bool(row["goes_on"]),
    )


RECENT = 8  # captures; one station's recordings come one after the other

# Ended because another clip took its place, or because a setting says so of whatever is like it.
_NOT_SHOWN = frozenset(
    {
        Reason.JOINED,
        Reason.LOOKED_AGAIN,
        Reason.GREW_AFTER_ADMISSION,
        Reason.SENT_ANEW,
        Reason.UNASSIGNED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A clip, and what it was cut from, in order."""

    entry: Entry
    sources: tuple[ClipSource, ...]
    captures: tuple[Capture, ...]
    takes: tuple[Take, ...]

    @property
    def is_open(self) -> bool:
        """Whether it may still become a part of a longer clip: nobody tried or decided on it."""
        return (
            self.entry.state in {EntryState.READY, EntryState.HELD}
            and self.entry.fence == 0
            and self.entry.reason != Reason.SAME_MOMENT
            and self.entry.cut_method != "whole"
            and all(capture.file_state is FileState.PRESENT for capture in self.captures)
        )


class JoinCandidates:
    """Which clips hold what is close to a capture."""

    def __init__(self, database: OutboxDatabase, takes: Takes, entries: Entries) -> None:
        self._db = database
        self._takes = takes
        self._entries = entries

    def near(self, capture: Capture) -> list[Neighbour]:
        """Return the clips of captures ingested shortly before or after, the closest first."""
        rows = self._db.rows(NEAR, {"capture": capture.id, "most": RECENT})
        entry_ids = dict.fromkeys(int(row["entry_id"]) for row in rows)
        found = (self._neighbour(entry_id) for entry_id in entry_ids)
        return [neighbour for neighbour in found if neighbour is not None]

    def waiting(self) -> list[tuple[Entry, list[Capture]]]:
        """Return the clips that wait for the next recording, with what they were cut from."""
        entries = self._db.all(Entry.from_row, WAITING, {"reason": Reason.NEXT_RECORDING})
        return [(entry, self._entries.captures_of(entry.id)) for entry in entries]

    def behind(self, capture: Capture) -> list[Capture]:
        """Return the captures that were ingested behind one, the oldest first."""
        return self._db.all(
            Capture.from_row,
            "SELECT * FROM capture WHERE id > ? AND id <= ? ORDER BY id",
            (capture.id, capture.id + 8 * RECENT),
        )

    def let_go(self, entry: Entry, *, due_at: float) -> None:
        """Let a clip that waited for the next recording be sent as it is."""
        self._db.change(
            """
            UPDATE entry SET due_at = ?, reason = NULL
             WHERE id = ? AND state = 'ready' AND reason = ? AND fence = ?
            """,
            (due_at, entry.id, Reason.NEXT_RECORDING, entry.fence),
        )

    def _neighbour(self, entry_id: int) -> Neighbour | None:
        entry = self._entries.existing(entry_id)
        if entry.state is EntryState.DISCARDED and entry.reason in _NOT_SHOWN:
            return None
        cut_from = self._entries.sources(entry_id)
        takes = [
            take
            for source, capture in cut_from
            for take in self._takes.of(capture)
            if take.number == source.take_number
        ]
        if not takes or len(takes) != len(cut_from):
            return None
        return Neighbour(
            entry=entry,
            sources=tuple(source for source, _ in cut_from),
            captures=tuple(capture for _, capture in cut_from),
            takes=tuple(takes),
        )


NEAR = """
SELECT entry_id FROM entry_capture
 WHERE capture_id BETWEEN :capture - :most AND :capture + :most AND capture_id != :capture
 ORDER BY abs(capture_id - :capture), entry_id
"""  # index: entry_capture_by_capture

WAITING = """
SELECT * FROM entry WHERE state = 'ready' AND reason = :reason ORDER BY id
"""  # index: entry_by_state_and_due
