"""A capture's or a clip's life, line by line: pure words over what is on record.

seen, settled, taken in, looked into, cut, tried, looked up, delivered, cleared: each with its time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.outbox.attempts import Attempt, AttemptKind
from agent.outbox.capture import Capture
from agent.outbox.entry import Entry
from agent.outbox.events import Event, EventKind
from agent.outbox.states import CaptureState, EntryState, FileState, reason_text

_FILE_WORDS = {
    FileState.CLEARING: "clearing its file away",
    FileState.CLEARED: "its file is cleared away",
    FileState.PRESENT: "its file is back",
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


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One moment of a life."""

    at: float  # Unix time
    what: str


def capture_life(capture: Capture, events: Sequence[Event], *, verdict: str | None) -> list[Line]:
    """Return a capture's life, oldest first.

    Args:
        capture: its row.
        events: what happened to it.
        verdict: what the analysis says of it now, or None.
    """
    seen = capture.evidence
    lines = [Line(seen.appeared.utc_s, f"{capture.file_name} seen in the capture folder")]
    if seen.grew_until is not None:
        lines.append(Line(seen.grew_until.utc_s, "last seen growing"))
    if seen.settled is not None:
        lines.append(Line(seen.settled.utc_s, "settled: quiet, and closed by its writer"))
    size = f"{capture.facts.size_bytes / 1e6:.1f} MB"
    lines.append(Line(capture.admitted_at, f"taken in as {capture.name}, {size}"))
    for event in events[1:]:  # the first is the row's own beginning
        told = _told(event, _CAPTURE_WORDS.get(event.word or "", ""))
        if event.word == CaptureState.ANALYSED and verdict:
            told += f" (verdict: {verdict})"
        lines.append(Line(event.at, told))
    return _in_order(lines)


def entry_life(entry: Entry, events: Sequence[Event], attempts: Sequence[Attempt]) -> list[Line]:
    """Return a clip's life from its cut on, oldest first."""
    cut = f"cut as {entry.clip_code}: {entry.clip_seconds:.1f} s, {entry.clip_bytes / 1e6:.1f} MB"
    if entry.cut_method:
        cut += f", {entry.cut_method}" + (f" ({entry.cut_why})" if entry.cut_why else "")
    lines = [Line(entry.created_at, cut)]
    for event in events:
        if event.word != EntryState.UPLOADING:  # the attempt tells of it
            lines.append(Line(event.at, _told(event, _entry_words(event, entry))))
    lines += _tried(attempts)
    return _in_order(lines)


def _entry_words(event: Event, entry: Entry) -> str:
    if event.what is EventKind.ATHLETE:
        return f"athlete: {event.word or 'nobody'}"
    if event.what is EventKind.FILE:
        return ""
    words = _ENTRY_WORDS.get(event.word or "", "")
    return f"{words} as session {entry.session_id}" if event.word == "uploaded" else words


def _told(event: Event, words: str) -> str:
    """Return an event in words, with its reason where it has one."""
    if event.what is EventKind.FILE:
        return _FILE_WORDS[FileState(event.word or "")]
    detail = event.detail if event.word in _WITH_DETAIL else None  # else of an earlier trouble
    more = [text for text in (reason_text(event.reason), detail) if text]
    return ": ".join([words, *more])


def _tried(attempts: Sequence[Attempt]) -> Iterator[Line]:
    number = 0
    for attempt in attempts:
        if attempt.kind is AttemptKind.UPLOAD:
            number += 1
            told = f"attempt {number} to send it"
        else:
            told = "looked for at the API"
        yield Line(attempt.began_at, f"{told}: {_outcome(attempt)}")


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


def _in_order(lines: Sequence[Line]) -> list[Line]:
    """Return lines by time; what happened at one moment stays in the order in which it was told."""
    return sorted(lines, key=lambda line: line.at)
