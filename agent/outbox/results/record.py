"""Results: what the API made of a clip.

The row holds what the station shows; everything that the API told lies beside it in a file, which
was durable before the row was.  File and row may be lost: the API still has them.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agent.outbox.database import OutboxDatabase, Row

Number = float | int | str | bool


class DocumentState(StrEnum):
    """What there is of the file with everything that the API told."""

    NONE = "none"
    PARTIAL = "partial"  # what the list told: no angles, no timestamps
    PRESENT = "present"
    CLEARING = "clearing"  # may be gone: unlinking was begun
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came back of one clip, as it stood when it was read."""

    entry_id: int
    session_id: str
    got_at: float  # Unix time
    numbers: Mapping[str, Number]  # every metric that is a plain value, by its path
    analysed_video_url: str | None = field(repr=False)  # a signed link: never shown unasked
    url_at: float | None  # when it was told: it may expire
    document_state: DocumentState
    document_bytes: int
    video_state: str  # of the fetched video: none, wanted, fetching, present, cleared or failed
    video_detail: str | None
    video_bytes: int
    video_at: float | None  # when it was wished for, then when it came

    @classmethod
    def from_row(cls, row: Row) -> "Result":
        """Build a result from a row of its table."""
        converted = {"numbers", "document_state"}
        plain = {name: row[name] for name in cls.__slots__ if name not in converted}
        return cls(
            numbers=json.loads(str(row["numbers"])),
            document_state=DocumentState(str(row["document_state"])),
            **plain,  # type: ignore[arg-type]  # STRICT tables keep the types
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResult:
    """What an answer of the API says of a session whose analysis is there."""

    numbers: Mapping[str, Number]
    analysed_video_url: str | None = field(repr=False)
    document_bytes: int  # of the file that holds everything; 0: there is none
    document_state: DocumentState = DocumentState.PRESENT


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
            "file": new.document_state if new.document_bytes else DocumentState.NONE,
        }
        return bool(self._db.change(RECORD, values))

    def note_link(self, entry_id: int, url: str, *, now_s: float) -> None:
        """Keep a fresh link to the analysed video."""
        self._db.change(
            "UPDATE result SET analysed_video_url = ?, url_at = ? WHERE entry_id = ?",
            (url, now_s, entry_id),
        )

    def documents(self) -> Iterator[tuple[int, str, int]]:
        """Yield entry id, clip code and size of every file that should be there."""
        for row in self._db.rows(DOCUMENTS):
            yield int(str(row["id"])), str(row["clip_code"]), int(str(row["document_bytes"]))

    def note_document_lost(self, entry_id: int, *, now_s: float) -> None:
        """Let a file that is missing or torn be fetched again."""
        with self._db.transaction():
            self._db.change(
                "UPDATE result SET document_state = 'none', document_bytes = 0 WHERE entry_id = ?",
                (entry_id,),
            )
            self.fetch_again(entry_id, now_s=now_s)

    def fetch_again(self, entry_id: int, *, now_s: float) -> None:
        """Let the whole document of a completed session be asked for once more."""
        self._db.change(
            "UPDATE follow_up SET due_at = ?, failures = 0, fence = fence + 1"
            " WHERE entry_id = ? AND state = 'completed'",
            (now_s, entry_id),
        )

    def forget(self, entry_ids: Collection[int], *, now_s: float) -> None:
        """Let nothing be known of what came of some clips, and nobody ask again."""
        ids = {"ids": json.dumps(list(entry_ids)), "now": now_s}
        with self._db.transaction():
            for statement in FORGET:
                self._db.change(statement, ids)


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

DOCUMENTS = """
SELECT entry.id, entry.clip_code, result.document_bytes
  FROM result JOIN entry ON entry.id = result.entry_id
 WHERE result.document_state IN ('partial', 'present')
"""  # index: result_on_disk
# The row goes: no number of theirs stays.  Their files are removed by name, row or none.
FORGET = (
    """
    UPDATE follow_up SET state = 'gone', detail = 'its athlete was forgotten', due_at = NULL,
                         fence = fence + 1, changed_at = :now
     WHERE entry_id IN (SELECT value FROM json_each(:ids))
    """,
    "DELETE FROM result WHERE entry_id IN (SELECT value FROM json_each(:ids))",
)
