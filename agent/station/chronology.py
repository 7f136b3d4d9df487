"""Which of two moments came first.  Pure.

By the time since boot within one boot, by the order of the boots between two, and by UTC where
one of them is known by UTC only.
"""

from collections.abc import Iterable, Sequence

from agent.clock import BEGINNING, Instant
from agent.outbox.people.assignments import Assignment


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
