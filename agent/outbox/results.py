"""Results: what the API made of a clip.

The row holds what the station shows; everything that the API told lies beside it in a file, which
was durable before the row was.  File and row may be lost: the API still has them.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from agent.outbox.database import OutboxDatabase, Row

Number = float | int | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came back of one clip, as it stood when it was read."""

    entry_id: int
    session_id: str
    got_at: float  # Unix time
    numbers: Mapping[str, Number]  # every metric that is a plain value, by its path
    analysed_video_url: str | None = field(repr=False)  # a signed link: never shown unasked
    url_at: float | None  # when it was told: it may expire
    document_state: str  # of the file with everything: none, present, clearing or cleared
    document_bytes: int
    video_state: str  # of the fetched video: none, wanted, fetching, present, cleared or failed
    video_detail: str | None
    video_bytes: int

    @classmethod
    def from_row(cls, row: Row) -> "Result":
        """Build a result from a row of its table."""
        plain = {name: row[name] for name in cls.__slots__ if name != "numbers"}
        return cls(numbers=json.loads(str(row["numbers"])), **plain)  # type: ignore[arg-type]  # STRICT tables keep the types


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResult:
    """What an answer of the API says of a session whose analysis is there."""

    numbers: Mapping[str, Number]
    analysed_video_url: str | None = field(repr=False)
    document_bytes: int  # of the file that holds everything; 0: there is none


class Results:
    """The table of results."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def of_entry(self, entry_id: int) -> Result | None:
        """Return what came back of a clip, or None."""
        row = self._db.row("SELECT * FROM result WHERE entry_id = ?", (entry_id,))
        return None if row is None else Result.from_row(row)

    def of_entries(self, entry_ids: Collection[int]) -> dict[int, Result]:
        """Return what came back of some clips, by their id."""
        query = "SELECT * FROM result WHERE entry_id IN (SELECT value FROM json_each(?))"
        rows = self._db.rows(query, (json.dumps(list(entry_ids)),))
        return {result.entry_id: result for result in map(Result.from_row, rows)}

    def record(self, entry_id: int, new: NewResult, *, now_s: float) -> bool:
        """Keep what came back, in the place of what came before; the fetched video stays.

        False where the clip is nobody's any more: its athlete was forgotten, or it was discarded.
        """
        values = {
            "id": entry_id,
            "now": now_s,
            "numbers": json.dumps(dict(new.numbers)),
            "url": new.analysed_video_url,
            "bytes": new.document_bytes,
            "file": "present" if new.document_bytes else "none",
        }
        return bool(self._db.change(RECORD, values))

    def note_link(self, entry_id: int, url: str, *, now_s: float) -> None:
        """Keep a fresh link to the analysed video."""
        self._db.change(
            "UPDATE result SET analysed_video_url = ?, url_at = ? WHERE entry_id = ?",
            (url, now_s, entry_id),
        )


# A signed link is told anew with every answer; none in a later one leaves the one we have.
RECORD = """
INSERT INTO result (entry_id, session_id, got_at, numbers, analysed_video_url, url_at,
                    document_state, document_bytes)
SELECT id, session_id, :now, :numbers, :url, iif(:url IS NULL, NULL, :now), :file, :bytes
  FROM entry
 WHERE id = :id AND session_id IS NOT NULL AND state IN ('uploaded', 'completed')
   AND NOT (user_id IS NULL AND recipient = 'unknown')
ON CONFLICT (entry_id) DO UPDATE SET
    session_id = excluded.session_id, got_at = excluded.got_at, numbers = excluded.numbers,
    analysed_video_url = coalesce(excluded.analysed_video_url, analysed_video_url),
    url_at = coalesce(excluded.url_at, url_at),
    document_state = excluded.document_state, document_bytes = excluded.document_bytes
"""
