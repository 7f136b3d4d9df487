"""What `spotter status` says of the line to the API: backlog, speed, and upload hours."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.local_time import LocalTime
    from agent.outbox.store import Outbox
    from agent.settings import Settings


def line_document(settings: "Settings", outbox: "Outbox", *, now_s: float) -> dict[str, object]:
    """Return the part `delivery` of the status."""
    from agent.clock import iso_utc
    from agent.delivery.line import read_line

    line = read_line(outbox, schedule=settings.delivery.schedule, now_s=now_s)
    backlog, timetable, sent_at = line.backlog, line.timetable, line.sent_at
    rate = timetable.rate_at(now_s)
    return {
        "backlog": {"clips": backlog.clips, "bytes": backlog.size_bytes},
        "goodput_bytes_s": None if line.goodput is None else round(line.goodput.bytes_s),
        "until_sent_s": None if sent_at is None else round(sent_at - now_s),
        "unknown_first": None
        if line.unsettled is None
        else {"id": line.unsettled.name, "looked_for_at": iso_utc(line.unsettled.due_at)},
        "sent_by": iso_utc(sent_at) if backlog.clips else None,
        "hours": {
            "schedule": settings.delivery.schedule,
            "open": rate > 0,
            "cap_bytes_s": round(rate) if timetable.is_cap(rate) else None,
            "changes_at": iso_utc(timetable.changes_at(now_s)),
            "opens_at": iso_utc(timetable.closed_until(now_s)),
        },
    }


def line_lines(document: dict[str, Any], here: "LocalTime") -> list[tuple[str, str]]:
    """Return the same for people."""
    line = document["delivery"]
    backlog = _backlog(line, _standstill(document, here), here)
    return [("to upload", backlog), ("uplink", f"{_speed(line)}; {_hours(line['hours'], here)}")]


def _standstill(document: dict[str, Any], here: "LocalTime") -> str | None:
    """Return what keeps everything from being sent, or None: then a time can be told."""
    if not document["running"]:
        return "when the daemon runs"
    if document["api"]["paused"] is not None:
        return "when uploads are enabled again"
    first = document["delivery"]["unknown_first"]
    if first is None:
        return None
    looked = here.moment_or(first["looked_for_at"])
    return f"after {first['id']} has been looked up at the API ({looked})"


def _backlog(line: dict[str, Any], standstill: str | None, here: "LocalTime") -> str:
    from agent.cli.words import duration_words, size_words
    from agent.plurals import counted

    clips, size_bytes = line["backlog"]["clips"], line["backlog"]["bytes"]
    if not clips:
        return "nothing"
    told = f"{counted(clips, 'clip')}, {size_words(size_bytes)}"
    if standstill is not None:
        return f"{told}: {standstill}"
    if line["until_sent_s"] is not None:
        soon = duration_words(max(line["until_sent_s"], 1))
        return f"{told}: done in about {soon}, by {_hour(line['sent_by'], here)}"
    known = line["goodput_bytes_s"] is not None
    return (
        f"{told}: {'more than a year at this speed' if known else 'upload speed not measured yet'}"
    )


def _speed(line: dict[str, Any]) -> str:
    from agent.cli.words import size_words

    rate = line["goodput_bytes_s"]
    return "speed not measured yet" if rate is None else f"{size_words(rate)}/s"


def _hours(hours: dict[str, Any], here: "LocalTime") -> str:
    from agent.cli.words import size_words

    if not hours["open"]:
        return f"uploads PAUSED until {_hour(hours['opens_at'], here)} (delivery.schedule)"
    cap = hours["cap_bytes_s"]
    told = "no limit" if cap is None else f"limited to {size_words(cap)}/s"
    changes_at = hours["changes_at"]
    return told if changes_at is None else f"{told} until {_hour(changes_at, here)}"


def _hour(moment: str, here: "LocalTime") -> str:
    """Return an hour by the box's own clock, which upload hours go by."""
    from agent.local_time import seconds_of

    return here.hour(seconds_of(moment))
