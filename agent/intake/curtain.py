"""The curtain before captures that nobody may see: filmed while filming was stopped.

It closes before the analysis looks at a single picture.  What is forbidden is discarded and its
file is on its way off the disk in one commit, so a crash leaves nothing to be seen; the row with
its hash stays, and the same content under another name goes the same way.
"""

import structlog

from agent.clock import Now
from agent.crashpoints import crash_point
from agent.outbox.capture import Capture
from agent.outbox.clearing.removal import Removal
from agent.outbox.disk.folders import StateFolder
from agent.outbox.states import CaptureState, Reason
from agent.outbox.store import Outbox
from agent.station.assigning import timeline_of
from agent.station.filming import Sight, ended_while_stopped, sight_of
from agent.station.recording_time import RecordingTime

log = structlog.get_logger(stage="analysis")


class Curtain:
    """Keeps captures from being looked into."""

    def __init__(self, outbox: Outbox, folder: StateFolder, *, now: Now) -> None:
        self._outbox = outbox
        self._now = now
        self._removal = Removal(outbox, folder, now=now)

    def hides(self, capture: Capture, recorded: RecordingTime | None = None) -> bool:
        """Tell whether nobody may look into a capture; it has been dealt with then.

        Args:
            capture: one that is being analysed.
            recorded: when it was filmed; None where its file was not opened yet.
        """
        timeline = timeline_of(self._outbox, now=self._now())
        if recorded is None:
            sight = Sight.FORBIDDEN if ended_while_stopped(timeline, capture) else Sight.ALLOWED
        else:
            sight = sight_of(timeline, recorded)
        if sight is Sight.FORBIDDEN:
            self._remove(capture)
        elif sight is Sight.DOUBTFUL and not self._was_allowed(capture):
            self._set_aside(capture)
        else:
            return False
        return True

    def _remove(self, capture: Capture) -> None:
        now_s = self._now().utc_s
        with self._outbox.transaction():
            self._outbox.captures.move(
                capture, CaptureState.DISCARDED, now_s=now_s, reason=Reason.FILMING_STOPPED
            )
            self._outbox.clearing.begin_original(capture.id, now_s=now_s)
        crash_point("hidden")
        self._removal.finish()
        log.info("filming was stopped: removed unseen", capture=capture.name)

    def _set_aside(self, capture: Capture) -> None:
        self._outbox.captures.move(
            capture,
            CaptureState.QUARANTINED,
            now_s=self._now().utc_s,
            reason=Reason.FILMING_MAY_BE_STOPPED,
        )
        log.warning("filming may have been stopped: set aside unseen", capture=capture.name)

    def _was_allowed(self, capture: Capture) -> bool:
        """Tell whether a person let it be looked into after it was set aside."""
        events = self._outbox.events.of_capture(capture.id)
        return any(event.reason == Reason.FILMING_MAY_BE_STOPPED for event in events)
