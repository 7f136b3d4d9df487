"""How often the station may ask about its sessions: on average, and when it was told to wait.

A bucket of requests on record, so that restarts neither begin it anew nor forget that the API
asked to be left alone.  It fills on the monotonic clock where that tells, and is never fuller than
its brim, however far the clock jumps.
"""

import json
from dataclasses import asdict, dataclass

from agent.clock import Instant, Now
from agent.outbox.people.switches import Switches

_ON_RECORD = "follow_up_pace"
_PER_MINUTE = 2.5  # below the three a minute that a station may make, so that bursts fit in
_BRIM = 2.0  # requests that may be made at once after a rest
_LONGEST_HOLD_S = 3600.0
_NOTHING_S = 0.001  # less is an error of rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """How full the bucket was at one moment."""

    left: float
    at: Instant
    hold_s: float  # from then on, nothing may be asked for so long


class Pace:
    """The station's budget of requests about sessions."""

    def __init__(self, switches: Switches, *, now: Now) -> None:
        self._switches = switches
        self._now = now

    def wait_s(self) -> float:
        """Return the seconds until a request may be made; 0: at once."""
        level, passed_s = self._level()
        missing = 1.0 - self._left(level, passed_s)
        wait_s = max(level.hold_s - passed_s, missing * 60.0 / _PER_MINUTE)
        return wait_s if wait_s > _NOTHING_S else 0.0

    def spend(self) -> None:
        """Take note of a request, durably and before it is made.

        One that could not wait, a person's or one that belongs to another, is a debt.
        """
        level, passed_s = self._level()
        left = max(self._left(level, passed_s) - 1.0, -_BRIM)
        self._note(left, hold_s=max(level.hold_s - passed_s, 0.0))

    def hold(self, seconds: float) -> None:
        """Ask nothing for so long; an hour is the longest."""
        level, passed_s = self._level()
        held_s = max(min(seconds, _LONGEST_HOLD_S), level.hold_s - passed_s)
        self._note(self._left(level, passed_s), hold_s=held_s)

    def _level(self) -> tuple[_Level, float]:
        """Return the level on record and how long ago that was."""
        now = self._now()
        told = self._switches.get(_ON_RECORD)
        if told is None:
            return _Level(left=1.0, at=now, hold_s=0.0), 0.0
        noted = json.loads(told)
        level = _Level(left=noted["left"], at=Instant(**noted["at"]), hold_s=noted["hold_s"])
        passed_s = level.at.elapsed_s(now)
        if passed_s <= 0 and now.utc_s < level.at.utc_s:  # the clock went back: begin anew
            self._note(level.left, hold_s=level.hold_s)
        return level, max(passed_s, 0.0)

    def _left(self, level: _Level, passed_s: float) -> float:
        return min(level.left + passed_s * _PER_MINUTE / 60.0, _BRIM)

    def _note(self, left: float, *, hold_s: float) -> None:
        noted = {"left": left, "at": asdict(self._now()), "hold_s": hold_s}
        self._switches.set(_ON_RECORD, json.dumps(noted))
