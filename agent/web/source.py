"""What the page is drawn from: one station, its settings, and the daemon around it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from jinja2 import Environment

from agent.clock import Now
from agent.outbox.disk.folders import StateFolder
from agent.outbox.store import Outbox
from agent.settings import Settings
from agent.stage import StopFlag, Wake
from agent.station.assigning import StationRules
from agent.station.camera import CameraWatch
from agent.web.i18n import Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What the page shares with the daemon around it."""

    is_filming: Callable[[], bool]  # whether a capture is being written
    wake: Wake  # lets every stage look at once
    stop: StopFlag
    stuck: Callable[[], Sequence[str]] = tuple  # parts of the daemon that make no progress
    written_at: Callable[[], float | None] = lambda: None  # when a recording last grew
    refusals: Callable[[], Mapping[str, str]] = dict  # what the disk refuses, by part


@dataclass(slots=True, kw_only=True)
class Source:
    """One station, as its page knows it."""

    settings: Settings
    rules: StationRules  # who and what is filmed here where no coach has said otherwise
    host: str  # of the API, whose lane is shown
    outbox: Outbox
    folder: StateFolder
    now: Now
    signs: Signs
    texts: Texts
    templates: Environment
    camera: CameraWatch = field(init=False)

    def __post_init__(self) -> None:
        """Prepare to look at the camera."""
        self.camera = CameraWatch(self.outbox, self.settings, self.signs.written_at)
