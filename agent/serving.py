"""The page as a stage of the daemon; what serves it is loaded only where there is a page."""

from agent.clock import read_clock
from agent.daemon import Bells
from agent.intake.watch import CaptureFolder
from agent.outbox.folders import StateFolder
from agent.outbox.store import Outbox
from agent.settings import Settings
from agent.stage import Stage, StopFlag
from agent.station.assigning import StationRules

PAGE = "page"


def page_stages(
    settings: Settings,
    rules: StationRules,
    folder: StateFolder,
    outbox: Outbox,
    captures: CaptureFolder,
    *,
    bells: Bells,
    stop: StopFlag,
) -> list[Stage]:
    """Return the stage that serves the page, or none where it is turned off."""
    if not settings.web.listen:
        return []
    from agent.web.server import PageServer, Signs

    signs = Signs(is_filming=captures.is_growing, wake=bells.ring_all, stop=stop)
    return [PageServer(settings, rules, outbox, folder, signs=signs, now=read_clock)]
