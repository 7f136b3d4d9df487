"""The line to the API as it stands: what waits, how fast it goes, and when it will be gone."""

from dataclasses import dataclass

from agent.delivery.goodput import RECENT, Goodput, measure
from agent.delivery.outlook import all_sent_at
from agent.outbox.traffic import Backlog, Traffic
from agent.timetable import Timetable, parse_timetable


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The line at one moment."""

    backlog: Backlog
    goodput: Goodput | None  # None: not measured yet
    timetable: Timetable
    sent_at: float | None  # Unix time, when all that waits has gone; None: not known, or far off


def read_line(traffic: Traffic, *, schedule: str, now_s: float) -> Line:
    """Return how the line stands at this moment.

    Args:
        traffic: of the outbox.
        schedule: the setting `delivery.schedule`.
        now_s: Unix time.
    """
    timetable = parse_timetable(schedule)
    goodput = measure(traffic.sendings(most=RECENT))
    backlog = traffic.backlog()
    return Line(
        backlog=backlog,
        goodput=goodput,
        timetable=timetable,
        sent_at=all_sent_at(backlog, goodput, timetable, now_s=now_s),
    )
