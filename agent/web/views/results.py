"""Results of a take, as its card shows them."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from agent.outbox.follow_ups import FollowUp, FollowUpState
from agent.outbox.models import Entry
from agent.outbox.results import Number, Result, VideoState
from agent.outbox.states import EntryState, Recipient
from agent.results.videos import progress
from agent.web.context import PageContext
from agent.web.i18n import ANALYSIS_STATES, METRICS, Texts

_MOST_NAME = 48
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
    """Return everything that was measured, what tells most first."""
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
    name = shortened(" · ".join(named), _MOST_NAME)
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
_TONES = {
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
    may_look: bool  # again, by a person's wish

    @property
    def is_coming(self) -> bool:
        """Whether the video is on its way."""
        return self.video in _COMING

    @property
    def offers(self) -> tuple[str, ...]:
        """What a person may do: look, fetch, play."""
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
            tone=_TONES[state],
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
