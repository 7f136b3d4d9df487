"""Takes as cards: what was recorded, its status, its results, and the possible actions."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from agent.outbox.corrections import OPEN, Resend, ResendState
from agent.outbox.models import Capture, ClipTarget, Entry
from agent.outbox.queries import ShownClip
from agent.outbox.results import FollowUp, FollowUpState, Number, Result, VideoState
from agent.outbox.roster import key_of
from agent.outbox.states import (
    BEING_SENT,
    SENT,
    CaptureState,
    EntryState,
    FileState,
    Reason,
    Recipient,
)
from agent.results.videos import progress
from agent.station.attribution import ClipWarning
from agent.station.clip_actions import is_here
from agent.station.roster import name_of, split_key
from agent.web.context import PageContext
from agent.web.i18n import (
    ANALYSIS_STATES,
    ENTRY_STATES,
    FAULTS,
    METRICS,
    OTHER_FAULT,
    OTHER_REASON,
    REASONS,
    RESENDS,
    WARNINGS,
    Texts,
    Wording,
)

_MOST_METRIC_NAME = 48
_MOST_VALUE = 48
_DIGITS = 3  # that count
_SMALLEST, _LARGEST = 1e-4, 1e9  # beyond these, powers of ten are easier to read
# peakVelocity -> peak Velocity; barVMax stays readable, and so does RSI
_UNITS = {  # as names end in them: as they follow a value
    "mps": " m/s",
    "mps2": " m/s²",
    "m": " m",
    "cm": " cm",
    "mm": " mm",
    "s": " s",
    "ms": " ms",
    "deg": "°",
    "n": " N",
    "w": " W",
    "j": " J",
    "kg": " kg",
    "hz": " Hz",
    "percent": " %",
    "pct": " %",
}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z](?:[a-z]|$))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number with its name, ready to be shown."""

    name: str
    value: str


def figures_of(numbers: Mapping[str, Number], texts: Texts) -> list[Figure]:
    """Return everything that was measured, the most important first."""
    return [
        Figure(name=name_shown(path, texts), value=value_shown(numbers[path], texts, path=path))
        for path in by_weight(numbers)
    ]


def by_weight(numbers: Mapping[str, Number]) -> list[str]:
    """Return the paths of numbers, those of the whole take before those of its parts.

    Numbers come before texts; the API's own order decides the rest.
    """
    return sorted(numbers, key=lambda path: (not is_measured(numbers[path]), path.count(".")))


def plottable(all_numbers: Iterable[Mapping[str, Number]], *, most: int) -> list[str]:
    """Return the paths under which any take has a number, in the order of their weight."""
    found: dict[str, None] = {}
    for numbers in all_numbers:
        for path in by_weight(numbers):
            if is_measured(numbers[path]):
                found.setdefault(path)
    return sorted(found, key=lambda path: path.count("."))[:most]


def is_measured(value: object) -> bool:
    """Tell whether a value is a number, not a text or a yes or no."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def name_shown(path: str, texts: Texts) -> str:
    """Return a metric's name in the page's language: peak_velocity_mps is Peak velocity."""
    *above, last = (_words_of_name(part) for part in path.split("."))
    parts = [" ".join(words) for words in (*above, _split_unit(last)[0]) if words]
    named = (texts.gettext(METRICS[part]) if part in METRICS else part for part in parts)
    name = shortened(" · ".join(named), _MOST_METRIC_NAME)
    return f"{name[:1].upper()}{name[1:]}" or "?"


def value_shown(value: Number, texts: Texts, *, path: str = "") -> str:
    """Return a value as people write it, rounded, with the unit that its path names."""
    if isinstance(value, bool):
        return texts.gettext("yes") if value else texts.gettext("no")
    if isinstance(value, str):
        return shortened(value, _MOST_VALUE)
    unit = _split_unit(_words_of_name(path.rpartition(".")[2]))[1]
    return f"{_number_shown(value, texts)}{unit}"


def _number_shown(value: float, texts: Texts) -> str:
    size = abs(value)
    if size and not _SMALLEST <= size < _LARGEST:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return f"{texts.number(float(mantissa), digits=2)} · 10^{int(exponent)}"
    before = math.floor(math.log10(size)) + 1 if size else 1
    return texts.number(value, digits=min(6, max(0, _DIGITS - before)), grouped=True)


def _words_of_name(name: str) -> list[str]:
    spaced = _HUMP.sub(" ", name).replace("_", " ").replace("-", " ")
    return [word if word.isupper() and len(word) > 1 else word.lower() for word in spaced.split()]


def _split_unit(words: list[str]) -> tuple[list[str], str]:
    """Return a name without its unit, and the unit as it follows a value."""
    if len(words) > 1 and words[-1] in _UNITS:
        return words[:-1], _UNITS[words[-1]]
    return words, ""


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many signs, with a sign that some are missing."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


_MOST_FIGURES = 3  # on a card; the rest on demand
_MOST_WORDS = 160  # of the API
_ANALYSIS_TONES = {
    FollowUpState.WAITING: "busy",
    FollowUpState.COMPLETED: "good",
    FollowUpState.FAILED: "bad",
    FollowUpState.GONE: "warn",
    FollowUpState.NOT_SEEN: "warn",
}
_ENDED = frozenset({FollowUpState.FAILED, FollowUpState.GONE, FollowUpState.NOT_SEEN})
_COMING = frozenset({VideoState.WANTED, VideoState.FETCHING})


class _Video(TypedDict):
    """What there is of an analysed video."""

    video: VideoState | None
    video_words: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionAnalysis:
    """What came of one take."""

    state: str | None  # in words; None: there are metrics to show instead
    tone: str
    words: str | None  # the API's own, about a failure
    figures: tuple[Figure, ...]  # the first few
    more: int  # how many numbers there are besides
    video: VideoState | None  # the analysed one; None: there is none to be had
    video_words: str | None  # how far it is, or why it does not come
    may_look: bool  # again, by a person's request

    @property
    def is_coming(self) -> bool:
        """Whether the video is on its way."""
        return self.video in _COMING

    @property
    def offers(self) -> tuple[str, ...]:
        """What a person may do: watch, fetch, play."""
        video = {None: (), VideoState.PRESENT: ("play",)}.get(self.video, ("fetch",))
        return (*(("look",) if self.may_look else ()), *(() if self.is_coming else video))


class Analyses:
    """Reads what came of takes; several at once."""

    def __init__(self, source: PageContext) -> None:
        self._source = source

    def of(self, entries: Sequence[Entry]) -> dict[int, SessionAnalysis]:
        """Return what came of some clips, by their id; nothing of those that are no sessions."""
        sent = [entry for entry in entries if entry.session_id is not None]
        ids = [entry.id for entry in sent]
        follow_ups = self._source.outbox.follow_ups.of_entries(ids)
        results = self._source.outbox.results.of_entries(ids)
        told = {
            entry.id: self._analysis(entry, follow_ups[entry.id], results.get(entry.id))
            for entry in sent
            if entry.id in follow_ups
        }
        return {entry_id: analysis for entry_id, analysis in told.items() if analysis is not None}

    def _analysis(
        self, entry: Entry, follow_up: FollowUp, result: Result | None
    ) -> SessionAnalysis | None:
        state = follow_up.state
        if state is FollowUpState.WAITING and not self._source.settings.results.follow:
            return None  # nobody asks
        figures = figures_of(result.numbers, self._source.texts) if result is not None else []
        return SessionAnalysis(
            state=self._state(state, has_figures=bool(figures)),
            tone=_ANALYSIS_TONES[state],
            words=_words(follow_up),
            figures=tuple(figures[:_MOST_FIGURES]),
            more=max(0, len(figures) - _MOST_FIGURES),
            **self._video(entry, result),
            may_look=state in _ENDED and _is_somebodys(entry),
        )

    def _state(self, state: FollowUpState, *, has_figures: bool) -> str | None:
        gettext = self._source.texts.gettext
        if state is FollowUpState.COMPLETED:
            return None if has_figures else gettext("Analysed, no metrics")
        return gettext(ANALYSIS_STATES[state])

    def _video(self, entry: Entry, result: Result | None) -> _Video:
        if result is None:
            return _Video(video=None, video_words=None)
        state = VideoState(result.video_state)
        if self._source.settings.results.video == "never" and state is not VideoState.PRESENT:
            return _Video(video=None, video_words=None)
        if state in _COMING:
            return _Video(video=state, video_words=self._coming(entry, result))
        words = None
        if state is VideoState.FAILED:
            detail = shortened(result.video_detail or "", _MOST_WORDS)
            words = self._source.texts.gettext(
                "The analysed video could not be downloaded: %(detail)s", detail=detail
            )
        return _Video(video=state, video_words=words)

    def _coming(self, entry: Entry, result: Result) -> str:
        """Return how far a video is, or why it comes later."""
        gettext = self._source.texts.gettext
        have, of = progress(self._source.folder.analysed_video(entry.clip_code))
        if result.video_state == VideoState.FETCHING and have and of:
            return gettext(
                "Downloading the analysed video: %(share)s %%.", share=min(99, have * 100 // of)
            )
        if result.video_detail:
            return gettext(
                "The analysed video downloads later: %(detail)s",
                detail=shortened(result.video_detail, _MOST_WORDS),
            )
        return gettext("Downloading the analysed video.")


def _words(follow_up: FollowUp) -> str | None:
    if follow_up.state is not FollowUpState.FAILED or not follow_up.detail:
        return None
    return shortened(follow_up.detail, _MOST_WORDS)


def _is_somebodys(entry: Entry) -> bool:
    """Tell whether a delivered clip is anybody's still: of a forgotten athlete nothing is asked."""
    is_nobodys = entry.user_id is None and entry.recipient is Recipient.UNKNOWN
    return entry.state is EntryState.UPLOADED and not is_nobodys


MOST_LATEST = 12
MOST_NEEDING = 60
_MOST_KNOWN = 4 * (MOST_LATEST + MOST_NEEDING)  # cards that are remembered
_TONES = {
    EntryState.READY: "soft",
    EntryState.HELD: "warn",
    EntryState.UPLOADING: "busy",
    EntryState.UNCERTAIN: "busy",
    EntryState.UPLOADED: "good",
    EntryState.COMPLETED: "good",
    EntryState.DEAD: "bad",
}
_MAY = {
    EntryState.READY: ("give", "edit", "hold", "discard"),
    EntryState.HELD: ("give", "edit", "discard"),
    EntryState.DEAD: ("retry", "give", "edit", "discard"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipCard:
    """One take as the page shows it."""

    code: str
    who: str
    key: str | None  # names whose it is in addresses; None: nobody's who has a page
    is_known: bool  # whose it is
    movement: str
    shows: ClipTarget  # the same, to be edited
    facts: tuple[str, ...]  # repetitions, length
    filmed_at: float | None  # Unix time
    state: str  # in words
    tone: str
    reason: str | None
    remarks: tuple[str, ...]
    title: str | None
    goes_at: float | None  # Unix time: until then it can be corrected
    has_poster: bool
    has_strip: bool
    has_clip: bool
    may: tuple[str, ...]  # give, edit, hold, discard, send, release, again, retry, resend
    why_not: str | None  # why it cannot be sent again, in words
    resend: str | None  # how far it is on its way to the right athlete
    deletes: int | None  # the deletion of a wrong session that may be tried again
    analysis: SessionAnalysis | None  # its outcome after the upload
    candidates: tuple[tuple[str, str], ...] = ()  # keys and names of who come into question


@dataclass(frozen=True, slots=True, kw_only=True)
class CardInputs:
    """All that a card is made of: as long as it is the same, so is the card."""

    shown: ShownClip
    name: str | None  # whose it is
    resend: Resend | None
    is_fresh: bool  # it can still be corrected before it goes
    has_poster: bool
    has_strip: bool
    is_gone: bool  # sent, and no longer on this box
    analysis: SessionAnalysis | None


class CardBuilder:
    """Makes cards of clips; used by one thread at a time."""

    def __init__(self, source: PageContext, wording: Wording) -> None:
        self._source = source
        self.wording = wording
        self._texts = source.texts
        self._analyses = Analyses(source)
        self._made: dict[str, tuple[CardInputs, ClipCard]] = {}  # by clip code

    def latest(self) -> list[ClipCard]:
        """Return the latest takes that need nobody."""
        return self.cards(self._source.outbox.gallery.latest(most=MOST_LATEST))

    def needing(self) -> list[ClipCard]:
        """Return the takes that need a person."""
        return self.cards(self._source.outbox.gallery.needing(most=MOST_NEEDING))

    def cards(self, takes: Sequence[ShownClip]) -> list[ClipCard]:
        """Return the cards of some clips."""
        now_s = self._source.now().utc_s
        people = {_person_of(shown.entry) for shown in takes}
        names = {person: self._name(*person) for person in people}
        analyses = self._analyses.of([shown.entry for shown in takes])
        seen = (
            self._see(
                shown,
                analyses.get(shown.entry.id),
                name=names[_person_of(shown.entry)],
                now_s=now_s,
            )
            for shown in takes
        )
        return [self._card(one) for one in seen]

    def _see(
        self, shown: ShownClip, analysis: SessionAnalysis | None, *, name: str | None, now_s: float
    ) -> CardInputs:
        entry = shown.entry
        has_poster, has_strip = self._source.folder.has_pictures_of(entry.clip_code)
        return CardInputs(
            shown=shown,
            name=name,
            resend=self._source.outbox.resends.of_entry(entry.id) if entry.session_id else None,
            is_fresh=_is_fresh(entry, self._source.rules.send_delay_s, now_s=now_s),
            has_poster=has_poster,
            has_strip=has_strip,
            is_gone=entry.state in SENT and not is_here(self._source.folder.clips, entry),
            analysis=analysis,
        )

    def _card(self, seen: CardInputs) -> ClipCard:
        """Return a take's card: the one of last time where nothing of it has changed."""
        code = seen.shown.entry.clip_code
        known = self._made.get(code)
        if known is None or known[0] != seen:
            if len(self._made) >= _MOST_KNOWN:
                self._made.clear()
            known = self._made[code] = (seen, self._make(seen))
        return known[1]

    def _make(self, seen: CardInputs) -> ClipCard:
        entry, resend, is_fresh = seen.shown.entry, seen.resend, seen.is_fresh
        return ClipCard(
            code=entry.clip_code,
            who=seen.name or self._texts.gettext("Unassigned"),
            key=_key(entry),
            is_known=seen.name is not None,
            movement=self.wording.movement(entry.target),
            shows=entry.target,
            facts=tuple(self._facts(seen.shown)),
            filmed_at=entry.filmed_at,
            state=self._texts.gettext(ENTRY_STATES["fresh" if is_fresh else entry.state]),
            tone="busy" if is_fresh else _tone(entry),
            reason=self._reason(entry),
            remarks=tuple(self._remarks(seen.shown)),
            title=entry.server_title or entry.title,
            goes_at=entry.due_at if is_fresh and entry.reason is None else None,
            has_poster=seen.has_poster,
            has_strip=seen.has_strip,
            has_clip=entry.file_state is FileState.PRESENT,
            may=_may(
                entry,
                is_fresh=is_fresh,
                is_on_its_way=resend is not None and resend.state in OPEN,
            ),
            why_not=self._why_not(seen),
            resend=self._resend_words(resend),
            deletes=resend.id if resend and resend.state is ResendState.REFUSED else None,
            analysis=seen.analysis,
            candidates=tuple(self._candidates(entry)),
        )

    def _candidates(self, entry: Entry) -> Iterator[tuple[str, str]]:
        """Yield who come into question for a take that waits to be given to somebody."""
        if entry.state is not EntryState.HELD or entry.user_id is not None:
            return
        for remark in entry.remarks:
            key = remark.removeprefix(ClipWarning.MAY_BE)
            if key not in {remark, "nobody"}:
                name = name_of(self._source.outbox, *split_key(key))
                if name is not None:
                    yield key, name

    def _name(self, is_owner: bool, user_id: str | None, guest_id: int | None) -> str | None:
        if is_owner:
            return self._texts.gettext("Account owner")
        return name_of(self._source.outbox, user_id, guest_id)

    def _facts(self, shown: ShownClip) -> Iterator[str]:
        if shown.reps:
            yield self._texts.ngettext("%(n)s rep", "%(n)s reps", shown.reps)
        yield self._texts.gettext("%(n)s s", n=self._texts.number(shown.entry.clip_seconds))

    def _reason(self, entry: Entry) -> str | None:
        if entry.state is EntryState.DEAD:
            return entry.detail
        if entry.reason is None:
            return None
        return self._texts.gettext(REASONS.get(entry.reason, OTHER_REASON))

    def _remarks(self, shown: ShownClip) -> Iterator[str]:
        for code in dict.fromkeys((*shown.quality, *shown.entry.remarks)):
            if code in WARNINGS:
                yield self._texts.gettext(WARNINGS[code])

    def _why_not(self, seen: CardInputs) -> str | None:
        """Return why a take cannot be corrected any more; None where it can."""
        if seen.shown.entry.state in BEING_SENT:
            return self._texts.gettext("Currently uploading.")
        is_on_its_way = seen.resend is not None and seen.resend.state in OPEN
        return (
            self._texts.gettext(
                "The clip is no longer on the station and cannot be uploaded again."
            )
            if seen.is_gone and not is_on_its_way
            else None
        )

    def _resend_words(self, resend: Resend | None) -> str | None:
        if resend is None or resend.state not in OPEN:
            return None
        return self._texts.gettext(RESENDS[resend.state], detail=resend.detail or "")


def _person_of(entry: Entry) -> tuple[bool, str | None, int | None]:
    return entry.recipient is Recipient.KEY_OWNER, entry.user_id, entry.guest_id


def _is_fresh(entry: Entry, send_delay_s: float, *, now_s: float) -> bool:
    """Tell whether a take can still be corrected before it goes; not one that is tried again."""
    left_s = entry.due_at - now_s
    is_corrected = not entry.failures and left_s <= send_delay_s
    return entry.state is EntryState.READY and left_s > 0 and (not entry.attempts or is_corrected)


def _key(entry: Entry) -> str | None:
    if entry.user_id is None and entry.guest_id is None:
        return None
    return key_of(entry.user_id, entry.guest_id)


def _tone(entry: Entry) -> str:
    return "warn" if _fails(entry) else _TONES.get(entry.state, "soft")


def _fails(entry: Entry) -> bool:
    return entry.state is EntryState.READY and entry.reason == Reason.FAILS_AT_SERVER


def _may(entry: Entry, *, is_fresh: bool, is_on_its_way: bool) -> tuple[str, ...]:
    if entry.state in SENT:
        if is_on_its_way:
            return ()
        return ("resend", "edit") if entry.recipient is Recipient.ATHLETE else ("resend",)
    more = ("send",) if is_fresh else ()
    if entry.state is EntryState.HELD and entry.recipient is not Recipient.UNKNOWN:
        more = ("again" if entry.reason == Reason.OUTCOME_UNKNOWN else "release",)
    if _fails(entry):
        more = ("retry",)
    return (*more, *_MAY.get(entry.state, ()))


_MOST = 24
_MOST_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedCard:
    """One recording as the page shows it; never a picture of it: viewing it may not be allowed."""

    id: int
    name: str  # as the camera program called it
    reason: str
    size: str
    at: float  # Unix time: when it was ingested
    may_retry: bool  # its file is here
    is_unseen: bool  # not broken: filming may have been stopped when it was made


class QuarantineList:
    """Reads what was quarantined."""

    def __init__(self, source: PageContext) -> None:
        self._source = source

    def all(self) -> list[QuarantinedCard]:
        """Return the recordings that wait for a person, the newest first."""
        captures = self._source.outbox.captures.latest(CaptureState.QUARANTINED, most=_MOST)
        return [self._card(capture) for capture in captures]

    def _card(self, capture: Capture) -> QuarantinedCard:
        return QuarantinedCard(
            id=capture.id,
            name=shortened(capture.file_name, _MOST_NAME),
            reason=self._reason(capture),
            size=f"{self._source.texts.number(capture.facts.size_bytes / 1e6)} MB",
            at=capture.admitted_at,
            may_retry=capture.file_state is FileState.PRESENT,
            is_unseen=capture.reason == Reason.FILMING_MAY_BE_STOPPED,
        )

    def _reason(self, capture: Capture) -> str:
        code = str(capture.reason)
        return self._source.texts.gettext(FAULTS.get(code) or REASONS.get(code, OTHER_FAULT))
