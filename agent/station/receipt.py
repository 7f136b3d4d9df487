"""The receipt of an erasure: what went from where and when, the API's own words, what is open.

A document for scripts, and the same as a page to print.  It names sessions and clip codes, and an
athlete only as the person who asks for the receipt does: this box no longer knows who it was.
"""

import html
from collections.abc import Mapping, Sequence

from agent.clock import iso_utc
from agent.outbox.deletions import DeletionState, SessionDeletion
from agent.outbox.people.forgettings import Forgetting
from agent.outbox.store import Outbox
from agent.station.roster import split_key

SCHEMA = 1
_TITLES = {
    "en": {
        "title": "Receipt of erasure",
        "station": "Station",
        "athlete": "Athlete",
        "made": "Made",
        "asked": "Asked for",
        "box": "Erased from this station",
        "not_yet": "not complete yet",
        "clips": "clips",
        "never_delivered": "of them never delivered",
        "recordings": "recordings",
        "api": "Sessions at AiKYNETIX",
        "none": "none",
        "session": "Session",
        "code": "Clip",
        "state": "State",
        "when": "When",
        "answer": "Answer of the API",
        "kept": "not asked to be deleted",
        "waiting": "to be deleted",
        "deleted": "deleted",
        "refused": "refused",
        "unlisted": "outcome was unknown; none listed",
        "open": "Still open",
        "nothing": "Nothing: the erasure is complete.",
    },
    "de": {
        "title": "Löschnachweis",
        "station": "Station",
        "athlete": "Person",
        "made": "Erstellt",
        "asked": "Beantragt",
        "box": "Von dieser Station gelöscht",
        "not_yet": "noch nicht vollständig",
        "clips": "Videos",
        "never_delivered": "davon nie hochgeladen",
        "recordings": "Aufnahmen",
        "api": "Sessions bei AiKYNETIX",
        "none": "keine",
        "session": "Session",
        "code": "Video",
        "state": "Status",
        "when": "Wann",
        "answer": "Antwort der API",
        "kept": "Löschung nicht beantragt",
        "waiting": "wird noch gelöscht",
        "deleted": "gelöscht",
        "refused": "abgelehnt",
        "unlisted": "Ergebnis war unbekannt; keine gefunden",
        "open": "Noch offen",
        "nothing": "Nichts: Die Löschung ist vollständig.",
    },
}
_OPEN = frozenset({DeletionState.WAITING, DeletionState.REFUSED})


def receipt(
    outbox: Outbox, key: str | None, *, station: str, now_s: float, most: int = 1
) -> dict[str, object]:
    """Return the receipt of every erasure of a person, or of the latest ones of anybody.

    Args:
        outbox: where erasures are on record.
        key: a user id or a guest's key; None: the latest erasures, whoever they were of.
        station: what this station is called.
        now_s: Unix time.
        most: without a key, as many of the latest.

    Raises:
        RequestError: it is no key.
    """
    if key is None:
        found = outbox.forgettings.latest(most=most)
    else:
        found = outbox.forgettings.of_person(*split_key(key))
    erasures = [_erasure(one, outbox.deletions.of_forgetting(one.id)) for one in found]
    return {
        "schema": SCHEMA,
        "station": station,
        "athlete": key,
        "made_at": iso_utc(now_s),
        "erasures": erasures,
        "open": [line for one in erasures for line in _open(one)],
    }


def _erasure(forgetting: Forgetting, deletions: Sequence[SessionDeletion]) -> dict[str, object]:
    return {
        "asked_at": iso_utc(forgetting.asked_at),
        "box": {
            "done_at": iso_utc(forgetting.done_at),
            "is_done": forgetting.state == "done",
            **forgetting.erased,
        },
        "at_api": forgetting.at_api,
        "sessions": [
            {
                "session_id": one.session_id if one.is_known else None,
                "clip_code": one.clip_code,
                "state": str(one.state),
                "asked_at": iso_utc(one.asked_at),
                "ended_at": iso_utc(one.ended_at),
                "attempts": one.attempts,
                "status": one.status,
                "answer": one.answer,
            }
            for one in deletions
        ],
    }


def _open(erasure: Mapping[str, object]) -> list[str]:
    """Return what is still to happen, a line each."""
    box, sessions = erasure["box"], erasure["sessions"]
    assert isinstance(box, dict) and isinstance(sessions, list)  # made above
    lines = [] if box["is_done"] else ["the rest on this station"]
    return lines + [
        f"session {one['session_id'] or 'of clip ' + str(one['clip_code'])}: {one['state']}"
        for one in sessions
        if one["state"] in _OPEN
    ]


def receipt_page(document: Mapping[str, object], *, language: str) -> str:
    """Return a receipt as a page to print, complete in itself."""
    title = _text(_words(language)["title"])
    return (
        f'<!doctype html><html lang="{_text(language)}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        f"<style>{_STYLE}</style><main>{receipt_content(document, language=language)}</main>"
        "</html>\n"
    )


def receipt_content(document: Mapping[str, object], *, language: str) -> str:
    """Return what the page of a receipt holds, as HTML in which every value is escaped."""
    words = _words(language)
    erasures, still_open = document["erasures"], document["open"]
    assert isinstance(erasures, list) and isinstance(still_open, list)  # made above
    facts = [("station", document["station"]), ("athlete", document["athlete"])]
    head = [(words[name], str(value)) for name, value in facts if value is not None]
    head.append((words["made"], str(document["made_at"])))
    parts = [
        f"<h1>{_text(words['title'])}</h1>",
        "<dl>",
        *(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in head),
        "</dl>",
        *(_section(one, words) for one in erasures),
        f"<h2>{_text(words['open'])}</h2>",
    ]
    if still_open:
        parts.append("<ul>" + "".join(f"<li>{_text(line)}</li>" for line in still_open) + "</ul>")
    else:
        parts.append(f"<p>{_text(words['nothing'])}</p>")
    return "".join(parts)


def _words(language: str) -> Mapping[str, str]:
    return _TITLES.get(language, _TITLES["en"])


_STYLE = (
    "body{font:1rem/1.4 sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{border:1px solid #888;padding:.3rem .5rem;"
    "text-align:left;overflow-wrap:anywhere}dt{font-weight:bold}"
)


def _section(erasure: Mapping[str, object], words: Mapping[str, str]) -> str:
    box, sessions = erasure["box"], erasure["sessions"]
    assert isinstance(box, dict) and isinstance(sessions, list)  # made above
    done = str(box["done_at"] or words["not_yet"])
    counts = ", ".join(
        f"{box[name]} {words[name]}"
        for name in ("clips", "never_delivered", "recordings")
        if name in box
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{_text(str(value or ''))}</td>"
            for value in (
                *(one["session_id"], one["clip_code"], words[str(one["state"])]),
                *(one["ended_at"], _answer(one)),
            )
        )
        + "</tr>"
        for one in sessions
    )
    names = ("session", "code", "state", "when", "answer")
    header = "".join(f"<th scope=col>{_text(words[name])}</th>" for name in names)
    table = f"<table><tr>{header}</tr>{rows}</table>" if rows else f"<p>{_text(words['none'])}</p>"
    return (
        f"<h2>{_text(words['asked'])} {_text(str(erasure['asked_at'] or ''))}</h2>"
        f"<p>{_text(words['box'])}: {_text(done)}{_text(f' ({counts})' if counts else '')}</p>"
        f"<h3>{_text(words['api'])}</h3>{table}"
    )


def _answer(session: Mapping[str, object]) -> str:
    status = "" if session["status"] is None else f"HTTP {session['status']}"
    return ": ".join(part for part in (status, str(session["answer"] or "")) if part)


def _text(value: str) -> str:
    return html.escape(value)
