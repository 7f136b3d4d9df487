"""The disk as it stands: its room, what may still go, and how long that lasts."""

from dataclasses import dataclass

from agent.outbox.disk.forecast import Forecast, RoomThen, forecast
from agent.outbox.disk.history import Rooms
from agent.outbox.disk.space import Room, Space


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskNow:
    """The disk of the state folder at one moment."""

    room: Room
    floor_bytes: int  # what must stay free
    may_go_bytes: int  # delivered and kept for a while
    ahead: Forecast


def read_disk(rooms: Rooms, space: Space, *, now_s: float) -> DiskNow:
    """Return how the disk stands at this moment (Unix time)."""
    room, floor_bytes = space.room(), space.floor_bytes()
    history = rooms.history()
    may_go_bytes = history[-1].may_go_bytes if history else 0
    here = RoomThen(at=now_s, free_bytes=room.free_bytes, may_go_bytes=may_go_bytes)
    return DiskNow(
        room=room,
        floor_bytes=floor_bytes,
        may_go_bytes=may_go_bytes,
        ahead=forecast([*history, here], floor_bytes=floor_bytes, now_s=now_s),
    )
