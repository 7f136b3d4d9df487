"""The lane on record: open or paused, and what its host has said about the key."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.outbox.database import OutboxDatabase, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """The way to one API host, as it stood when it was read."""

    host: str
    paused_reason: str | None = None  # None: open
    paused_detail: str | None = None
    paused_at: float | None = None
    next_probe_at: float | None = None
    probes: int = 0  # probes in a row that failed
    key_header: str | None = None  # which form of the key header this host accepts
    role: str | None = None
    uid: str | None = None  # whose key it is
    answered_at: float | None = None  # last good answer about the account with the present key
    titles_altered: int = 0  # 1: this host changed the title of a session it made
    last_error: str | None = None
    last_error_at: float | None = None


class Lanes:
    """The table of lanes, one row per host."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def get(self, host: str) -> LaneState:
        """Return the lane to `host`; open and unknown where it was never used."""
        row = self._db.row("SELECT * FROM lane WHERE host = ?", (host,))
        return LaneState(host=host) if row is None else _state(row)

    def all(self) -> list[LaneState]:
        """Return every lane that was ever used."""
        return [_state(row) for row in self._db.rows("SELECT * FROM lane")]

    def update(self, host: str, changes: Mapping[str, object]) -> LaneState:
        """Set columns of a lane and return it as it then stands."""
        settings = ", ".join(f"{column} = ?" for column in changes)
        with self._db.transaction():
            self._db.change("INSERT OR IGNORE INTO lane (host) VALUES (?)", (host,))
            self._db.change(
                f"UPDATE lane SET {settings} WHERE host = ?",  # noqa: S608  # column names are ours
                (*changes.values(), host),
            )
        return self.get(host)


def _state(row: Row) -> LaneState:
    return LaneState(**{name: row[name] for name in LaneState.__slots__})  # type: ignore[arg-type]  # STRICT tables keep the types
