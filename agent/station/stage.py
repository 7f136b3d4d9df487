"""The station stage: expires assignments and ends recording pauses on time.

An assignment without a take runs out; a recording that is still in the capture folder may hold
the take that keeps it alive, and is waited for, within reason.
"""

from collections.abc import Callable

import structlog

from agent.clock import Now
from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.stage import StageName
from agent.station.assignments import overdue_s, record_run_out_now
from agent.station.erasure import carry_out_due

_LONGEST_RECORDING_S = 1200.0
_LOOK_AGAIN_S = 30.0

log = structlog.get_logger(stage=StageName.STATION)


class StationStage:
    """Records what ends by time."""

    name = StageName.STATION

    def __init__(
        self, outbox: Outbox, folder: StateFolder, *, still_comes: Callable[[], bool], now: Now
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._still_comes = still_comes  # whether a recording is yet to be ingested
        self._now = now

    def step(self) -> float:
        """Go on with what was asked for, and record the end of the assignment if it has come."""
        carry_out_due(self._outbox, self._folder, now=self._now)
        now = self._now()
        undone_within_s = self._outbox.undoables.rest_s(now)
        wait_s = self._end_assignment()
        return min(wait_s, undone_within_s) if undone_within_s > 0 else wait_s

    def close(self) -> None:
        """Nothing is held."""

    def _end_assignment(self) -> float:
        """Record the end of the present assignment; return when to check again."""
        now = self._now()
        over_s = overdue_s(self._outbox, now=now)
        if over_s is None or over_s < 0:
            return _LOOK_AGAIN_S if over_s is None else min(-over_s, _LOOK_AGAIN_S)
        if over_s < _LONGEST_RECORDING_S and self._still_comes():
            return _LOOK_AGAIN_S
        if record_run_out_now(self._outbox, now=now):
            log.info("assignment expired")
        return _LOOK_AGAIN_S
