"""One capture's or clip's life, from what is on record."""

import json
from dataclasses import asdict

from agent.clock import iso_utc
from agent.outbox.capture import Capture
from agent.outbox.entry import Entry
from agent.outbox.resends import RESEND_WORDS, Resend
from agent.outbox.states import reason_text
from agent.outbox.store import Outbox
from agent.outbox.views.life import Line, capture_life, entry_life
from agent.outbox.views.sessions import Followed
from agent.plurals import counted

_TIMES = (
    *("admitted_at", "created_at", "filmed_at", "sent_at", "changed_at"),
    *("recorded_start_at", "recorded_end_at"),
)


def story(outbox: Outbox, subject: Capture | Entry) -> dict[str, object]:
    """Return everything on record about a capture or an entry, ready for JSON."""
    if isinstance(subject, Capture):
        return _capture_story(outbox, subject)
    return _entry_story(outbox, subject)


def life(outbox: Outbox, subject: Capture | Entry) -> list[Line]:
    """Return the life of a capture, or of a clip with that of the captures it was cut from."""
    if isinstance(subject, Capture):
        report = json.loads(outbox.takes.report(subject.id) or "{}")
        events = outbox.events.of_capture(subject.id)
        return capture_life(subject, events, verdict=report.get("verdict"))
    lines = []
    for number in outbox.entries.captures_of(subject.id):
        capture = outbox.captures.by_id(number)
        assert capture is not None  # rows are never deleted
        lines += life(outbox, capture)
    events = outbox.events.of_entry(subject.id)
    lines += entry_life(subject, events, outbox.attempts.of_entry(subject.id))
    return sorted(lines, key=lambda line: line.order)


def _lines(lines: list[Line]) -> list[dict[str, object]]:
    return [{"at": iso_utc(line.at), "what": line.what} for line in lines]


def _entry_story(outbox: Outbox, entry: Entry) -> dict[str, object]:
    plain = asdict(entry)
    plain.update(id=entry.name, due_at=iso_utc(entry.due_at), remarks=list(entry.remarks))
    captures, followed = outbox.entries.captures_of(entry.id), outbox.sessions.of(entry)
    return {
        **_with_times(plain),
        "meaning": reason_text(entry.reason),
        "captures": [f"c{number}" for number in captures],
        "filmed_by": [_recorded(outbox, number) for number in captures],
        "sent_anew": _sent_anew(outbox, entry),
        "analysis": None if followed is None else _analysis(followed),
        "next_look_at": None if followed is None else iso_utc(followed.follow_up.due_at),
        "picture": [told for number in captures for told in _picture(outbox.takes.report(number))],
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


def _sent_anew(outbox: Outbox, entry: Entry) -> str | None:
    resend = outbox.resends.of_entry(entry.id)
    return None if resend is None else sent_anew_words(resend)


def sent_anew_words(resend: Resend) -> str:
    """Return how far a clip is on its way to the right athlete, in a sentence."""
    way = f"from e{resend.entry_id} to {resend.whose.user_id}: {RESEND_WORDS[resend.state]}"
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


def _recorded(outbox: Outbox, capture_id: int) -> str:
    """Return what the recording time of a capture rests on."""
    capture = outbox.captures.by_id(capture_id)
    assert capture is not None  # rows are never deleted
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
