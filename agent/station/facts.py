"""What the station's one large word rests on, read from the outbox and the disk."""

import time
from pathlib import Path

from agent.outbox.resends import ResendState
from agent.outbox.states import TO_BE_LOOKED_INTO, TO_BE_SENT, CaptureState, EntryState
from agent.outbox.store import Outbox
from agent.station.camera import Camera
from agent.station.word import Facts


def read_facts(
    outbox: Outbox,
    *,
    host: str,
    capture_folder: Path,
    is_stopped: bool,
    is_filming: bool,
    camera: Camera | None = None,
    now_s: float,
) -> Facts:
    """Return what the word rests on at this moment.

    Args:
        outbox: of the station.
        host: of the API, whose lane counts.
        capture_folder: where the camera program writes.
        is_stopped: whether nobody may be filmed.
        is_filming: whether a capture is being written.
        camera: what it does; None: it is not looked at.
        now_s: Unix time.
    """
    counts = outbox.listing.counts(
        captures=(*TO_BE_LOOKED_INTO, CaptureState.QUARANTINED),
        entries=(*TO_BE_SENT, EntryState.HELD, EntryState.DEAD),
    )
    captures, entries = counts["captures"], counts["entries"]
    return Facts(
        is_stopped=is_stopped,
        is_filming=is_filming,
        folder_is_missing=not capture_folder.is_dir(),
        paused=tuple(pause.part for pause in outbox.pauses.all()),
        captures_waiting=sum(captures.get(state, 0) for state in TO_BE_LOOKED_INTO),
        clips_waiting=sum(entries.get(state, 0) for state in TO_BE_SENT),
        held=entries.get(EntryState.HELD, 0),
        refused=entries.get(EntryState.DEAD, 0),
        failing=outbox.gallery.failing(),
        unreadable=captures.get(CaptureState.QUARANTINED, 0),
        lane_reason=outbox.lanes.get(host).paused_reason,
        sent=outbox.gallery.sent_since(midnight(now_s)),
        ever_sent=outbox.entries.has_delivered(),
        undeleted=len(outbox.resends.in_states({ResendState.REFUSED})),
        camera=camera,
    )


def midnight(now_s: float) -> float:
    """Return when this day began, where the box stands."""
    here = time.localtime(now_s)
    return time.mktime((here.tm_year, here.tm_mon, here.tm_mday, 0, 0, 0, 0, 0, -1))
