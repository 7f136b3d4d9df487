"""The room on the disk over the last days, and what of it our own files take."""

from dataclasses import dataclass

from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.delivered import ALL_DELIVERED
from agent.outbox.disk.forecast import RoomThen
from agent.outbox.states import CaptureState, EntryState

_KEPT_S = 3 * 24 * 3600.0
_DELIVERED = (EntryState.UPLOADED, EntryState.COMPLETED, EntryState.DISCARDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Bytes of files on the disk."""

    captures: int  # as the camera wrote them, whatever became of them
    quarantined: int  # those of them that cannot be read and wait for a person
    clips_waiting: int  # not delivered
    clips_delivered: int  # delivered or discarded, kept for a while


class Rooms:
    """The table of the disk's room over time."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def note(self, room: RoomThen) -> None:
        """Record the room at one moment, and forget what is long past."""
        with self._db.transaction():
            self._db.change(
                "INSERT OR REPLACE INTO room (at, free_bytes, may_go_bytes) VALUES (?, ?, ?)",
                (room.at, room.free_bytes, room.may_go_bytes),
            )
            self._db.change(
                "DELETE FROM room WHERE at NOT BETWEEN ? AND ?", (room.at - _KEPT_S, room.at)
            )

    def history(self) -> list[RoomThen]:
        """Return the room over the last days, oldest first."""
        rows = self._db.rows("SELECT at, free_bytes, may_go_bytes FROM room ORDER BY at")
        return [RoomThen(**row) for row in rows]  # type: ignore[arg-type]  # STRICT tables keep the types

    def weights(self) -> Weights:
        """Return what our files take; read from an index alone."""
        captures = _by_state(self._db.rows(CAPTURE_WEIGHTS))
        clips = _by_state(self._db.rows(CLIP_WEIGHTS))
        delivered = sum(clips.get(state, 0) for state in _DELIVERED)
        return Weights(
            captures=sum(captures.values()),
            quarantined=captures.get(CaptureState.QUARANTINED, 0),
            clips_waiting=sum(clips.values()) - delivered,
            clips_delivered=delivered,
        )

    def delivered_originals_bytes(self) -> int:
        """Return what originals take whose clips are all delivered, and those without a take."""
        row = self._db.row(DELIVERED_ORIGINALS)
        assert row is not None  # an aggregate gives one row
        return int(str(row["bytes"]))


CAPTURE_WEIGHTS = """
SELECT state, sum(bytes) AS bytes FROM capture WHERE file_state = 'present' GROUP BY state
"""  # index: capture_weight
CLIP_WEIGHTS = """
SELECT state, sum(clip_bytes) AS bytes FROM entry WHERE file_state = 'present' GROUP BY state
"""  # index: entry_on_disk
DELIVERED_ORIGINALS = f"""
SELECT coalesce(sum(bytes), 0) AS bytes FROM capture
 WHERE file_state = 'present' AND state IN ('analysed', 'discarded', 'skipped') AND {ALL_DELIVERED}
"""  # noqa: S608  # our own words; index: capture_weight


def _by_state(rows: list[Row]) -> dict[str, int]:
    return {str(row["state"]): int(str(row["bytes"])) for row in rows}
