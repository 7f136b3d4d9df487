"""What the daemon does, in one line: systemctl status shows it."""

from collections.abc import Mapping

from agent.outbox.states import TO_BE_SENT, CaptureState, EntryState
from agent.outbox.store import Outbox
from agent.plurals import counted


def describe_station(outbox: Outbox, host: str) -> str:
    """Return what is under way, what waits and for what, without a name in it."""
    counts = outbox.listing.counts()
    words = _work(counts["captures"], counts["entries"]) or ["watching"]
    words += _left_to_people(counts["entries"])
    lane = outbox.lanes.get(host)
    if lane.paused_reason is not None:
        words.append(f"uploads paused: {_spelt(lane.paused_reason)}")
    words += [f"{pause.part} paused: {_spelt(pause.reason)}" for pause in outbox.pauses.all()]
    return "; ".join(words)


def _work(captures: Mapping[str, int], entries: Mapping[str, int]) -> list[str]:
    words = []
    if captures.get(CaptureState.ANALYSING):
        words.append("analysing a capture")
    if entries.get(EntryState.UPLOADING):
        words.append("uploading a clip")
    if waiting := sum(entries.get(state, 0) for state in TO_BE_SENT):
        words.append(f"{counted(waiting, 'clip')} to upload")
    if ahead := captures.get(CaptureState.CAPTURED, 0):
        words.append(f"{counted(ahead, 'capture')} to analyse")
    return words


def _left_to_people(entries: Mapping[str, int]) -> list[str]:
    words = []
    if held := entries.get(EntryState.HELD):
        words.append(f"{held} held for review")
    if dead := entries.get(EntryState.DEAD):
        words.append(f"{dead} rejected")
    return words


def _spelt(reason: str) -> str:
    return reason.replace("_", " ")
