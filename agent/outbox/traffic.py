"""What waits for the line, and what went over it: for the order, and for what is foreseen."""

from dataclasses import dataclass

from agent.outbox.database import OutboxDatabase


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A clip that is due."""

    id: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What is not delivered yet, but for what waits for a person."""

    clips: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A body that went over the line, in part or whole."""

    size_bytes: int
    sending_s: float  # from its first part until it had arrived, or was given up
    throttled_s: float  # of these, waited because of our own cap
    seconds: float  # of the whole attempt: with connecting, and the answer
    is_delivered: bool


class Traffic:
    """Read-only views over entries and attempts."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def due(self, now_s: float, *, account: str, most: int) -> list[Waiting]:
        """Return the clips that are longest due, in that order, whose athletes have sessions."""
        rows = self._db.rows(DUE, {"now": now_s, "account": account, "most": most})
        return [Waiting(id=int(str(r["id"])), size_bytes=int(str(r["clip_bytes"]))) for r in rows]

    def backlog(self) -> Backlog:
        """Return how much waits to be delivered."""
        row = self._db.row(BACKLOG)
        assert row is not None  # an aggregate gives one row
        return Backlog(clips=int(str(row["clips"])), size_bytes=int(str(row["bytes"] or 0)))

    def sendings(self, *, most: int) -> list[Sending]:
        """Return what last went over the line, the newest first."""
        return [
            Sending(
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
