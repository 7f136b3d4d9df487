"""The status of the station in words, who is on it, the queue, and the roster."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from agent.delivery.scheduling import read_uplink_status
from agent.disk.space import DiskSpace
from agent.exercises import EXERCISES
from agent.intake.left_behind import REMEDIES, WORDS, LeftFootage, left_behind
from agent.outbox.assignments import AssignmentLayer
from agent.outbox.disk import read_disk
from agent.outbox.models import ClipTarget
from agent.outbox.roster import RosterAthlete, key_of
from agent.station.assignments import AssignmentStatus, assignment_status, last_combination, rotates
from agent.station.camera import CameraState
from agent.station.recording_pause import Filming, filming
from agent.station.roster import athlete_of, name_of, search_athletes
from agent.station.status import StationStatus, StatusInputs, read_facts, station_status
from agent.web.context import PageContext
from agent.web.i18n import (
    INTAKE_PAUSED,
    INTAKE_PAUSED_OTHERWISE,
    STATES,
    UPLOADS_PAUSED,
    UPLOADS_PAUSED_OTHERWISE,
    Texts,
    Wording,
)
from agent.web.views.athlete import AthletePages, TakeHistory
from agent.web.views.camera import fault_words
from agent.web.views.cards import CardBuilder, QuarantineList

MOST_RECENT = 12
MOST_FOUND = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class StationCard:
    """Who is on the station at this moment."""

    id: int  # of the assignment
    key: str
    name: str
    movement: ClipTarget
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
    last: ClipTarget
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
        default = self._source.rules.default
        movement = replace(said.target, activity=said.activity or default.activity)
        mass_kg = movement.barbell_mass_kg
        return StationCard(
            id=said.id or 0,
            key=key_of(said.user_id, said.guest_id),
            name=name_of(self._outbox, *said.who) or "",
            movement=movement,
            words=self._wording.movement(movement),
            mass=None if mass_kg is None else self._wording.mass(mass_kg),
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
                words=self._wording.movement(queued.target),
            )
            for queued in self._outbox.queue.all()
        ]

    def rotates(self) -> bool:
        """Tell whether the finished athlete goes to the queue's end."""
        return rotates(self._outbox)

    def _person(self, athlete: RosterAthlete, *, here: str | None) -> RosterEntry:
        did = last_combination(self._outbox, athlete.key) if athlete.last_assigned_at else None
        last = did or self._source.rules.default
        return RosterEntry(
            key=athlete.key,
            name=athlete.name,
            is_guest=athlete.is_guest,
            is_here=athlete.key == here,
            last=last,
            words=None if did is None else self._wording.movement(last),
        )


_DAY_S = 86400.0
_LOW_S = 3 * _DAY_S  # a disk that is full sooner is worth a warning
_LONG_S = 60 * _DAY_S  # one that lasts longer is worth no word


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusLine:
    """The state as the page shows it."""

    word: StationStatus
    title: str  # the word as it is shown
    lines: tuple[str, ...]
    needs: tuple[str, ...]  # the lines about what waits for a person, which lead there
    is_stopped: bool  # filming


def read_state(source: PageContext, *, is_filming: bool) -> StatusLine:
    """Return what the station is doing at this moment."""
    films = filming(source.outbox, now=source.now())
    facts = read_facts(
        source.outbox,
        host=source.host,
        capture_folder=source.settings.paths.capture,
        is_stopped=films.stopped is not None,
        is_filming=is_filming,
        camera=source.camera.look(source.now()),
        now_s=source.now().utc_s,
    )
    left = left_behind(source.settings, now_s=source.now().utc_s)
    facts = replace(
        facts,
        stuck=tuple(source.signs.stuck()),
        disk_is_low=_disk_is_low(source),
        left_videos=left.unrecognised.videos + sum(one.count for one in left.footage),
    )
    word = station_status(facts)
    lines = [*_about_stop(source.texts, films), *_lines(source, facts, word)]
    lines += [left_words(one, source.texts) for one in left.footage]
    if left.unrecognised.count:
        lines.append(
            source.texts.ngettext(
                "%(n)s file in the capture folder is not a video by its extension.",
                "%(n)s files in the capture folder are not videos by their extension.",
                left.unrecognised.count,
            )
        )
    needs = tuple(_needs(source.texts, facts))
    return StatusLine(
        word=word,
        title=source.texts.gettext(STATES[word]),
        lines=tuple(lines),
        needs=needs,
        is_stopped=facts.is_stopped,
    )


def left_words(left: LeftFootage, texts: Texts) -> str:
    """Return what stays in the capture folder and what to do, as the status says it."""
    told = texts.ngettext(*WORDS[left.reason], left.count, name=left.name)
    remedy = left.remedy if left.has_command else texts.gettext(REMEDIES[left.reason])
    what_to_do = texts.gettext("What to do: %(remedy)s", remedy=remedy)
    return f"{told} {what_to_do}"


def _needs(texts: Texts, facts: StatusInputs) -> Iterator[str]:
    waiting = facts.held + facts.refused + facts.failing
    if waiting:
        yield texts.ngettext("%(n)s take to review.", "%(n)s takes to review.", waiting)
    if facts.unreadable:
        yield texts.ngettext(
            "%(n)s recording could not be processed.",
            "%(n)s recordings could not be processed.",
            facts.unreadable,
        )


def _lines(source: PageContext, facts: StatusInputs, word: StationStatus) -> Iterator[str]:
    texts = source.texts
    yield from _about_camera(source, facts)
    if facts.stuck:
        yield texts.gettext("Part of Spotter has stalled. It restarts automatically.")
    yield from _about_filming(texts, facts, word)
    if facts.lane_reason is not None:
        words = UPLOADS_PAUSED.get(facts.lane_reason, UPLOADS_PAUSED_OTHERWISE)
        yield texts.gettext(words, n=facts.clips_waiting)
    if facts.clips_waiting:
        yield _about_waiting(source, facts)
    elif word is StationStatus.SAFE and not facts.sent:
        yield texts.gettext("Nothing left to upload.")
    if facts.sent:
        yield texts.ngettext(
            "%(n)s clip uploaded today.", "%(n)s clips uploaded today.", facts.sent
        )
    elif not facts.ever_sent and word is StationStatus.IDLE:
        yield texts.gettext("Nothing recorded yet.")
    yield from _about_disk(source)


def _about_stop(texts: Texts, films: Filming) -> Iterator[str]:
    if films.waiting:
        yield texts.ngettext(
            "%(n)s recording is kept until the stop can no longer be undone.",
            "%(n)s recordings are kept until the stop can no longer be undone.",
            films.waiting,
        )
    if films.stopped is None:
        return
    if films.left_s is None:
        yield texts.gettext("Recording is off; new footage is deleted.")
    else:
        yield texts.gettext(
            "Recording is off; new footage is deleted. Resumes in %(left)s.",
            left=texts.duration(films.left_s),
        )
    if films.unseen:
        yield texts.ngettext(
            "%(n)s recording deleted while recording was off.",
            "%(n)s recordings deleted while recording was off.",
            films.unseen,
        )


def _about_camera(source: PageContext, facts: StatusInputs) -> Iterator[str]:
    """Yield how long the camera has been silent, or what is wrong with its recordings."""
    camera, texts = facts.camera, source.texts
    if camera is None or not camera.is_faulty:
        return
    if camera.state is not CameraState.SILENT:
        yield fault_words(camera.trouble, camera.state, texts)
        return
    age_s = camera.age_s(source.now().utc_s)
    if age_s is None:
        yield texts.gettext("No recordings yet. Check the camera.")
    else:
        yield texts.gettext(
            "Last recording %(ago)s ago. Check the camera.", ago=texts.duration(age_s)
        )


def _about_waiting(source: PageContext, facts: StatusInputs) -> str:
    """Return what waits to be sent, and when it will have gone out where that is known."""
    texts, n = source.texts, facts.clips_waiting
    told = texts.ngettext("%(n)s clip to upload.", "%(n)s clips to upload.", n)
    if facts.lane_reason is not None or facts.stuck:
        return told  # nobody knows when
    now_s = source.now().utc_s
    line = read_uplink_status(
        source.outbox, schedule=source.settings.delivery.schedule, now_s=now_s
    )
    if line.sent_at is None:
        return told
    left = texts.duration(max(1.0, line.sent_at - now_s))
    return texts.ngettext(
        "%(n)s clip to upload, done in about %(left)s.",
        "%(n)s clips to upload, done in about %(left)s.",
        n,
        left=left,
    )


def _about_filming(texts: Texts, facts: StatusInputs, word: StationStatus) -> Iterator[str]:
    if facts.folder_is_missing:
        yield texts.gettext("The capture folder is missing. Check the camera and its disk.")
    if word is StationStatus.FILMING:
        yield texts.gettext("The camera is recording.")
    if facts.intake_waits is not None:
        if not facts.folder_is_missing:  # said above
            yield texts.gettext(INTAKE_PAUSED.get(facts.intake_waits, INTAKE_PAUSED_OTHERWISE))
    elif facts.paused:
        yield texts.gettext("The station cannot analyse recordings at the moment. They are stored.")
    if facts.captures_waiting > 1 and not facts.paused:
        yield texts.gettext(
            "1 recording is being analysed, %(n)s in the queue.", n=facts.captures_waiting - 1
        )
    elif facts.captures_waiting:
        yield texts.ngettext(
            "%(n)s recording to analyse.", "%(n)s recordings to analyse.", facts.captures_waiting
        )


def _about_disk(source: PageContext) -> Iterator[str]:
    full_in_s = _disk_is_full_in_s(source)
    if full_in_s is not None and full_in_s < _LONG_S:
        left = source.texts.duration(full_in_s)
        if full_in_s < _LOW_S:
            yield source.texts.gettext("Disk full in about %(left)s at this rate.", left=left)
        else:
            yield source.texts.gettext("Disk space lasts about %(left)s.", left=left)


def _disk_is_low(source: PageContext) -> bool:
    full_in_s = _disk_is_full_in_s(source)
    return full_in_s is not None and full_in_s < _LOW_S


def _disk_is_full_in_s(source: PageContext) -> float | None:
    space = DiskSpace(source.settings.paths.state, min_free_mb=source.settings.disk.min_free_mb)
    return read_disk(source.outbox.rooms, space, now_s=source.now().utc_s).ahead.full_in_s


CSRF_PLACE = "@@csrf_token@@"  # the device's own, and
NOW_PLACE = "@@now@@"  # this moment: the rest of a page is the same for all
_AT_LEAST_EVERY_S = 10.0  # what goes by the clock: running out, "still the same?", forecasts
_LOOK_AT_FOLDER_S = 2.0
# Each part, and the values that it shows: it is drawn again only where one of them has changed.
_COACH = {
    "state": ("state",),
    "waiting": ("waiting",),
    "groups": ("groups",),
    "station": ("on", "queue", "before"),
    "queue": ("queue", "rotates"),
    "tray": ("tray", "aside"),
    "takes": ("takes",),
    "athletes": ("people",),
}
_WALL = {"state": ("state",), "wallboard": ("on", "queue", "takes")}


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPage:
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


class Dashboard:
    """Draws the parts; used in the reading thread alone."""

    def __init__(self, source: PageContext) -> None:
        self._source = source
        wording = Wording(source.texts, source.settings.web.unit)
        self.people = People(source, wording)
        self.wording = wording
        self._cards = CardBuilder(source, wording)
        self._aside = QuarantineList(source)
        self.sheets = AthletePages(source, self._cards)
        self.history = TakeHistory(source, self._cards)
        self._films, self._looked_at_s = False, 0.0
        self._drawn: dict[bool, tuple[tuple[object, ...], RenderedPage]] = {}
        self._parts: dict[tuple[bool, str], _Part] = {}

    def drawing(self, *, wall: bool) -> RenderedPage:
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
            drawing = RenderedPage(parts=html, marks=marks, mark=mark, page=page)
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
        stands = self.people.assignment_status()
        common = {
            "state": read_state(self._source, is_filming=self._films),
            "on": self.people.on_station(stands),
        }
        if wall:
            return {**common, "queue": self.people.queue(), "takes": self._cards.latest()[:4]}
        return {
            **common,
            "waiting": self._source.check_in.waiting(now_s=self._source.now().utc_s),
            "groups": self._source.outbox.groups.all(),
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
        """Return a part that shows these values, drawn again only where they are others."""
        part = self._parts.get((wall, name))
        if part is None or part.values != values:
            html = self._draw(name, values, None if wall else CSRF_PLACE)
            mark = sha256(html.encode()).hexdigest()[:16]
            part = self._parts[wall, name] = _Part(values=values, html=html, mark=mark)
        return part

    def _draw(self, name: str, values: Mapping[str, object], csrf_token: str | None) -> str:
        template = self._source.templates.get_template(f"parts/{name}.html")
        return template.render(values, csrf_token=csrf_token, wording=self.wording).strip()
