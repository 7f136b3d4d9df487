"""Free space over the last days, and the forecast from it."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.disk.space import DiskSpace, DiskUsage
from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.files import ALL_DELIVERED
from agent.outbox.states import CaptureState, EntryState

_HOUR_S = 3600.0
WINDOW_S = 24 * _HOUR_S  # a whole day: gyms fill disks by day and not by night
_SHORTEST_S = _HOUR_S  # less says nothing
_LONGEST_S = 365 * 24 * _HOUR_S  # what lies beyond is not in sight


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSample:
    """The room on the disk at one moment."""

    at: float  # Unix time
    free_bytes: int
    may_go_bytes: int  # delivered and kept for a while: goes as soon as space is short

    @property
    def usable_bytes(self) -> int:
        """What captures can fill: what is free, or is cleared away for them."""
        return self.free_bytes + self.may_go_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the room on the disk comes to."""

    known: bool  # False: not watched for long enough
    full_in_s: float | None  # until intake waits for space; None: not in sight, or not known


def forecast(history: Sequence[DiskSample], *, floor_bytes: int, now_s: float) -> Forecast:
    """Return when intake will wait for space if the room goes on as over the last day.

    Args:
        history: the room over time, in any order; what is not from the last day is left out.
        floor_bytes: what must stay free.
        now_s: Unix time.
    """
    recent = sorted(
        (room for room in history if now_s - WINDOW_S - _HOUR_S <= room.at <= now_s),
        key=lambda room: room.at,
    )
    if not recent:
        return Forecast(known=False, full_in_s=None)
    first, last = recent[0], recent[-1]
    left = last.usable_bytes - floor_bytes
    if left <= 0:
        return Forecast(known=True, full_in_s=0.0)
    watched_s = last.at - first.at
    if watched_s < _SHORTEST_S:
        return Forecast(known=False, full_in_s=None)
    lost_bytes_s = (first.usable_bytes - last.usable_bytes) / watched_s
    if lost_bytes_s <= 0 or left / lost_bytes_s > _LONGEST_S:
        return Forecast(known=True, full_in_s=None)
    return Forecast(known=True, full_in_s=max(0.0, left / lost_bytes_s - (now_s - last.at)))


_KEPT_S = 3 * 24 * 3600.0
_DELIVERED = (EntryState.UPLOADED, EntryState.COMPLETED, EntryState.DISCARDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSizes:
    """Bytes of files on the disk."""

    captures: int  # as the camera wrote them, whatever became of them
    quarantined: int  # those of them that cannot be read and wait for a person
    clips_waiting: int  # not delivered
    clips_delivered: int  # delivered or discarded, kept for a while


class DiskHistory:
    """The table of the disk's room over time."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def note(self, room: DiskSample) -> None:
        """Record the room at one moment, and forget what is long past."""
        with self._db.transaction():
            self._db.change(
                "INSERT OR REPLACE INTO room (at, free_bytes, may_go_bytes) VALUES (?, ?, ?)",
                (room.at, room.free_bytes, room.may_go_bytes),
            )
            self._db.change(
                "DELETE FROM room WHERE at NOT BETWEEN ? AND ?", (room.at - _KEPT_S, room.at)
            )

    def history(self) -> list[DiskSample]:
        """Return the room over the last days, oldest first."""
        rows = self._db.rows("SELECT at, free_bytes, may_go_bytes FROM room ORDER BY at")
        return [DiskSample(**row) for row in rows]  # type: ignore[arg-type]  # STRICT tables keep the types

    def weights(self) -> FileSizes:
        """Return what our files take; read from an index alone."""
        captures = _by_state(self._db.rows(CAPTURE_WEIGHTS))
        clips = _by_state(self._db.rows(CLIP_WEIGHTS))
        delivered = sum(clips.get(state, 0) for state in _DELIVERED)
        return FileSizes(
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskStatus:
    """The disk of the state folder at one moment."""

    room: DiskUsage
    floor_bytes: int  # what must stay free
    may_go_bytes: int  # delivered and kept for a while
    ahead: Forecast


def read_disk(rooms: DiskHistory, space: DiskSpace, *, now_s: float) -> DiskStatus:
    """Return how the disk stands at this moment (Unix time)."""
    room, floor_bytes = space.room(), space.floor_bytes()
    history = rooms.history()
    may_go_bytes = history[-1].may_go_bytes if history else 0
    here = DiskSample(at=now_s, free_bytes=room.free_bytes, may_go_bytes=may_go_bytes)
    return DiskStatus(
        room=room,
        floor_bytes=floor_bytes,
        may_go_bytes=may_go_bytes,
        ahead=forecast([*history, here], floor_bytes=floor_bytes, now_s=now_s),
    )
