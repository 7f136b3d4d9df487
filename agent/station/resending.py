"""A delivered clip that went to the wrong athlete: asking for it to be sent anew.

Nothing begins before the time to undo it is over.  Then it is sent under its new code, and only
when the right session is there is the wrong one deleted (see `agent.delivery.resending`).
"""

from pathlib import Path

from agent.clock import Instant
from agent.errors import BusyError, RequestError
from agent.outbox.entry import Entry, Whose
from agent.outbox.people.undoables import UndoKind
from agent.outbox.resends import OPEN, Resend, ResendState
from agent.outbox.states import EntryState, FileState, Recipient
from agent.outbox.store import Outbox
from agent.station.assigning import StationRules
from agent.station.steering import whose_for

_SENT = frozenset({EntryState.UPLOADED, EntryState.COMPLETED})


def why_not_resend(outbox: Outbox, clips: Path, entry: Entry) -> str | None:
    """Return why a clip cannot be sent anew, in a sentence; None where it can.

    Args:
        outbox: where it is on record.
        clips: where clips lie.
        entry: the clip.
    """
    if entry.state not in _SENT or entry.session_id is None:
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
    wanted: Whose | None = None,
    *,
    rules: StationRules,
    now: Instant,
) -> Resend:
    """Ask for a delivered clip to be sent anew for the right athlete, and deleted at the wrong one.

    It can be undone until it begins.

    Raises:
        RequestError: it cannot be sent anew, and why; or the athlete is a guest.
    """
    whose = whose_for(outbox, entry, key, wanted, station=rules.default)
    if whose.recipient is not Recipient.ATHLETE:
        raise RequestError(
            "a guest has no account at the API",
            hint="link the guest to an athlete: spotter athletes --resolve GUEST USER_ID",
        )
    with outbox.transaction():
        why_not = why_not_resend(outbox, clips, entry)
        if why_not is not None:
            raise RequestError(why_not)
        undoable = outbox.undoables.add(UndoKind.RESEND, {"entry": entry.name}, now=now)
        return outbox.resends.add(entry, whose, undoable_id=undoable.id, now_s=now.utc_s)


def retry_deletion(outbox: Outbox, resend_id: int, *, now_s: float) -> Resend:
    """Let a session that the API did not delete be tried again.

    Raises:
        BusyError: it moved at this very moment.
        RequestError: there is nothing to try again.
    """
    found = outbox.resends.by_id(resend_id)
    if found is None or found.state not in {ResendState.REFUSED, ResendState.DELETING}:
        raise RequestError("there is no failed deletion to retry")
    moved = outbox.resends.move(found, ResendState.DELETING, now_s=now_s)
    if moved is None:
        raise BusyError("its state changed just now", hint="try again")
    return moved
