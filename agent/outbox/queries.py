"""Queries for people and scripts: lists, counts, cards, sessions, events, and totals.

Totals since the station was set up are running counters: attempts and events are only ever
appended, so a reader continues where it ended.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from agent.clock import iso_utc
from agent.outbox.database import OutboxDatabase, Row, count_by_state
from agent.outbox.entries import EventKind
from agent.outbox.models import Entry
from agent.outbox.results import FollowUp, FollowUps, Result, Results
from agent.outbox.states import CaptureState, EntryState

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


ShownRow = Mapping[str, object]  # by the names that scripts know


class Listing:
    """Read-only views over captures and entries."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def rows(self, *, state: str | None = None, all_captures: bool = False) -> list[ShownRow]:
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

    def of_session(self, session_id: str) -> list[Entry]:
        """Return the clips that became this session; one, unless the API gave an id twice."""
        query = "SELECT * FROM entry WHERE session_id = ?"
        return self._db.all(Entry.from_row, query, (session_id,))

    def of_person(self, user_id: str | None, guest_id: int | None, *, most: int) -> list[Entry]:
        """Return the latest clips of an athlete or a guest, the newest first."""
        query = "SELECT * FROM entry WHERE user_id = ? OR guest_id = ? ORDER BY id DESC LIMIT ?"
        return self._db.all(Entry.from_row, query, (user_id, guest_id, most))

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

    def set_aside(self) -> list[ShownRow]:
        """Return the captures that could not be read, each with its reason, the newest first."""
        return self._db.rows(
            "SELECT 'c' || id AS id, file_name AS capture, reason FROM capture"
            " WHERE state = 'quarantined' ORDER BY capture.id DESC"
        )

    def failing_at_server(self) -> list[ShownRow]:
        """Return the clips on which the API fails repeatedly while others pass."""
        return self._db.rows(
            "SELECT 'e' || id AS id, clip_code, due_at FROM entry"
            " WHERE state IN ('ready', 'uncertain') AND reason = 'fails_at_server'"
            " ORDER BY entry.id"
        )

    def oldest_waiting_at(self) -> float | None:
        """Return when the oldest clip that still waits for delivery was made."""
        return self._db.value(
            float,
            """
            SELECT min(created_at) AS at FROM entry
             WHERE state IN ('ready', 'uploading', 'uncertain')
            """,
        )

    def last_sent_at(self) -> float | None:
        """Return when a clip was last acknowledged."""
        return self._db.value(
            float, "SELECT max(sent_at) AS at FROM entry WHERE sent_at IS NOT NULL"
        )

    def captures_ahead_of(self, capture_id: int) -> int:
        """Return how many captures are analysed before this one."""
        query = "SELECT count(*) AS n FROM capture WHERE state = 'captured' AND id < ?"
        return self._db.number(query, (capture_id,))

    def clips_ahead_of(self, due_at: float) -> int:
        """Return how many clips are due before a moment."""
        query = "SELECT count(*) AS n FROM entry WHERE state = 'ready' AND due_at < ?"
        return self._db.number(query, (due_at,))


def _shown(row: Row) -> ShownRow:
    times = {name: iso_utc(_number(row[name])) for name in _TIMES}
    return {**row, **times}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


_MOST_READ = 256  # clips that are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownClip:
    """A clip, and what the analysis said of its take."""

    entry: Entry
    reps: int | None
    quality: tuple[str, ...]  # codes of the remarks on the picture
    fps: float | None  # of the recording, on average
    moves_from_s: float  # where in the clip the movement begins


NOT_DISCARDED = tuple(state for state in EntryState if state is not EntryState.DISCARDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFilter:
    """Which clips are looked for; None, and the whole of time: any."""

    people: tuple[tuple[str | None, int | None], ...] | None = None  # user_id or guest ID of each
    since: float = 0.0  # Unix times of filming
    until: float = 1e12
    activity: str | None = None
    exercise: str | None = None
    states: tuple[EntryState, ...] = NOT_DISCARDED


class ClipQueries:
    """Read-only views over clips and their takes."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database
        self._read: dict[str, tuple[Row, ShownClip]] = {}  # by clip code, as it was read last

    def latest(self, *, most: int) -> list[ShownClip]:
        """Return the clips that need nobody, the newest first; no discarded ones."""
        return self._db.all(self._shown, LATEST_CLIPS, {"most": most})

    def needing(self, *, most: int) -> list[ShownClip]:
        """Return the clips that need a person, the newest first.

        Those that are held, that the API refused, and that it fails on while others pass.
        """
        return self._db.all(self._shown, NEEDING, {"most": most})

    def of_person(
        self, user_id: str | None, guest_id: int | None, *, since: float, most: int
    ) -> list[ShownClip]:
        """Return a person's clips that were filmed from a Unix time on, the latest first."""
        wanted = {"user": user_id, "guest": guest_id, "since": since, "most": most}
        return self._db.all(self._shown, OF_PERSON, wanted)

    def found(
        self, wanted: ClipFilter, *, most: int, before_id: int | None = None
    ) -> list[ShownClip]:
        """Return the clips that pass a filter, the newest first.

        Args:
            wanted: the filter.
            most: no more than so many.
            before_id: only entries older than this one, to continue behind the last of a page.
        """
        people = wanted.people or ()
        parameters = {
            "before": before_id,
            "anybody": wanted.people is None,
            "users": json.dumps([user_id for user_id, _ in people if user_id is not None]),
            "guests": json.dumps([guest_id for _, guest_id in people if guest_id is not None]),
            "since": wanted.since,
            "until": wanted.until,
            "activity": wanted.activity,
            "exercise": wanted.exercise,
            "states": json.dumps(wanted.states),
            "most": most,
        }
        return self._db.all(self._shown, FOUND, parameters)

    def has_any(self, user_id: str | None, guest_id: int | None) -> bool:
        """Tell whether there is any clip of a person."""
        return self._db.has(HAS_ANY, {"user": user_id, "guest": guest_id})

    def of_entry(self, entry_id: int) -> ShownClip:
        """Return one clip."""
        (row,) = self._db.rows(f"{_SHOWN} WHERE entry.id = ?", (entry_id,))
        return self._shown(row)

    def failing(self) -> int:
        """Return on how many clips the API fails while others pass."""
        query = f"SELECT count(*) AS n FROM entry WHERE {_FAILING}"  # noqa: S608  # our own words
        return self._db.number(query)

    def sent_since(self, at: float) -> int:
        """Return how many clips were acknowledged since a moment."""
        return self._db.number("SELECT count(*) AS n FROM entry WHERE sent_at >= ?", (at,))

    def _shown(self, row: Row) -> ShownClip:
        """Return a row's clip: the one of last time where nothing in the row has changed."""
        code = str(row["clip_code"])
        known = self._read.get(code)
        if known is None or known[0] != row:
            if len(self._read) >= _MOST_READ:
                self._read.clear()
            known = self._read[code] = (row, _shown_clip(row))
        return known[1]


_SHOWN = """
SELECT entry.*, take.reps, take.start_s AS take_start_s, take.end_s AS take_end_s,
       take.active_start_s, entry_capture.start_s AS clip_start_s,
       json_extract(capture.report, '$.quality') AS quality,
       json_extract(capture.report, '$.video.fps') AS fps
  FROM entry
  JOIN entry_capture ON entry_capture.entry_id = entry.id AND entry_capture.position = 1
  JOIN capture ON capture.id = entry_capture.capture_id
  LEFT JOIN take ON take.capture_id = capture.id AND take.number = entry_capture.take_number
"""
# The plus keeps SQLite from reading all that is ready; index: entry_failing.
_FAILING = "entry.reason = 'fails_at_server' AND +entry.state IN ('ready', 'uncertain')"
LATEST_CLIPS = f"""
{_SHOWN}
 WHERE entry.id > (SELECT max(id) FROM entry) - 500
   AND entry.state NOT IN ('discarded', 'held', 'dead') AND NOT coalesce({_FAILING}, 0)
 ORDER BY entry.id DESC LIMIT :most
"""  # noqa: S608  # our own words; what is not among the newest 500 is no latest take
NEEDING = f"""
{_SHOWN}
 WHERE entry.id IN (SELECT id FROM entry WHERE entry.state IN ('held', 'dead')
                    UNION ALL SELECT id FROM entry WHERE {_FAILING})
 ORDER BY entry.due_at DESC, entry.id DESC LIMIT :most
"""  # noqa: S608  # our own words; index: entry_by_state_and_due, entry_failing

# From the newest on, until there are enough: the inner query reads no other table.
FOUND = f"""
{_SHOWN}
 WHERE entry.id IN (
   SELECT id FROM entry
    WHERE (:before IS NULL OR id < :before)
      AND (:anybody OR user_id IN (SELECT value FROM json_each(:users))
           OR guest_id IN (SELECT value FROM json_each(:guests)))
      AND coalesce(filmed_at, created_at) >= :since AND coalesce(filmed_at, created_at) < :until
      AND (:activity IS NULL OR activity = :activity)
      AND (:exercise IS NULL OR exercise = :exercise)
      AND state IN (SELECT value FROM json_each(:states))
    ORDER BY id DESC LIMIT :most)
 ORDER BY entry.id DESC
"""  # noqa: S608  # our own words; index: the entry's own number

OF_PERSON = f"""
{_SHOWN}
 WHERE (entry.user_id = :user OR entry.guest_id = :guest)
   AND coalesce(entry.filmed_at, entry.created_at) >= :since AND entry.state != 'discarded'
 ORDER BY coalesce(entry.filmed_at, entry.created_at) DESC, entry.id DESC LIMIT :most
"""  # our own words; index: entry_by_user, entry_by_guest
HAS_ANY = """
SELECT 1 FROM entry
 WHERE (entry.user_id = :user OR entry.guest_id = :guest) AND entry.state != 'discarded' LIMIT 1
"""  # index: entry_by_user, entry_by_guest


def _shown_clip(row: Row) -> ShownClip:
    remarks = json.loads(str(row["quality"])) if row["quality"] else []
    reps = row["reps"]
    return ShownClip(
        entry=Entry.from_row(row),
        reps=reps if isinstance(reps, int) else None,
        fps=_number(row["fps"]),
        moves_from_s=max(0.0, _seconds(row, "active_start_s") - _seconds(row, "clip_start_s")),
        quality=tuple(str(r["code"]) for r in remarks if _is_of_take(r.get("at_s"), row)),
    )


def _seconds(row: Row, name: str) -> float:
    return _number(row[name]) or 0.0


def _is_of_take(at_s: float | None, row: Row) -> bool:
    """Tell whether a remark is on the take, or on the whole capture."""
    bounds = (row["take_start_s"], row["take_end_s"])
    if at_s is None or not all(isinstance(bound, float) for bound in bounds):
        return True
    start_s, end_s = (float(bound) for bound in bounds)
    return start_s <= at_s <= end_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A clip that became a session."""

    entry: Entry
    follow_up: FollowUp
    result: Result | None  # None: nothing came back yet

    @property
    def at(self) -> float:
        """When the take was filmed, or else when it was delivered."""
        sent_at = self.entry.sent_at or self.follow_up.began_at
        return self.entry.filmed_at or sent_at


class SessionList:
    """A read-only view over entries, follow-ups and results."""

    def __init__(self, database: OutboxDatabase, follow_ups: FollowUps, results: Results) -> None:
        self._db = database
        self._follow_ups = follow_ups
        self._results = results

    def of(self, entry: Entry) -> Followed | None:
        """Return what came of one clip; None where it is no session."""
        follow_up = self._follow_ups.of_entry(entry.id)
        if follow_up is None:
            return None
        result = self._results.of_entry(entry.id)
        return Followed(entry=entry, follow_up=follow_up, result=result)

    def latest(
        self,
        *,
        since: float = 0.0,
        user_id: str | None = None,
        state: str | None = None,
        most: int = 1_000_000,
    ) -> list[Followed]:
        """Return the clips that became sessions, the latest first; no discarded ones.

        Args:
            since: only takes that were filmed (or else delivered) from that Unix time on.
            user_id: only this athlete's.
            state: only with a follow-up in this state.
            most: no more than so many.
        """
        wanted = {"since": since, "user": user_id, "state": state, "most": most}
        entries = self._db.all(Entry.from_row, LATEST_SESSIONS, wanted)
        ids = [entry.id for entry in entries]
        follow_ups, results = self._follow_ups.of_entries(ids), self._results.of_entries(ids)
        return [
            Followed(entry=entry, follow_up=follow_ups[entry.id], result=results.get(entry.id))
            for entry in entries
            if entry.id in follow_ups
        ]


# A take is filmed before it is sent: what was sent earlier need not be read.  A camera's clock
# may run ahead, so the time of filming alone would not do.
LATEST_SESSIONS = """
SELECT entry.* FROM entry JOIN follow_up ON follow_up.entry_id = entry.id
 WHERE entry.state IN ('uploaded', 'completed')
   AND entry.sent_at >= :since AND coalesce(entry.filmed_at, entry.sent_at) >= :since
   AND (:user IS NULL OR entry.user_id = :user)
   AND (:state IS NULL OR follow_up.state = :state)
 ORDER BY entry.sent_at DESC LIMIT :most
"""  # index: entry_by_sending


# What may be worth a notice; `before` distinguishes a clip's arrival from its return.
AFTER = """
SELECT entry.*, event.id AS event_id, event.at AS event_at, event.what, event.word,
       event.reason AS event_reason,
       (SELECT earlier.word FROM event AS earlier
         WHERE earlier.entry_id = event.entry_id AND earlier.id < event.id
           AND earlier.what = 'state'
         ORDER BY earlier.id DESC LIMIT 1) AS before
  FROM event CROSS JOIN entry ON entry.id = event.entry_id
 WHERE event.id > ?
   AND ((event.what = 'state' AND event.word IN ('ready', 'held', 'dead', 'uploaded', 'completed'))
        OR (event.what = 'follow_up' AND event.word IN ('failed', 'gone', 'not_seen')))
 ORDER BY event.id LIMIT ?
"""  # index: the event's own number


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """One change of a clip's state or its session's, and the clip as it stands now."""

    event_id: int  # in the order in which they happened
    at: float  # Unix time
    state: str  # the new one
    before: str | None  # the state that it left; None: the clip was made
    reason: str | None
    entry: Entry
    what: EventKind = EventKind.STATE

    @classmethod
    def from_row(cls, row: Row) -> "FeedEvent":
        """Build it from a row of the feed."""
        return cls(
            event_id=int(row["event_id"]),
            at=float(row["event_at"]),
            state=str(row["word"]),
            before=None if row["before"] is None else str(row["before"]),
            reason=None if row["event_reason"] is None else str(row["event_reason"]),
            entry=Entry.from_row(row),
            what=EventKind(str(row["what"])),
        )


class EventFeed:
    """Read-only: the feed."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def after(self, event_id: int, *, most: int) -> list[FeedEvent]:
        """Return what happened after an event, oldest first."""
        return self._db.all(FeedEvent.from_row, AFTER, (event_id, most))

    def latest(self) -> int:
        """Return the number of the last event of all; 0 where there is none."""
        return self._db.number("SELECT max(id) AS id FROM event")

    def before(self, at_s: float) -> int:
        """Return the number of the last event before a moment (Unix time); 0: none."""
        return self._db.number("SELECT max(id) AS id FROM event WHERE at < ?", (at_s,))


_MOST = 20_000  # rows at once
_STALE_S = 24 * 3600.0  # an attempt without an end is not waited for any longer: it was cut off

_UNDER_WAY, _SEEN = "analysing", frozenset({"analysed", "skipped", "quarantined"})


@dataclass(slots=True)
class CostTotals:
    """How often something was done, and what it took."""

    times: int = 0
    seconds: float = 0.0
    size_bytes: int = 0


@dataclass(slots=True)
class Totals:
    """Everything that is counted; it only grows."""

    captures: int = 0
    takes: int = 0
    clips: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)  # what analysing captures came to
    attempts: dict[tuple[str, str], CostTotals] = field(default_factory=dict)  # by kind and outcome
    looks: CostTotals = field(default_factory=CostTotals)  # into captures
    last_look_at: float | None = None


class Counters:
    """Counts on; used by one thread at a time."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database
        self._totals = Totals()
        self._event, self._attempt = 0, 0  # the last that were counted
        self._began: dict[int, float] = {}  # when each capture under way was begun
        self._open: set[int] = set()  # attempts that had not ended

    def count(self, *, now_s: float) -> Totals:
        """Return the totals up to now."""
        self._totals.captures = self._last_of(LAST_CAPTURE)
        self._totals.takes = self._last_of(LAST_TAKE)
        self._totals.clips = self._last_of(LAST_ENTRY)
        while rows := self._db.rows(EVENTS, (self._event, _MOST)):
            self._event = int(rows[-1]["id"])
            for row in rows:
                self._count_event(row)
        for attempt_id in sorted(self._open):
            for row in self._db.rows(ATTEMPT, (attempt_id,)):
                self._count_attempt(row, now_s=now_s)
        while rows := self._db.rows(ATTEMPTS, (self._attempt, _MOST)):
            self._attempt = int(rows[-1]["id"])
            for row in rows:
                self._count_attempt(row, now_s=now_s)
        return self._totals

    def _count_event(self, row: Row) -> None:
        if row["capture_id"] is None or row["what"] != "state":
            return
        capture, word, at = int(row["capture_id"]), str(row["word"]), float(row["at"])
        if word == _UNDER_WAY:
            self._began[capture] = at
            return
        began_at = self._began.pop(capture, None)
        if word not in _SEEN:
            return
        self._totals.verdicts[word] += 1
        self._totals.last_look_at = at
        if began_at is not None:
            self._totals.looks.times += 1
            self._totals.looks.seconds += max(0.0, at - began_at)

    def _count_attempt(self, row: Row, *, now_s: float) -> None:
        attempt_id, outcome = int(row["id"]), row["outcome"]
        if outcome is None and float(row["began_at"]) > now_s - _STALE_S:
            self._open.add(attempt_id)
            return
        self._open.discard(attempt_id)
        key = (str(row["kind"]), "cut_off" if outcome is None else str(outcome))
        spent = self._totals.attempts.setdefault(key, CostTotals())
        spent.times += 1
        spent.seconds += float(row["seconds"] or 0)
        spent.size_bytes += int(row["bytes"] or 0)

    def _last_of(self, query: str) -> int:
        return self._db.number(query)


# Rows are never deleted and ids rise by one: the last one is how many there are.
LAST_CAPTURE = "SELECT max(id) AS id FROM capture"
LAST_ENTRY = "SELECT max(id) AS id FROM entry"
LAST_TAKE = "SELECT max(rowid) AS id FROM take"
EVENTS = "SELECT id, at, capture_id, what, word FROM event WHERE id > ? ORDER BY id LIMIT ?"
ATTEMPTS = """
SELECT id, kind, began_at, outcome, seconds, bytes FROM attempt WHERE id > ? ORDER BY id LIMIT ?
"""
ATTEMPT = "SELECT id, kind, began_at, outcome, seconds, bytes FROM attempt WHERE id = ?"
