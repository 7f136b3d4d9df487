"""Queries on delivered clips, clips of unknown outcome, and transfer rates."""

from collections.abc import Collection
from dataclasses import dataclass

from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.entries import Attempt, AttemptKind, Attempts
from agent.outbox.models import Entry
from agent.outbox.states import EntryState, Reason

_PROOF_HOLDS_S = 300.0
_NO_WORD = frozenset({None, "TimedOutError"})  # of an upload: it was cut off, or timed out here
_TIME_OUTS = frozenset({504, 522, 524, 598, 599})  # or at a proxy in front of the API
_PROOFS = (["absent", "absent"], ["not_found", "absent"])  # of absence: two looks, one apart
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
        return None if row is None else cls(f"e{row['id']}", float(str(row["due_at"])))


class DeliveryQueries:
    """Questions about deliveries, and the clips that wait for an answer to one."""

    def __init__(self, database: OutboxDatabase, attempts: Attempts) -> None:
        self._db = database
        self._attempts = attempts

    def newest_delivered_before(self, entry: Entry) -> tuple[str, str] | None:
        """Return session id and clip code of what was last delivered before an entry's upload.

        By the order of events, whatever the clock did meanwhile; by time only where no upload is
        on record, as after the outbox was made anew.
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
        return self._db.row(ANY_DELIVERED, {"after": after_s}) is not None

    def largest_delivered_bytes(self) -> int | None:
        """Return the size of the largest clip that was ever delivered; a look at all of them."""
        row = self._db.row("SELECT max(clip_bytes) AS size FROM entry WHERE session_id IS NOT NULL")
        return None if row is None or row["size"] is None else int(str(row["size"]))

    def uploads(self, entry_id: int) -> list[Attempt]:
        """Return the uploads begun for an entry, oldest first."""
        attempts = self._attempts.of_entry(entry_id)
        return [attempt for attempt in attempts if attempt.kind is AttemptKind.UPLOAD]

    def may_have_been_made(self, entry: Entry, *, now_s: float) -> bool:
        """Tell whether a session may exist that nobody has found, as far as is known by now.

        A proof of absence grows old: a list may have been late, and a look costs little.  What
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
        rows = self._db.rows(UNKNOWN_DUE, {"now": now_s, "most": most})
        return [Entry.from_row(row) for row in rows]

    def unknown_due_at(self) -> float | None:
        """Return when the next held clip of unknown outcome is due, or None."""
        row = self._db.row(NEXT_UNKNOWN)
        return None if row is None else float(str(row["due_at"]))

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
SELECT 1 AS one FROM entry WHERE sent_at > :after AND session_id IS NOT NULL LIMIT 1
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
        return [DueClip(id=int(str(r["id"])), size_bytes=int(str(r["clip_bytes"]))) for r in rows]

    def backlog(self) -> Backlog:
        """Return how much waits to be delivered."""
        row = self._db.row(BACKLOG)
        assert row is not None  # an aggregate gives one row
        return Backlog(clips=int(str(row["clips"])), size_bytes=int(str(row["bytes"] or 0)))

    def sendings(self, *, most: int) -> list[TransferSample]:
        """Return what last went over the line, the newest first."""
        return [
            TransferSample(
                size_bytes=int(str(row["bytes"])),
                sending_s=float(str(row["sending_s"])),
                throttled_s=float(str(row["throttled_s"])),
                seconds=float(str(row["seconds"])),
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
