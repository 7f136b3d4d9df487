"""What the page shows of takes of the past: those of one athlete, and any by a search.

One athlete's takes stand by day, with one metric over time; the history finds takes by athlete,
day, movement and state, as a page and as CSV.
"""

import io
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict, Field, field_validator

from agent.exercises import EXERCISES
from agent.outbox.models import Entry
from agent.outbox.queries import NOT_DISCARDED, ClipFilter, ShownClip
from agent.outbox.results import Number, Result
from agent.outbox.roster import LinkedCard
from agent.outbox.states import SENT, TO_BE_SENT, EntryState, FileState
from agent.results.csv_export import exported, names_of, write_csv
from agent.station.roster import athlete_of, name_of, search_athletes, split_key
from agent.station.status import midnight
from agent.web.context import PageContext
from agent.web.i18n import BODY_MEASURES, N_, Texts
from agent.web.views.cards import (
    CardBuilder,
    ClipCard,
    is_measured,
    name_shown,
    plottable,
    value_shown,
)

_WIDTH, _HEIGHT, _MARGIN = 1000.0, 300.0, 14.0
_LEAST_TICKS = 2  # intervals
_FLAT = 1e-9  # of the size of values: what differs less is the same
_NOTHING = 1e-9  # values closer together count as one, in any unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One take's number."""

    at: float  # Unix time
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """The picture, and what is written around it."""

    line: str  # path data, as in SVG
    dots: str
    latest: str  # the last dot once more
    grid: tuple[str, ...]
    ticks: tuple[float, ...]  # values of the grid's lines, from the top
    digits: int  # behind the point of a tick that is worth showing
    begins_at: float  # Unix times of the first and the last dot
    ends_at: float
    lowest: float
    highest: float
    last: float
    count: int


def plot(points: Sequence[Point]) -> Plot:
    """Return the picture of some takes' number.

    Args:
        points: one at least, the earliest first.

    Raises:
        ValueError: there is none.
    """
    if not points:
        raise ValueError("nothing to draw")
    values = [point.value for point in points]
    ticks, digits = scale(min(values), max(values))
    begins_at, ends_at = points[0].at, points[-1].at
    placed = [
        f"{_along(point.at, begins_at, ends_at):.0f} {_above(point.value, ticks):.0f}"
        for point in points
    ]
    return Plot(
        line=f"M{'L'.join(placed)}",
        dots="".join(f"M{place}h0" for place in placed),
        latest=f"M{placed[-1]}h0",
        grid=tuple(f"M0 {_above(tick, ticks):.0f}H{_WIDTH:.0f}" for tick in ticks),
        ticks=ticks,
        digits=digits,
        begins_at=begins_at,
        ends_at=ends_at,
        lowest=min(values),
        highest=max(values),
        last=values[-1],
        count=len(points),
    )


def scale(low: float, high: float) -> tuple[tuple[float, ...], int]:
    """Return round values that hold a range, the highest first, and the digits they need."""
    size = max(abs(low), abs(high))
    if high - low <= max(_FLAT * size, _NOTHING):
        room = size / 10 if size > _NOTHING else 1.0
        low, high = low - room, high + room
    rough = (high - low) / _LEAST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(share * power for share in (1, 2, 5) if share * power <= rough * (1 + _FLAT))
    first, last = math.floor(low / step + _FLAT), math.ceil(high / step - _FLAT)
    digits = max(0, -math.floor(math.log10(step) + _FLAT))
    return tuple(number * step for number in range(last, first - 1, -1)), digits


def _along(at: float, begins_at: float, ends_at: float) -> float:
    if ends_at <= begins_at:
        return _WIDTH / 2
    share = (at - begins_at) / (ends_at - begins_at)
    return _MARGIN + share * (_WIDTH - 2 * _MARGIN)


def _above(value: float, ticks: Sequence[float]) -> float:
    share = (value - ticks[-1]) / (ticks[0] - ticks[-1])
    return _HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN)


SPANS_DAYS = (1, 7, 30, 365)
MOST_NAME = 80  # signs of a number's path
_MOST_LISTED = 30
_MOST_DRAWN = 200
_MOST_OFFERED = 60
_MOST_COMPARED = 30
_USUAL_FPS = 30.0  # of a clip whose recording is no longer on record
_PLAIN_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTakes:
    """The takes of one day, the latest first."""

    name: str
    cards: tuple[ClipCard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A number over time, with what is written around it."""

    plot: Plot
    words: str  # all of it for those who do not see it
    ticks: tuple[str, ...]
    begins: str
    ends: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AthletePage:
    """What an athlete's page shows."""

    key: str
    name: str
    lacks: str  # body measures that the account does not have, in words
    days: int
    takes: tuple[DayTakes, ...]
    unlisted: int  # takes that are drawn and not listed
    offered: Mapping[str, str]  # numbers to choose from: names by path
    chosen: str | None
    values: Mapping[str, str]  # the chosen number of each take, by clip code
    drawn: Chart | None
    linked: tuple[LinkedCard, ...]  # cards by which the athlete checks in


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedClip:
    """A clip in the player."""

    code: str
    name: str
    fps: float
    begins_s: float  # where in the clip the movement begins
    has_skeleton: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePage:
    """What a take's page shows."""

    card: ClipCard
    numbers: Mapping[str, Number]
    player: tuple[PlayedClip, ...]  # one, or two beside each other; none: the clip is not here
    others: Mapping[str, str]  # takes to compare with: names by clip code


class AthletePages:
    """Reads athletes' takes; used in the reading thread alone."""

    def __init__(self, source: PageContext, cards: CardBuilder) -> None:
        self._source = source
        self._cards = cards

    def of(self, key: str, *, days: int, number: str | None) -> AthletePage | None:
        """Return an athlete's page; None where nobody is known by that key.

        Args:
            key: a user_id, or guest:3.
            days: today is 1.
            number: the path of the number to draw, as somebody asked for it; None: the first.

        Raises:
            RequestError: that is no key.
        """
        user_id, guest_id = split_key(key)
        outbox, gallery = self._source.outbox, self._source.outbox.gallery
        since = midnight(self._source.now().utc_s) - (days - 1) * 86_400.0
        shown = gallery.of_person(user_id, guest_id, since=since, most=_MOST_DRAWN)
        known = athlete_of(outbox, key)
        if not shown and known is None and not gallery.has_any(user_id, guest_id):
            return None
        results = outbox.results.of_entries([one.entry.id for one in shown])
        offered = plottable((r.numbers for r in results.values()), most=_MOST_OFFERED)
        chosen = number or next(iter(offered), None)
        if chosen is not None and chosen not in offered:
            offered.append(chosen)
        return AthletePage(
            key=key,
            name=name_of(outbox, user_id, guest_id) or key,
            lacks=", ".join(
                self._source.texts.gettext(BODY_MEASURES[measure])
                for measure in (() if known is None else known.lacks)
            ),
            days=days,
            takes=takes_by_day(self._source, self._cards, shown[:_MOST_LISTED]),
            unlisted=max(0, len(shown) - _MOST_LISTED),
            offered={path: name_shown(path, self._source.texts) for path in offered},
            chosen=chosen,
            values=self._values(shown, results, chosen),
            drawn=self._drawn(shown, results, chosen, days=days),
            linked=tuple(outbox.cards.of(key)),
        )

    def take(self, shown: ShownClip, *, beside: str = "") -> TakePage:
        """Return one take's page.

        Args:
            shown: the take.
            beside: the clip code of another take of the same athlete to play beside it; none of
                them: it plays alone.
        """
        (card,) = self._cards.cards([shown])
        result = self._source.outbox.results.of_entry(shown.entry.id)
        others = {one.entry.clip_code: one for one in self._comparable(shown)}
        played = [shown, *([others[beside]] if beside in others else [])] if card.has_clip else []
        return TakePage(
            card=card,
            numbers={} if result is None else result.numbers,
            player=tuple(self._played(one) for one in played),
            others={code: self._described(one) for code, one in others.items() if played},
        )

    def _comparable(self, shown: ShownClip) -> Iterator[ShownClip]:
        """Yield the athlete's other takes whose clips are here, the same movement's first."""
        entry = shown.entry
        if entry.user_id is None and entry.guest_id is None:
            return
        found = self._source.outbox.gallery.of_person(
            entry.user_id, entry.guest_id, since=0.0, most=_MOST_DRAWN
        )
        here = [
            one
            for one in found
            if one.entry.id != entry.id and one.entry.file_state is FileState.PRESENT
        ]
        here.sort(key=lambda one: (one.entry.activity, one.entry.exercise) != _movement(entry))
        yield from here[:_MOST_COMPARED]

    def _played(self, shown: ShownClip) -> PlayedClip:
        return PlayedClip(
            code=shown.entry.clip_code,
            name=self._described(shown),
            fps=round(shown.fps or _USUAL_FPS, 3),
            begins_s=round(shown.moves_from_s, 3),
            has_skeleton=self._source.folder.skeleton_of(shown.entry.clip_code).is_file(),
        )

    def _described(self, shown: ShownClip) -> str:
        """Return a take in one line: Snatch, 60 kg · 24 Nov 2026, 18:05."""
        at = _filmed_at(shown)
        moment = time.strftime("%H:%M", time.localtime(at))
        words = self._cards.wording.movement(shown.entry.target)
        return f"{words} · {date_words(self._source.texts, at)}, {moment}"

    def _values(
        self, shown: Sequence[ShownClip], results: Mapping[int, Result], chosen: str | None
    ) -> Mapping[str, str]:
        return {
            one.entry.clip_code: value_shown(
                results[one.entry.id].numbers[chosen], self._source.texts, path=chosen
            )
            for one in shown
            if chosen is not None
            and one.entry.id in results
            and chosen in results[one.entry.id].numbers
        }

    def _drawn(
        self,
        shown: Sequence[ShownClip],
        results: Mapping[int, Result],
        chosen: str | None,
        *,
        days: int,
    ) -> Chart | None:
        values = (
            (one, results[one.entry.id].numbers.get(chosen or ""))
            for one in shown
            if one.entry.id in results
        )
        points = [
            Point(at=_filmed_at(one), value=float(value))
            for one, value in values
            if value is not None and is_measured(value)
        ]
        if not points or chosen is None:
            return None
        picture = plot(sorted(points, key=lambda point: point.at))
        return Chart(
            plot=picture,
            words=self._words(chosen, picture),
            ticks=tuple(self._tick(tick, picture.digits) for tick in picture.ticks),
            begins=self._moment(picture.begins_at, days),
            ends=self._moment(picture.ends_at, days),
        )

    def _words(self, chosen: str, picture: Plot) -> str:
        texts = self._source.texts
        name, last = name_shown(chosen, texts), value_shown(picture.last, texts, path=chosen)
        if picture.count == 1:
            return texts.gettext("%(name)s: %(last)s in one take.", name=name, last=last)
        return texts.gettext(
            "%(name)s: latest %(last)s, lowest %(low)s, highest %(high)s, in %(n)s takes.",
            name=name,
            n=picture.count,
            low=value_shown(picture.lowest, texts, path=chosen),
            high=value_shown(picture.highest, texts, path=chosen),
            last=last,
        )

    def _tick(self, value: float, digits: int) -> str:
        if digits > _PLAIN_DIGITS:
            return value_shown(value, self._source.texts)
        return self._source.texts.number(value, digits=digits, grouped=True)

    def _moment(self, at: float, days: int) -> str:
        return (
            time.strftime("%H:%M", time.localtime(at))
            if days == 1
            else date_words(self._source.texts, at)
        )


def _movement(entry: Entry) -> tuple[str, str | None]:
    return entry.activity, entry.exercise


def _filmed_at(shown: ShownClip) -> float:
    return shown.entry.filmed_at or shown.entry.created_at


def takes_by_day(
    source: PageContext, cards: CardBuilder, shown: Sequence[ShownClip]
) -> tuple[DayTakes, ...]:
    """Return takes as cards, by the days on which they were filmed, in the order given."""
    by_day: dict[str, list[ClipCard]] = {}
    for one, card in zip(shown, cards.cards(shown), strict=True):
        by_day.setdefault(date_words(source.texts, _filmed_at(one)), []).append(card)
    today = date_words(source.texts, source.now().utc_s)
    return tuple(
        DayTakes(name=source.texts.gettext("Today") if date == today else date, cards=tuple(found))
        for date, found in by_day.items()
    )


def date_words(texts: Texts, at: float) -> str:
    """Return the day of a Unix time as it is written in the page's language."""
    # Translators: a date, in the codes of strftime: day, month, year.
    return time.strftime(texts.translated("%d %b %Y"), time.localtime(at))


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
    """The filter of a search; empty means any."""

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
