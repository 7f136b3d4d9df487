"""What every part of the page works with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jinja2 import Environment

from agent.clock import Now
from agent.outbox.folders import StateFolder
from agent.outbox.store import Outbox
from agent.settings import Settings
from agent.stage import StopFlag, Wake
from agent.station.assigning import StationRules
from agent.web.access.door import Door
from agent.web.desk import Desk
from agent.web.texts import Texts

if TYPE_CHECKING:
    from agent.web.board.parts import Board
    from agent.web.measures import Measures


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What the page shares with the daemon around it."""

    is_filming: Callable[[], bool]  # whether a capture is being written
    wake: Wake  # lets every stage look at once
    stop: StopFlag
    stuck: Callable[[], Sequence[str]] = tuple  # parts of the daemon that make no progress


@dataclass(slots=True, kw_only=True)
class Page:
    """One station's page."""

    settings: Settings
    rules: StationRules  # who and what is filmed here where no coach has said otherwise
    host: str  # of the API, whose lane is shown
    outbox: Outbox
    folder: StateFolder
    now: Now
    signs: Signs
    desk: Desk
    door: Door
    texts: Texts
    templates: Environment
    measures: "Measures | None" = None  # from when they are first asked for
    watchers: int = 0  # how many listen to the page's live voice
    board: "Board" = field(init=False)  # drawn from all of the above
