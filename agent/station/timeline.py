"""Who was on the station at a time, from the recorded assignments.  Pure.

Two layers speak: the coach (an athlete, nobody, or "back to the default"), and below it the
station's own default, which is recorded whenever it changes so that editing the settings
never touches the past.  Within a layer a statement holds until the next one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.clock import BEGINNING, Instant
from agent.outbox.assignments import Assignment, AssignmentKind, AssignmentLayer
from agent.outbox.outbox import Outbox


class UndecidableError(Exception):
    """Which of two moments came first rests on a clock that was not yet trusted."""


class Chronology:
    """The order of moments, for a station that knows in which order its boots came."""

    def __init__(self, boots: Sequence[str], *, believes: bool = False) -> None:
        self._order = {boot_id: seq for seq, boot_id in enumerate(boots)}
        self._believes = believes  # every clock: good for a guess that a person judges

    def precedes(self, first: Instant, second: Instant) -> bool:
        """Tell whether `first` lies before `second`.

        Raises:
            UndecidableError: only an untrusted clock could tell.
        """
        first_boot = self._order.get(first.boot_id or "")
        second_boot = self._order.get(second.boot_id or "")
        if first_boot is None or second_boot is None:
            return self._precedes_by_utc(first, second)
        if first_boot != second_boot:
            return first_boot < second_boot
        assert first.boot_s is not None and second.boot_s is not None  # goes with boot_id
        return first.boot_s < second.boot_s

    def latest(self, moments: Iterable[Instant]) -> Instant:
        """Return the last of some moments; what cannot be told apart goes by its place."""
        found, *others = moments
        for moment in others:
            if self._surely_precedes(found, moment):
                found = moment
        return found

    def in_order(self, said: Iterable[Assignment]) -> list[Assignment]:
        """Return statements by the moment from which they hold.

        Of one moment the later said comes last; so does one whose moment cannot be told: people
        speak of the present, and only what runs out is recorded afterwards.
        """
        ordered: list[Assignment] = []
        for statement in said:
            place = len(ordered)
            while place and self._surely_precedes(statement.starts, ordered[place - 1].starts):
                place -= 1
            ordered.insert(place, statement)
        return ordered

    def _surely_precedes(self, first: Instant, second: Instant) -> bool:
        try:
            return self.precedes(first, second)
        except UndecidableError:
            return False

    def _precedes_by_utc(self, first: Instant, second: Instant) -> bool:
        certain = BEGINNING in (first, second) or (first.trusted and second.trusted)
        if not (certain or self._believes):
            raise UndecidableError("the clock could not yet be trusted")
        return first.utc_s < second.utc_s


__all__ = ["NOBODY", "OnStation", "Timeline", "UndecidableError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnStation:
    """Who was on the station; `assignment` is None where nobody was said to be."""

    assignment: Assignment | None

    @property
    def user_id(self) -> str | None:
        """The athlete, or None: nobody, or a guest."""
        return None if self.assignment is None else self.assignment.user_id

    @property
    def who(self) -> tuple[str | None, int | None]:
        """What tells people apart: user_id, and guest; both None for nobody."""
        return (None, None) if self.assignment is None else self.assignment.who


NOBODY = OnStation(assignment=None)


class Timeline:
    """The statements of all layers, as an answer to "who was on the station then?"."""

    def __init__(
        self, assignments: Iterable[Assignment], *, boots: Sequence[str], believes: bool = False
    ) -> None:
        self.order = Chronology(boots, believes=believes)
        self._said, self._boots = tuple(assignments), tuple(boots)
        made = self.order.in_order(self._said)
        self._coach = [a for a in made if a.layer is AssignmentLayer.COACH]
        self._station = [a for a in made if a.layer is AssignmentLayer.STATION]
        self._camera = [a for a in made if a.layer is AssignmentLayer.CAMERA]

    def believing(self) -> "Timeline":
        """Return the same, believing every clock: for guesses that a person judges."""
        return Timeline(self._said, boots=self._boots, believes=True)

    def at(self, moment: Instant) -> OnStation:
        """Return who was on the station at `moment`.

        Raises:
            UndecidableError: only an untrusted clock could tell.
        """
        said = self._last_before(self._coach, moment)
        if said is not None and said.kind is not AssignmentKind.DEFAULT:
            if said.kind is AssignmentKind.NOBODY or self._has_run_out(said, moment):
                return NOBODY
            return OnStation(assignment=said)
        default = self._last_before(self._station, moment)
        if default is None or default.kind is AssignmentKind.NOBODY:
            return NOBODY
        return OnStation(assignment=default)

    def during(self, start: Instant, end: Instant) -> list[OnStation]:
        """Return everybody who was on the station in `[start, end)`, in order of time."""
        edges = self._edges(self._coach, self._station)
        return [self.at(moment) for moment in self._moments(start, end, edges)]

    def has_edge_within(self, seconds: float, start: Instant, end: Instant) -> bool:
        """Tell whether the person changes shortly before `start` or shortly after `end`."""
        around = self.during(start.shifted(-seconds), end.shifted(seconds))
        return len({person.who for person in around}) > 1

    def filming_stopped_at(self, moment: Instant) -> Assignment | None:
        """Return the word by which nobody may be filmed at `moment`; None where the camera may.

        Raises:
            UndecidableError: only an untrusted clock could tell.
        """
        said = self._last_before(self._camera, moment)
        if said is None or said.kind is not AssignmentKind.STOPPED:
            return None
        return None if self._has_run_out(said, moment) else said

    def stopped_within(self, start: Instant, end: Instant) -> list[tuple[float, float]]:
        """Return when nobody may be filmed within `[start, end)`, in seconds after its start.

        Raises:
            UndecidableError: only an untrusted clock could tell.
        """
        whole_s = _seconds_between(start, end)
        moments = self._moments(start, end, self._edges(self._camera))
        edges = [min(max(0.0, _seconds_between(start, at)), whole_s) for at in moments]
        stretches: list[tuple[float, float]] = []
        for moment, from_s, to_s in zip(moments, edges, [*edges[1:], whole_s], strict=True):
            if self.filming_stopped_at(moment) is None:
                continue
            if stretches and stretches[-1][1] >= from_s:
                from_s = stretches.pop()[0]
            stretches.append((from_s, to_s))
        return stretches

    def _last_before(self, layer: Sequence[Assignment], moment: Instant) -> Assignment | None:
        for said in reversed(layer):
            if not self.order.precedes(moment, said.starts):
                return said
        return None

    def _has_run_out(self, said: Assignment, moment: Instant) -> bool:
        if said.lasts_s is None:
            return False
        return not self.order.precedes(moment, said.starts.shifted(said.lasts_s))

    def _moments(self, start: Instant, end: Instant, edges: Sequence[Instant]) -> list[Instant]:
        """Return a stretch's first moment, and every edge inside it in order of time."""
        inside = [e for e in edges if self.order.precedes(start, e) and self.order.precedes(e, end)]
        return [start, *sorted(inside, key=lambda edge: _seconds_between(start, edge))]

    @staticmethod
    def _edges(*layers: Sequence[Assignment]) -> list[Instant]:
        """Return every moment at which the answer may change."""
        edges = [said.starts for layer in layers for said in layer]
        edges += [
            said.starts.shifted(said.lasts_s)
            for layer in layers
            for said in layer
            if said.lasts_s is not None
        ]
        return edges


def _seconds_between(first: Instant, second: Instant) -> float:
    """Return the seconds between two moments, by what both are known by."""
    if first.boot_id is not None and first.boot_id == second.boot_id:
        assert first.boot_s is not None and second.boot_s is not None  # goes with boot_id
        return second.boot_s - first.boot_s
    return second.utc_s - first.utc_s


_LATEST = 200  # of each layer; the present is among the last words, the past need not be read


def present_of(outbox: Outbox, *, now: Instant) -> Timeline:
    """Return a timeline that tells who is on the station now; of the past it knows no more."""
    outbox.assignments.note_boot(now.boot_id)
    said = outbox.assignments.latest(of_each_layer=_LATEST)
    return Timeline(said, boots=outbox.assignments.boots())
