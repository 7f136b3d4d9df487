"""What a person may do with captures and clips: retry, discard, release, correct, resend, undo.

A person may also mark a take that the analysis missed, and have a capture analysed again.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from agent.clock import Instant
from agent.errors import AgentError, BusyError, RequestError
from agent.exercises import check_movement
from agent.outbox.assignments import Assignment
from agent.outbox.corrections import (
    OPEN,
    Resend,
    ResendState,
    UndoableAction,
    UndoKind,
    as_it_was,
    before_given,
    rows_of,
)
from agent.outbox.models import Capture, ClipTarget, Entry, Take, TakeOrigin, is_clip_code
from agent.outbox.outbox import Outbox
from agent.outbox.results import VideoState
from agent.outbox.roster import GUEST_PREFIX
from agent.outbox.states import (
    BEING_SENT,
    CAPTURE_MOVES,
    ENTRY_MOVES,
    SENT,
    UNSENT,
    CaptureState,
    EntryState,
    FileState,
    Reason,
    Recipient,
)
from agent.station.assignments import StationRules, complete, fill_movement
from agent.station.attribution import ClipWarning
from agent.station.roster import check_user_id, for_person

Row = TypeVar("Row", Capture, Entry, Resend)

# Held for what can be fixed elsewhere: whose clip it is was never in question.
_MENDED_ELSEWHERE = frozenset(
    {Reason.KEY_CANNOT_SEND, Reason.REFUSED_FOR_ATHLETE, Reason.ACTIVITY_NOT_IN_PLAN}
)
_SAME_TRAINING_S = 6 * 3600.0
_UNDER_WAY = {*BEING_SENT, CaptureState.ANALYSING}
_KEEP_THEIR_END = {*SENT, EntryState.DISCARDED}


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
            outbox.takes.reset(subject, now_s=now_s)
            return _move_capture(
                outbox, subject, CaptureState.CAPTURED, now_s=now_s, verb="retried"
            )
    if subject.state is EntryState.UPLOADED and outbox.follow_ups.resume(subject.id, now_s=now_s):
        return subject
    is_unknown = subject.state is EntryState.HELD and subject.reason == Reason.OUTCOME_UNKNOWN
    if is_unknown or subject.state in {EntryState.READY, EntryState.UNCERTAIN}:
        return _unless_gone(outbox.entries.hasten(subject, now_s=now_s))
    if subject.state is EntryState.HELD and subject.reason not in _MENDED_ELSEWHERE:
        who = " --user-id USER_ID" if subject.recipient is Recipient.UNKNOWN else ""
        raise RequestError(
            f"{subject.name} is held: {subject.reason}",
            hint=f"spotter outbox release {subject.name}{who}",
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
            if entry.state not in _KEEP_THEIR_END:
                _discard_entry(outbox, entry, now_s=now_s)
        return _move_capture(outbox, subject, CaptureState.DISCARDED, now_s=now_s, verb="discarded")


def release(
    outbox: Outbox,
    entry: Entry,
    *,
    said: ClipTarget | None,
    rules: StationRules,
    now_s: float,
) -> Entry:
    """Send what was held, under the athlete that is known or named now.

    Args:
        outbox: where it is held.
        entry: what is held.
        said: what the person named, or None where they named nothing.
        rules: the default, which fills what was left open, for the same activity; and for how
            long it can be corrected before it goes, like a fresh one.
        now_s: Unix time.

    Raises:
        RequestError: it is not held, no athlete is known, or the API would refuse it.
    """
    if entry.state is not EntryState.HELD:
        raise RequestError(f"{entry.name} is {entry.state}, not held")
    known = target = entry.target
    if known.guest_id is not None:  # by now it may be known who that is
        known = target = for_person(outbox, f"{GUEST_PREFIX}{known.guest_id}", known)
    if said is not None and said.user_id is not None:
        target = target_for(outbox, entry, check_user_id(said.user_id), said, station=rules.default)
    elif said is not None:
        target = replace(
            said, recipient=known.recipient, user_id=known.user_id, guest_id=known.guest_id
        )
        target = fill_movement(target, known if known.activity == said.activity else rules.default)
    if target.recipient is Recipient.UNKNOWN:
        raise RequestError(
            f"the athlete of {entry.name} is unknown",
            hint=f"spotter outbox release {entry.name} --user-id USER_ID",
        )
    changes = {
        "due_at": due_after_correction(entry, rules.send_delay_s, now_s=now_s),
        "remarks": remarks_for(entry, target),
    }
    return _unless_gone(outbox.entries.assign(entry, target, now_s=now_s, changes=changes))


def due_after_correction(entry: Entry, send_delay_s: float, *, now_s: float) -> float:
    """Return when a corrected clip goes at the earliest: it can be corrected once more.

    Once a person has corrected it, it is joined with nothing: it need not wait for what follows.
    """
    due_at = now_s + send_delay_s
    backs_off = entry.state is EntryState.READY and entry.reason != Reason.NEXT_RECORDING
    return max(due_at, entry.due_at) if backs_off else due_at


def remarks_for(entry: Entry, target: ClipTarget) -> str:
    """Return a clip's remarks, as the outbox keeps them, once it is for somebody."""
    remarks = [remark for remark in entry.remarks if remark != ClipWarning.NO_MASS]
    is_somebodys = target.recipient is not Recipient.UNKNOWN
    if is_somebodys and target.activity == "weightlifting" and target.barbell_mass_kg is None:
        remarks.append(ClipWarning.NO_MASS)
    return json.dumps(remarks)


def target_for(
    outbox: Outbox, entry: Entry, key: str, wanted: ClipTarget | None, *, station: ClipTarget
) -> ClipTarget:
    """Return for whom a clip is and what it shows, if it is the person's of a key.

    The take's exercise, mass and incline stay with the take.  What was never known of it is what
    the coach had said of this person when it was filmed, their own last mass, or the station's.

    Raises:
        RequestError: there is no such guest, or the API would refuse it.
    """
    known = entry.target
    target = for_person(outbox, key, known if wanted is None else wanted)
    said = _said_then(outbox, entry, target)
    if wanted is None and said is not None and _is_guessed(entry, station):
        target = replace(target, activity=said.activity or target.activity, exercise=said.exercise)
    if target.activity == known.activity:
        target = target.filled(known)
    if (
        said is not None
        and said.activity == target.activity
        and target.exercise in {None, said.exercise}
    ):
        target = target.filled(said.target)
    return complete(outbox, target, station=station)


def _said_then(outbox: Outbox, entry: Entry, target: ClipTarget) -> Assignment | None:
    """Return a coach's latest choices for a person by the end of a take, in the same training."""
    if entry.filmed_at is None:
        return None
    said = outbox.assignments.last_of_until(
        target.user_id, target.guest_id, until_s=entry.filmed_at + entry.clip_seconds
    )
    if said is None or entry.filmed_at - said.starts.utc_s > _SAME_TRAINING_S:
        return None
    return said


def _is_guessed(entry: Entry, station: ClipTarget) -> bool:
    """Tell whether a clip's exercise is only the station's default, as no coach had set one."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionResult:
    """What became of one of several clips."""

    id: str
    state: str | None  # None: it stayed as it was
    error: str | None = None
    change: tuple[Entry, Entry] | None = None  # as it was, and as it is


def give(
    outbox: Outbox,
    entry: Entry,
    key: str,
    wanted: ClipTarget | None = None,
    *,
    rules: StationRules,
    now_s: float,
) -> Entry:
    """Give a clip that was not sent to the person of a key.

    What was held is released by that, unless it is given to a guest: then it waits for somebody to
    say who that is.  It can be corrected for `rules.send_delay_s` before it goes, like a fresh one.

    Args:
        outbox, entry, rules: as ever.
        key: a user_id, or `guest:3`.
        wanted: what the clip shows; what it leaves open stays as it was known to be.
        now_s: Unix time.

    Raises:
        BusyError: it is being sent.
        RequestError: it is sent or ended, or the API would refuse it.
    """
    _refuse_unless_unsent(entry)
    target = target_for(outbox, entry, key, wanted, station=rules.default)
    to, reason = EntryState.READY, None
    if target.recipient is Recipient.UNKNOWN:
        to, reason = EntryState.HELD, Reason.GUEST
    with outbox.transaction():
        due_at = due_after_correction(entry, rules.send_delay_s, now_s=now_s)
        if entry.state is EntryState.DEAD:
            entry = _unless_gone(outbox.entries.move(entry, EntryState.READY, now_s=now_s))
        changes = {"due_at": due_at, "remarks": remarks_for(entry, target)}
        return _unless_gone(
            outbox.entries.assign(entry, target, now_s=now_s, to=to, reason=reason, changes=changes)
        )


def edit(
    outbox: Outbox, entry: Entry, shows: ClipTarget, *, rules: StationRules, now_s: float
) -> Entry:
    """Correct what an unsent clip shows; whose it is and whether it is held stay as they are.

    Args:
        outbox, entry, rules, now_s: as for `give`.
        shows: activity, exercise, barbell mass and incline, all of them; its person is ignored.

    Raises:
        BusyError: it is being sent.
        RequestError: it is sent or ended, or the API would refuse it.
    """
    _refuse_unless_unsent(entry)
    check_movement(
        shows.activity,
        shows.exercise,
        barbell_mass_kg=shows.barbell_mass_kg,
        incline_deg=shows.incline_deg,
    )
    known = entry.target
    target = replace(
        shows, recipient=known.recipient, user_id=known.user_id, guest_id=known.guest_id
    )
    with outbox.transaction():
        changes: dict[str, object] = {
            "due_at": due_after_correction(entry, rules.send_delay_s, now_s=now_s),
            "remarks": remarks_for(entry, target),
        }
        if entry.state is EntryState.DEAD:  # the API may take it as it is now
            entry = _unless_gone(outbox.entries.move(entry, EntryState.READY, now_s=now_s))
        elif entry.state is EntryState.HELD:
            changes["detail"] = entry.detail
        reason = None if entry.reason == Reason.NEXT_RECORDING else entry.reason
        return _unless_gone(
            outbox.entries.assign(
                entry, target, now_s=now_s, to=entry.state, reason=reason, changes=changes
            )
        )


def give_all(
    outbox: Outbox,
    ids: Sequence[str],
    key: str,
    *,
    rules: StationRules,
    now_s: float,
) -> list[CorrectionResult]:
    """Give several clips to one person, each separately: a failed one stops no other."""
    outcomes = []
    for wanted_id in ids:
        try:
            entry = find(outbox, wanted_id)
            if isinstance(entry, Capture):
                raise RequestError(
                    f"{entry.name} is a recording, not a clip",
                    hint=f"its clips: spotter show {entry.name}",
                )
            given = give(outbox, entry, key, rules=rules, now_s=now_s)
            outcomes.append(
                CorrectionResult(id=given.name, state=given.state, change=(entry, given))
            )
        except AgentError as error:
            outcomes.append(CorrectionResult(id=wanted_id, state=None, error=str(error)))
    return outcomes


def hold(outbox: Outbox, entry: Entry, *, now_s: float) -> Entry:
    """Let a clip wait until a person releases it.

    Raises:
        BusyError: it is being sent.
        RequestError: it is sent or ended.
    """
    _refuse_unless_unsent(entry)
    with outbox.transaction():
        if entry.state is EntryState.DEAD:
            entry = _unless_gone(outbox.entries.move(entry, EntryState.READY, now_s=now_s))
        if entry.state is EntryState.HELD:
            return entry
        return _unless_gone(
            outbox.entries.move(entry, EntryState.HELD, now_s=now_s, reason=Reason.HELD_BY_PERSON)
        )


def send_now(outbox: Outbox, entry: Entry, *, now_s: float) -> Entry:
    """Let a clip that counts down be sent at once.

    Raises:
        BusyError: it is being sent.
        RequestError: it is not waiting to be sent.
    """
    if entry.state is not EntryState.READY:
        _refuse_unless_unsent(entry)
        raise RequestError(f"{entry.name} is {entry.state}", hint="release it instead")
    return _unless_gone(outbox.entries.hasten(entry, now_s=now_s))


def _refuse_unless_unsent(entry: Entry) -> None:
    if entry.state in BEING_SENT:
        raise BusyError(f"{entry.name} is {entry.state}", hint="try again in a few minutes")
    if entry.state not in UNSENT:
        raise RequestError(
            f"{entry.name} is {entry.state}",
            hint=f"to change it, resend it: spotter outbox resend {entry.name} --user-id USER_ID"
            if entry.session_id
            else "spotter undo reverts a discard for 10 s",
        )


def why_not_resend(outbox: Outbox, clips: Path, entry: Entry) -> str | None:
    """Return why a clip cannot be sent again, in a sentence; None where it can.

    Args:
        outbox: where it is on record.
        clips: where clips are.
        entry: the clip.
    """
    if entry.state not in SENT or entry.session_id is None:
        return f"{entry.name} is {entry.state}: only uploaded clips can be resent"
    before = outbox.resends.of_entry(entry.id)
    if before is not None and before.entry_id == entry.id and before.state in OPEN:
        return f"{entry.name} is already being resent"
    if not is_here(clips, entry):
        return (
            f"the clip of {entry.name} is no longer stored: uploaded clips are kept for "
            "capture.keep_clips_days"
        )
    return None


def is_here(clips: Path, entry: Entry) -> bool:
    """Tell whether a clip is still on this box, whole."""
    if entry.file_state is not FileState.PRESENT:
        return False
    clip = clips / entry.stored_name
    return clip.is_file() and clip.stat().st_size == entry.clip_bytes


def resend(
    outbox: Outbox,
    clips: Path,
    entry: Entry,
    key: str,
    wanted: ClipTarget | None = None,
    *,
    rules: StationRules,
    now: Instant,
) -> Resend:
    """Ask for a delivered clip to be sent again for the right athlete and deleted at the wrong one.

    It can be undone until it begins.

    Raises:
        RequestError: it cannot be sent again, and why; or the athlete is a guest.
    """
    target = target_for(outbox, entry, key, wanted, station=rules.default)
    if target.recipient is not Recipient.ATHLETE:
        raise RequestError(
            "a guest has no account at the API",
            hint="link the guest to an athlete: spotter athletes --resolve GUEST USER_ID",
        )
    with outbox.transaction():
        why_not = why_not_resend(outbox, clips, entry)
        if why_not is not None:
            raise RequestError(why_not)
        undoable = outbox.undoables.add(UndoKind.RESEND, {"entry": entry.name}, now=now)
        return outbox.resends.add(entry, target, undoable_id=undoable.id, now_s=now.utc_s)


def retry_deletion(outbox: Outbox, resend_id: int, *, now_s: float) -> Resend:
    """Let a session that the API did not delete be tried again.

    Raises:
        BusyError: it moved at this very moment.
        RequestError: there is nothing to try again.
    """
    found = outbox.resends.by_id(resend_id)
    if found is None or found.state not in {ResendState.REFUSED, ResendState.DELETING}:
        raise RequestError("there is no failed deletion to retry")
    return _unless_gone(outbox.resends.move(found, ResendState.DELETING, now_s=now_s))


def discard_undoably(outbox: Outbox, subject: Capture | Entry, *, now: Instant) -> UndoableAction:
    """End a clip, or a capture with its clips, without delivery.

    Nothing is unlinked while it can be undone.

    Raises:
        BusyError: it is under way at this moment.
        RequestError: it is delivered or ended already.
    """
    with outbox.transaction():
        entries = [subject] if isinstance(subject, Entry) else outbox.entries.of_capture(subject.id)
        entries = [entry for entry in entries if entry.state not in _KEEP_THEIR_END]
        was = {"entries": [as_it_was(entry) for entry in entries], "captures": []}
        if isinstance(subject, Capture):
            was["captures"] = [as_it_was(subject)]
        discard(outbox, subject, now_s=now.utc_s)
        return outbox.undoables.add(UndoKind.DISCARD, was, now=now)


def remember_given(
    outbox: Outbox, given: Sequence[tuple[Entry, Entry]], *, now: Instant
) -> UndoableAction:
    """Let it be taken back that clips were given to somebody, released, or corrected.

    Args:
        outbox, now: as ever; in the transaction that changed them.
        given: each clip as it was, and as it is now.
    """
    rows = [before_given(was, entry) for was, entry in given]
    return outbox.undoables.add(UndoKind.GIVE, {"entries": rows}, now=now)


def clear_queue(outbox: Outbox, *, now: Instant) -> UndoableAction:
    """Empty the queue of who comes next."""
    with outbox.transaction():
        held = outbox.queue.clear()
        return outbox.undoables.add(UndoKind.CLEAR_QUEUE, {"queue": held}, now=now)


def unqueue(outbox: Outbox, queued_id: int, *, now: Instant) -> UndoableAction:
    """Take one place out of the queue.

    Raises:
        RequestError: there is no such place.
    """
    with outbox.transaction():
        ids = [queued.id for queued in outbox.queue.all()]
        left = outbox.queue.remove(queued_id)
        if left is None:
            raise RequestError(f"no entry {queued_id} in the queue", hint="spotter queue")
        was = {"queue": [left], "place": ids.index(queued_id)}
        return outbox.undoables.add(UndoKind.LEAVE_QUEUE, was, now=now)


def last_undoable(outbox: Outbox, *, now: Instant) -> UndoableAction | None:
    """Return what was ended last and can still be undone; None where nothing can."""
    return next((one for one in outbox.undoables.open() if one.left_s(now) > 0), None)


def undo(outbox: Outbox, undoable_id: int, *, now: Instant) -> UndoableAction:
    """Take back what a person ended, all of it or nothing.

    Raises:
        RequestError: it is too late, or it was taken back already.
    """
    with outbox.transaction():
        undoable = outbox.undoables.by_id(undoable_id)
        if undoable is None or undoable.left_s(now) <= 0:
            raise RequestError("too late to undo: the 10 s are over")
        outbox.undoables.settle(undoable, "undone")
        _UNDO[undoable.kind](outbox, undoable, now.utc_s)
    return undoable


def _undo_discard(outbox: Outbox, undoable: UndoableAction, now_s: float) -> None:
    undoables = outbox.undoables
    restored = [
        *(undoables.restore_entry(row, now_s=now_s) for row in rows_of(undoable, "entries")),
        *(undoables.restore_capture(row, now_s=now_s) for row in rows_of(undoable, "captures")),
    ]
    if not all(restored):
        raise BusyError("its state changed just now", hint="spotter outbox list")


def _undo_give(outbox: Outbox, undoable: UndoableAction, now_s: float) -> None:
    rows = rows_of(undoable, "entries")
    if not all(outbox.undoables.restore_given(row, now_s=now_s) for row in rows):
        raise BusyError("cannot be undone: its state has changed since", hint="spotter outbox list")


def _undo_clear(outbox: Outbox, undoable: UndoableAction, _now_s: float) -> None:
    outbox.queue.restore(rows_of(undoable, "queue"))


def _undo_leave(outbox: Outbox, undoable: UndoableAction, _now_s: float) -> None:
    for left in rows_of(undoable, "queue"):  # none, where who it was is forgotten
        outbox.queue.put_back(left, place=int(str(undoable.payload["place"])))


def _undo_resend(outbox: Outbox, undoable: UndoableAction, now_s: float) -> None:
    found = outbox.resends.of_undoable(undoable.id)
    if found is None or found.state is not ResendState.ASKED:
        raise RequestError("too late to undo: it has already begun")
    outbox.resends.move(found, ResendState.UNDONE, now_s=now_s)


def _undo_forget(outbox: Outbox, undoable: UndoableAction, now_s: float) -> None:
    found = outbox.forgettings.of_undoable(undoable.id)
    if found is None or not outbox.forgettings.move(found, "undone", now_s=now_s):
        raise RequestError("too late to undo: it has already begun")


def _undo_stop(outbox: Outbox, undoable: UndoableAction, now_s: float) -> None:
    outbox.assignments.take_back(int(str(undoable.payload["assignment"])), now_s=now_s)


_UNDO = {
    UndoKind.DISCARD: _undo_discard,
    UndoKind.GIVE: _undo_give,
    UndoKind.CLEAR_QUEUE: _undo_clear,
    UndoKind.LEAVE_QUEUE: _undo_leave,
    UndoKind.RESEND: _undo_resend,
    UndoKind.FORGET: _undo_forget,
    UndoKind.STOP_FILMING: _undo_stop,
}


def want_video(outbox: Outbox, entry: Entry, *, now_s: float) -> VideoState:
    """Request a clip's analysed video; return what there is of it: `present` if it is here.

    Raises:
        RequestError: there is none yet, or the clip is nobody's any more.
    """
    state = outbox.videos.want(entry.id, now_s=now_s)
    if state is None:
        raise RequestError(
            f"no analysed video of {entry.clip_code} yet",
            hint=f"see its state: spotter session {entry.clip_code}",
        )
    return state


_LOOKED_INTO = frozenset({CaptureState.ANALYSED, CaptureState.SKIPPED})


def sha256_of(path: Path) -> str | None:
    """Return the hash of a file's content; None where there is none, or this user may not read it.

    Then the name is all there is to go by. A folder that is closed to `sudo -u spotter` is often
    the one that a person stands in.
    """
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def find_capture(outbox: Outbox, wanted: str) -> Capture:
    """Return a capture by its ID, by one of its clips, by a file's content, or by its name.

    Raises:
        RequestError: there is no such capture, or several have the name.
    """
    path = Path(wanted)
    digest = sha256_of(path)
    if digest is not None:
        found = outbox.captures.by_sha256(digest)
        if found is None:
            raise RequestError(
                f"no recording named {wanted}", hint="copy it into the capture folder first"
            )
        return found
    named = outbox.captures.by_file_name(path.name)
    if len(named) > 1:
        ids = ", ".join(capture.name for capture in named)
        raise RequestError(
            f"several recordings are named {named[0].file_name}", hint=f"use the ID of one: {ids}"
        )
    if named:
        return named[0]
    subject = find(outbox, wanted)
    if isinstance(subject, Capture):
        return subject
    return outbox.entries.captures_of(subject.id)[0]


def add_take(
    outbox: Outbox, capture: Capture, *, start_s: float, end_s: float, now_s: float
) -> Take:
    """Let a clip of `[start_s, end_s)` be cut and delivered like any other.

    Raises:
        BusyError: the capture is being analysed.
        RequestError: it is no stretch of it, its file is gone, or a clip of it exists already.
    """
    with outbox.transaction():
        _refuse_unless_looked_into(capture)
        if not 0 <= start_s < end_s or end_s > (capture.duration_s or end_s) + 0.5:
            raise RequestError(
                f"{start_s:g} to {end_s:g} s is outside {capture.name}",
                hint=f"it is {capture.duration_s or 0:.1f} s long, and START must come before END",
            )
        if capture.hides(start_s, end_s):
            raise RequestError(
                f"recording was paused during {start_s:g} to {end_s:g} s of {capture.name}",
                hint=f"for the paused parts see: spotter outbox show {capture.name}",
            )
        take = outbox.takes.add_by_hand(capture, start_s=start_s, end_s=end_s)
        for other in [*outbox.takes.kept(capture), *outbox.takes.waiting(capture)]:
            if other.number != take.number and other.overlaps(take):
                raise RequestError(
                    f"{other.active_start_s:.1f} to {other.active_end_s:.1f} s of {capture.name} "
                    "already has a clip",
                    hint=f"see spotter show {capture.name}; discard that clip first if possible",
                )
        _look_again_at(outbox, capture, now_s=now_s)
    return take


def look_again(outbox: Outbox, capture: Capture, *, now_s: float) -> Capture:
    """Let the analysis find the takes of a capture again.

    Clips that it found before and that are unsent are discarded; what was sent, or was made by
    hand, stays and gets no second clip.

    Raises:
        BusyError: the capture, or a clip of it, is under way.
        RequestError: its file is gone, or all of its clips are sent.
    """
    with outbox.transaction():
        _refuse_unless_looked_into(capture, CaptureState.QUARANTINED)
        _refuse_if_all_sent(outbox, capture)
        _refuse_if_joined(outbox, capture)
        found = {t.number for t in outbox.takes.of(capture) if t.origin is TakeOrigin.FOUND}
        for entry in outbox.entries.of_takes(capture.id, found):
            if entry.state in UNSENT:
                outbox.entries.move(
                    entry, EntryState.DISCARDED, now_s=now_s, reason=Reason.LOOKED_AGAIN
                )
        outbox.takes.reset(capture, now_s=now_s)
        return _look_again_at(outbox, capture, now_s=now_s)


def _refuse_if_all_sent(outbox: Outbox, capture: Capture) -> None:
    entries = outbox.entries.of_capture(capture.id)
    under_way = [e for e in entries if e.state in BEING_SENT]
    if under_way:
        raise BusyError(
            f"{under_way[0].name} is {under_way[0].state}", hint="try again in a few minutes"
        )
    if entries and all(entry.state in BEING_SENT | SENT for entry in entries):
        raise RequestError(
            f"all clips of {capture.name} are uploaded already",
            hint=f"for a missed take: spotter takes add {capture.name} START END",
        )


def _refuse_if_joined(outbox: Outbox, capture: Capture) -> None:
    """A clip over two captures would lose the part that is in the other one."""
    for entry in outbox.entries.of_capture(capture.id):
        captures = outbox.entries.captures_of(entry.id)
        if len(captures) > 1 and entry.state is not EntryState.DISCARDED:
            names = " and ".join(cut_from.name for cut_from in captures)
            raise RequestError(
                f"{entry.name} is one clip of {names}",
                hint=f"discard {entry.name} first, then clip its parts: spotter takes add",
            )


def _refuse_unless_looked_into(capture: Capture, *more: CaptureState) -> None:
    if capture.state in {CaptureState.CAPTURED, CaptureState.ANALYSING}:
        raise BusyError(f"{capture.name} is {capture.state}", hint="try again in a few minutes")
    if capture.state not in _LOOKED_INTO | {*more}:
        raise RequestError(f"{capture.name} is {capture.state}")
    if capture.file_state is not FileState.PRESENT:
        raise RequestError(
            f"the file of {capture.name} is no longer on this box",
            hint="capture.keep_originals_h and capture.keep_skipped_days say how long recordings "
            f"are kept; its history: spotter show {capture.name}",
        )


def _look_again_at(outbox: Outbox, capture: Capture, *, now_s: float) -> Capture:
    return _unless_gone(outbox.captures.move(capture, CaptureState.CAPTURED, now_s=now_s))
