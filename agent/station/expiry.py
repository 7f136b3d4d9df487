"""Assignments that end after a time without a take.

The end is a statement of its own, "nobody", from the very moment on.  It is recorded when that
moment is past, and everything filmed before it was analysed: a take that is found late keeps
the assignment alive all the same.
"""

from dataclasses import dataclass

from agent.clock import Instant
from agent.outbox.assignments import Assignment, AssignmentKind, AssignmentLayer, RenewedBy
from agent.outbox.outbox import Outbox
from agent.station.timeline import Timeline, UndecidableError, present_of

ASKS_BEFORE_S = 300.0  # so long before the end the page asks: still the same athlete?
RUN_OUT = "run out"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentStatus:
    """Who is on the station at this moment, and for how long by what is known."""

    assignment: Assignment | None  # None: nobody
    since_s: float | None  # seconds that the assignment has held; None: nobody, or since ever
    left_s: float | None  # seconds until it runs out; None: it does not

    @property
    def asks(self) -> bool:
        """Whether a person should say if it is still the same athlete."""
        return self.left_s is not None and self.left_s <= ASKS_BEFORE_S


def assignment_status(
    outbox: Outbox, *, now: Instant, however_long: bool = False
) -> AssignmentStatus:
    """Return who is on the station now.  Nothing is recorded.

    Args:
        outbox, now: of the station.
        however_long: whoever has run out, but is not on record as that, too; `left_s` is below 0.
    """
    timeline = present_of(outbox, now=now)
    said = timeline.at(now).assignment
    if said is None:
        return AssignmentStatus(assignment=None, since_s=None, left_s=None)
    if said.layer is not AssignmentLayer.COACH:
        return AssignmentStatus(assignment=said, since_s=None, left_s=None)
    since_s, left_s = said.starts.elapsed_s(now), None
    if said.lasts_s is not None:
        left_s = max(0.0, said.lasts_s - since_s)
    elif said.idle_s is not None:
        left_s = said.idle_s - _last_sign(outbox, timeline, said).elapsed_s(now)
        if left_s <= 0 and not however_long:
            if not outbox.captures.any_waits():
                return AssignmentStatus(assignment=None, since_s=None, left_s=None)
            left_s = 0.0
    return AssignmentStatus(assignment=said, since_s=since_s, left_s=left_s)


def overdue_s(outbox: Outbox, *, now: Instant) -> float | None:
    """Return for how long the present assignment has run out; below 0 where it has not yet.

    None where nobody is on the station whose assignment can run out.
    """
    stands = assignment_status(outbox, now=now, however_long=True)
    said = stands.assignment
    return None if said is None or said.idle_s is None or stands.left_s is None else -stands.left_s


def record_run_out_now(outbox: Outbox, *, now: Instant) -> bool:
    """Record that the present assignment has run out, if it has and no capture waits."""
    with outbox.transaction():
        if outbox.captures.any_waits():
            return False
        return record_run_out(outbox, present_of(outbox, now=now), by=now) is not None


def record_run_out(outbox: Outbox, timeline: Timeline, *, by: Instant) -> Assignment | None:
    """Record that the assignment of a moment had run out by then; None where it had not.

    Whatever was filmed before that moment should have been looked into.

    Args:
        outbox: where it is recorded.
        timeline: what was said, as far as the moment asks for it.
        by: the moment.
    """
    with outbox.transaction():
        try:
            said = timeline.at(by).assignment
        except UndecidableError:
            return None
        if said is None or said.idle_s is None:
            return None
        moment = run_out_at(_last_sign(outbox, timeline, said), said.idle_s, by=by)
        if moment is None:
            return None
        nobody = Assignment(
            layer=AssignmentLayer.COACH, kind=AssignmentKind.NOBODY, starts=moment, set_by=RUN_OUT
        )
        outbox.assignments.append(nobody)
        return nobody


def renew(outbox: Outbox, timeline: Timeline, moment: Instant) -> None:
    """Let a take that ended at `moment` keep alive whoever was on the station then."""
    try:
        said = timeline.at(moment).assignment
    except UndecidableError:
        return
    if said is not None and said.layer is AssignmentLayer.COACH and said.id is not None:
        outbox.assignments.renew(said.id, moment, RenewedBy.TAKE)


def run_out_at(last_sign: Instant, idle_s: float, *, by: Instant) -> Instant | None:
    """Return when an assignment ran out, or None where it had not by a moment.

    Args:
        last_sign: when it was made, kept, or last filmed.
        idle_s: for how long it lasts without such a sign.
        by: the moment.
    """
    over_s = last_sign.elapsed_s(by) - idle_s
    if over_s < 0:
        return None
    if last_sign.boot_id == by.boot_id or by.boot_s is None or over_s > by.boot_s:
        return last_sign.shifted(idle_s)  # in that boot, or while the box was off after it
    return by.shifted(-over_s)


def _last_sign(outbox: Outbox, timeline: Timeline, said: Assignment) -> Instant:
    assert said.id is not None  # it is on record
    return timeline.order.latest([said.starts, *outbox.assignments.renewals(said.id)])
