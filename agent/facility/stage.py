"""The stage of a station's hub: its own thread, which may fail without harm to any other.

A station that belongs to no facility has it too, but it sleeps, and loads nothing.
"""

from collections.abc import Callable
from pathlib import Path

from agent.clock import Clock, Instant
from agent.disk.state_folder import StateFolder
from agent.errors import ConfigError
from agent.facility.membership import (
    Membership,
    membership_path,
    read_membership,
)
from agent.facility.state import HubInfluence, StateDocument
from agent.notifications.stage import NotificationStage
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import PauseReporter
from agent.stage import WAKE_ONLY, StageName

EVERY_S = 1.5  # between two words of the state: the board shows none older than two seconds
_UNUSABLE_S = 30.0


class FacilityStage:
    """Sends the hub, if there is one, what the station does."""

    name = StageName.HUB

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        state: StateDocument,
        *,
        influence: HubInfluence,
        clock: Clock,
        check: Callable[[], None],
    ) -> None:
        """Prepare to look for a hub.

        Args:
            outbox: of the station.
            folder: where it is kept that the station has joined.
            state: writes what the board shows.
            influence: what the hub decides.
            clock: the station's.
            check: what it raises ends whatever is under way.
        """
        self._outbox = outbox
        self._folder = folder
        self._state = state
        self._influence = influence
        self._clock = clock
        self._check = check
        self._waiting = PauseReporter(outbox.pauses, self.name, now=clock.now)
        self._seen: tuple[int, int] | None = None  # the file that names the hub
        self._telling: NotificationStage | None = None
        self._carry_out: Callable[[Instant], bool] | None = None

    def step(self) -> float:
        """Send the hub the state and the next event; without one, wait to be woken."""
        seen = _mark(membership_path(self._folder))
        if seen != self._seen or (seen is not None and self._telling is None):
            self.close()
            try:
                member = read_membership(self._folder)
                self._telling = None if member is None else self._begin(member)
                if member is None:
                    self._influence.share.release()
                if member is None and self._seen is not None:
                    self._influence.reload()  # without what the hub has set
            except ConfigError as error:
                self._waiting.begin("not_usable", str(error))
                return _UNUSABLE_S
            self._seen = seen
            self._waiting.end()
        if self._telling is None or self._carry_out is None:
            return WAKE_ONLY
        self._carry_out(self._clock.now())
        return min(self._telling.step(), EVERY_S)

    def close(self) -> None:
        """Disconnect from the hub."""
        telling, self._telling = self._telling, None
        if telling is not None:
            telling.close()

    def _begin(self, member: Membership) -> NotificationStage:
        # The broker's client and the cryptography cost memory that a station alone need not spend.
        from agent.facility.receiver import stage_of_hub

        telling, self._carry_out = stage_of_hub(
            self._outbox,
            self._folder,
            member,
            self._state,
            self._influence,
            clock=self._clock,
            check=self._check,
        )
        return telling


def _mark(path: Path) -> tuple[int, int] | None:
    """Return what changes with a file; None where there is none."""
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
