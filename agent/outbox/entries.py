"""Entries: every change of state is one UPDATE guarded by state and fence.

With them stand attempts, events, and what deliveries say: proofs, unknown outcomes, transfer rates.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from agent.outbox.database import OutboxDatabase, Row, built
from agent.outbox.models import Capture, ClipSource, ClipTarget, Entry, LookFirst, NewEntry
from agent.outbox.states import ENTRY_MOVES, EntryState, Reason


class AttemptKind(StrEnum):
    """What was tried."""

    UPLOAD = "upload"
    LOOK_UP = "look_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """How an attempt ended."""

    outcome: str  # begins with the state it leads to
    seconds: float
    size_bytes: int = 0  # of the clip, handed to the network
    sending_s: float | None = None  # from the body's first part to its arrival or its end
    throttled_s: float | None = None  # of these, waited because of our own cap
    status: int | None = None  # HTTP status, None where no answer came
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt, as its row stood when it was read."""

    id: int
    entry_id: int
    kind: AttemptKind
    began_at: float  # Unix time
    body_complete_at: float | None  # marked before the last part of the body went out
    account: str | None  # the uid of the key, from the mark on
    seconds: float | None
    bytes: int | None
    status: int | None
    outcome: str | None  # None: under way, or cut off by a crash
    detail: str | None

    @classmethod
    def from_row(cls, row: Row) -> "Attempt":
        """Build an attempt from a row of its table."""
        return built(cls, row, kind=AttemptKind(row["kind"]))


class Attempts:
    """The table of attempts."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def begin(self, entry_id: int, kind: AttemptKind, *, now_s: float) -> int:
        """Record that an attempt begins and return its id."""
        return self._db.insert("attempt", {"entry_id": entry_id, "kind": kind, "began_at": now_s})

    def mark_body_complete(
        self, attempt_id: int, *, now_s: float, account: str | None = None
    ) -> None:
        """Record, durably and beforehand, that the body may from now on have gone out whole."""
        self._db.change(
            "UPDATE attempt SET body_complete_at = ?, account = ? WHERE id = ?",
            (now_s, account, attempt_id),
        )

    def end(self, attempt_id: int, end: AttemptEnd) -> None:
        """Record how an attempt ended; an ended one stays as it is."""
        self._db.change(
            """
            UPDATE attempt SET outcome = :outcome, seconds = :seconds, bytes = :size_bytes,
                   sending_s = :sending_s, throttled_s = :throttled_s, status = :status,
                   detail = :detail
             WHERE id = :id AND outcome IS NULL
            """,
            {**asdict(end), "id": attempt_id},
        )

    def of_entry(self, entry_id: int) -> list[Attempt]:
        """Return the attempts of one entry, oldest first."""
        return self._db.all(
            Attempt.from_row, "SELECT * FROM attempt WHERE entry_id = ? ORDER BY id", (entry_id,)
        )

    def last_upload(self, entry_id: int) -> Attempt | None:
        """Return the latest upload begun for an entry."""
        return self._db.one(
            Attempt.from_row,
            """
            SELECT * FROM attempt WHERE entry_id = ? AND kind = 'upload'
             ORDER BY id DESC LIMIT 1
            """,
            (entry_id,),
        )


_WAITING = (EntryState.READY, EntryState.UNCERTAIN)


class Entries:
    """The table of entries and its link to the captures."""

    def __init__(self, database: OutboxDatabase, attempts: Attempts) -> None:
        self._db = database
        self._attempts = attempts

    def create(self, new: NewEntry, *, now_s: float) -> Entry:
        """Make the entry of a clip, or return the one that its clip code has already."""
        with self._db.transaction():
            existing = self.by_code(new.clip_code)
            if existing is not None:
                return existing
            look_first = self._look_first(new)
            columns = {**_columns(new, now_s=now_s), "look_first": look_first}
            entry_id = self._db.insert("entry", columns)
            for position, source in enumerate(new.sources, start=1):
                place = {"entry_id": entry_id, "position": position}
                self._db.insert("entry_capture", {**place, **asdict(source)})
            return self.existing(entry_id)

    def _look_first(self, new: NewEntry) -> LookFirst:
        """Doubt a clip that was filmed before the history was lost: it may have been sent then."""
        row = self._db.row(LOST_AT)
        if row is None:
            return LookFirst.NO
        is_older = new.filmed_at is None or new.filmed_at < float(row["lost_at"])
        return LookFirst.PROVE if is_older else LookFirst.NO

    def by_id(self, entry_id: int) -> Entry | None:
        """Return one entry."""
        return self._db.one(Entry.from_row, "SELECT * FROM entry WHERE id = ?", (entry_id,))

    def existing(self, entry_id: int) -> Entry:
        """Return an entry that has been made: its row is never deleted."""
        found = self.by_id(entry_id)
        assert found is not None
        return found

    def by_code(self, clip_code: str) -> Entry | None:
        """Return the entry with this clip code."""
        return self._db.one(Entry.from_row, "SELECT * FROM entry WHERE clip_code = ?", (clip_code,))

    def by_code_prefix(self, prefix: str, *, most: int) -> list[Entry]:
        """Return the entries whose clip code begins with some characters."""
        query = "SELECT * FROM entry WHERE clip_code BETWEEN ? AND ? ORDER BY clip_code LIMIT ?"
        return self._db.all(Entry.from_row, query, (prefix, prefix + "~", most))

    def in_states(self, states: Collection[EntryState]) -> list[Entry]:
        """Return the entries in any of `states`, oldest first."""
        return self._db.in_states(Entry.from_row, "entry", states)

    def of_capture(self, capture_id: int) -> list[Entry]:
        """Return the entries of the clips cut from one capture."""
        return self._db.all(
            Entry.from_row,
            """
            SELECT entry.* FROM entry_capture JOIN entry ON entry.id = entry_capture.entry_id
             WHERE entry_capture.capture_id = ? ORDER BY entry.id
            """,
            (capture_id,),
        )

    def of_takes(self, capture_id: int, numbers: Collection[int]) -> list[Entry]:
        """Return the entries of some takes of a capture."""
        return self._db.all(
            Entry.from_row,
            """
            SELECT entry.* FROM entry_capture JOIN entry ON entry.id = entry_capture.entry_id
             WHERE entry_capture.capture_id = ? AND entry_capture.take_number IN
                   (SELECT value FROM json_each(?)) ORDER BY entry.id
            """,
            (capture_id, json.dumps(sorted(numbers))),
        )

    def sources(self, entry_id: int) -> list[tuple[ClipSource, Capture]]:
        """Return what a clip was cut from, in order."""
        rows = self._db.rows(SOURCES, (entry_id,))
        return [(built(ClipSource, row), Capture.from_row(row)) for row in rows]

    def captures_of(self, entry_id: int) -> list[Capture]:
        """Return the captures that a clip was cut from, in order."""
        return [capture for _, capture in self.sources(entry_id)]

    def capture_ids(self, entry_ids: Collection[int]) -> list[int]:
        """Return the ids of the captures that any of some clips was cut from, in order."""
        query = """
            SELECT DISTINCT capture_id FROM entry_capture
             WHERE entry_id IN (SELECT value FROM json_each(?)) ORDER BY capture_id
            """
        rows = self._db.rows(query, (json.dumps(list(entry_ids)),))
        return [int(row["capture_id"]) for row in rows]

    def stored_names(self) -> set[str]:
        """Return the names of every clip file a row stands for, cleared ones included."""
        return {str(row["stored_name"]) for row in self._db.rows("SELECT stored_name FROM entry")}

    def claim(self, entry: Entry, *, now_s: float) -> tuple[Entry, int] | None:
        """ready -> uploading, with the id of its new attempt; None if it moved meanwhile."""
        with self._db.transaction():
            claimed = self.move(
                entry, EntryState.UPLOADING, now_s=now_s, changes={"attempts": entry.attempts + 1}
            )
            if claimed is None:
                return None
            attempt_id = self._attempts.begin(entry.id, AttemptKind.UPLOAD, now_s=now_s)
        return claimed, attempt_id

    def next_ready(self, now_s: float) -> Entry | None:
        """Return the entry that is longest due; one process owns the outbox, so nobody races."""
        return self._db.one(Entry.from_row, NEXT_READY, {"now": now_s})

    def next_uncertain(self, now_s: float) -> Entry | None:
        """Return the entry whose unknown outcome is longest due to be looked up."""
        return self._db.one(Entry.from_row, NEXT_UNCERTAIN, {"now": now_s})

    def next_due_at(self, *states: EntryState) -> float | None:
        """Return when the next entry in any of `states` (ready, uncertain) is due, or None."""
        times = [self._db.value(float, NEXT_DUE, {"state": one}) for one in states or _WAITING]
        return min((at for at in times if at is not None), default=None)

    def move(
        self,
        entry: Entry,
        to: EntryState,
        *,
        now_s: float,
        reason: str | None = None,
        changes: Mapping[str, object] | None = None,
    ) -> Entry | None:
        """Make one transition; None where somebody else moved the entry first.

        Args:
            entry: the entry as the caller knows it; its state and fence guard the change.
            to: the new state; `ValueError` where no way leads there.
            now_s: Unix time.
            reason: why it waits or ended; an old reason goes with the old state.
            changes: further columns to set in the same statement.
        """
        if to not in ENTRY_MOVES[entry.state]:
            raise ValueError(f"no way from {entry.state} to {to}")
        return self._change(entry, to, now_s=now_s, reason=reason, changes=changes or {})

    def _change(
        self,
        entry: Entry,
        to: EntryState,
        *,
        now_s: float,
        reason: str | None,
        changes: Mapping[str, object],
    ) -> Entry | None:
        values = {"state": to, "reason": reason, "changed_at": now_s, **changes}
        settings = ", ".join(f"{column} = ?" for column in values)
        query = f"""
            UPDATE entry SET {settings}, fence = fence + 1
             WHERE id = ? AND state = ? AND fence = ? RETURNING *
            """  # noqa: S608  # column names are ours
        return self._db.one(
            Entry.from_row, query, [*values.values(), entry.id, entry.state, entry.fence]
        )

    def adopt_session(
        self, entry_id: int, *, session_id: str, server_title: str | None, now_s: float
    ) -> Entry | None:
        """Any state without a session -> uploaded: a late answer is always recorded."""
        return self._db.one(
            Entry.from_row,
            """
                UPDATE entry SET state = 'uploaded', reason = NULL, detail = NULL, failures = 0,
                       session_id = ?, server_title = ?, sent_at = ?, changed_at = ?,
                       fence = fence + 1
                 WHERE id = ? AND session_id IS NULL RETURNING *
                """,
            (session_id, server_title, now_s, now_s, entry_id),
        )

    def note_title(self, entry_id: int, title: str) -> None:
        """Record the title under which a clip was sent."""
        self._db.change("UPDATE entry SET title = ? WHERE id = ?", (title, entry_id))

    def postpone(self, entry: Entry, *, due_at: float) -> Entry | None:
        """Set when an uncertain entry is looked up next."""
        return self._db.one(
            Entry.from_row,
            """
                UPDATE entry SET due_at = ?, fence = fence + 1
                 WHERE id = ? AND state = 'uncertain' AND fence = ? RETURNING *
                """,
            (due_at, entry.id, entry.fence),
        )

    def hasten(self, entry: Entry, *, now_s: float) -> Entry | None:
        """Make a waiting entry due at once and forget its failures; what is due keeps its turn."""
        return self._db.one(
            Entry.from_row,
            """
                UPDATE entry SET due_at = min(due_at, ?), failures = 0, fence = fence + 1,
                       reason = nullif(reason, 'next_recording')
                 WHERE id = ? AND state = ? AND fence = ? RETURNING *
                """,
            (now_s, entry.id, entry.state, entry.fence),
        )

    def forget_failures(self) -> None:
        """Reset every clip's own count of failures: the lane was at fault, not the clips."""
        self._db.change(
            "UPDATE entry SET failures = 0 WHERE state IN ('ready', 'uncertain') AND failures > 0"
        )

    def pull_in(self, *, latest_s: float, patient_s: float) -> None:
        """After a jump of the clock: let nothing wait longer than until `latest_s`.

        What keeps failing at the server may wait until `patient_s`.
        """
        for state in (EntryState.READY, EntryState.UNCERTAIN):
            self._db.change(
                """
                UPDATE entry SET due_at = :latest WHERE state = :state AND due_at > :latest
                   AND (reason IS NOT 'fails_at_server' OR due_at > :patient)
                """,
                {"latest": latest_s, "patient": patient_s, "state": state},
            )

    def resume_interrupted(self, *, now_s: float) -> list[Entry]:
        """uploading -> uncertain if the body may have gone out whole, else -> ready.

        For uploads that nobody has in hand: cut off by a crash, or by an error on the way.
        """
        resumed = []
        with self._db.transaction():
            for entry in self.in_states({EntryState.UPLOADING}):
                attempt = self._attempts.last_upload(entry.id)
                sent_whole = attempt is not None and attempt.body_complete_at is not None
                to = EntryState.UNCERTAIN if sent_whole else EntryState.READY
                moved = self.move(entry, to, now_s=now_s, changes={"due_at": now_s})
                if moved is not None:
                    resumed.append(moved)
        return resumed

    def assign(
        self,
        entry: Entry,
        target: ClipTarget,
        *,
        now_s: float,
        to: EntryState = EntryState.READY,
        reason: str | None = None,
        changes: Mapping[str, object] | None = None,
    ) -> Entry | None:
        """Give an unsent clip to the person and movement that somebody named; it may stay held.

        Args:
            entry, now_s, reason, to: as for `move`.
            target: for whom it is and what it shows from now on.
            changes: further columns; without `due_at` it goes at once.
        """
        # What the server said of it may have been said of somebody else.
        plain = {"due_at": now_s, "failures": 0, "detail": None}
        values = {**plain, **(changes or {}), **_target_columns(target)}
        change = self._change if to is entry.state else self.move
        return change(entry, to, now_s=now_s, reason=reason, changes=values)

    def has_delivered(self) -> bool:
        """Tell whether any clip of this station ever became a session, or may have."""
        return self._db.has(HAS_DELIVERED)


LOST_AT = "SELECT lost_at FROM ledger_mark WHERE id = 1 AND lost_at IS NOT NULL"

SOURCES = """
SELECT capture.*, entry_capture.capture_id, entry_capture.take_number,
       entry_capture.start_s, entry_capture.end_s
  FROM entry_capture JOIN capture ON capture.id = entry_capture.capture_id
 WHERE entry_capture.entry_id = ? ORDER BY entry_capture.position
"""

HAS_DELIVERED = """
SELECT 1 WHERE EXISTS (SELECT 1 FROM entry WHERE session_id IS NOT NULL)
    OR EXISTS (SELECT 1 FROM ledger_mark WHERE id = 1 AND history_lost)
"""  # index: entry_by_session

NEXT_READY = """
SELECT * FROM entry WHERE state = 'ready' AND due_at <= :now
 ORDER BY due_at, id LIMIT 1
"""  # index: entry_by_state_and_due

NEXT_UNCERTAIN = """
SELECT * FROM entry WHERE state = 'uncertain' AND due_at <= :now
 ORDER BY due_at, id LIMIT 1
"""  # index: entry_by_state_and_due

NEXT_DUE = """
SELECT due_at FROM entry WHERE state = :state ORDER BY due_at, id LIMIT 1
"""  # index: entry_by_state_and_due


def _columns(new: NewEntry, *, now_s: float) -> dict[str, object]:
    return {
        "clip_code": new.clip_code,
        "generation": new.generation,
        "state": new.state,
        "reason": new.reason,
        "detail": new.detail,
        "due_at": new.due_at,
        "remarks": json.dumps(list(new.remarks)),
        "filmed_at": new.filmed_at,
        "stored_name": new.clip.stored_name,
        "clip_sha256": new.clip.sha256,
        "clip_bytes": new.clip.size_bytes,
        "clip_seconds": new.clip.seconds,
        "cut_method": new.clip.cut_method,
        "cut_why": new.clip.cut_why,
        "created_at": now_s,
        "changed_at": now_s,
        **_target_columns(new.target),
    }


def _target_columns(target: ClipTarget) -> dict[str, object]:
    return {name: getattr(target, name) for name in ClipTarget.__slots__}


class EventKind(StrEnum):
    """What changed."""

    STATE = "state"
    FILE = "file"  # whether it is still on the disk
    ATHLETE = "athlete"
    ATTEMPT = "attempt"  # begun; its own row says how it ended
    FOLLOW_UP = "follow_up"  # what is known of its session's analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change, as its row stands."""

    id: int  # in the order in which they happened, whatever the clock said
    at: float  # Unix time
    what: EventKind
    word: str | None  # the new state, file state or user_id; an attempt's id
    reason: str | None
    detail: str | None

    @classmethod
    def from_row(cls, row: Row) -> "Event":
        """Build an event from a row of its table."""
        return built(cls, row, what=EventKind(row["what"]))


class Events:
    """The table of events."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def of_capture(self, capture_id: int) -> list[Event]:
        """Return what happened to a capture, oldest first."""
        return self._of("SELECT * FROM event WHERE capture_id = ? ORDER BY id", capture_id)

    def of_entry(self, entry_id: int) -> list[Event]:
        """Return what happened to an entry, oldest first."""
        return self._of("SELECT * FROM event WHERE entry_id = ? ORDER BY id", entry_id)

    def recent(self, *, most: int) -> list[tuple[str, Event]]:
        """Return what last happened to anything, oldest first, each with its name (c12, e7)."""
        rows = self._db.rows(RECENT, (most,))
        return [(_subject(row), Event.from_row(row)) for row in reversed(rows)]

    def _of(self, query: str, row_id: int) -> list[Event]:
        return self._db.all(Event.from_row, query, (row_id,))


def _subject(row: Row) -> str:
    entry, capture = row["entry_id"], row["capture_id"]
    return f"c{capture}" if entry is None else f"e{entry}"


RECENT = """
SELECT * FROM event WHERE id > (SELECT max(id) FROM event) - ? ORDER BY id DESC
"""


_PROOF_HOLDS_S = 300.0
_NO_WORD = frozenset({None, "TimedOutError"})  # of an upload: it was cut off, or timed out here
_TIME_OUTS = frozenset({504, 522, 524, 598, 599})  # or at a proxy in front of the API
_PROOFS = (["absent", "absent"], ["not_found", "absent"])  # of absence: two look-ups, one apart
_UNKNOWN = frozenset(
    {None, "OutcomeUnknownError", "TimedOutError"}
)  # of an upload whose body went out whole


@dataclass(frozen=True, slots=True)
class UncertainClip:
    """A clip that was sent whole without an answer."""

    name: str
    due_at: float  # Unix time, when it is looked for

    @classmethod
    def from_row(cls, row: Row | None) -> "UncertainClip | None":
        """Build it from its row, if there is one."""
        return None if row is None else cls(f"e{row['id']}", float(row["due_at"]))


class DeliveryQueries:
    """Questions about deliveries, and the clips that wait for an answer to one."""

    def __init__(self, database: OutboxDatabase, attempts: Attempts) -> None:
        self._db = database
        self._attempts = attempts

    def newest_delivered_before(self, entry: Entry) -> tuple[str, str] | None:
        """Return session id and clip code of what was last delivered before an entry's upload.

        By the order of events, whatever the clock did meanwhile; by time only where no upload is
        on record, as after the outbox was rebuilt.
        """
        upload = self._attempts.last_upload(entry.id)
        if upload is None:
            row = self._db.row(NEWEST_DELIVERED, {"before": entry.sent_after})
            if row is None and entry.look_first:
                row = self._db.row(NEWEST_DELIVERED, {"before": float("inf")})
        else:
            row = self._db.row(NEWEST_BEFORE, {"attempt": str(upload.id)})
        return None if row is None else (str(row["session_id"]), str(row["clip_code"]))

    def newest_delivered_after(self, entry: Entry) -> tuple[str, str] | None:
        """Return the same of what was last delivered by an upload that began after the entry's."""
        upload = self._attempts.last_upload(entry.id)
        if upload is None:
            return None
        row = self._db.row(NEWEST_AFTER, {"attempt": str(upload.id), "id": upload.id})
        return None if row is None else (str(row["session_id"]), str(row["clip_code"]))

    def any_delivered(self, *, after_s: float) -> bool:
        """Tell whether any clip was delivered after a moment."""
        return self._db.has(ANY_DELIVERED, {"after": after_s})

    def largest_delivered_bytes(self) -> int | None:
        """Return the size of the largest clip that was ever delivered; reads all of them."""
        return self._db.value(
            int, "SELECT max(clip_bytes) AS size FROM entry WHERE session_id IS NOT NULL"
        )

    def uploads(self, entry_id: int) -> list[Attempt]:
        """Return the uploads begun for an entry, oldest first."""
        attempts = self._attempts.of_entry(entry_id)
        return [attempt for attempt in attempts if attempt.kind is AttemptKind.UPLOAD]

    def may_have_been_made(self, entry: Entry, *, now_s: float) -> bool:
        """Tell whether a session may exist that nobody has found, as far as is known by now.

        A proof of absence grows old: a list may have been late, and a look-up costs little.  What
        was sent since then in vain takes nothing away from what may have been made before.
        """
        attempts = self._attempts.of_entry(entry.id)
        if [attempt.outcome for attempt in attempts[-2:]] in _PROOFS:
            return abs(now_s - attempts[-1].began_at) > _PROOF_HOLDS_S
        if entry.look_first:  # what is on record of it may not be all there was
            return True
        return any(
            attempt.body_complete_at is not None and attempt.outcome in _UNKNOWN
            for attempt in attempts
        )

    def timed_out(self, entry: Entry) -> bool:
        """Tell whether the API may have been at an entry's upload when nobody waited any more."""
        upload = self._attempts.last_upload(entry.id)
        if upload is None:
            return False
        return upload.outcome in _NO_WORD or upload.status in _TIME_OUTS

    def held_because(self, reasons: Collection[Reason]) -> list[Entry]:
        """Return the clips that are held for one of these reasons."""
        return [
            Entry.from_row(row)
            for reason in sorted(reasons)
            for row in self._db.rows(HELD_BECAUSE, {"reason": reason})
        ]

    def unknown_due(self, now_s: float, *, most: int) -> list[Entry]:
        """Return held clips of unknown outcome that are due to be looked for again."""
        return self._db.all(Entry.from_row, UNKNOWN_DUE, {"now": now_s, "most": most})

    def unknown_due_at(self) -> float | None:
        """Return when the next held clip of unknown outcome is due, or None."""
        return self._db.value(float, NEXT_UNKNOWN)

    def unsettled(self) -> UncertainClip | None:
        """Return the clip of unknown outcome that is looked for next, or None."""
        return UncertainClip.from_row(self._db.row(NEXT_UNSETTLED))

    def settled_first(self) -> UncertainClip | None:
        """Return the clip that must be settled before anything is sent, or None.

        Of an account that never had a session, absence is proven by its having none: the first
        delivery would end that for every other clip whose outcome is unknown.
        """
        return UncertainClip.from_row(self._db.row(SETTLED_FIRST))

    def look_again_at(self, entry: Entry, *, due_at: float) -> None:
        """Set when a held clip of unknown outcome is looked for again; it stays held."""
        self._db.change(
            "UPDATE entry SET due_at = ? WHERE id = ? AND state = ? AND fence = ?",
            (due_at, entry.id, EntryState.HELD, entry.fence),
        )

    def doubt(self, capture_id: int) -> None:
        """Have every unsent clip of a capture looked up first: what is on record may be old."""
        self._db.change(
            """
            UPDATE entry SET look_first = iif(look_first = 3, 3, 1) WHERE session_id IS NULL
               AND id IN (SELECT entry_id FROM entry_capture WHERE capture_id = ?)
            """,
            (capture_id,),
        )

    def note_athlete(self, entry_id: int, user_id: str, *, now_s: float) -> bool:
        """Record whose session was found; True if somebody has named another athlete meanwhile.

        Only then: the API's word for one and the same athlete may be another than the box's.
        """
        values = {"id": entry_id, "user": user_id, "now": now_s}
        return bool(self._db.change(NOTE_ATHLETE, values))

    def note_second_session(self, entry_id: int, session_id: str) -> None:
        """Remark, once, that the API made another session of a clip than the one on record."""
        self._db.change(
            """
            UPDATE entry SET remarks = json_insert(remarks, '$[#]', :remark)
             WHERE id = :id AND session_id != :session
               AND NOT EXISTS (SELECT 1 FROM json_each(remarks) WHERE value = :remark)
            """,
            {"id": entry_id, "session": session_id, "remark": f"second_session:{session_id}"},
        )


NEWEST_DELIVERED = """
SELECT session_id, clip_code FROM entry
 WHERE sent_at < :before AND session_id IS NOT NULL AND state != 'discarded'
 ORDER BY sent_at DESC LIMIT 1
"""  # index: entry_by_sending

NEWEST_BEFORE = """
SELECT entry.session_id, entry.clip_code
  FROM event JOIN entry ON entry.id = event.entry_id
 WHERE event.what = 'state' AND event.word = 'uploaded' AND entry.session_id IS NOT NULL
   AND entry.state != 'discarded'
   AND event.id < (SELECT min(id) FROM event WHERE what = 'attempt' AND word = :attempt)
 ORDER BY event.id DESC LIMIT 1
"""  # index: event_delivered, event_attempt

NEWEST_AFTER = """
SELECT entry.session_id, entry.clip_code
  FROM event JOIN entry ON entry.id = event.entry_id
 WHERE event.what = 'state' AND event.word = 'uploaded' AND entry.session_id IS NOT NULL
   AND entry.state != 'discarded'
   AND event.id > (SELECT min(id) FROM event WHERE what = 'attempt' AND word = :attempt)
   AND (SELECT min(a.id) FROM attempt AS a
         WHERE a.entry_id = entry.id AND a.kind = 'upload') > :id
 ORDER BY event.id DESC LIMIT 1
"""  # index: event_delivered, event_attempt

ANY_DELIVERED = """
SELECT 1 FROM entry WHERE sent_at > :after AND session_id IS NOT NULL LIMIT 1
"""  # index: entry_by_sending

HELD_BECAUSE = """
SELECT * FROM entry WHERE state = 'held' AND reason = :reason ORDER BY due_at
"""  # index: entry_held

UNKNOWN_DUE = """
SELECT * FROM entry WHERE state = 'held' AND reason = 'outcome_unknown' AND due_at <= :now
 ORDER BY due_at LIMIT :most
"""  # index: entry_held

NEXT_UNSETTLED = """
SELECT id, due_at FROM entry WHERE state = 'uncertain' ORDER BY due_at, id LIMIT 1
"""  # index: entry_by_state_and_due

SETTLED_FIRST = """
SELECT id, due_at FROM entry WHERE state = 'uncertain' AND look_first = 0
   AND NOT EXISTS (SELECT 1 FROM entry WHERE session_id IS NOT NULL)
   AND NOT EXISTS (SELECT 1 FROM ledger_mark WHERE id = 1 AND history_lost)
 ORDER BY due_at, id LIMIT 1
"""  # index: entry_by_state_and_due, entry_by_session

NOTE_ATHLETE = """
UPDATE entry SET user_id = :user, changed_at = :now, fence = fence + 1
 WHERE id = :id AND recipient = 'athlete' AND user_id != :user
   AND EXISTS (
        SELECT 1 FROM event WHERE entry_id = :id AND what = 'athlete' AND id >
            (SELECT min(event.id) FROM event WHERE what = 'attempt' AND word =
                (SELECT CAST(min(attempt.id) AS TEXT) FROM attempt
                  WHERE attempt.entry_id = :id AND body_complete_at IS NOT NULL)))
"""  # index: event_by_entry, event_attempt, attempt_by_entry

NEXT_UNKNOWN = """
SELECT due_at FROM entry WHERE state = 'held' AND reason = 'outcome_unknown'
 ORDER BY due_at LIMIT 1
"""  # index: entry_held


@dataclass(frozen=True, slots=True, kw_only=True)
class DueClip:
    """A clip that is due."""

    id: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What is not delivered yet, but for what waits for a person."""

    clips: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSample:
    """A body that went over the line, in part or whole."""

    size_bytes: int
    sending_s: float  # from its first part until it had arrived, or was given up
    throttled_s: float  # of these, waited because of our own cap
    seconds: float  # of the whole attempt: with connecting, and the answer
    is_delivered: bool


class TransferStats:
    """Read-only views over entries and attempts."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def due(self, now_s: float, *, account: str, most: int) -> list[DueClip]:
        """Return the clips that are longest due, in that order, whose athletes have sessions."""
        rows = self._db.rows(DUE, {"now": now_s, "account": account, "most": most})
        return [DueClip(id=int(r["id"]), size_bytes=int(r["clip_bytes"])) for r in rows]

    def backlog(self) -> Backlog:
        """Return how much waits to be delivered."""
        row = self._db.row(BACKLOG)
        assert row is not None  # an aggregate gives one row
        return Backlog(clips=int(row["clips"]), size_bytes=int(row["bytes"] or 0))

    def sendings(self, *, most: int) -> list[TransferSample]:
        """Return what last went over the line, the newest first."""
        return [
            TransferSample(
                size_bytes=int(row["bytes"]),
                sending_s=float(row["sending_s"]),
                throttled_s=float(row["throttled_s"]),
                seconds=float(row["seconds"]),
                is_delivered=row["outcome"] == "uploaded",
            )
            for row in self._db.rows(SENDINGS, {"most": most})
        ]


DUE = """
SELECT id, clip_bytes FROM entry WHERE state = 'ready' AND due_at <= :now
   AND coalesce(user_id, '') NOT IN (SELECT user_id FROM session_limit WHERE account = :account)
 ORDER BY due_at, id LIMIT :most
"""  # index: entry_by_state_and_due

BACKLOG = """
SELECT count(*) AS clips, sum(clip_bytes) AS bytes FROM entry
 WHERE file_state = 'present' AND state IN ('ready', 'uploading', 'uncertain')
"""  # index: entry_on_disk, which covers it

SENDINGS = """
SELECT bytes, sending_s, throttled_s, seconds, outcome FROM attempt
 WHERE kind = 'upload' AND bytes >= 65536 AND sending_s IS NOT NULL
 ORDER BY id DESC LIMIT :most
"""  # index: attempt_on_line
