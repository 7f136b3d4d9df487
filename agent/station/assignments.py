"""Assigning athletes, now and next: every assignment is recorded with its start and its source.

An assignment ends after a time without a take.  The end is a statement of its own, "nobody", from
the very moment on.  It is recorded when that moment is past, and everything filmed before it was
analysed: a take that is found late keeps the assignment alive all the same.  Who comes next stands
in the queue; in a rotation, the finished athlete goes to its end.
"""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from agent.clock import BEGINNING, Instant
from agent.disk.space import DiskSpace
from agent.disk.state_folder import StateFolder
from agent.errors import RequestError
from agent.exercises import check_movement
from agent.outbox.assignments import Assignment, AssignmentKind, AssignmentLayer, RenewedBy
from agent.outbox.disk import Reserve
from agent.outbox.models import ClipTarget
from agent.outbox.outbox import Outbox
from agent.outbox.roster import ROTATE, Queued, key_of
from agent.outbox.states import Recipient
from agent.settings import Settings
from agent.station.attribution import Chronology, Timeline, UndecidableError, present_of
from agent.station.roster import check_user_id, for_person

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

    Whatever was filmed before that moment should have been analysed.

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
        moment = _run_out_at(timeline.order, _last_sign(outbox, timeline, said), said.idle_s, by=by)
        if moment is None:
            return None
        nobody = Assignment(
            layer=AssignmentLayer.COACH, kind=AssignmentKind.NOBODY, starts=moment, set_by=RUN_OUT
        )
        outbox.assignments.append(nobody)
        return nobody


def renew(outbox: Outbox, timeline: Timeline, moment: Instant) -> None:
    """Let a take that ended at `moment` extend the assignment of that time."""
    try:
        said = timeline.at(moment).assignment
    except UndecidableError:
        return
    if said is not None and said.layer is AssignmentLayer.COACH and said.id is not None:
        outbox.assignments.renew(said.id, moment, RenewedBy.TAKE)


def _run_out_at(
    order: Chronology, last_sign: Instant, idle_s: float, *, by: Instant
) -> Instant | None:
    """Return when an assignment ran out, or None where it had not by a moment.

    Args:
        order: of the box's boots.
        last_sign: when it was made, kept, or last filmed.
        idle_s: for how long it lasts without such a sign.
        by: the moment.
    """
    over_s = last_sign.elapsed_s(by) - idle_s
    if over_s < 0:
        return None
    if last_sign.boot_id == by.boot_id or by.boot_s is None:
        return last_sign.shifted(idle_s)
    if over_s <= by.boot_s:
        return by.shifted(-over_s)
    moment = last_sign.shifted(idle_s)  # in that boot, or while the box was off after it
    if order.has_boot_between(last_sign, by):  # or in another boot: UTC, trusted here, tells
        moment = replace(moment, boot_id=None, boot_s=None)
    return moment


def _last_sign(outbox: Outbox, timeline: Timeline, said: Assignment) -> Instant:
    assert said.id is not None  # it is on record
    return timeline.order.latest([said.starts, *outbox.assignments.renewals(said.id)])


EMPTY_BAR_KG = 20.0  # where plus and minus begin if nobody ever said a mass


@dataclass(frozen=True, slots=True, kw_only=True)
class StationRules:
    """What the settings say about who is on the station."""

    default: ClipTarget  # who and what is filmed here where no coach has said otherwise
    idle_s: float | None = None  # an assignment without a take for so long ends; None: never
    send_delay_s: float = 0.0  # time to correct a take before it goes


def record_default(outbox: Outbox, station: ClipTarget, *, now: Instant) -> None:
    """Record the station's default where it is not the one on record.

    The first default of a station holds since ever: nothing else was ever said.  Every later one
    begins now, so that editing the settings never touches the past.
    """
    before = [said for said in outbox.assignments.all() if said.layer is AssignmentLayer.STATION]
    kind = AssignmentKind.NOBODY if station.user_id is None else AssignmentKind.ATHLETE
    default = Assignment(
        layer=AssignmentLayer.STATION,
        kind=kind,
        starts=now if before else BEGINNING,
        user_id=station.user_id,
        activity=station.activity,
        exercise=station.exercise,
        barbell_mass_kg=station.barbell_mass_kg,
        incline_deg=station.incline_deg,
        set_by="settings",
    )
    if not before or replace(before[-1], starts=default.starts) != default:
        outbox.assignments.append(default)


def timeline_of(outbox: Outbox, *, now: Instant) -> Timeline:
    """Return who was on the station when, by everything said so far."""
    outbox.assignments.note_boot(now.boot_id)
    return Timeline(outbox.assignments.all(), boots=outbox.assignments.boots())


def assign(
    outbox: Outbox,
    wanted: ClipTarget,
    *,
    rules: StationRules,
    now: Instant,
    set_by: str,
    lasts_s: float | None = None,
) -> Assignment:
    """Put an athlete, or a guest, on the station from now on.

    What was not said is the athlete's own last barbell mass, or comes from the station, and only
    for the same activity: never from the athlete before.

    Args:
        outbox: where it is recorded.
        wanted: who does what.
        rules: the station's default, and after how long without a take nobody is there.
        now: from when on.
        set_by: who said so and how: "command line", "page", "queue".
        lasts_s: after that, nobody, whatever is filmed; until then the want of takes ends nothing.

    Raises:
        RequestError: the API would refuse such a clip.
    """
    if wanted.guest_id is None:
        check_user_id(wanted.user_id)
    movement = complete(outbox, wanted, station=rules.default)
    idle_s = rules.idle_s if lasts_s is None else None
    assignment = _athlete(movement, starts=now, lasts_s=lasts_s, idle_s=idle_s, set_by=set_by)
    with outbox.transaction():
        record_run_out_now(outbox, now=now)
        return replace(assignment, id=outbox.assignments.append(assignment))


def assign_person(
    outbox: Outbox,
    key: str,
    wanted: ClipTarget | None = None,
    *,
    rules: StationRules,
    now: Instant,
    set_by: str,
    lasts_s: float | None = None,
) -> Assignment:
    """Put the person of a key on the station: a user_id, or `guest:3`.

    Args:
        outbox, rules, now, set_by, lasts_s: as for `assign`.
        key: who.
        wanted: what they do; its person is ignored.  None: what they did last, or what is done
            at this station.

    Raises:
        RequestError: there is no such guest, or the API would refuse such a clip.
    """
    movement = wanted or last_combination(outbox, key) or rules.default
    target = for_person(outbox, key, movement)
    if wanted is None and movement is rules.default:
        target = replace(target, barbell_mass_kg=None, incline_deg=None)  # their own come first
    return assign(outbox, target, rules=rules, now=now, set_by=set_by, lasts_s=lasts_s)


def last_combination(outbox: Outbox, key: str) -> ClipTarget | None:
    """Return what a person did last by a coach's word; None where they were never assigned."""
    wanted = for_person(
        outbox, key, ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="")
    )
    said = outbox.assignments.last_of(wanted.user_id, wanted.guest_id)
    return None if said is None else said.target


def is_present(outbox: Outbox, assignment_id: int, *, now: Instant) -> bool:
    """Tell whether the station still has the athlete and the movement of an assignment."""
    present = present_of(outbox, now=now).at(now).assignment
    return present is not None and present.id == assignment_id


def is_on_station(outbox: Outbox, key: str, *, now: Instant) -> bool:
    """Tell whether the person of a key is on the station."""
    present = present_of(outbox, now=now).at(now).assignment
    return present is not None and key_of(*present.who) == key


def step_mass(
    outbox: Outbox, by_kg: float, *, rules: StationRules, now: Instant, set_by: str
) -> Assignment:
    """Begin a new interval of the same athlete with more or less on the bar.

    Raises:
        RequestError: nobody lifts at this moment, or the bar cannot weigh that.
    """
    with outbox.transaction():  # nobody else takes the station, or changes the bar, meanwhile
        present = _lifting(outbox, now=now)
        mass_kg = present.barbell_mass_kg
        if mass_kg is None:
            last = outbox.assignments.last_mass_kg(*present.who, exercise=present.exercise)
            mass_kg = EMPTY_BAR_KG if last is None else last
        mass_kg = round(mass_kg + by_kg, 3)
        return _weigh(outbox, present, mass_kg, rules=rules, now=now, set_by=set_by)


def set_mass(
    outbox: Outbox, mass_kg: float, *, rules: StationRules, now: Instant, set_by: str
) -> Assignment:
    """Begin a new interval of the same athlete with this mass on the bar.

    Raises:
        RequestError: nobody lifts at this moment, or the bar cannot weigh that.
    """
    with outbox.transaction():  # as above
        present = _lifting(outbox, now=now)
        return _weigh(outbox, present, mass_kg, rules=rules, now=now, set_by=set_by)


def _weigh(
    outbox: Outbox,
    present: Assignment,
    mass_kg: float,
    *,
    rules: StationRules,
    now: Instant,
    set_by: str,
) -> Assignment:
    if present.layer is AssignmentLayer.COACH:
        rules = replace(rules, idle_s=present.idle_s)
    return assign(
        outbox,
        replace(present.target, barbell_mass_kg=mass_kg),
        rules=rules,
        now=now,
        set_by=set_by,
        lasts_s=_rest_s(present, now=now),
    )


def _lifting(outbox: Outbox, *, now: Instant) -> Assignment:
    present = _present(outbox, now=now)
    if present.activity != "weightlifting":
        raise RequestError(f"a barbell mass cannot be set for {present.activity}")
    return present


def keep(outbox: Outbox, *, now: Instant, set_by: str) -> Assignment:
    """Say that it is still the same athlete: the assignment's time starts again.

    Raises:
        RequestError: nobody is assigned by a coach.
    """
    with outbox.transaction():  # nobody else takes the station meanwhile
        present = _present(outbox, now=now)
        if present.layer is not AssignmentLayer.COACH or present.id is None:
            raise RequestError("the default athlete's assignment does not expire")
        if present.lasts_s is None:
            outbox.assignments.renew(present.id, now, RenewedBy.KEPT)
            return present
        again = replace(present, starts=now, set_by=set_by, id=None)
        outbox.assignments.append(again)
    return again


def assign_nobody(outbox: Outbox, *, now: Instant, set_by: str) -> Assignment:
    """Say that nobody is on the station, until further notice: the athlete is done."""
    return _say(outbox, AssignmentKind.NOBODY, now=now, set_by=set_by)


def clear_assignment(outbox: Outbox, *, now: Instant, set_by: str) -> Assignment:
    """Go back to the station's default."""
    return _say(outbox, AssignmentKind.DEFAULT, now=now, set_by=set_by)


def complete(outbox: Outbox, wanted: ClipTarget, *, station: ClipTarget) -> ClipTarget:
    """Return `wanted` with what it leaves open: the athlete's own last mass, then the station's.

    Raises:
        RequestError: the API would refuse the combination.
    """
    if wanted.activity == "weightlifting" and wanted.barbell_mass_kg is None:
        exercise = wanted.exercise or station.exercise
        own = outbox.assignments.last_mass_kg(wanted.user_id, wanted.guest_id, exercise=exercise)
        wanted = replace(wanted, barbell_mass_kg=own)
    return fill_movement(wanted, station)


def fill_movement(wanted: ClipTarget, station: ClipTarget) -> ClipTarget:
    """Return `wanted` with what it leaves open taken from the station, if it fits.

    Raises:
        RequestError: the API would refuse the combination.
    """
    if wanted.activity == station.activity:
        wanted = wanted.filled(station)
    check_movement(
        wanted.activity,
        wanted.exercise,
        barbell_mass_kg=wanted.barbell_mass_kg,
        incline_deg=wanted.incline_deg,
    )
    return wanted


def _present(outbox: Outbox, *, now: Instant) -> Assignment:
    """Return the current assignment."""
    with outbox.transaction():
        record_run_out_now(outbox, now=now)
        present = present_of(outbox, now=now).at(now).assignment
    if present is None:
        raise RequestError("no athlete is assigned", hint="spotter assign USER_ID")
    return present


def _athlete(
    target: ClipTarget, *, starts: Instant, lasts_s: float | None, idle_s: float | None, set_by: str
) -> Assignment:
    """Return a coach's word that somebody is on the station."""
    return Assignment(
        layer=AssignmentLayer.COACH,
        kind=AssignmentKind.ATHLETE,
        starts=starts,
        user_id=target.user_id,
        guest_id=target.guest_id,
        activity=target.activity,
        exercise=target.exercise,
        barbell_mass_kg=target.barbell_mass_kg,
        incline_deg=target.incline_deg,
        lasts_s=lasts_s,
        idle_s=idle_s,
        set_by=set_by,
    )


def _rest_s(said: Assignment, *, now: Instant) -> float | None:
    """Return how long an assignment of fixed length still lasts."""
    if said.lasts_s is None:
        return None
    return max(1.0, said.lasts_s - said.starts.elapsed_s(now))


def _say(outbox: Outbox, kind: AssignmentKind, *, now: Instant, set_by: str) -> Assignment:
    assignment = Assignment(layer=AssignmentLayer.COACH, kind=kind, starts=now, set_by=set_by)
    with outbox.transaction():
        record_run_out_now(outbox, now=now)
        outbox.assignments.append(assignment)
    return assignment


def state_folder(settings: Settings) -> StateFolder:
    """Return the places of a station's state folder."""
    return StateFolder(settings.paths.state)


def api_host(settings: Settings) -> str:
    """Return the host that the station's lane leads to."""
    return urlsplit(settings.api.base_url).netloc


def station_default(settings: Settings) -> ClipTarget:
    """Return who and what is filmed here where no coach has said otherwise."""
    station = settings.station
    return ClipTarget(
        recipient=Recipient.UNKNOWN if station.user_id is None else Recipient.ATHLETE,
        user_id=station.user_id,
        activity=station.activity,
        exercise=station.exercise,
        barbell_mass_kg=station.barbell_mass,
        incline_deg=station.incline_degree or None,
    )


def station_rules(settings: Settings) -> StationRules:
    """Return what the settings say about who is on the station."""
    idle_s = settings.station.runs_out_after_min * 60
    return StationRules(
        default=station_default(settings),
        idle_s=idle_s or None,
        send_delay_s=settings.delivery.send_delay_s,
    )


def reserve_of(settings: Settings) -> Reserve:
    """Return what keeps the outbox writable on a full disk."""
    space = _space_of(settings)
    return Reserve(settings.paths.state, space, reserve_mb=settings.disk.reserve_mb)


def renew_reserve(reserve: Reserve, settings: Settings) -> None:
    """Let a reserve be what other settings of the same station say."""
    reserve.renew(_space_of(settings), reserve_mb=settings.disk.reserve_mb)


def _space_of(settings: Settings) -> DiskSpace:
    return DiskSpace(settings.paths.state, min_free_mb=settings.disk.min_free_mb)


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


def next_in_queue(
    outbox: Outbox, *, rules: StationRules, now: Instant, expected: int | None = None
) -> Assignment:
    """Let the next one onto the station.

    While rotating, the finished athlete goes to the queue's end, with their exercise.

    Args:
        outbox, rules, now: as ever.
        expected: the place in the queue that is meant; None: the first.

    Raises:
        RequestError: the queue is empty, somebody else is first by now, or the API would refuse
            the combination.
    """
    with outbox.transaction():
        waiting = outbox.queue.all()
        if not waiting:
            raise RequestError("the queue is empty", hint="spotter queue add USER_ID")
        following = waiting[0]
        if expected is not None and following.id != expected:
            raise RequestError("the queue has changed", hint="spotter queue")
        outbox.queue.remove(following.id)
        _make_way(outbox, following, now=now)
        return assign(outbox, following.target, rules=rules, now=now, set_by=SET_BY)


def finish(outbox: Outbox, *, now: Instant, set_by: str) -> None:
    """Clear the current assignment; while rotating, move its athlete to the queue's end."""
    with outbox.transaction():
        _make_way(outbox, None, now=now)
        assign_nobody(outbox, now=now, set_by=set_by)


def set_rotate(outbox: Outbox, *, on: bool) -> None:
    """Turn rotation on: the finished athlete goes to the queue's end: A, B, A, B."""
    outbox.switches.turn(ROTATE, on=on)


def rotates(outbox: Outbox) -> bool:
    """Tell whether rotation is on."""
    return outbox.switches.is_on(ROTATE)


def _make_way(outbox: Outbox, following: Queued | None, *, now: Instant) -> None:
    """Put the current athlete at the queue's end, while rotating."""
    record_run_out_now(outbox, now=now)
    before = present_of(outbox, now=now).at(now).assignment
    if outbox.switches.is_on(ROTATE) and _goes_round(before, following):
        assert before is not None  # somebody goes round
        outbox.queue.append(before.target)


def _goes_round(before: Assignment | None, following: Queued | None) -> bool:
    """Tell whether a coach has assigned the current athlete, who is somebody else."""
    if before is None or before.layer is not AssignmentLayer.COACH:
        return False
    if before.kind is not AssignmentKind.ATHLETE:
        return False
    return following is None or before.who != (
        following.target.user_id,
        following.target.guest_id,
    )
