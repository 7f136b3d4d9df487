"""What came of takes after their upload, as a card shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.outbox.entry import Entry
from agent.outbox.follow_ups import FollowUp, FollowUpState
from agent.outbox.results import Result
from agent.outbox.states import EntryState, Recipient
from agent.web.board.figures import Figure, figures_of
from agent.web.page import Page

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What came of one take."""

    state: str | None  # a text's key; None: the numbers speak for themselves
    tone: str
    words: str | None  # the API's own, about a failure
    figures: tuple[Figure, ...]  # the first few
    more: int  # how many numbers there are besides
    has_video: bool  # the analysed one, on this box
    may_look: bool  # again, by a person's wish


class Analyses:
    """Reads what came of takes; several at once."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def of(self, entries: Sequence[Entry]) -> dict[int, Analysis]:
        """Return what came of some clips, by their id; nothing of those that are no sessions."""
        sent = [entry for entry in entries if entry.session_id is not None]
        ids = [entry.id for entry in sent]
        follow_ups = self._page.outbox.follow_ups.of_entries(ids)
        results = self._page.outbox.results.of_entries(ids)
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
        if state is FollowUpState.WAITING and not self._page.settings.results.follow:
            return None  # nobody asks
        figures = figures_of(result.numbers, self._page.texts) if result is not None else []
        return Analysis(
            state=_state(state, has_figures=bool(figures)),
            tone=_TONES[state],
            words=_words(follow_up),
            figures=tuple(figures[:_MOST_FIGURES]),
            more=max(0, len(figures) - _MOST_FIGURES),
            has_video=result is not None and result.video_state == "present",
            may_look=state in _ENDED and _is_somebodys(entry),
        )


def _state(state: FollowUpState, *, has_figures: bool) -> str | None:
    if state is FollowUpState.COMPLETED:
        return None if has_figures else "analysis_bare"
    return f"analysis_{state}"


def _words(follow_up: FollowUp) -> str | None:
    if follow_up.state is not FollowUpState.FAILED or not follow_up.detail:
        return None
    words = follow_up.detail
    return words if len(words) <= _MOST_WORDS else f"{words[: _MOST_WORDS - 1]}…"


def _is_somebodys(entry: Entry) -> bool:
    """Tell whether a delivered clip is anybody's still: of a forgotten athlete nothing is asked."""
    is_nobodys = entry.user_id is None and entry.recipient is Recipient.UNKNOWN
    return entry.state is EntryState.UPLOADED and not is_nobodys
