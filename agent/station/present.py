"""The present: who is on the station now, and whether it films, whatever was said for years."""

from agent.clock import Instant
from agent.outbox.store import Outbox
from agent.station.timeline import Timeline

_LATEST = 200  # of each layer; the present is among the last words, the past need not be read


def present_of(outbox: Outbox, *, now: Instant) -> Timeline:
    """Return a timeline that tells who is on the station now; of the past it knows no more."""
    outbox.assignments.note_boot(now.boot_id)
    said = outbox.assignments.latest(of_each_layer=_LATEST)
    return Timeline(said, boots=outbox.assignments.boots())
