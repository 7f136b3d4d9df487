"""Looking at what the station does, no more often than something may have changed."""

import time
from collections.abc import Callable
from pathlib import Path

from agent.clock import Now
from agent.notices.standing import Standing
from agent.outbox.disk.space import measure
from agent.outbox.store import Outbox
from agent.station.camera import CameraWatch
from agent.station.facts import read_facts
from agent.station.filming import filming

_AT_LEAST_EVERY_S = 10.0  # what goes by the clock, or by other programs, shows by then


class StationLook:
    """Looks for one channel, in that channel's thread."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        host: str,
        capture_folder: Path,
        state_folder: Path,
        is_filming: Callable[[], bool],
        camera: CameraWatch | None = None,
        now: Now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._host = host
        self._capture_folder = capture_folder
        self._state_folder = state_folder
        self._is_filming = is_filming
        self._camera = camera
        self._now = now
        self._monotonic = monotonic
        self._seen: tuple[object, ...] = ()
        self._standing: Standing | None = None

    def standing(self) -> Standing:
        """Return what the station does."""
        slot = self._monotonic() // _AT_LEAST_EVERY_S
        seen = (self._outbox.version(), self._is_filming(), slot)
        if self._standing is None or seen != self._seen:
            self._seen = seen
            self._standing = self._read(is_filming=bool(seen[1]))
        return self._standing

    def _read(self, *, is_filming: bool) -> Standing:
        now, room = self._now(), measure(self._state_folder)
        facts = read_facts(
            self._outbox,
            host=self._host,
            capture_folder=self._capture_folder,
            is_stopped=filming(self._outbox, now=now).stopped is not None,
            is_filming=is_filming,
            camera=None if self._camera is None else self._camera.look(now),
            now_s=now.utc_s,
        )
        return Standing(
            facts=facts,
            backlog_bytes=self._outbox.traffic.backlog().size_bytes,
            free_bytes=room.free_bytes,
            total_bytes=room.total_bytes,
            last_delivered_at=self._outbox.listing.last_sent_at(),
        )
