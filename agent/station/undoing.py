"""Undo, for ten seconds, on everything that ends something."""

from collections.abc import Sequence

from agent.clock import Instant
from agent.errors import BusyError, RequestError
from agent.outbox.capture import Capture
from agent.outbox.entry import Entry
from agent.outbox.people.undoables import Undoable, UndoKind, as_it_was, before_given, rows_of
from agent.outbox.resends import ResendState
from agent.outbox.states import EntryState
from agent.outbox.store import Outbox
from agent.station import steering

_KEEP_THEIR_END = frozenset({EntryState.DISCARDED, EntryState.UPLOADED, EntryState.COMPLETED})


def discard(outbox: Outbox, subject: Capture | Entry, *, now: Instant) -> Undoable:
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
        steering.discard(outbox, subject, now_s=now.utc_s)
        return outbox.undoables.add(UndoKind.DISCARD, was, now=now)


def remember_given(
    outbox: Outbox, given: Sequence[tuple[Entry, Entry]], *, now: Instant
) -> Undoable:
    """Let it be taken back that clips were given to somebody, released, or corrected.

    Args:
        outbox, now: as ever; in the transaction that changed them.
        given: each clip as it was, and as it is now.
    """
    rows = [before_given(was, entry) for was, entry in given]
    return outbox.undoables.add(UndoKind.GIVE, {"entries": rows}, now=now)


def clear_queue(outbox: Outbox, *, now: Instant) -> Undoable:
    """Empty the queue of who comes next."""
    with outbox.transaction():
        held = outbox.queue.clear()
        return outbox.undoables.add(UndoKind.CLEAR_QUEUE, {"queue": held}, now=now)


def unqueue(outbox: Outbox, queued_id: int, *, now: Instant) -> Undoable:
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


def last_undoable(outbox: Outbox, *, now: Instant) -> Undoable | None:
    """Return what was ended last and can still be undone; None where nothing can."""
    return next((one for one in outbox.undoables.open() if one.left_s(now) > 0), None)


def undo(outbox: Outbox, undoable_id: int, *, now: Instant) -> Undoable:
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


def _undo_discard(outbox: Outbox, undoable: Undoable, now_s: float) -> None:
    undoables = outbox.undoables
    restored = [
        *(undoables.restore_entry(row, now_s=now_s) for row in rows_of(undoable, "entries")),
        *(undoables.restore_capture(row, now_s=now_s) for row in rows_of(undoable, "captures")),
    ]
    if not all(restored):
        raise BusyError("its state changed just now", hint="spotter outbox list")


def _undo_give(outbox: Outbox, undoable: Undoable, now_s: float) -> None:
    rows = rows_of(undoable, "entries")
    if not all(outbox.undoables.restore_given(row, now_s=now_s) for row in rows):
        raise BusyError("cannot be undone: its state has changed since", hint="spotter outbox list")


def _undo_clear(outbox: Outbox, undoable: Undoable, _now_s: float) -> None:
    outbox.queue.restore(rows_of(undoable, "queue"))


def _undo_leave(outbox: Outbox, undoable: Undoable, _now_s: float) -> None:
    (left,) = rows_of(undoable, "queue")
    outbox.queue.put_back(left, place=int(str(undoable.payload["place"])))


def _undo_resend(outbox: Outbox, undoable: Undoable, now_s: float) -> None:
    found = outbox.resends.of_undoable(undoable.id)
    if found is None or found.state is not ResendState.ASKED:
        raise RequestError("too late to undo: it has already begun")
    outbox.resends.move(found, ResendState.UNDONE, now_s=now_s)


def _undo_forget(outbox: Outbox, undoable: Undoable, now_s: float) -> None:
    found = outbox.forgettings.of_undoable(undoable.id)
    if found is None or not outbox.forgettings.move(found, "undone", now_s=now_s):
        raise RequestError("too late to undo: it has already begun")


def _undo_stop(outbox: Outbox, undoable: Undoable, now_s: float) -> None:
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
