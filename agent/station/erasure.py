"""Erasing an athlete: everything of theirs, nothing of anybody else, with a receipt.

Their clips go with their pictures, sent or not: it is a person's word.  So do the originals they
are in, once the other athletes' clips from them are delivered; what is being sent at this moment
goes when that has ended.  Until then the forgetting is not done, and the daemon comes back to it.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from agent.clock import Instant, Now, iso_utc
from agent.disk.state_folder import StateFolder
from agent.failpoints import crash_point
from agent.outbox.assignments import AssignmentLayer
from agent.outbox.corrections import ResendState, UndoableAction, UndoKind
from agent.outbox.database_file import remove_old_copies
from agent.outbox.erasures import DeletionState, Erasure, SessionDeletion
from agent.outbox.models import ClipTarget, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import rewritten_log
from agent.outbox.removal import FileRemover
from agent.outbox.states import (
    BEING_SENT,
    UNSENT,
    CaptureState,
    EntryState,
    FileState,
    Reason,
    Recipient,
)
from agent.stage import StageName
from agent.station.assignments import assign_nobody
from agent.station.attribution import present_of
from agent.station.roster import for_person, split_key

_UNKNOWN_OUTCOMES = frozenset({Reason.OUTCOME_UNKNOWN, Reason.RECORD_DAMAGED})

log = structlog.get_logger(stage=StageName.STATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasurePreview:
    """What there is of an athlete on this box."""

    clips: int
    unsent: int  # of these: they will never be
    sessions: Sequence[str]  # at the API: they stay there


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureProgress:
    """How far a forgetting has come."""

    done: bool
    waits_for: Sequence[str]  # clips under way, and originals that hold others' unsent clips


def erasure_preview(outbox: Outbox, key: str) -> ErasurePreview:
    """Return what would go if the person of a key were forgotten.

    Raises:
        RequestError: it is no key.
    """
    user_id, guest_id = _person(outbox, key)
    asked = Erasure(id=0, undoable_id=0, user_id=user_id, guest_id=guest_id, state="asked")
    entries = outbox.forgettings.entries_of(asked)
    return ErasurePreview(
        clips=len([entry for entry in entries if entry.file_state is FileState.PRESENT]),
        unsent=len([entry for entry in entries if entry.state in UNSENT]),
        sessions=[str(entry.session_id) for entry in entries if _is_at_api(entry)],
    )


def _is_at_api(entry: Entry) -> bool:
    """Tell whether a clip has a session at the API that nobody deleted."""
    return entry.session_id is not None and entry.reason != Reason.SENT_ANEW


def forget(outbox: Outbox, key: str, *, now: Instant, at_api: bool = False) -> UndoableAction:
    """Ask for a person to be forgotten; the daemon begins when it is too late to undo it.

    Args:
        outbox: where they are on record.
        key: the person's.
        now: this moment.
        at_api: whether the sessions that this station made of them are deleted at the API too.

    Raises:
        RequestError: it is no key.
    """
    user_id, guest_id = _person(outbox, key)
    with outbox.transaction():
        undoable = outbox.undoables.add(UndoKind.FORGET, {}, now=now)
        outbox.forgettings.add(
            user_id, guest_id, undoable_id=undoable.id, at_api=at_api, now_s=now.utc_s
        )
    return undoable


def carry_out_due(outbox: Outbox, folder: StateFolder, *, now: Now) -> None:
    """Go on with every forgetting that can no longer be undone."""
    for forgetting in outbox.forgettings.unfinished():
        undoable = outbox.undoables.by_id(forgetting.undoable_id)
        assert undoable is not None  # made with it
        if undoable.left_s(now()) <= 0:
            carry_out(outbox, folder, forgetting, now=now)


def carry_out(
    outbox: Outbox, folder: StateFolder, forgetting: Erasure, *, now: Now
) -> ErasureProgress:
    """Remove what can be removed of an athlete; cut off anywhere, it can be begun again.

    It waits for recordings that are yet to be analysed: whoever is in them is found by who was
    on the station then, and that is no longer on record once it is done.
    """
    entries = _begin(outbox, forgetting, now=now)
    if entries is None:
        return ErasureProgress(done=False, waits_for=())
    crash_point("forgetting-begun")
    removal = FileRemover(outbox, folder, now=now)
    removal.forget_results([entry.clip_code for entry in entries])
    for entry in entries:
        if entry.file_state is not FileState.CLEARED and entry.state not in BEING_SENT:
            removal.clear_clip(entry.id)
    removal.finish()
    crash_point("forgetting-clips-gone")
    captures = outbox.entries.capture_ids([entry.id for entry in entries])
    waits_for = [entry.name for entry in entries if entry.state in BEING_SENT]
    for capture_id in captures:
        removal.clear_original(capture_id)
        capture = outbox.captures.existing(capture_id)
        if capture.file_state is not FileState.CLEARED:
            waits_for.append(capture.name)
    waits_for += [name for name in _to_be_looked_into(outbox, forgetting) if name not in waits_for]
    if waits_for:
        return ErasureProgress(done=False, waits_for=waits_for)
    removed = remove_old_copies(folder.root)
    if removed:
        log.info("old outbox copies removed", files=removed)
    _finish(outbox, forgetting, entries, captures, now=now)
    return ErasureProgress(done=True, waits_for=())


def _to_be_looked_into(outbox: Outbox, forgetting: Erasure) -> list[str]:
    """Return the recordings from before the request in which the athlete may yet be found."""
    if outbox.assignments.last_of(forgetting.user_id, forgetting.guest_id) is None:
        return []
    asked_at = float("inf") if forgetting.asked_at is None else forgetting.asked_at
    waiting = outbox.captures.in_state(CaptureState.CAPTURED, CaptureState.ANALYSING)
    return [capture.name for capture in waiting if capture.admitted_at <= asked_at]


def _begin(outbox: Outbox, forgetting: Erasure, *, now: Now) -> list[Entry] | None:
    """Take an athlete off the station and their clips out of delivery; return these clips.

    None where it was undone, or done, since it was looked for.
    """
    with outbox.transaction():
        undoable = outbox.undoables.by_id(forgetting.undoable_id)
        found = outbox.forgettings.of_undoable(forgetting.undoable_id)
        assert undoable is not None and found is not None  # made with it
        if found.state not in {"asked", "begun"}:
            return None
        outbox.undoables.settle(undoable, "done")
        if found.state == "asked":
            outbox.forgettings.move(found, "begun", now_s=now().utc_s)
        outbox.forgettings.leave_the_roster(forgetting)
        _send_nothing_again(outbox, forgetting, now_s=now().utc_s)
        _leave_the_station(outbox, forgetting, now=now())
        unknown = [
            entry
            for entry in outbox.forgettings.entries_of(forgetting)
            if entry.state is EntryState.HELD and entry.reason in _UNKNOWN_OUTCOMES
        ]
        entries = [_end(outbox, e, now=now) for e in outbox.forgettings.entries_of(forgetting)]
        outbox.results.forget([entry.id for entry in entries], now_s=now().utc_s)
        made = [entry for entry in entries if _is_at_api(entry)] + unknown
        outbox.deletions.add(made, forgetting_id=forgetting.id, now_s=now().utc_s)
        if forgetting.at_api:
            before = outbox.forgettings.of_person(forgetting.user_id, forgetting.guest_id)
            outbox.deletions.ask_for([one.id for one in before], now_s=now().utc_s)
    return entries


def _send_nothing_again(outbox: Outbox, forgetting: Erasure, *, now_s: float) -> None:
    """Give up what others' clips were to be sent to an athlete for, and has not begun."""
    for resend in outbox.resends.in_states({ResendState.ASKED}):
        if forgetting.user_id is not None and resend.target.user_id == forgetting.user_id:
            detail = "the athlete's data is erased"
            outbox.resends.move(resend, ResendState.GIVEN_UP, now_s=now_s, detail=detail)


def _leave_the_station(outbox: Outbox, forgetting: Erasure, *, now: Instant) -> None:
    """Let nobody be on the station, if an athlete who is forgotten is."""
    present = present_of(outbox, now=now).at(now).assignment
    who = (forgetting.user_id, forgetting.guest_id)
    if present is not None and present.layer is AssignmentLayer.COACH and present.who == who:
        assign_nobody(outbox, now=now, set_by="forgotten")


def _end(outbox: Outbox, entry: Entry, *, now: Now) -> Entry:
    """Discard an athlete's clip that was not sent; return it as it is now."""
    now_s = now().utc_s
    resend = outbox.resends.of_entry(entry.id)
    if resend is not None and resend.state is ResendState.ASKED:
        outbox.resends.move(resend, ResendState.UNDONE, now_s=now_s)
    if entry.state not in UNSENT:
        return entry
    moved = outbox.entries.move(entry, EntryState.DISCARDED, now_s=now_s, reason=Reason.FORGOTTEN)
    return entry if moved is None else moved


def _finish(
    outbox: Outbox,
    forgetting: Erasure,
    entries: Sequence[Entry],
    captures: Sequence[int],
    *,
    now: Now,
) -> None:
    now_s = now().utc_s
    outbox.forgettings.leave_questions(forgetting)
    with rewritten_log(outbox):  # its older lines show whose the clips were
        outbox.forgettings.finish(forgetting, entries, captures, now_s=now_s)
    outbox.database.truncate_log()
    log.info("athlete erased", clips=len(entries))


def _person(outbox: Outbox, key: str) -> tuple[str | None, int | None]:
    nobody = ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="")
    target = for_person(outbox, key, nobody)
    return target.user_id, target.guest_id


SCHEMA = 1
_TITLES = {
    "en": {
        "title": "Erasure receipt",
        "station": "Station",
        "athlete": "Athlete",
        "made": "Created",
        "asked": "Requested",
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
        "answer": "API response",
        "kept": "deletion not requested",
        "waiting": "deletion pending",
        "deleted": "deleted",
        "refused": "refused",
        "unlisted": "outcome unknown; none found",
        "open": "Pending",
        "nothing": "Nothing; the erasure is complete.",
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
        "api": "Sitzungen bei AiKYNETIX",
        "none": "keine",
        "session": "Sitzung",
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
        "nothing": "Nichts; die Löschung ist vollständig.",
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


def _erasure(forgetting: Erasure, deletions: Sequence[SessionDeletion]) -> dict[str, object]:
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


def _open(erasure: Mapping[str, Any]) -> list[str]:
    """Return what is still to happen, a line each."""
    box, sessions = erasure["box"], erasure["sessions"]
    lines = [] if box["is_done"] else ["the rest on this station"]
    return lines + [
        f"session {one['session_id'] or 'of clip ' + str(one['clip_code'])}: {one['state']}"
        for one in sessions
        if one["state"] in _OPEN
    ]


def receipt_page(document: Mapping[str, Any], *, language: str) -> str:
    """Return a receipt as a page to print, complete in itself."""
    title = _text(_words(language)["title"])
    return (
        f'<!doctype html><html lang="{_text(language)}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        f"<style>{_STYLE}</style><main>{receipt_content(document, language=language)}</main>"
        "</html>\n"
    )


def receipt_content(document: Mapping[str, Any], *, language: str) -> str:
    """Return what the page of a receipt holds, as HTML in which every value is escaped."""
    words = _words(language)
    erasures, still_open = document["erasures"], document["open"]
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


def _section(erasure: Mapping[str, Any], words: Mapping[str, str]) -> str:
    box, sessions = erasure["box"], erasure["sessions"]
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
