"""Reporting once that a stage is paused, and once that it resumed: in the log and on record."""

import sqlite3

import structlog

from agent.clock import Now
from agent.errors import AgentError
from agent.outbox.pauses import Pause, Pauses
from agent.stage import StageName

log = structlog.get_logger()


class Waiting:
    """The pause of one stage: begun and ended as often as anybody likes, told once.

    A pause that cannot be recorded, such as on a disk that is full to the last block, is logged
    all the same and recorded as soon as that goes again.
    """

    def __init__(self, pauses: Pauses, stage: StageName, *, now: Now) -> None:
        self._pauses = pauses
        self._stage = stage
        self._now = now
        self._told: tuple[str, str] | None = None  # reason and detail
        self._recorded = True  # whether the table says so too
        self._since = 0.0

    @property
    def reason(self) -> str | None:
        """Why it waits; None: it does not."""
        return None if self._told is None else self._told[0]

    def begin(self, reason: str, detail: str) -> None:
        """Wait, or go on waiting; the log hears of it once for each reason."""
        if self._told == (reason, detail) and self._recorded:
            return
        if self.reason != reason:
            self._since = self._now().utc_s
            log.error("stage paused", stage=self._stage, reason=reason, detail=detail)
        self._told = (reason, detail)
        self._recorded = self._record(
            Pause(part=self._stage, reason=reason, detail=detail, since=self._since)
        )

    def end(self) -> None:
        """Wait no longer."""
        if self._told is not None:
            log.info("stage resumed", stage=self._stage, after=self.reason)
            self._told, self._recorded = None, False
        if not self._recorded:
            self._recorded = self._record(None)

    def _record(self, pause: Pause | None) -> bool:
        try:
            if pause is None:
                self._pauses.end(self._stage)
            else:
                self._pauses.begin(pause)
        except (sqlite3.DatabaseError, OSError, AgentError):
            return False
        return True
