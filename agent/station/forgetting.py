"""Forgetting an athlete: everything of theirs goes from this box, and nothing of anybody else.

Their clips go with their pictures, sent or not: it is a person's word.  So do the originals they
are in, once the other athletes' clips from them are delivered; what is being sent at this moment
goes when that has ended.  Until then the forgetting is not done, and the daemon comes back to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from agent.clock import Instant, Now
from agent.crashpoints import crash_point
from agent.outbox.clearing.removal import Removal
from agent.outbox.disk.folders import StateFolder
from agent.outbox.entry import Entry, Whose
from agent.outbox.migrate import remove_old_copies
from agent.outbox.people.assignments import Layer
from agent.outbox.people.forgettings import Forgetting
from agent.outbox.people.undoables import Undoable, UndoKind
from agent.outbox.repair.recovery import ledger_written_anew
from agent.outbox.resends import ResendState
from agent.outbox.states import EntryState, FileState, Reason, Recipient
from agent.outbox.store import Outbox
from agent.stage import StageName
from agent.station.assigning import assign_nobody
from agent.station.present import present_of
from agent.station.roster import for_person

_UNSENT = frozenset({EntryState.READY, EntryState.HELD, EntryState.DEAD})
_UNKNOWN_OUTCOMES = frozenset({Reason.OUTCOME_UNKNOWN, Reason.RECORD_DAMAGED})
_UNDER_WAY = frozenset({EntryState.UPLOADING, EntryState.UNCERTAIN})

log = structlog.get_logger(stage=StageName.STATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """What there is of an athlete on this box."""

    clips: int
    unsent: int  # of these: they will never be
    sessions: Sequence[str]  # at the API: they stay there


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a forgetting has come."""

    done: bool
    waits_for: Sequence[str]  # clips under way, and originals that hold others' unsent clips


def belongings(outbox: Outbox, key: str) -> Belongings:
    """Return what would go if the person of a key were forgotten.

    Raises:
        RequestError: it is no key.
    """
    user_id, guest_id = _person(outbox, key)
    asked = Forgetting(id=0, undoable_id=0, user_id=user_id, guest_id=guest_id, state="asked")
    entries = outbox.forgettings.entries_of(asked)
    return Belongings(
        clips=len([entry for entry in entries if entry.file_state is FileState.PRESENT]),
        unsent=len([entry for entry in entries if entry.state in _UNSENT]),
        sessions=[str(entry.session_id) for entry in entries if _is_at_api(entry)],
    )


def _is_at_api(entry: Entry) -> bool:
    """Tell whether a clip has a session at the API that nobody deleted."""
    return entry.session_id is not None and entry.reason != Reason.SENT_ANEW


def forget(outbox: Outbox, key: str, *, now: Instant, at_api: bool = False) -> Undoable:
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


def carry_out(outbox: Outbox, folder: StateFolder, forgetting: Forgetting, *, now: Now) -> Progress:
    """Remove what can be removed of an athlete; cut off anywhere, it can be begun again."""
    entries = _begin(outbox, forgetting, now=now)
    crash_point("forgetting-begun")
    removal = Removal(outbox, folder, now=now)
    removal.forget_results([entry.clip_code for entry in entries])
    for entry in entries:
        if entry.file_state is not FileState.CLEARED and entry.state not in _UNDER_WAY:
            removal.clear_clip(entry.id)
    removal.finish()
    crash_point("forgetting-clips-gone")
    captures = sorted({c for entry in entries for c in outbox.entries.captures_of(entry.id)})
    waits_for = [entry.name for entry in entries if entry.state in _UNDER_WAY]
    for capture_id in captures:
        removal.clear_original(capture_id)
        capture = outbox.captures.by_id(capture_id)
        if capture is not None and capture.file_state is not FileState.CLEARED:
            waits_for.append(capture.name)
    if waits_for:
        return Progress(done=False, waits_for=waits_for)
    removed = remove_old_copies(folder.root)
    if removed:
        log.info("old outbox copies removed", files=removed)
    _finish(outbox, forgetting, entries, captures, now=now)
    return Progress(done=True, waits_for=())


def _begin(outbox: Outbox, forgetting: Forgetting, *, now: Now) -> list[Entry]:
    """Take an athlete off the station and their clips out of delivery; return these clips."""
    with outbox.transaction():
        undoable = outbox.undoables.by_id(forgetting.undoable_id)
        assert undoable is not None  # made with it
        outbox.undoables.settle(undoable, "done")
        if forgetting.state == "asked":
            outbox.forgettings.move(forgetting, "begun", now_s=now().utc_s)
        outbox.forgettings.leave_the_roster(forgetting)
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


def _leave_the_station(outbox: Outbox, forgetting: Forgetting, *, now: Instant) -> None:
    """Let nobody be on the station, if an athlete who is forgotten is."""
    present = present_of(outbox, now=now).at(now).assignment
    who = (forgetting.user_id, forgetting.guest_id)
    if present is not None and present.layer is Layer.COACH and present.who == who:
        assign_nobody(outbox, now=now, set_by="forgotten")


def _end(outbox: Outbox, entry: Entry, *, now: Now) -> Entry:
    """Discard an athlete's clip that was not sent; return it as it is now."""
    now_s = now().utc_s
    resend = outbox.resends.of_entry(entry.id)
    if resend is not None and resend.state is ResendState.ASKED:
        outbox.resends.move(resend, ResendState.UNDONE, now_s=now_s)
    if entry.state not in _UNSENT:
        return entry
    moved = outbox.entries.move(entry, EntryState.DISCARDED, now_s=now_s, reason=Reason.FORGOTTEN)
    return entry if moved is None else moved


def _finish(
    outbox: Outbox,
    forgetting: Forgetting,
    entries: Sequence[Entry],
    captures: Sequence[int],
    *,
    now: Now,
) -> None:
    now_s = now().utc_s
    with ledger_written_anew(outbox):  # its older lines tell whose the clips were
        outbox.forgettings.finish(forgetting, entries, captures, now_s=now_s)
    log.info("athlete erased", clips=len(entries))


def _person(outbox: Outbox, key: str) -> tuple[str | None, int | None]:
    nobody = Whose(recipient=Recipient.UNKNOWN, user_id=None, activity="")
    whose = for_person(outbox, key, nobody)
    return whose.user_id, whose.guest_id
