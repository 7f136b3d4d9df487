"""How fast videos come in, and when they give way: the clips that go out are what counts.

A bandwidth cap of the timetable holds for what comes in too, by itself: most lines have a rate for
each direction.  A video that a person wished for comes at once, in closed hours too: somebody
stands there and waits.  One that comes because of `results.video = "always"` waits until no clip is
to be sent and uploads are open, and stops for one on its way, if it can be gone on with.
"""

import time
from collections.abc import Callable

from agent.api.taking import Progress
from agent.clock import Now
from agent.delivery.throttle import Bucket
from agent.errors import NotNowError
from agent.outbox.disk.space import Space, megabytes
from agent.outbox.entries import Entries
from agent.outbox.states import EntryState
from agent.timetable import UNLIMITED, Timetable

_LOOK_EVERY_S = 1.0
_CLIPS_ARE_DUE_S = 5.0  # then it is looked again whether they are gone
_LONGEST_WAIT_S = 60.0
_LONGEST_PAUSE_S = 0.2


class NoRoomError(NotNowError):
    """The disk has no room for a video now."""


class GivesWayError(NotNowError):
    """A video lets clips go first: no fault of anybody's."""


class DownloadPace:
    """The pace of the station's downloads."""

    def __init__(
        self,
        timetable: Timetable,
        entries: Entries,
        space: Space,
        *,
        gives_way: bool,
        now: Now,
        wait: Callable[[float], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep a pace.

        Args:
            timetable: of uploads, by the wall clock.
            entries: the clips that may want to go out.
            space: the disk's room.
            gives_way: whether clips and closed hours go first.
            now: the wall clock.
            wait: waits for so many seconds; what it raises ends the download.
            monotonic: the clock of the waits.
        """
        self._timetable = timetable
        self._entries = entries
        self._space = space
        self._gives_way = gives_way
        self._now = now
        self._wait = wait
        self._monotonic = monotonic
        self._bucket = Bucket()
        self._looked_at_s = float("-inf")

    def rest_s(self) -> float:
        """Return the seconds until it is worth looking whether a download may begin; 0: now."""
        if not self._gives_way:
            return 0.0
        now_s = self._now().utc_s
        opens_at = self._timetable.opens_at(now_s)
        if opens_at is None or opens_at > now_s:
            return _LONGEST_WAIT_S if opens_at is None else min(opens_at - now_s, _LONGEST_WAIT_S)
        return _CLIPS_ARE_DUE_S if self._clips_are_due(now_s) else 0.0

    def __call__(self, progress: Progress) -> None:
        """Look at a download that goes on, and let it wait for its turn.

        Raises:
            NoRoomError: the disk is too full for the rest.
            GivesWayError: a clip goes first, or uploads have closed.
        """
        now_s = self._monotonic()
        if progress.part_bytes == 0 or now_s - self._looked_at_s >= _LOOK_EVERY_S:
            self._looked_at_s = now_s
            self._look(progress)
        rate = self._timetable.rate_at(self._now().utc_s)
        if 0 < rate < UNLIMITED:
            self._bucket.take(progress.part_bytes, rate, self._monotonic())
            while (wait_s := self._bucket.wait_s(self._monotonic())) > 0:
                self._wait(min(wait_s, _LONGEST_PAUSE_S))

    def _look(self, progress: Progress) -> None:
        need_bytes = max((progress.total_bytes or 0) - progress.have_bytes, 0)
        lacks_bytes = self._space.lacks_for_intake(need_bytes)
        if lacks_bytes:
            raise NoRoomError(f"the disk lacks {megabytes(lacks_bytes)} for it")
        if progress.can_resume and progress.part_bytes and self.rest_s() > 0:
            raise GivesWayError("it gives way to clips, and goes on afterwards")

    def _clips_are_due(self, now_s: float) -> bool:
        due_at = self._entries.next_due_at(EntryState.READY, EntryState.UPLOADING)
        return due_at is not None and due_at <= now_s
