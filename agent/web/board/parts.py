"""The start page and the wall in parts, drawn anew only when something has changed.

Every part is HTML with a place for the device's own CSRF token, so that one drawing serves all
devices; watchers are sent the parts that changed, and a page is its parts put together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from agent.activities import EXERCISES
from agent.web.board.aside import Aside
from agent.web.board.cards import CardMaker
from agent.web.board.people import People
from agent.web.board.sheet import Sheets
from agent.web.board.telling import read_state
from agent.web.board.words import Wording
from agent.web.source import Source

CSRF_PLACE = "@@csrf_token@@"  # the device's own, and
NOW_PLACE = "@@now@@"  # this moment: the rest of a page is the same for all
_AT_LEAST_EVERY_S = 10.0  # what goes by the clock: running out, "still the same?", forecasts
_LOOK_AT_FOLDER_S = 2.0
# Each part, and the values that it shows: it is drawn anew only where one of them has changed.
_COACH = {
    "state": ("state",),
    "station": ("on", "queue", "before"),
    "queue": ("queue", "rotates"),
    "tray": ("tray", "aside"),
    "takes": ("takes",),
    "athletes": ("people",),
}
_WALL = {"state": ("state",), "wallboard": ("on", "queue", "takes")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """All parts as they were drawn at one moment."""

    parts: Mapping[str, str]  # by name
    marks: Mapping[str, str]  # what changes whenever a part does
    mark: str  # what changes whenever any part does
    page: str  # the whole page around them

    def changed_since(self, marks: Mapping[str, str]) -> dict[str, str]:
        """Return the parts that are not as somebody has them."""
        return {
            name: self.parts[name] for name in self.parts if marks.get(name) != self.marks[name]
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One part as it was drawn from some values."""

    values: Mapping[str, object]
    html: str
    mark: str


class Board:
    """Draws the parts; used in the reading thread alone."""

    def __init__(self, source: Source) -> None:
        self._source = source
        wording = Wording(source.texts, source.settings.web.unit)
        self.people = People(source, wording)
        self.wording = wording
        self._cards = CardMaker(source, wording)
        self._aside = Aside(source)
        self.sheets = Sheets(source, self._cards)
        self._films, self._looked_at_s = False, 0.0
        self._drawn: dict[bool, tuple[tuple[object, ...], Drawing]] = {}
        self._parts: dict[tuple[bool, str], _Part] = {}

    def drawing(self, *, wall: bool) -> Drawing:
        """Return the parts as they are now."""
        stamp = self._stamp()
        before = self._drawn.get(wall)
        if before is not None and before[0] == stamp:
            return before[1]
        values = self._values(wall=wall)
        shown = _WALL if wall else _COACH
        parts = {
            name: self._part(name, {one: values[one] for one in needed}, wall=wall)
            for name, needed in shown.items()
        }
        marks = {name: part.mark for name, part in parts.items()}
        mark = "-".join(marks.values())
        if before is not None and before[1].mark == mark:
            drawing = before[1]
        else:
            html = {name: part.html for name, part in parts.items()}
            page = self._page_around(html, mark, wall=wall)
            drawing = Drawing(parts=html, marks=marks, mark=mark, page=page)
        self._drawn[wall] = (stamp, drawing)
        return drawing

    def _stamp(self) -> tuple[object, ...]:
        """Return what changes whenever a part may have."""
        version = self._source.outbox.version()
        slot = int(self._source.now().utc_s / _AT_LEAST_EVERY_S)
        return version, slot, self._is_filming(), self._next_due()

    def _is_filming(self) -> bool:
        """Tell whether a capture is being written; the folder is looked at every other second."""
        now_s = self._source.now().utc_s
        if not 0 <= now_s - self._looked_at_s < _LOOK_AT_FOLDER_S:
            self._looked_at_s, self._films = now_s, self._source.signs.is_filming()
        return self._films

    def _next_due(self) -> bool:
        """Tell whether a take that could be corrected goes out by now."""
        due_at = self._source.outbox.entries.next_due_at()
        return due_at is not None and due_at <= self._source.now().utc_s

    def _values(self, *, wall: bool) -> dict[str, object]:
        stands = self.people.standing()
        common = {
            "state": read_state(self._source, is_filming=self._films),
            "on": self.people.on_station(stands),
        }
        if wall:
            return {**common, "queue": self.people.queue(), "takes": self._cards.latest()[:4]}
        return {
            **common,
            "before": self.people.before(),
            "queue": self.people.queue(),
            "rotates": self.people.rotates(),
            "people": self.people.found(stands),
            "tray": self._cards.needing(),
            "aside": self._aside.all(),
            "takes": self._cards.latest(),
        }

    def _page_around(self, parts: Mapping[str, str], mark: str, *, wall: bool) -> str:
        template = self._source.templates.get_template("wall.html" if wall else "start.html")
        return template.render(
            parts=parts,
            mark=mark,
            now=NOW_PLACE,
            csrf_token=CSRF_PLACE,
            exercises=EXERCISES,
            wording=self.wording,
        )

    def _part(self, name: str, values: Mapping[str, object], *, wall: bool) -> _Part:
        """Return a part that shows these values, drawn anew only where they are others."""
        part = self._parts.get((wall, name))
        if part is None or part.values != values:
            html = self._draw(name, values, None if wall else CSRF_PLACE)
            mark = sha256(html.encode()).hexdigest()[:16]
            part = self._parts[wall, name] = _Part(values=values, html=html, mark=mark)
        return part

    def _draw(self, name: str, values: Mapping[str, object], csrf_token: str | None) -> str:
        template = self._source.templates.get_template(f"parts/{name}.html")
        return template.render(values, csrf_token=csrf_token, wording=self.wording).strip()
