"""When everything that waits will have gone out, as far as can be told.  Pure."""

from agent.delivery.goodput import Goodput
from agent.outbox.traffic import Backlog
from agent.timetable import Timetable


def all_sent_at(
    backlog: Backlog, goodput: Goodput | None, timetable: Timetable, *, now_s: float
) -> float | None:
    """Return when the backlog will have gone out if nothing comes and nothing fails.

    None where the line was never measured, or where it takes more than a year.
    """
    if not backlog.clips:
        return now_s
    if goodput is None:
        return None
    busy_s = backlog.size_bytes / goodput.bytes_s + backlog.clips * goodput.overhead_s
    return timetable.sent_at(
        backlog.size_bytes, now_s, line_bytes_s=backlog.size_bytes / max(busy_s, 1e-3)
    )
