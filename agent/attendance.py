"""Putting together the stages that carry out what is said at the station."""

from agent.clock import read_clock
from agent.intake.watch import CaptureFolder
from agent.outbox.store import Outbox
from agent.stage import Stage
from agent.station.timekeeper import Timekeeper

ATTENDING = (Timekeeper.name,)


def attending_stages(outbox: Outbox, captures: CaptureFolder) -> list[Stage]:
    """Return the stages named in `ATTENDING`."""
    return [Timekeeper(outbox, still_comes=captures.holds_any, now=read_clock)]
