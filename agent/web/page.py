"""What every place of the page works with."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.web.access.door import Door
from agent.web.board.parts import Board
from agent.web.desk import Desk
from agent.web.source import Source

if TYPE_CHECKING:
    from agent.web.measures import Measures


@dataclass(slots=True, kw_only=True)
class Page(Source):
    """One station's page."""

    desk: Desk
    door: Door
    measures: "Measures | None" = None  # from when they are first asked for
    watchers: int = 0  # how many listen to the page's live voice
    board: Board = field(init=False)

    def __post_init__(self) -> None:
        """Make the board, which is drawn from all of this."""
        Source.__post_init__(self)
        self.board = Board(self)
