"""The page as a stage of the daemon; what serves it is loaded only where there is a page."""

from collections.abc import Callable, Sequence

from agent.clock import read_clock
from agent.daemon.loop import Bells
from agent.intake.watch import CaptureFolder
from agent.outbox.disk.folders import StateFolder
from agent.outbox.store import Outbox
from agent.settings import Settings
from agent.stage import Stage, StopFlag
from agent.station.of_settings import station_rules

PAGE = "page"


def page_stages(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    captures: CaptureFolder,
    *,
    bells: Bells,
    stop: StopFlag,
    stuck: Callable[[], Sequence[str]],
) -> list[Stage]:
    """Return the stage that serves the page, or none where it is turned off."""
    if not settings.web.listen:
        return []
    from agent.web.server import PageServer, Signs

    signs = Signs(is_filming=captures.is_growing, wake=bells.ring_all, stop=stop, stuck=stuck)
    rules = station_rules(settings)
    return [PageServer(settings, rules, outbox, folder, signs=signs, now=read_clock)]
