"""What the API makes of a session after its upload, and how long that takes."""

import random
import threading
from dataclasses import dataclass
from enum import StrEnum

from agent.sandbox.book import Session
from agent.sandbox.faults import Fault, FaultPlan

PLACE = "processing"
Span = tuple[float, float]  # seconds, from and to


class Progress(StrEnum):
    """How far a session is."""

    UNKNOWN = "unknown"  # not listed yet, and not found
    WORKING = "working"
    MEASURED = "measured"  # its metrics are there, the video waits to be asked for
    READY = "ready"
    FAILED = "failed"


@dataclass(slots=True)
class _Work:
    seconds: float
    fault: Fault | None
    is_asked_for: bool = False


class Processing:
    """The works; safe from any thread."""

    def __init__(self, span: Span, plan: FaultPlan, *, seed: int) -> None:
        self._span = span
        self._plan = plan
        self._chance = random.Random(seed)  # noqa: S311  # a play, no secret
        self._lock = threading.Lock()
        self._works: dict[str, _Work] = {}

    def begin(self, session: Session) -> None:
        """Draw how long a session takes, and what goes wrong with it."""
        self._work(session)

    def progress(self, session: Session, *, now_s: float) -> Progress:
        """Return how far a session is."""
        work = self._work(session)
        passed_s = now_s - session.created_at
        what = None if work.fault is None else work.fault.what
        if what == "late-session" and passed_s < work.fault.number("s", 60.0):  # type: ignore[union-attr]  # it has one
            return Progress.UNKNOWN
        if what == "never-done" or passed_s < work.seconds:
            return Progress.WORKING
        if what == "failed":
            return Progress.FAILED
        if what == "no-rendering" and not work.is_asked_for:
            return Progress.MEASURED
        return Progress.READY

    def ask_for_video(self, session: Session) -> None:
        """Let a video that waits for that be drawn."""
        self._work(session).is_asked_for = True

    def fault_of(self, session: Session) -> Fault | None:
        """Return what goes wrong with a session."""
        return self._work(session).fault

    def _work(self, session: Session) -> _Work:
        with self._lock:
            work = self._works.get(session.session_id)
            if work is None:
                seconds = self._chance.uniform(*self._span)
                work = self._works[session.session_id] = _Work(seconds, self._plan.take(PLACE))
            return work


def parse_span(text: str) -> Span:
    """Return the span that a text describes: 5, or 2-90.

    Raises:
        ValueError: it describes none.
    """
    first, _, last = text.partition("-")
    try:
        span = float(first), float(last or first)
    except ValueError:
        raise ValueError(f"no seconds: {text!r}; as in 5, or 2-90") from None
    if not 0 <= span[0] <= span[1]:
        raise ValueError(f"{text!r}: seconds go from few to many, as in 2-90")
    return span
