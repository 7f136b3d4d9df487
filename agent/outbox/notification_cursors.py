"""How far each notification receiver has read the events, and its state."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from agent.outbox.database import OutboxDatabase, built

_LATEST_EVENT = "(SELECT coalesce(max(id), 0) FROM event)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """One channel, as it stood when it was read."""

    name: str
    cursor: int  # the last event that it has acknowledged, or need not hear
    acknowledged_at: float | None
    failures: int  # in a row
    failing_since: float | None  # None: all is well
    next_try_at: float | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConfirmation:
    """The last event that the hub has stored."""

    event: int
    sequence: int  # its place in the hub's stream


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedNotice:
    """A notice that its receiver refused repeatedly, while it took others."""

    notice: str  # its id
    at: float  # Unix time
    why: str


class Channels:
    """The tables of channels and of what they refused."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def all(self) -> list[ChannelState]:
        """Return every channel that is on."""
        return self._db.all(partial(built, ChannelState), "SELECT * FROM channel ORDER BY name")

    def get(self, name: str) -> ChannelState | None:
        """Return one channel; None where it is off."""
        return next((state for state in self.all() if state.name == name), None)

    def keep(self, names: Collection[str]) -> None:
        """Let these channels be on and no others.

        One that was off, and every one of a database that was rebuilt, begins with now: what
        happened before is no news.
        """
        with self._db.transaction():
            self._db.change(
                "DELETE FROM channel WHERE name NOT IN (SELECT value FROM json_each(?))",
                (json.dumps(sorted(names)),),
            )
            for name in sorted(names):
                self.begin(name)

    def begin(self, name: str) -> None:
        """Let one more channel be on, beginning with now; one that is on continues."""
        self._db.change(
            f"INSERT OR IGNORE INTO channel (name, cursor) VALUES (?, {_LATEST_EVENT})",  # noqa: S608  # our own words
            (name,),
        )

    def end(self, name: str) -> None:
        """Let a channel be off, and forget what the hub has stored."""
        with self._db.transaction():
            self._db.change("DELETE FROM channel WHERE name = ?", (name,))
            self._db.change("DELETE FROM hub_confirmation")

    def advance(self, name: str, event_id: int, *, now_s: float | None) -> bool:
        """Move a channel's cursor on; False where it is there already.

        Args:
            name: the channel.
            event_id: up to this one, there is nothing left to send.
            now_s: when the receiver acknowledged; None: there was nothing to send.
        """
        moved = self._db.change(
            """
            UPDATE channel SET cursor = ?, acknowledged_at = coalesce(?, acknowledged_at)
             WHERE name = ? AND cursor < ?
            """,
            (event_id, now_s, name, event_id),
        )
        return moved > 0

    def confirm(self, name: str, stored: HubConfirmation, *, now_s: float) -> None:
        """Move the hub's cursor on behind an event, and note where the hub has stored it."""
        with self._db.transaction():
            self.advance(name, stored.event, now_s=now_s)
            self._db.change(
                "INSERT OR REPLACE INTO hub_confirmation (id, event, sequence) VALUES (1, ?, ?)",
                (stored.event, stored.sequence),
            )

    def confirmed(self) -> HubConfirmation | None:
        """Return the last event that the hub has stored; None where none is known."""
        row = self._db.row("SELECT event, sequence FROM hub_confirmation")
        return None if row is None else HubConfirmation(**row)

    def rewind(self, name: str, event_id: int) -> None:
        """Move the hub's cursor back: the hub has lost what came after an event."""
        with self._db.transaction():
            self._db.change("DELETE FROM hub_confirmation")
            self._db.change(
                "UPDATE channel SET cursor = ? WHERE name = ? AND cursor > ?",
                (event_id, name, event_id),
            )

    def set_aside(self, name: str, event_id: int, refused: RefusedNotice) -> None:
        """Go on behind a notice that the receiver refuses, and keep which it was."""
        with self._db.transaction():
            if self.advance(name, event_id, now_s=None):
                self._db.insert(
                    "refused_notice",
                    {
                        "channel": name,
                        "notice": refused.notice,
                        "at": refused.at,
                        "why": refused.why,
                    },
                )

    def refused(self, name: str) -> tuple[int, RefusedNotice | None]:
        """Return how many notices a channel refused, and the last of them."""
        row = self._db.row(
            "SELECT count(*) AS n, max(id) AS last FROM refused_notice WHERE channel = ?", (name,)
        )
        assert row is not None  # an aggregate gives one row
        last = self._db.row(
            "SELECT notice, at, why FROM refused_notice WHERE id = ?", (row["last"],)
        )
        return int(row["n"]), None if last is None else RefusedNotice(**last)

    def note_failure(self, name: str, error: str, *, now_s: float, next_try_at: float) -> None:
        """Record that a channel does not work; what keeps failing keeps its beginning."""
        self._db.change(
            """
            UPDATE channel SET failures = failures + 1, last_error = ?, next_try_at = ?,
                   failing_since = coalesce(failing_since, ?)
             WHERE name = ?
            """,
            (error, next_try_at, now_s, name),
        )

    def note_well(self, name: str) -> None:
        """Record that a channel works."""
        self._db.change(
            """
            UPDATE channel SET failures = 0, last_error = NULL, next_try_at = NULL,
                   failing_since = NULL
             WHERE name = ?
            """,
            (name,),
        )
