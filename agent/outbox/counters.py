"""Totals since the station was set up, kept as running counters.

Attempts and events are only ever appended, so a look goes on where the last one ended.
"""

from collections import Counter
from dataclasses import dataclass, field

from agent.outbox.database import OutboxDatabase, Row

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
    verdicts: Counter[str] = field(default_factory=Counter)  # what looking into captures came to
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
            self._event = int(str(rows[-1]["id"]))
            for row in rows:
                self._count_event(row)
        for attempt_id in sorted(self._open):
            for row in self._db.rows(ATTEMPT, (attempt_id,)):
                self._count_attempt(row, now_s=now_s)
        while rows := self._db.rows(ATTEMPTS, (self._attempt, _MOST)):
            self._attempt = int(str(rows[-1]["id"]))
            for row in rows:
                self._count_attempt(row, now_s=now_s)
        return self._totals

    def _count_event(self, row: Row) -> None:
        if row["capture_id"] is None or row["what"] != "state":
            return
        capture, word, at = int(str(row["capture_id"])), str(row["word"]), float(str(row["at"]))
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
        attempt_id, outcome = int(str(row["id"])), row["outcome"]
        if outcome is None and float(str(row["began_at"])) > now_s - _STALE_S:
            self._open.add(attempt_id)
            return
        self._open.discard(attempt_id)
        key = (str(row["kind"]), "cut_off" if outcome is None else str(outcome))
        spent = self._totals.attempts.setdefault(key, CostTotals())
        spent.times += 1
        spent.seconds += float(str(row["seconds"] or 0))
        spent.size_bytes += int(str(row["bytes"] or 0))

    def _last_of(self, query: str) -> int:
        row = self._db.row(query)
        return 0 if row is None or row["id"] is None else int(str(row["id"]))


# Rows are never deleted and ids rise by one: the last one is how many there are.
LAST_CAPTURE = "SELECT max(id) AS id FROM capture"
LAST_ENTRY = "SELECT max(id) AS id FROM entry"
LAST_TAKE = "SELECT max(rowid) AS id FROM take"
EVENTS = "SELECT id, at, capture_id, what, word FROM event WHERE id > ? ORDER BY id LIMIT ?"
ATTEMPTS = """
SELECT id, kind, began_at, outcome, seconds, bytes FROM attempt WHERE id > ? ORDER BY id LIMIT ?
"""
ATTEMPT = "SELECT id, kind, began_at, outcome, seconds, bytes FROM attempt WHERE id = ?"
