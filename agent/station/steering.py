"""What a person may do with captures and clips: retry, discard, release."""

import json
from dataclasses import replace
from typing import TypeVar

from agent.errors import BusyError, RequestError
from agent.outbox.capture import Capture
from agent.outbox.clip_code import is_clip_code
from agent.outbox.entry import Entry, Whose
from agent.outbox.people.assignments import Assignment
from agent.outbox.people.roster import GUEST_PREFIX
from agent.outbox.states import (
    CAPTURE_MOVES,
    ENTRY_MOVES,
    CaptureState,
    EntryState,
    Reason,
    Recipient,
)
from agent.outbox.store import Outbox
from agent.station.assigning import complete, fill_movement, whose_of
from agent.station.roster import check_user_id, for_person
from agent.station.whose import Remark

Row = TypeVar("Row", Capture, Entry)

# Held for what can be mended elsewhere: whose clip it is was never in question.
_MENDED_ELSEWHERE = frozenset(
    {Reason.KEY_CANNOT_SEND, Reason.REFUSED_FOR_ATHLETE, Reason.ACTIVITY_NOT_IN_PLAN}
)
_SAME_TRAINING_S = 6 * 3600.0
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
        raise RequestError(
            f"no recording or clip {wanted!r}", hint="list them: spotter outbox list --all"
        )
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
    send_delay_s: float = 0.0,
) -> Entry:
    """Send what was held, under the athlete that is known or named now.

    Args:
        outbox: where it is held.
        entry: what is held.
        said: what the person named, or None where they named nothing.
        station: fills what was left open, for the same activity.
        now_s: Unix time.
        send_delay_s: for so long it can be corrected before it goes, like a fresh one.

    Raises:
        RequestError: it is not held, no athlete is known, or the API would refuse it.
    """
    if entry.state is not EntryState.HELD:
        raise RequestError(f"{entry.name} is {entry.state}, not held")
    known = whose = known_of(entry)
    if known.guest_id is not None:  # by now it may be known who that is
        known = whose = for_person(outbox, f"{GUEST_PREFIX}{known.guest_id}", known)
    if said is not None and said.user_id is not None:
        whose = whose_for(outbox, entry, check_user_id(said.user_id), said, station=station)
    elif said is not None:
        whose = replace(
            said, recipient=known.recipient, user_id=known.user_id, guest_id=known.guest_id
        )
        whose = fill_movement(whose, known if known.activity == said.activity else station)
    if whose.recipient is Recipient.UNKNOWN:
        raise RequestError(
            f"the athlete of {entry.name} is unknown",
            hint=f"spotter outbox release {entry.name} --user-id WHO",
        )
    changes = {
        "due_at": due_after_correction(entry, send_delay_s, now_s=now_s),
        "remarks": remarks_for(entry, whose),
    }
    return _unless_gone(outbox.entries.assign(entry, whose, now_s=now_s, changes=changes))


def due_after_correction(entry: Entry, send_delay_s: float, *, now_s: float) -> float:
    """Return when a corrected clip goes at the earliest: it can be corrected once more."""
    due_at = now_s + send_delay_s
    return max(due_at, entry.due_at) if entry.state is EntryState.READY else due_at


def remarks_for(entry: Entry, whose: Whose) -> str:
    """Return a clip's remarks, as the outbox keeps them, once it is for somebody."""
    remarks = [remark for remark in entry.remarks if remark != Remark.NO_MASS]
    is_somebodys = whose.recipient is not Recipient.UNKNOWN
    if is_somebodys and whose.activity == "weightlifting" and whose.barbell_mass_kg is None:
        remarks.append(Remark.NO_MASS)
    return json.dumps(remarks)


def known_of(entry: Entry) -> Whose:
    """Return for whom a clip is, and what it shows, as far as it is known."""
    return Whose(**{name: getattr(entry, name) for name in Whose.__slots__})


def whose_for(
    outbox: Outbox, entry: Entry, key: str, wanted: Whose | None, *, station: Whose
) -> Whose:
    """Return for whom a clip is and what it shows, if it is the person's of a key.

    The take's exercise, mass and incline stay with the take.  What was never known of it is what
    the coach had said of this person when it was filmed, their own last mass, or the station's.

    Raises:
        RequestError: there is no such guest, or the API would refuse it.
    """
    known = known_of(entry)
    whose = for_person(outbox, key, known if wanted is None else wanted)
    said = _said_then(outbox, entry, whose)
    if wanted is None and said is not None and _is_guessed(entry, station):
        whose = replace(whose, activity=said.activity or whose.activity, exercise=said.exercise)
    if whose.activity == known.activity:
        whose = _filled(whose, known)
    if (
        said is not None
        and said.activity == whose.activity
        and whose.exercise in {None, said.exercise}
    ):
        whose = _filled(whose, whose_of(said))
    return complete(outbox, whose, station=station)


def _filled(whose: Whose, other: Whose) -> Whose:
    """Return `whose` with what it leaves open of the movement taken from another."""
    return replace(
        whose,
        exercise=whose.exercise or other.exercise,
        barbell_mass_kg=(
            other.barbell_mass_kg if whose.barbell_mass_kg is None else whose.barbell_mass_kg
        ),
        incline_deg=other.incline_deg if whose.incline_deg is None else whose.incline_deg,
    )


def _said_then(outbox: Outbox, entry: Entry, whose: Whose) -> Assignment | None:
    """Return what a coach had said of a person by the end of a take, in the same training."""
    if entry.filmed_at is None:
        return None
    said = outbox.assignments.last_of_until(
        whose.user_id, whose.guest_id, until_s=entry.filmed_at + entry.clip_seconds
    )
    if said is None or entry.filmed_at - said.starts.utc_s > _SAME_TRAINING_S:
        return None
    return said


def _is_guessed(entry: Entry, station: Whose) -> bool:
    """Tell whether what a clip shows is only the station's default, for nobody's word was known."""
    return (
        entry.reason in {Reason.TWO_ATHLETES, Reason.RECORDING_TIME_UNKNOWN}
        and (entry.activity, entry.exercise) == (station.activity, station.exercise)
        and entry.barbell_mass_kg is None
        and entry.incline_deg is None
    )


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
        raise BusyError("its state changed just now", hint="try again")
    return moved
