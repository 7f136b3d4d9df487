"""The line to the API as it stands: what waits, how fast it goes, and when it will be gone."""

from dataclasses import dataclass

from agent.delivery.goodput import RECENT, Goodput, measure
from agent.delivery.outlook import all_sent_at
from agent.outbox.outcomes import Unsettled
from agent.outbox.states import EntryState
from agent.outbox.store import Outbox
from agent.outbox.traffic import Backlog
from agent.timetable import Timetable, parse_timetable


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The line at one moment."""

    backlog: Backlog
    goodput: Goodput | None  # None: not measured yet
    timetable: Timetable
    unsettled: Unsettled | None  # whose outcome must be known before anything else may go
    sent_at: float | None  # Unix time, when all that waits has gone; None: not known, or far off


def read_line(outbox: Outbox, *, schedule: str, now_s: float) -> Line:
    """Return how the line stands at this moment.

    Args:
        outbox: of the station.
        schedule: the setting `delivery.schedule`.
        now_s: Unix time.
    """
    timetable = parse_timetable(schedule)
    goodput = measure(outbox.traffic.sendings(most=RECENT))
    backlog = outbox.traffic.backlog()
    unsettled = outbox.outcomes.settled_first()
    next_at = outbox.entries.next_due_at(EntryState.READY)
    if next_at is None and unsettled is None:
        unsettled = outbox.outcomes.unsettled()
    begins_s = max(now_s, next_at or now_s)  # it may count down, or back off
    return Line(
        backlog=backlog,
        goodput=goodput,
        timetable=timetable,
        unsettled=unsettled,
        sent_at=None
        if unsettled is not None
        else all_sent_at(backlog, goodput, timetable, now_s=begins_s),
    )
