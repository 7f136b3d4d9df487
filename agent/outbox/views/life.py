"""A capture's or a clip's life, line by line: pure words over what is on record.

seen, settled, taken in, looked into, cut, tried, looked up, delivered, cleared: each with its time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.clock import Instant
from agent.outbox.attempts import Attempt, AttemptKind
from agent.outbox.capture import Capture
from agent.outbox.entry import Entry
from agent.outbox.events import Event, EventKind
from agent.outbox.results.follow_ups import FOLLOW_UP_WORDS, FollowUpState
from agent.outbox.states import CaptureState, EntryState, FileState, reason_text

_FILE_WORDS = {
    FileState.CLEARING: "clearing its file away",
    FileState.CLEARED: "its file is cleared away",
    FileState.PRESENT: "its file is back",
    FileState.DAMAGED: "its file is missing or torn: to be cut again",
}
_CAPTURE_WORDS: dict[str, str] = {
    CaptureState.CAPTURED: "waits to be looked into again",
    CaptureState.ANALYSING: "being looked into",
    CaptureState.ANALYSED: "looked into: its takes are cut",
    CaptureState.SKIPPED: "looked into: nobody makes an effort in it",
    CaptureState.QUARANTINED: "set aside",
    CaptureState.DISCARDED: "discarded",
}
_ENTRY_WORDS: dict[str, str] = {
    EntryState.READY: "ready to be sent",
    EntryState.HELD: "held for a person",
    EntryState.UNCERTAIN: "sent whole without an answer: looked up before anything is sent again",
    EntryState.UPLOADED: "delivered",
    EntryState.COMPLETED: "its analysis is there",
    EntryState.DEAD: "refused by the API",
    EntryState.DISCARDED: "discarded",
}

_WITH_DETAIL = frozenset({CaptureState.QUARANTINED, EntryState.HELD, EntryState.DEAD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One moment of a life."""

    order: int  # an event's id: clocks jump, the order of events does not
    at: float  # Unix time
    what: str


def capture_life(capture: Capture, events: Sequence[Event], *, verdict: str | None) -> list[Line]:
    """Return a capture's life, oldest first.

    Args:
        capture: its row.
        events: what happened to it; the first is the row's own beginning.
        verdict: what the analysis says of it now, or None.
    """
    order, seen = events[0].id, capture.evidence
    size = f"{capture.facts.size_bytes / 1e6:.1f} MB"
    before = [
        (seen.appeared.utc_s, f"{capture.file_name} seen in the capture folder"),
        (_utc_s(seen.grew_until), "last seen growing"),
        (_utc_s(seen.settled), "settled: quiet, and closed by its writer"),
        (capture.admitted_at, f"taken in as {capture.name}, {size}"),
    ]
    lines = [Line(order=order, at=at, what=what) for at, what in before if at is not None]
    for event in events[1:]:
        told = _told(event, _CAPTURE_WORDS.get(event.word or "", ""))
        if event.word == CaptureState.ANALYSED and verdict:
            told += f" (verdict: {verdict})"
        lines.append(Line(order=event.id, at=event.at, what=told))
    return lines


def entry_life(entry: Entry, events: Sequence[Event], attempts: Sequence[Attempt]) -> list[Line]:
    """Return a clip's life from its cut on, oldest first."""
    cut = f"cut as {entry.clip_code}: {entry.clip_seconds:.1f} s, {entry.clip_bytes / 1e6:.1f} MB"
    if entry.cut_method:
        cut += f", {entry.cut_method}" + (f" ({entry.cut_why})" if entry.cut_why else "")
    lines = [Line(order=events[0].id, at=entry.created_at, what=cut)]
    tried = dict(_tried(attempts))
    for event in events:
        if event.word == EntryState.UPLOADING:
            continue  # the attempt tells of it
        is_attempt = event.what is EventKind.ATTEMPT
        told = tried[event.word or ""] if is_attempt else _told(event, _entry_words(event, entry))
        lines.append(Line(order=event.id, at=event.at, what=told))
    return lines


def event_words(event: Event, *, of_capture: bool) -> str:
    """Return one event in words, for who does not see the whole life."""
    if event.word == CaptureState.CAPTURED:
        return "waits to be looked into"  # taken in, or again
    if of_capture:
        return _told(event, _CAPTURE_WORDS.get(event.word or "", event.word or ""))
    if event.word == EntryState.UPLOADING:
        return "being sent"
    return _told(event, _entry_words(event, None))


def _utc_s(instant: Instant | None) -> float | None:
    return None if instant is None else instant.utc_s


def _entry_words(event: Event, entry: Entry | None) -> str:
    if event.what is EventKind.ATHLETE:
        return f"athlete: {event.word or 'nobody'}"
    if event.what is EventKind.FILE:
        return ""
    if event.what is EventKind.FOLLOW_UP:
        return FOLLOW_UP_WORDS[FollowUpState(event.word or "")]
    words = _ENTRY_WORDS.get(event.word or "", "")
    if entry is None or event.word != EntryState.UPLOADED:
        return words
    return f"{words} as session {entry.session_id}"


def _told(event: Event, words: str) -> str:
    """Return an event in words, with its reason where it has one."""
    if event.what is EventKind.FILE:
        return _FILE_WORDS[FileState(event.word or "")]
    is_told = event.word in _WITH_DETAIL or event.what is EventKind.FOLLOW_UP
    detail = event.detail if is_told else None  # else of an earlier trouble
    more = [text for text in (reason_text(event.reason), detail) if text]
    return ": ".join([words, *more])


def _tried(attempts: Sequence[Attempt]) -> Iterator[tuple[str, str]]:
    """Yield every attempt's id and what came of it."""
    number = 0
    for attempt in attempts:
        if attempt.kind is AttemptKind.UPLOAD:
            number += 1
            told = f"attempt {number} to send it"
        else:
            told = "looked for at the API"
        yield str(attempt.id), f"{told}: {_outcome(attempt)}"


def _outcome(attempt: Attempt) -> str:
    if attempt.outcome is None:
        return "cut off, or still under way"
    words = [attempt.detail or attempt.outcome]
    if attempt.seconds is not None:
        words.append(f"{attempt.seconds:.1f} s")
    if attempt.bytes:
        words.append(f"{attempt.bytes / 1e6:.1f} MB")
    if attempt.status is not None and f"HTTP {attempt.status}" not in words[0]:
        words.append(f"HTTP {attempt.status}")
    return ", ".join(words)
