"""What a person may do with captures and clips: retry, discard, release."""

from dataclasses import replace
from typing import TypeVar

from agent.errors import BusyError, RequestError
from agent.outbox.capture import Capture
from agent.outbox.clip_code import is_clip_code
from agent.outbox.entry import Entry, Whose
from agent.outbox.states import (
    CAPTURE_MOVES,
    ENTRY_MOVES,
    CaptureState,
    EntryState,
    Reason,
    Recipient,
)
from agent.outbox.store import Outbox
from agent.station.assigning import fill_movement
from agent.station.roster import check_user_id

Row = TypeVar("Row", Capture, Entry)

# Held for what can be mended elsewhere: whose clip it is was never in question.
_MENDED_ELSEWHERE = frozenset(
    {Reason.KEY_CANNOT_SEND, Reason.REFUSED_FOR_ATHLETE, Reason.ACTIVITY_NOT_IN_PLAN}
)
_UNDER_WAY = frozenset({EntryState.UPLOADING, EntryState.UNCERTAIN, CaptureState.ANALYSING})


def find(outbox: Outbox, wanted: str) -> Capture | Entry:
    """Return what an ID stands for: c12, e7 or a clip code.

    Raises:
        RequestError: there is no such thing.
    """
    found: Capture | Entry | None = None
    if wanted[:1] in {"c", "e"} and wanted[1:].isascii() and wanted[1:].isdigit():
        number = int(wanted[1:19])
        found = outbox.captures.by_id(number) if wanted[0] == "c" else outbox.entries.by_id(number)
    elif is_clip_code(wanted):
        found = outbox.entries.by_code(wanted.lower())
    if found is None:
        raise RequestError(f"no {wanted!r} in the outbox", hint="spotter outbox list --all")
    return found


def retry(outbox: Outbox, subject: Capture | Entry, *, now_s: float) -> Capture | Entry:
    """Let it be tried again at once; let an unknown outcome, or an analysis, be looked for at once.

    Raises:
        RequestError: there is nothing to try again.
    """
    if isinstance(subject, Capture):
        _refuse_under_way(subject)
        if subject.state is CaptureState.ANALYSED:
            raise RequestError(
                f"{subject.name} is analysed", hint=f"spotter reanalyse {subject.name}"
            )
        with outbox.transaction():
            outbox.takes.begin_anew(subject, now_s=now_s)
            return _move_capture(
                outbox, subject, CaptureState.CAPTURED, now_s=now_s, verb="retried"
            )
    if subject.state is EntryState.UPLOADED and outbox.follow_ups.resume(subject.id, now_s=now_s):
        return subject
    is_unknown = subject.state is EntryState.HELD and subject.reason == Reason.OUTCOME_UNKNOWN
    if is_unknown or subject.state in {EntryState.READY, EntryState.UNCERTAIN}:
        return _unless_gone(outbox.entries.hasten(subject, now_s=now_s))
    if subject.state is EntryState.HELD and subject.reason not in _MENDED_ELSEWHERE:
        raise RequestError(
            f"{subject.name} is held: {subject.reason}",
            hint=f"spotter outbox release {subject.name}",
        )
    _refuse_under_way(subject)
    return _move_entry(outbox, subject, EntryState.READY, now_s=now_s, verb="retried")


def discard(outbox: Outbox, subject: Capture | Entry, *, now_s: float) -> Capture | Entry:
    """End it without delivery; its files stay until clearing takes them.

    Raises:
        BusyError: it is under way at this moment.
        RequestError: it is delivered or ended already.
    """
    if isinstance(subject, Entry):
        return _discard_entry(outbox, subject, now_s=now_s)
    _refuse_under_way(subject)
    with outbox.transaction():
        for entry in outbox.entries.of_capture(subject.id):
            if entry.state not in {EntryState.DISCARDED, EntryState.UPLOADED, EntryState.COMPLETED}:
                _discard_entry(outbox, entry, now_s=now_s)
        return _move_capture(outbox, subject, CaptureState.DISCARDED, now_s=now_s, verb="discarded")


def release(
    outbox: Outbox,
    entry: Entry,
    *,
    said: Whose | None,
    station: Whose,
    now_s: float,
) -> Entry:
    """Send what was held, under the athlete that is known or named now.

    Args:
        outbox: where it is held.
        entry: what is held.
        said: what the person named, or None where they named nothing.
        station: fills what was left open, for the same activity.
        now_s: Unix time.

    Raises:
        RequestError: it is not held, no athlete is known, or the API would refuse it.
    """
    if entry.state is not EntryState.HELD:
        raise RequestError(f"{entry.name} is not held but {entry.state}")
    known = Whose(**{name: getattr(entry, name) for name in Whose.__slots__})
    whose = known if said is None else _named(said, known, station)
    if whose.recipient is Recipient.UNKNOWN:
        raise RequestError(
            f"nobody knows whose {entry.name} is",
            hint=f"spotter outbox release {entry.name} --user-id WHO",
        )
    return _unless_gone(outbox.entries.assign(entry, whose, now_s=now_s))


def _named(said: Whose, known: Whose, station: Whose) -> Whose:
    """Return what a person named, completed by what was known and by the station."""
    if said.user_id is None:
        said = replace(said, user_id=known.user_id, recipient=known.recipient)
    else:
        said = replace(said, user_id=check_user_id(said.user_id), recipient=Recipient.ATHLETE)
    return fill_movement(said, known if known.activity == said.activity else station)


def _discard_entry(outbox: Outbox, entry: Entry, *, now_s: float) -> Entry:
    _refuse_under_way(entry)
    return _move_entry(outbox, entry, EntryState.DISCARDED, now_s=now_s, verb="discarded")


def _refuse_under_way(subject: Capture | Entry) -> None:
    if subject.state in _UNDER_WAY:
        raise BusyError(f"{subject.name} is {subject.state}", hint="try again in a few minutes")


def _move_entry(outbox: Outbox, entry: Entry, to: EntryState, *, now_s: float, verb: str) -> Entry:
    if to not in ENTRY_MOVES[entry.state]:
        raise RequestError(f"{entry.name} is {entry.state} and cannot be {verb}")
    reason = Reason.BY_PERSON if to is EntryState.DISCARDED else None
    changes = {"due_at": now_s, "failures": 0}
    return _unless_gone(outbox.entries.move(entry, to, now_s=now_s, reason=reason, changes=changes))


def _move_capture(
    outbox: Outbox, capture: Capture, to: CaptureState, *, now_s: float, verb: str
) -> Capture:
    if to not in CAPTURE_MOVES[capture.state]:
        raise RequestError(f"{capture.name} is {capture.state} and cannot be {verb}")
    reason = Reason.BY_PERSON if to is CaptureState.DISCARDED else None
    return _unless_gone(outbox.captures.move(capture, to, now_s=now_s, reason=reason))


def _unless_gone(moved: Row | None) -> Row:
    if moved is None:
        raise BusyError("it moved at this very moment", hint="try again")
    return moved
