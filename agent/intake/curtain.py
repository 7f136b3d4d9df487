"""The curtain before what nobody may see of captures: filmed while filming was stopped.

It closes before the analysis looks at a single picture.  While a stop can still be undone, nothing
that it may concern is looked at or removed; whether it can is on record, so a restart changes
nothing.  What surely lies inside a stop is then discarded, and its file is on its way off the disk
in the same commit, so a crash leaves nothing to be seen; the row with its hash stays, and the same
content under another name goes the same way.
"""

import time
from collections.abc import Callable

import structlog

from agent.clock import Now
from agent.crashpoints import crash_point
from agent.outbox.capture import Capture
from agent.outbox.clearing.removal import Removal
from agent.outbox.disk.folders import StateFolder
from agent.outbox.states import CaptureState, Reason
from agent.outbox.store import Outbox
from agent.stage import StageName
from agent.station.assigning import timeline_of
from agent.station.filming import Sight, View, view_of
from agent.station.recording_time import RecordingTime

_LOOKED_AGAIN_S = 5.0  # a stop may have been undone meanwhile

log = structlog.get_logger(stage=StageName.CLIPPING)


class Curtain:
    """Keeps captures, or parts of them, from being looked into."""

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        *,
        now: Now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._now = now
        self._monotonic = monotonic
        self._removal = Removal(outbox, folder, now=now)
        self._waiting: dict[int, float] = {}  # monotonic times, by capture

    def waiting(self) -> set[int]:
        """Return the captures that wait until a stop can no longer be undone."""
        now_s = self._monotonic()
        self._waiting = {name: due_s for name, due_s in self._waiting.items() if due_s > now_s}
        return set(self._waiting)

    def next_look_s(self) -> float | None:
        """Return in how many seconds one of them is to be looked at; None where none waits."""
        due_s = min(self._waiting.values(), default=None)
        return None if due_s is None else max(0.0, due_s - self._monotonic())

    def opens(self, capture: Capture, recorded: RecordingTime) -> bool:
        """Tell whether a capture may be looked into; if not, it has been dealt with.

        What of it stays hidden is on record then.

        Args:
            capture: one that is being analysed.
            recorded: when it was filmed.
        """
        with self._outbox.transaction():  # nobody undoes a stop while its footage goes
            now = self._now()
            view = view_of(timeline_of(self._outbox, now=now), recorded, now=now)
            if view.sight is Sight.DOUBTFUL and self._was_allowed(capture):
                view = View(sight=Sight.ALLOWED)
            if view.sight is Sight.ALLOWED or view.undo_left_s <= 0:
                self._outbox.captures.record_hidden(capture, view.hidden)
            if view.sight is not Sight.ALLOWED and view.undo_left_s > 0:
                self._let_wait(capture, view.undo_left_s)
                return False
            if view.sight is Sight.FORBIDDEN:
                self._discard(capture)
            elif view.sight is Sight.DOUBTFUL:
                self._quarantine(capture)
        if view.sight is Sight.FORBIDDEN:
            crash_point("hidden")
            self._removal.finish()
            log.info("capture discarded", capture=capture.name, reason=Reason.FILMING_STOPPED)
        return view.sight in {Sight.ALLOWED, Sight.PARTLY}

    def _let_wait(self, capture: Capture, left_s: float) -> None:
        self._waiting[capture.id] = self._monotonic() + min(left_s, _LOOKED_AGAIN_S)
        self._outbox.captures.move(
            capture,
            CaptureState.CAPTURED,
            now_s=self._now().utc_s,
            reason=Reason.STOP_CAN_BE_UNDONE,
        )
        if capture.reason != Reason.STOP_CAN_BE_UNDONE:
            log.info("capture postponed", capture=capture.name, reason=Reason.STOP_CAN_BE_UNDONE)

    def _discard(self, capture: Capture) -> None:
        now_s = self._now().utc_s
        self._outbox.captures.move(
            capture, CaptureState.DISCARDED, now_s=now_s, reason=Reason.FILMING_STOPPED
        )
        self._outbox.clearing.begin_original(capture.id, now_s=now_s)

    def _quarantine(self, capture: Capture) -> None:
        self._outbox.captures.move(
            capture,
            CaptureState.QUARANTINED,
            now_s=self._now().utc_s,
            reason=Reason.FILMING_MAY_BE_STOPPED,
        )
        log.warning(
            "capture quarantined", capture=capture.name, reason=Reason.FILMING_MAY_BE_STOPPED
        )

    def _was_allowed(self, capture: Capture) -> bool:
        """Tell whether a person let it be looked into after it was quarantined."""
        events = self._outbox.events.of_capture(capture.id)
        return any(event.reason == Reason.FILMING_MAY_BE_STOPPED for event in events)
