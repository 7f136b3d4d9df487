"""The history of a capture or clip, line by line.  Pure.

Detected, complete, ingested, analysed, cut, tried, looked up, uploaded, deleted: with times.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.clock import Instant, iso_utc
from agent.outbox.corrections import RESEND_WORDS, Resend
from agent.outbox.entries import Attempt, AttemptKind, Event, EventKind
from agent.outbox.models import Capture, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.queries import Followed
from agent.outbox.results import FOLLOW_UP_WORDS, FollowUpState
from agent.outbox.states import CaptureState, EntryState, FileState, reason_text
from agent.text import counted

_FILE_WORDS = {
    FileState.CLEARING: "deleting its file",
    FileState.CLEARED: "its file was deleted",
    FileState.PRESENT: "its file was restored",
    FileState.DAMAGED: "its file is missing or damaged: to be cut again",
}
_CAPTURE_WORDS: dict[str, str] = {
    CaptureState.CAPTURED: "queued for analysis again",
    CaptureState.ANALYSING: "analysis started",
    CaptureState.ANALYSED: "analysed: its takes are cut",
    CaptureState.SKIPPED: "analysed: no take found",
    CaptureState.QUARANTINED: "quarantined",
    CaptureState.DISCARDED: "discarded",
}
_ENTRY_WORDS: dict[str, str] = {
    EntryState.READY: "ready to upload",
    EntryState.HELD: "held for review",
    EntryState.UNCERTAIN: "uploaded without a response: looked up before it is uploaded again",
    EntryState.UPLOADED: "uploaded",
    EntryState.COMPLETED: "its analysis is complete",
    EntryState.DEAD: "rejected by the API",
    EntryState.DISCARDED: "discarded",
}

_CUT_WORDS = {
    "copy": "cut without re-encoding",
    "encode": "re-encoded",
    "whole": "whole recording",
}
_WITH_DETAIL = frozenset({CaptureState.QUARANTINED, EntryState.HELD, EntryState.DEAD})


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One moment of a life."""

    order: int  # an event's id: clocks jump, the order of events does not
    at: float  # Unix time
    what: str


def capture_life(
    capture: Capture, events: Sequence[Event], *, verdict: str | None
) -> list[HistoryLine]:
    """Return a capture's life, oldest first.

    Args:
        capture: its row.
        events: what happened to it; the first is the row's own beginning.
        verdict: what the analysis says of it now, or None.
    """
    order, seen = events[0].id, capture.evidence
    size = f"{capture.facts.size_bytes / 1e6:.1f} MB"
    before = [
        (seen.appeared.utc_s, f"{capture.file_name} detected in the capture folder"),
        (_utc_s(seen.grew_until), "last growth seen"),
        (_utc_s(seen.settled), "file complete (closed by writer)"),
        (capture.admitted_at, f"ingested as {capture.name}, {size}"),
    ]
    lines = [HistoryLine(order=order, at=at, what=what) for at, what in before if at is not None]
    for event in events[1:]:
        told = _told(event, _CAPTURE_WORDS.get(event.word or "", ""))
        if event.word == CaptureState.ANALYSED and verdict:
            told += f" (verdict: {verdict})"
        lines.append(HistoryLine(order=event.id, at=event.at, what=told))
    return lines


def entry_life(
    entry: Entry, events: Sequence[Event], attempts: Sequence[Attempt]
) -> list[HistoryLine]:
    """Return a clip's life from its cut on, oldest first."""
    cut = f"cut as {entry.clip_code}: {entry.clip_seconds:.1f} s, {entry.clip_bytes / 1e6:.1f} MB"
    if entry.cut_method:
        cut += f", {cut_words(entry)}"
    lines = [HistoryLine(order=events[0].id, at=entry.created_at, what=cut)]
    tried = dict(_tried(attempts))
    for event in events:
        if event.word == EntryState.UPLOADING:
            continue  # the attempt reports it
        is_attempt = event.what is EventKind.ATTEMPT
        told = tried[event.word or ""] if is_attempt else _told(event, _entry_words(event, entry))
        lines.append(HistoryLine(order=event.id, at=event.at, what=told))
    return lines


def cut_words(entry: Entry) -> str:
    """Return how a clip was cut, and why so; an empty text where that is not on record."""
    how = _CUT_WORDS.get(entry.cut_method or "", entry.cut_method or "")
    return f"{how} ({entry.cut_why})" if how and entry.cut_why else how


def event_words(event: Event, *, of_capture: bool) -> str:
    """Return one event in words, for who does not see the whole life."""
    if event.word == CaptureState.CAPTURED:
        return "queued for analysis"  # ingested, or again
    if of_capture:
        return _told(event, _CAPTURE_WORDS.get(event.word or "", event.word or ""))
    if event.word == EntryState.UPLOADING:
        return "upload started"
    return _told(event, _entry_words(event, None))


def _utc_s(instant: Instant | None) -> float | None:
    return None if instant is None else instant.utc_s


def _entry_words(event: Event, entry: Entry | None) -> str:
    if event.what is EventKind.ATHLETE:
        return f"athlete: {event.word or 'unassigned'}"
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
    """Yield every attempt's id and its outcome."""
    number = 0
    for attempt in attempts:
        if attempt.kind is AttemptKind.UPLOAD:
            number += 1
            told = f"upload attempt {number}"
        else:
            told = "looked up at the API"
        yield str(attempt.id), f"{told}: {_outcome(attempt)}"


def _outcome(attempt: Attempt) -> str:
    if attempt.outcome is None:
        return "interrupted, or still in progress"
    words = [attempt.detail or attempt.outcome]
    if attempt.seconds is not None:
        words.append(f"{attempt.seconds:.1f} s")
    if attempt.bytes:
        words.append(f"{attempt.bytes / 1e6:.1f} MB")
    if attempt.status is not None and f"HTTP {attempt.status}" not in words[0]:
        words.append(f"HTTP {attempt.status}")
    return ", ".join(words)


_TIMES = (
    *("admitted_at", "created_at", "filmed_at", "sent_at", "changed_at"),
    *("recorded_start_at", "recorded_end_at"),
)


def story(outbox: Outbox, subject: Capture | Entry) -> dict[str, Any]:
    """Return everything on record about a capture or an entry, ready for JSON."""
    if isinstance(subject, Capture):
        return _capture_story(outbox, subject)
    return _entry_story(outbox, subject)


def life(outbox: Outbox, subject: Capture | Entry) -> list[HistoryLine]:
    """Return the life of a capture, or of a clip with that of the captures it was cut from."""
    if isinstance(subject, Capture):
        report = json.loads(outbox.takes.report(subject.id) or "{}")
        events = outbox.events.of_capture(subject.id)
        return capture_life(subject, events, verdict=report.get("verdict"))
    lines = []
    for capture in outbox.entries.captures_of(subject.id):
        lines += life(outbox, capture)
    events = outbox.events.of_entry(subject.id)
    lines += entry_life(subject, events, outbox.attempts.of_entry(subject.id))
    return sorted(lines, key=lambda line: line.order)


def _lines(lines: list[HistoryLine]) -> list[dict[str, object]]:
    return [{"at": iso_utc(line.at), "what": line.what} for line in lines]


def _entry_story(outbox: Outbox, entry: Entry) -> dict[str, object]:
    plain = asdict(entry)
    plain.update(id=entry.name, due_at=iso_utc(entry.due_at), remarks=list(entry.remarks))
    captures, followed = outbox.entries.captures_of(entry.id), outbox.sessions.of(entry)
    return {
        **_with_times(plain),
        "meaning": reason_text(entry.reason),
        "captures": [capture.name for capture in captures],
        "filmed_by": [_recorded(capture) for capture in captures],
        "sent_anew": _resent(outbox, entry),
        "analysis": None if followed is None else _analysis(followed),
        "next_look_at": None if followed is None else iso_utc(followed.follow_up.due_at),
        "picture": [
            told for capture in captures for told in _picture(outbox.takes.report(capture.id))
        ],
        "tries": [
            {
                "kind": attempt.kind,
                "began_at": iso_utc(attempt.began_at),
                "outcome": attempt.outcome,
                "status": attempt.status,
                "seconds": None if attempt.seconds is None else round(attempt.seconds, 3),
                "bytes": attempt.bytes,
                "detail": attempt.detail,
            }
            for attempt in outbox.attempts.of_entry(entry.id)
        ],
        "story": _lines(life(outbox, entry)),
    }


def _resent(outbox: Outbox, entry: Entry) -> str | None:
    resend = outbox.resends.of_entry(entry.id)
    return None if resend is None else resend_words(resend)


def resend_words(resend: Resend) -> str:
    """Return how far a clip is on its way to the right athlete, in a sentence."""
    way = f"from e{resend.entry_id} to {resend.target.user_id}: {RESEND_WORDS[resend.state]}"
    return way if resend.detail is None else f"{way} ({resend.detail})"


def _analysis(followed: Followed) -> str:
    """Return what came of a clip's session, in a sentence."""
    follow_up, result = followed.follow_up, followed.result
    told = f"{follow_up.words}; {counted(follow_up.polls, 'check')}"
    return told if result is None else f"{told}; {counted(len(result.numbers), 'metric')}"


def _capture_story(outbox: Outbox, capture: Capture) -> dict[str, object]:
    plain = asdict(capture)
    facts = plain.pop("facts")
    plain.pop("evidence")
    plain.update(id=capture.name, bytes=facts["size_bytes"])
    return {
        **_with_times(plain),
        "meaning": reason_text(capture.reason),
        "picture": _picture(outbox.takes.report(capture.id)),
        "takes": [asdict(take) for take in outbox.takes.of(capture)],
        "clips": [
            {"id": entry.name, "clip_code": entry.clip_code, "state": entry.state}
            for entry in outbox.entries.of_capture(capture.id)
        ],
        "story": _lines(life(outbox, capture)),
    }


def _recorded(capture: Capture) -> str:
    """Return what the recording time of a capture rests on."""
    return capture.recorded_detail or capture.recorded_by or "not known yet"


def _picture(report: str | None) -> list[str]:
    """Return what the analysis said of the picture, what holds a clip first."""
    remarks = json.loads(report or "{}").get("quality", [])
    return [
        f"{remark['severity']}: {remark['message']}"
        for remark in sorted(remarks, key=lambda remark: str(remark["severity"]))
    ]


def _with_times(plain: dict[str, object]) -> dict[str, object]:
    for name in _TIMES:
        value = plain.get(name)
        if isinstance(value, float):
            plain[name] = iso_utc(value)
    return plain
