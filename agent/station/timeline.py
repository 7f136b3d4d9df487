"""Who was on the station at a moment, by what was said up to then.  Pure.

Two layers speak: the coach (an athlete, nobody, or "back to the default"), and below it the
station's own default, which is recorded whenever it changes so that editing the settings
never touches the past.  Within a layer a statement holds until the next one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.clock import BEGINNING, Instant
from agent.outbox.assignments import Assignment, AssignmentKind, Layer


class UndecidableError(Exception):
    """Which of two moments came first rests on a clock that was not yet trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnStation:
    """Who was on the station; `assignment` is None where nobody was said to be."""

    assignment: Assignment | None

    @property
    def user_id(self) -> str | None:
        """The athlete, or None."""
        return None if self.assignment is None else self.assignment.user_id


NOBODY = OnStation(assignment=None)


class Timeline:
    """The statements of both layers, as an answer to "who was on the station then?"."""

    def __init__(self, assignments: Iterable[Assignment], *, boots: Sequence[str]) -> None:
        self._boot_order = {boot_id: seq for seq, boot_id in enumerate(boots)}
        made = list(assignments)
        self._coach = [a for a in made if a.layer is Layer.COACH]
        self._station = [a for a in made if a.layer is Layer.STATION]

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
        seen = [self.at(start)]
        for edge in self._edges():
            if self._precedes(start, edge) and self._precedes(edge, end):
                seen.append(self.at(edge))
        return seen

    def has_edge_within(self, seconds: float, start: Instant, end: Instant) -> bool:
        """Tell whether the person changes shortly before `start` or shortly after `end`."""
        around = self.during(start.shifted(-seconds), end.shifted(seconds))
        return len({person.user_id for person in around}) > 1

    def _last_before(self, layer: Sequence[Assignment], moment: Instant) -> Assignment | None:
        for said in reversed(layer):
            if not self._precedes(moment, said.starts):
                return said
        return None

    def _has_run_out(self, said: Assignment, moment: Instant) -> bool:
        if said.lasts_s is None:
            return False
        return not self._precedes(moment, said.starts.shifted(said.lasts_s))

    def _edges(self) -> list[Instant]:
        """Return every moment at which the answer may change."""
        edges = [said.starts for said in (*self._coach, *self._station)]
        edges += [
            said.starts.shifted(said.lasts_s) for said in self._coach if said.lasts_s is not None
        ]
        return edges

    def _precedes(self, first: Instant, second: Instant) -> bool:
        """Tell whether `first` lies before `second`.

        By time since boot within one boot, by the order of the boots between two, and by UTC
        where one of them is known by UTC only.
        """
        first_boot = self._boot_order.get(first.boot_id or "")
        second_boot = self._boot_order.get(second.boot_id or "")
        if first_boot is None or second_boot is None:
            return self._precedes_by_utc(first, second)
        if first_boot != second_boot:
            return first_boot < second_boot
        assert first.boot_s is not None and second.boot_s is not None  # goes with boot_id
        return first.boot_s < second.boot_s

    @staticmethod
    def _precedes_by_utc(first: Instant, second: Instant) -> bool:
        certain = BEGINNING in (first, second) or (first.trusted and second.trusted)
        if not certain:
            raise UndecidableError("the clock could not yet be trusted")
        return first.utc_s < second.utc_s
