"""Attempts: every upload and look-up that was begun, appended and never rewritten."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from agent.outbox.database import OutboxDatabase, Row


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
        plain = {name: row[name] for name in cls.__slots__ if name != "kind"}
        return cls(kind=AttemptKind(str(row["kind"])), **plain)  # type: ignore[arg-type]  # STRICT tables keep the types


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
        rows = self._db.rows("SELECT * FROM attempt WHERE entry_id = ? ORDER BY id", (entry_id,))
        return [Attempt.from_row(row) for row in rows]

    def last_upload(self, entry_id: int) -> Attempt | None:
        """Return the latest upload begun for an entry."""
        row = self._db.row(
            """
            SELECT * FROM attempt WHERE entry_id = ? AND kind = 'upload'
             ORDER BY id DESC LIMIT 1
            """,
            (entry_id,),
        )
        return None if row is None else Attempt.from_row(row)
