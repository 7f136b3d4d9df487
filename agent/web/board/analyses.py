"""What came of takes after their upload, as a card shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from agent.delivery.part import progress
from agent.outbox.entry import Entry
from agent.outbox.results.follow_ups import FollowUp, FollowUpState
from agent.outbox.results.record import Result
from agent.outbox.results.videos import VideoState
from agent.outbox.states import EntryState, Recipient
from agent.web.board.figures import Figure, figures_of, shortened
from agent.web.i18n import ANALYSIS_STATES
from agent.web.source import Source

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
class Analysis:
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

    def __init__(self, source: Source) -> None:
        self._source = source

    def of(self, entries: Sequence[Entry]) -> dict[int, Analysis]:
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
    ) -> Analysis | None:
        state = follow_up.state
        if state is FollowUpState.WAITING and not self._source.settings.results.follow:
            return None  # nobody asks
        figures = figures_of(result.numbers, self._source.texts) if result is not None else []
        return Analysis(
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
