"""One athlete's takes: today's or some earlier days', with a number of theirs over time."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.outbox.results.record import Number, Result
from agent.outbox.views.gallery import Shown
from agent.station.facts import midnight
from agent.station.roster import athlete_of, name_of, split_key
from agent.web.board.cards import Card, CardMaker
from agent.web.board.figures import is_measured, name_shown, plottable, value_shown
from agent.web.board.plot import Plot, Point, plot
from agent.web.i18n import BODY_MEASURES
from agent.web.source import Source

SPANS_DAYS = (1, 7, 30, 365)
MOST_NAME = 80  # signs of a number's path
_MOST_LISTED = 30
_MOST_DRAWN = 200
_MOST_OFFERED = 60
_PLAIN_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The takes of one day, the latest first."""

    name: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A number over time, with what is written around it."""

    plot: Plot
    words: str  # all of it for those who do not see it
    ticks: tuple[str, ...]
    begins: str
    ends: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What an athlete's page shows."""

    key: str
    name: str
    lacks: str  # body measures that the account does not have, in words
    days: int
    takes: tuple[Day, ...]
    unlisted: int  # takes that are drawn and not listed
    offered: Mapping[str, str]  # numbers to choose from: names by path
    chosen: str | None
    values: Mapping[str, str]  # the chosen number of each take, by clip code
    drawn: Drawn | None


class Sheets:
    """Reads athletes' takes; used in the reading thread alone."""

    def __init__(self, source: Source, cards: CardMaker) -> None:
        self._source = source
        self._cards = cards

    def of(self, key: str, *, days: int, number: str | None) -> Sheet | None:
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
        return Sheet(
            key=key,
            name=name_of(outbox, user_id, guest_id) or key,
            lacks=", ".join(
                self._source.texts.gettext(BODY_MEASURES[measure])
                for measure in (() if known is None else known.lacks)
            ),
            days=days,
            takes=tuple(self._days(shown[:_MOST_LISTED])),
            unlisted=max(0, len(shown) - _MOST_LISTED),
            offered={path: name_shown(path, self._source.texts) for path in offered},
            chosen=chosen,
            values=self._values(shown, results, chosen),
            drawn=self._drawn(shown, results, chosen, days=days),
        )

    def take(self, shown: Shown) -> tuple[Card, Mapping[str, Number]]:
        """Return one take's card, and every number of it."""
        (card,) = self._cards.cards([shown])
        result = self._source.outbox.results.of_entry(shown.entry.id)
        return card, {} if result is None else result.numbers

    def _days(self, shown: Sequence[Shown]) -> Iterator[Day]:
        by_day: dict[str, list[Card]] = {}
        cards = self._cards.cards(shown)
        for one, card in zip(shown, cards, strict=True):
            by_day.setdefault(self._date(_filmed_at(one)), []).append(card)
        today = self._date(self._source.now().utc_s)
        for date, of_day in by_day.items():
            name = self._source.texts.gettext("Today") if date == today else date
            yield Day(name=name, cards=tuple(of_day))

    def _date(self, at: float) -> str:
        # Translators: a date, in the codes of strftime: day, month, year.
        return time.strftime(self._source.texts.translated("%d %b %Y"), time.localtime(at))

    def _values(
        self, shown: Sequence[Shown], results: Mapping[int, Result], chosen: str | None
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
        shown: Sequence[Shown],
        results: Mapping[int, Result],
        chosen: str | None,
        *,
        days: int,
    ) -> Drawn | None:
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
        return Drawn(
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
        return time.strftime("%H:%M", time.localtime(at)) if days == 1 else self._date(at)


def _filmed_at(shown: Shown) -> float:
    return shown.entry.filmed_at or shown.entry.created_at
