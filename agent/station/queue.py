"""The queue of athletes, and rotation."""

from agent.clock import Instant
from agent.errors import RequestError
from agent.outbox.assignments import Assignment, AssignmentKind, AssignmentLayer
from agent.outbox.models import ClipTarget
from agent.outbox.outbox import Outbox
from agent.outbox.roster import ROTATE, Queued
from agent.station.assignments import (
    StationRules,
    assign,
    assign_nobody,
    complete,
    last_combination,
    record_run_out_now,
    target_of,
)
from agent.station.attribution import present_of
from agent.station.roster import for_person

MOST_QUEUED = 100
SET_BY = "queue"


def enqueue(
    outbox: Outbox, key: str, wanted: ClipTarget | None = None, *, rules: StationRules
) -> Queued:
    """Put the person of a key at the queue's end.

    Args:
        outbox, rules: as ever.
        key: a user_id, or `guest:3`.
        wanted: what they will do; its person is ignored.  None: what they did last, or what is
            done at this station.

    Raises:
        RequestError: there is no such guest, or the API would refuse such a clip.
    """
    movement = wanted or last_combination(outbox, key) or rules.default
    target = complete(outbox, for_person(outbox, key, movement), station=rules.default)
    with outbox.transaction():
        if len(outbox.queue.all()) >= MOST_QUEUED:
            raise RequestError(f"the queue is full ({MOST_QUEUED} athletes)")
        return outbox.queue.append(target)


def move_in_queue(outbox: Outbox, queued_id: int, *, to: int) -> None:
    """Put a place elsewhere in the queue; 1 is the next.

    Raises:
        RequestError: there is no such place.
    """
    with outbox.transaction():
        ids = [queued.id for queued in outbox.queue.all()]
        if queued_id not in ids:
            raise RequestError(f"no entry {queued_id} in the queue", hint="spotter queue")
        ids.remove(queued_id)
        ids.insert(max(0, to - 1), queued_id)
        outbox.queue.arrange(ids)


def next_in_queue(outbox: Outbox, *, rules: StationRules, now: Instant) -> Assignment:
    """Let the next one onto the station.

    While rotating, whoever makes way goes to the queue's end, with what they did.

    Raises:
        RequestError: the queue is empty, or the API would refuse the combination by now.
    """
    with outbox.transaction():
        waiting = outbox.queue.all()
        if not waiting:
            raise RequestError("the queue is empty", hint="spotter queue add USER_ID")
        following = waiting[0]
        outbox.queue.remove(following.id)
        _make_way(outbox, following, now=now)
        return assign(
            outbox,
            following.target,
            station=rules.default,
            idle_s=rules.idle_s,
            now=now,
            set_by=SET_BY,
        )


def finish(outbox: Outbox, *, now: Instant, set_by: str) -> None:
    """Let whoever is on the station make way for nobody; while rotating, for the queue's end."""
    with outbox.transaction():
        _make_way(outbox, None, now=now)
        assign_nobody(outbox, now=now, set_by=set_by)


def set_rotate(outbox: Outbox, *, on: bool) -> None:
    """Let whoever makes way for the next go to the queue's end: A, B, A, B."""
    outbox.switches.turn(ROTATE, on=on)


def rotates(outbox: Outbox) -> bool:
    """Tell whether whoever makes way goes to the queue's end."""
    return outbox.switches.is_on(ROTATE)


def _make_way(outbox: Outbox, following: Queued | None, *, now: Instant) -> None:
    """Put whoever is on the station at the queue's end, while rotating."""
    record_run_out_now(outbox, now=now)
    before = present_of(outbox, now=now).at(now).assignment
    if outbox.switches.is_on(ROTATE) and _goes_round(before, following):
        assert before is not None  # somebody goes round
        outbox.queue.append(target_of(before))


def _goes_round(before: Assignment | None, following: Queued | None) -> bool:
    """Tell whether whoever is on the station was put there by a coach, and is somebody else."""
    if before is None or before.layer is not AssignmentLayer.COACH:
        return False
    if before.kind is not AssignmentKind.ATHLETE:
        return False
    return following is None or before.who != (
        following.target.user_id,
        following.target.guest_id,
    )
