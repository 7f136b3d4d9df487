"""Clips as the page shows them: the latest, and those that wait for a person."""

import json
from dataclasses import dataclass

from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.entry import Entry

_MOST_READ = 256  # clips that are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A clip, and what the analysis said of its take."""

    entry: Entry
    reps: int | None
    quality: tuple[str, ...]  # codes of the remarks on the picture


class Gallery:
    """Read-only views over clips and their takes."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database
        self._read: dict[str, tuple[Row, Shown]] = {}  # by clip code, as it was read last

    def latest(self, *, most: int) -> list[Shown]:
        """Return the clips that need nobody, the newest first; no discarded ones."""
        return [self._shown(row) for row in self._db.rows(LATEST, {"most": most})]

    def needing(self, *, most: int) -> list[Shown]:
        """Return the clips that need a person, the newest first.

        Those that are held, that the API refused, and that it fails on while others pass.
        """
        return [self._shown(row) for row in self._db.rows(NEEDING, {"most": most})]

    def of_person(
        self, user_id: str | None, guest_id: int | None, *, since: float, most: int
    ) -> list[Shown]:
        """Return a person's clips that were filmed from a Unix time on, the latest first."""
        wanted = {"user": user_id, "guest": guest_id, "since": since, "most": most}
        return [self._shown(row) for row in self._db.rows(OF_PERSON, wanted)]

    def has_any(self, user_id: str | None, guest_id: int | None) -> bool:
        """Tell whether there is any clip of a person."""
        return bool(self._db.rows(HAS_ANY, {"user": user_id, "guest": guest_id}))

    def of_entry(self, entry_id: int) -> Shown:
        """Return one clip."""
        (row,) = self._db.rows(f"{_SHOWN} WHERE entry.id = ?", (entry_id,))
        return self._shown(row)

    def failing(self) -> int:
        """Return on how many clips the API fails while others pass."""
        row = self._db.row(f"SELECT count(*) AS n FROM entry WHERE {_FAILING}")  # noqa: S608  # our own words
        assert row is not None  # an aggregate gives one row
        return int(str(row["n"]))

    def sent_since(self, at: float) -> int:
        """Return how many clips were acknowledged since a moment."""
        row = self._db.row("SELECT count(*) AS n FROM entry WHERE sent_at >= ?", (at,))
        assert row is not None  # an aggregate gives one row
        return int(str(row["n"]))

    def _shown(self, row: Row) -> Shown:
        """Return a row's clip: the one of last time where nothing in the row has changed."""
        code = str(row["clip_code"])
        known = self._read.get(code)
        if known is None or known[0] != row:
            if len(self._read) >= _MOST_READ:
                self._read.clear()
            known = self._read[code] = (row, _shown(row))
        return known[1]


_SHOWN = """
SELECT entry.*, take.reps, take.start_s AS take_start_s, take.end_s AS take_end_s,
       json_extract(capture.report, '$.quality') AS quality
  FROM entry
  JOIN entry_capture ON entry_capture.entry_id = entry.id AND entry_capture.position = 1
  JOIN capture ON capture.id = entry_capture.capture_id
  LEFT JOIN take ON take.capture_id = capture.id AND take.number = entry_capture.take_number
"""
# The plus keeps SQLite from reading all that is ready; index: entry_failing.
_FAILING = "entry.reason = 'fails_at_server' AND +entry.state IN ('ready', 'uncertain')"
LATEST = f"""
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


def _shown(row: Row) -> Shown:
    remarks = json.loads(str(row["quality"])) if row["quality"] else []
    reps = row["reps"]
    return Shown(
        entry=Entry.from_row(row),
        reps=reps if isinstance(reps, int) else None,
        quality=tuple(str(r["code"]) for r in remarks if _is_of_take(r.get("at_s"), row)),
    )


def _is_of_take(at_s: float | None, row: Row) -> bool:
    """Tell whether a remark is on the take, or on the whole capture."""
    bounds = (row["take_start_s"], row["take_end_s"])
    if at_s is None or not all(isinstance(bound, float) for bound in bounds):
        return True
    start_s, end_s = (float(str(bound)) for bound in bounds)
    return start_s <= at_s <= end_s
