"""Who is on the station, the queue, and the roster."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.exercises import EXERCISES
from agent.outbox.assignments import Assignment, AssignmentLayer
from agent.outbox.roster import RosterAthlete, key_of
from agent.station.assignments import AssignmentStatus, assignment_status, last_combination
from agent.station.queue import rotates
from agent.station.roster import athlete_of, name_of, search_athletes
from agent.web.context import PageContext
from agent.web.i18n import MovementWording, Wording

MOST_RECENT = 12
MOST_FOUND = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class StationCard:
    """Who is on the station at this moment."""

    key: str
    name: str
    movement: MovementWording
    words: str
    mass: str | None
    since: int | None  # Unix time; None: since ever
    left: str | None  # how long until it runs out, where the page should ask
    is_default: bool
    exercises: tuple[str, ...]  # what else the activity offers


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterEntry:
    """Somebody who can be put on the station, with what they did last."""

    key: str
    name: str
    is_guest: bool
    is_here: bool
    last: MovementWording
    words: str | None  # what they did last; None where they were never assigned


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """Somebody in the queue."""

    id: int
    name: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEntry:
    """A group of athletes."""

    id: int
    name: str
    members: Mapping[str, str | None]  # names by key; None: cannot be assigned


class People:
    """Reads who is where."""

    def __init__(self, source: PageContext, wording: Wording) -> None:
        self._source = source
        self._outbox = source.outbox
        self._wording = wording

    def assignment_status(self) -> AssignmentStatus:
        """Return who is on the station, as it is on record."""
        return assignment_status(self._outbox, now=self._source.now())

    def on_station(self, stands: AssignmentStatus) -> StationCard | None:
        """Return who is on the station, or None."""
        now, said = self._source.now(), stands.assignment
        if said is None:
            return None
        movement = self._movement_of(said)
        is_weighed = movement.mass_kg is not None
        return StationCard(
            key=key_of(said.user_id, said.guest_id),
            name=name_of(self._outbox, *said.who) or "",
            movement=movement,
            words=self._wording.movement(movement),
            mass=self._wording.mass(movement.mass_kg or 0.0) if is_weighed else None,
            since=None if stands.since_s is None else round(now.utc_s - stands.since_s),
            left=self._source.texts.duration(stands.left_s or 0.0) if stands.asks else None,
            is_default=said.layer is AssignmentLayer.STATION,
            exercises=EXERCISES.get(movement.activity, ()),
        )

    def before(self) -> RosterEntry | None:
        """Return who was on the station last, to be put there again by one touch."""
        recent = search_athletes(self._outbox, most=1)
        if not recent or recent[0].last_assigned_at is None:
            return None
        return self._person(recent[0], here=None)

    def found(
        self,
        stands: AssignmentStatus,
        text: str = "",
        *,
        most: int = MOST_RECENT,
        group_id: int | None = None,
    ) -> list[RosterEntry]:
        """Return people by any part of their names, recent ones first; a group's by name."""
        said = stands.assignment
        here = None if said is None else key_of(said.user_id, said.guest_id)
        athletes = search_athletes(self._outbox, text, most=most, group_id=group_id)
        return [self._person(athlete, here=here) for athlete in athletes]

    def groups(self) -> list[GroupEntry]:
        """Return the groups with the names of their members."""
        return [
            GroupEntry(
                id=group.id,
                name=group.name,
                members={key: self._name_offered(key) for key in group.members},
            )
            for group in self._outbox.groups.all()
        ]

    def _name_offered(self, key: str) -> str | None:
        athlete = athlete_of(self._outbox, key)
        return None if athlete is None or athlete.gone_at is not None else athlete.name

    def queue(self) -> list[QueueEntry]:
        """Return who comes next, in order."""
        return [
            QueueEntry(
                id=queued.id,
                name=name_of(self._outbox, queued.target.user_id, queued.target.guest_id) or "",
                words=self._wording.movement(MovementWording.of(queued.target)),
            )
            for queued in self._outbox.queue.all()
        ]

    def rotates(self) -> bool:
        """Tell whether whoever is done goes to the queue's end."""
        return rotates(self._outbox)

    def _person(self, athlete: RosterAthlete, *, here: str | None) -> RosterEntry:
        did = last_combination(self._outbox, athlete.key) if athlete.last_assigned_at else None
        last = MovementWording.of(did or self._source.rules.default)
        return RosterEntry(
            key=athlete.key,
            name=athlete.name,
            is_guest=athlete.is_guest,
            is_here=athlete.key == here,
            last=last,
            words=None if did is None else self._wording.movement(last),
        )

    def _movement_of(self, said: Assignment) -> MovementWording:
        return MovementWording(
            activity=said.activity or self._source.rules.default.activity,
            exercise=said.exercise,
            mass_kg=said.barbell_mass_kg,
            incline_deg=said.incline_deg,
        )
