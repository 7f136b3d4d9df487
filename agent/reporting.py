"""What the daemon does, in one line: systemctl status shows it."""

from agent.counting import counted
from agent.outbox.states import CaptureState, EntryState
from agent.outbox.store import Outbox

_WAITING = (EntryState.READY, EntryState.UPLOADING, EntryState.UNCERTAIN)


def describe_station(outbox: Outbox, host: str) -> str:
    """Return what is under way, what waits and for what, without a name in it."""
    counts = outbox.listing.counts()
    captures, entries = counts["captures"], counts["entries"]
    words = []
    if captures.get(CaptureState.ANALYSING):
        words.append("looks into a capture")
    if entries.get(EntryState.UPLOADING):
        words.append("sends a clip")
    waiting = sum(entries.get(state, 0) for state in _WAITING)
    ahead = captures.get(CaptureState.CAPTURED, 0)
    words.append(
        "watching" if not (words or ahead or waiting) else f"{counted(waiting, 'clip')} to send"
    )
    if ahead:
        words.append(f"{counted(ahead, 'capture')} to look into")
    if entries.get(EntryState.HELD):
        words.append(f"{entries[EntryState.HELD]} held for a person")
    if entries.get(EntryState.DEAD):
        words.append(f"{entries[EntryState.DEAD]} refused")
    lane = outbox.lanes.get(host)
    if lane.paused_reason is not None:
        words.append(f"lane paused: {lane.paused_reason}")
    words += [f"{pause.part} waits: {pause.reason}" for pause in outbox.pauses.all()]
    return "; ".join(words)
