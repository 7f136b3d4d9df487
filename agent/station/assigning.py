"""Saying who is on the station: each word is an interval's beginning, and stays on record."""

from dataclasses import replace

from agent.activities import check_movement
from agent.clock import BEGINNING, Instant
from agent.errors import RequestError
from agent.outbox.assignments import Assignment, AssignmentKind, Layer
from agent.outbox.entry import Whose
from agent.outbox.store import Outbox
from agent.station.timeline import Timeline

_MOST_ID = 128  # characters of a user_id; the API's are far shorter


def record_default(outbox: Outbox, station: Whose, *, now: Instant) -> None:
    """Record the station's default where it is not the one on record.

    The first default of a station holds since ever: nothing else was ever said.  Every later one
    begins now, so that editing the settings never touches the past.
    """
    before = [said for said in outbox.assignments.all() if said.layer is Layer.STATION]
    kind = AssignmentKind.NOBODY if station.user_id is None else AssignmentKind.ATHLETE
    default = Assignment(
        layer=Layer.STATION,
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
    wanted: Whose,
    *,
    station: Whose,
    lasts_s: float | None,
    now: Instant,
    set_by: str,
) -> Assignment:
    """Put an athlete on the station from now on.

    What was not said comes from the station, and only for the same activity: never from the
    athlete before.

    Raises:
        RequestError: the API would refuse such a clip.
    """
    user_id = check_user_id(wanted.user_id)
    movement = fill_movement(wanted, station)
    assignment = Assignment(
        layer=Layer.COACH,
        kind=AssignmentKind.ATHLETE,
        starts=now,
        user_id=user_id,
        activity=movement.activity,
        exercise=movement.exercise,
        barbell_mass_kg=movement.barbell_mass_kg,
        incline_deg=movement.incline_deg,
        lasts_s=lasts_s,
        set_by=set_by,
    )
    outbox.assignments.append(assignment)
    return assignment


def assign_nobody(outbox: Outbox, *, now: Instant, set_by: str) -> Assignment:
    """Say that nobody is on the station, until further notice."""
    return _say(outbox, AssignmentKind.NOBODY, now=now, set_by=set_by)


def clear_assignment(outbox: Outbox, *, now: Instant, set_by: str) -> Assignment:
    """Go back to the station's default."""
    return _say(outbox, AssignmentKind.DEFAULT, now=now, set_by=set_by)


def fill_movement(wanted: Whose, station: Whose) -> Whose:
    """Return `wanted` with what it leaves open taken from the station, if it fits.

    Raises:
        RequestError: the API would refuse the combination.
    """
    if wanted.activity == station.activity:
        wanted = replace(
            wanted,
            exercise=wanted.exercise or station.exercise,
            barbell_mass_kg=_first(wanted.barbell_mass_kg, station.barbell_mass_kg),
            incline_deg=_first(wanted.incline_deg, station.incline_deg),
        )
    check_movement(
        wanted.activity,
        wanted.exercise,
        barbell_mass_kg=wanted.barbell_mass_kg,
        incline_deg=wanted.incline_deg,
    )
    return wanted


def check_user_id(user_id: str | None) -> str:
    """Return a user id that can go into a form.

    Raises:
        RequestError: it is empty, too long or not printable.
    """
    if not user_id or len(user_id) > _MOST_ID or not user_id.isprintable():
        raise RequestError(f"{user_id!r} is no user id")
    return user_id


def _say(outbox: Outbox, kind: AssignmentKind, *, now: Instant, set_by: str) -> Assignment:
    assignment = Assignment(layer=Layer.COACH, kind=kind, starts=now, set_by=set_by)
    outbox.assignments.append(assignment)
    return assignment


def _first(value: float | None, otherwise: float | None) -> float | None:
    return otherwise if value is None else value
