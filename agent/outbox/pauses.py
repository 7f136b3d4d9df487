"""What waits by itself: on record while it lasts, so that `spotter status` can say so."""

from dataclasses import dataclass

from agent.outbox.database import OutboxDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """One part of a capture's way that waits."""

    part: str  # intake, analysis, clearing, archive, settings or page
    reason: str  # a stable word, as in disk_full
    detail: str  # in a sentence, with what would help
    since: float  # Unix time


class Pauses:
    """The table of pauses, at most one a part."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def all(self) -> list[Pause]:
        """Return every pause there is."""
        rows = self._db.rows("SELECT * FROM pause ORDER BY part")
        return [Pause(**{name: row[name] for name in Pause.__slots__}) for row in rows]  # type: ignore[arg-type]  # STRICT tables keep the types

    def begin(self, pause: Pause) -> None:
        """Record a pause; one that goes on for the same reason keeps its beginning."""
        self._db.change(
            """
            INSERT INTO pause (part, reason, detail, since) VALUES (?, ?, ?, ?)
            ON CONFLICT (part) DO UPDATE SET
                detail = excluded.detail,
                since = iif(reason = excluded.reason, since, excluded.since),
                reason = excluded.reason
            """,
            (pause.part, pause.reason, pause.detail, pause.since),
        )

    def end(self, part: str) -> None:
        """Forget the pause of a part."""
        self._db.change("DELETE FROM pause WHERE part = ?", (part,))

    def forget(self) -> None:
        """Forget what the last run waited for: this one finds out for itself."""
        self._db.change("DELETE FROM pause")
