"""Recordings that were set aside, as cards: which file, why, and what may be done with it."""

from dataclasses import dataclass

from agent.outbox.capture import Capture
from agent.outbox.states import CaptureState, FileState, Reason
from agent.web.board.figures import shortened
from agent.web.i18n import FAULTS, OTHER_FAULT, REASONS
from agent.web.source import Source

_MOST = 24
_MOST_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """One recording as the page shows it; never a picture of it: it may be nobody's to see."""

    id: int
    name: str  # as the camera program called it
    reason: str
    size: str
    at: float  # Unix time: when it was taken in
    may_retry: bool  # its file is here
    is_unseen: bool  # not broken: filming may have been stopped when it was made


class Aside:
    """Reads what was set aside."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def all(self) -> list[SetAside]:
        """Return the recordings that wait for a person, the newest first."""
        captures = self._source.outbox.captures.latest(CaptureState.QUARANTINED, most=_MOST)
        return [self._card(capture) for capture in captures]

    def _card(self, capture: Capture) -> SetAside:
        return SetAside(
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
