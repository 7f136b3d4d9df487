"""Wishing for a take's analysed video: the daemon fetches it then; wake it afterwards."""

from agent.errors import RequestError
from agent.outbox.entry import Entry
from agent.outbox.results.videos import VideoState
from agent.outbox.store import Outbox


def want_video(outbox: Outbox, entry: Entry, *, now_s: float) -> VideoState:
    """Wish for a clip's analysed video; return what there is of it: `present` if it is here.

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
