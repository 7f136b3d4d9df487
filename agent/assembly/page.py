"""The page as a stage of the daemon; what serves it is loaded only where there is a page."""

from collections.abc import Callable

from agent.clock import read_clock
from agent.daemon.loop import Bells
from agent.intake.watch import CaptureFolder
from agent.outbox.disk.folders import StateFolder
from agent.outbox.store import Outbox
from agent.pulse import Pulses
from agent.settings import Settings
from agent.stage import Stage, StageName, StopFlag
from agent.station.of_settings import station_rules


class PageStage:
    """Serves the page; what that takes is loaded in its own thread, so that nobody waits for it."""

    name = StageName.PAGE

    def __init__(self, load: Callable[[], Stage]) -> None:
        """Prepare to serve.

        Args:
            load: makes the server.
        """
        self._load = load
        self._server: Stage | None = None

    def step(self) -> float:
        """Serve until the daemon ends, or until the page fails."""
        if self._server is None:
            self._server = self._load()
        return self._server.step()

    def close(self) -> None:
        """Let go of what the server holds, if there was one."""
        if self._server is not None:
            self._server.close()


def page_stages(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    captures: CaptureFolder,
    *,
    bells: Bells,
    stop: StopFlag,
    pulses: Pulses,
) -> list[Stage]:
    """Return the stage that serves the page, or none where it is turned off."""
    if not settings.web.listen:
        return []

    def load() -> Stage:
        from agent.web.server import PageServer, Signs

        signs = Signs(
            is_filming=captures.is_growing,
            wake=bells.ring_all,
            stop=stop,
            stuck=pulses.stuck,
            refusals=pulses.refusals,
            written_at=captures.written_at,
        )
        rules = station_rules(settings)
        return PageServer(settings, rules, outbox, folder, signs=signs, now=read_clock)

    return [PageStage(load)]
