"""The history: any take by athlete, day, movement and state, as a page and as CSV."""

import io
import time
from dataclasses import dataclass
from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict, Field, field_validator

from agent.exercises import EXERCISES
from agent.outbox.queries import NOT_DISCARDED, ClipFilter
from agent.outbox.states import SENT, TO_BE_SENT, EntryState
from agent.results.csv_export import exported, names_of, write_csv
from agent.station.roster import search_athletes, split_key
from agent.web.context import PageContext
from agent.web.i18n import N_
from agent.web.views.athlete import DayTakes, takes_by_day
from agent.web.views.cards import CardBuilder

_MOST_SHOWN = 40  # cards of one page
_MOST_EXPORTED = 100_000
_MOST_PEOPLE = 200  # whose names are alike

STATE_GROUPS = {
    "": (N_("All states"), NOT_DISCARDED),
    "review": (N_("To review"), (EntryState.HELD, EntryState.DEAD)),
    "waiting": (N_("Waiting to upload"), TO_BE_SENT),
    "uploaded": (N_("Uploaded"), tuple(SENT)),
    "discarded": (N_("Discarded"), (EntryState.DISCARDED,)),
}


class HistoryQuery(BaseModel):
    """What somebody looks for; empty means any."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    name: str = Field("", max_length=100)
    since: date | None = None
    until: date | None = None  # that day included
    movement: str = Field("", max_length=60)  # an activity, or an exercise of one: running, squat
    state: str = ""
    before: int | None = Field(None, ge=0, le=2**62)  # the page behind an entry

    @field_validator("since", "until", "before", mode="before")
    @classmethod
    def _empty_is_any(cls, value: object) -> object:
        return value or None

    @field_validator("state")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in STATE_GROUPS:
            raise ValueError("no such state")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """The takes that were found, by day."""

    query: HistoryQuery
    takes: tuple[DayTakes, ...]
    next_before: int | None  # the next page lists entries older than this one


class TakeHistory:
    """Finds takes; used in the reading thread alone."""

    def __init__(self, source: PageContext, cards: CardBuilder) -> None:
        self._source = source
        self._cards = cards

    def page(self, query: HistoryQuery) -> HistoryPage:
        """Return one page of what was found, the newest first."""
        gallery = self._source.outbox.gallery
        wanted = self._filter(query)
        shown = gallery.found(wanted, most=_MOST_SHOWN + 1, before_id=query.before)
        has_more = len(shown) > _MOST_SHOWN
        shown = shown[:_MOST_SHOWN]
        return HistoryPage(
            query=query,
            takes=takes_by_day(self._source, self._cards, shown),
            next_before=shown[-1].entry.id if has_more else None,
        )

    def csv(self, query: HistoryQuery) -> str:
        """Return all that was found as CSV, with the athletes' names."""
        outbox = self._source.outbox
        found = outbox.gallery.found(self._filter(query), most=_MOST_EXPORTED)
        rows = exported(outbox, [shown.entry for shown in found])
        target = io.StringIO(newline="")
        write_csv(target, rows, names=names_of(outbox, rows))
        return target.getvalue()

    def _filter(self, query: HistoryQuery) -> ClipFilter:
        people = None
        if query.name:
            found = search_athletes(
                self._source.outbox, query.name, most=_MOST_PEOPLE, with_gone=True
            )
            people = tuple(split_key(athlete.key) for athlete in found)
        is_activity = query.movement in EXERCISES
        return ClipFilter(
            people=people,
            since=0.0 if query.since is None else _midnight(query.since),
            until=1e12 if query.until is None else _midnight(query.until + timedelta(days=1)),
            activity=query.movement if is_activity else None,
            exercise=None if is_activity else query.movement or None,
            states=STATE_GROUPS[query.state][1],
        )


def _midnight(day: date) -> float:
    """Return the Unix time at which a day of this box's time zone begins."""
    return time.mktime((day.year, day.month, day.day, 0, 0, 0, 0, 0, -1))
