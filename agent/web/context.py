"""What the page is rendered from: the station, its settings, and the daemon's signals."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from jinja2 import Environment

from agent.clock import Now
from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.settings import Settings
from agent.stage import StopFlag, Wake
from agent.station.assignments import StationRules
from agent.station.camera import CameraWatch
from agent.station.check_in import CheckIn
from agent.station.recorders import RecorderSight
from agent.web.i18n import Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSignals:
    """What the page shares with the daemon around it."""

    is_filming: Callable[[], bool]  # whether a capture is being written
    wake: Wake  # lets every stage check for work at once
    stop: StopFlag
    stuck: Callable[[], Sequence[str]] = tuple  # parts of the daemon that make no progress
    written_at: Callable[[], float | None] = lambda: None  # when a recording last grew
    recorders: Callable[[], tuple[RecorderSight, ...]] = tuple  # what is known of them
    reload: Callable[[], None] = lambda: None  # lets the daemon read its settings again
    refusals: Callable[[], Mapping[str, str]] = dict  # what the disk refuses, by part


@dataclass(slots=True, kw_only=True)
class PageContext:
    """One station, as its page knows it."""

    settings: Settings
    rules: StationRules  # who and what is filmed here where no coach has said otherwise
    host: str  # of the API, whose lane is shown
    outbox: Outbox
    folder: StateFolder
    now: Now
    signs: DaemonSignals
    texts: Texts
    templates: Environment
    camera: CameraWatch = field(init=False)
    check_in: CheckIn = field(init=False)

    def __post_init__(self) -> None:
        """Prepare to watch the camera, and to know cards."""
        self.check_in = CheckIn(self.outbox, self.folder)
        self.camera = CameraWatch(
            self.outbox, self.settings, self.signs.written_at, self.signs.recorders
        )


Answer = TypeVar("Answer")


class DatabaseExecutor:
    """Two threads for the outbox, and the way to them from the event loop."""

    def __init__(self) -> None:
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="page-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="page-write")

    async def read(self, look: Callable[[], Answer]) -> Answer:
        """Return what `look` finds; it must change nothing."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, look)

    async def write(self, change: Callable[[], Answer]) -> Answer:
        """Carry out a change and return what it gives."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, change)

    def close(self) -> None:
        """Let the threads end; what has not begun is dropped."""
        for pool in (self._reader, self._writer):
            pool.shutdown(wait=False, cancel_futures=True)
