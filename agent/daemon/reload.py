"""Reloads the settings of a running daemon: all of them, or none.

A mistake in the file is said, and what ran before runs on.  What is right is taken over by ending
the stages between two steps and putting the station together anew, in the same process.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from agent.clock import Now
from agent.errors import AgentError, ConfigError
from agent.outbox.pauses import Pause, Pauses
from agent.settings import Settings
from agent.stage import StageName

log = structlog.get_logger(stage=StageName.DAEMON)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadResult:
    """What came of reading the settings again."""

    settings: Settings | None = None  # None: what runs goes on as it is
    at_restart: tuple[str, ...] = ()  # keys that were changed, and wait for a restart


def renewed(old: Settings, new: Settings) -> ReloadResult:
    """Return what of new settings can be taken over by a daemon that runs with the old ones."""
    later = {
        "paths.state": new.paths.state != old.paths.state,
        "log.level": new.log.level != old.log.level,
    }
    usable = new.model_copy(
        update={
            "paths": new.paths.model_copy(update={"state": old.paths.state}),
            "log": old.log,
        }
    )
    return ReloadResult(
        settings=None if usable == old else usable,
        at_restart=tuple(key for key, changed in later.items() if changed),
    )


class SettingsReloader:
    """Reads the settings again whenever a person asks for it."""

    def __init__(
        self,
        read: Callable[[], Settings],
        *,
        try_out: Callable[[Settings], None],
        pauses: Pauses,
        now: Now,
    ) -> None:
        """Prepare to read.

        Args:
            read: reads the settings.
            try_out: raises where the box cannot do what they say, as with a missing certificate.
            pauses: where a refusal is recorded, for `spotter status`.
            now: the station's clock.
        """
        self._read = read
        self._try_out = try_out
        self._pauses = pauses
        self._now = now

    def renew(self, old: Settings) -> Settings | None:
        """Return what to go on with; None where everything stays as it is, and say why."""
        try:
            new = self._read()
            self._try_out(new)
        except (AgentError, OSError, ValueError) as error:
            self._refuse(error)
            return None
        with _if_it_can_be_recorded():
            self._pauses.end(StageName.SETTINGS)
        renewal = renewed(old, new)
        for key in renewal.at_restart:
            log.warning(
                "restart required",
                setting=key,
                hint="sudo systemctl restart spotter (or spotter@NAME)",
            )
        if renewal.settings is None:
            log.info("config reload skipped")
        return renewal.settings

    def _refuse(self, error: Exception) -> None:
        told = " ".join(str(error).split())
        log.error("config reload rejected", error=told)
        hint = error.hint if isinstance(error, ConfigError) else None
        detail = f"the edit was rejected, the previous settings stay active: {told}"
        with _if_it_can_be_recorded():
            self._pauses.begin(
                Pause(
                    part=StageName.SETTINGS,
                    reason="not_taken_over",
                    detail=f"{detail}; {hint}" if hint else detail,
                    since=self._now().utc_s,
                )
            )


@contextmanager
def _if_it_can_be_recorded() -> Iterator[None]:
    """Go on where the outbox is locked or its disk full: the whole daemon would end for a word."""
    try:
        yield
    except (sqlite3.OperationalError, AgentError, OSError) as error:
        log.warning("pause not recorded", error=str(error))
