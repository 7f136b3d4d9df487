"""The roster, brought up to date by itself: through an open lane alone, in a thread of its own."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import structlog

from agent.clock import Now
from agent.errors import LaneError, RequestError
from agent.outbox.people.roster import Known
from agent.outbox.people.switches import ROSTER_ASKED_AT, ROSTER_SYNCED_AT
from agent.outbox.store import Outbox
from agent.stage import StageName
from agent.station.names import clean_name, searchable
from agent.station.roster import check_user_id

_EVERY_S = 4 * 3600.0
_AFTER_FAILURE_S = 600.0
_LOOK_AGAIN_S = 5.0  # whether the lane is open by now


class Named(NamedTuple):
    """One athlete as the account names them."""

    user_id: str
    name: str
    lacks: tuple[str, ...] = ()  # body measures that the account does not have


Fetch = Callable[[], tuple[Iterable[Named], bool]]  # who there is, and whether these are all

log = structlog.get_logger(stage=StageName.ROSTER)


def take_over(outbox: Outbox, named: Iterable[Named], *, complete: bool, now_s: float) -> int:
    """Take over what the account says of its athletes; return how many are offered now."""
    known = []
    for user_id, name, lacks in named:
        try:
            check_user_id(user_id)
        except RequestError:
            continue
        if outbox.forgettings.is_forgotten(user_id):
            continue
        shown = clean_name(name) or user_id
        known.append(
            Known(user_id=user_id, name=shown, folded=searchable(shown), lacks=tuple(lacks))
        )
    with outbox.transaction():
        outbox.roster.replace(known, complete=complete and bool(known), now_s=now_s)
        outbox.switches.set(ROSTER_SYNCED_AT, repr(now_s))
    return outbox.roster.count()


def request_roster(outbox: Outbox, *, now_s: float) -> None:
    """Ask the daemon to look for the account's athletes at once; wake it afterwards."""
    outbox.switches.set(ROSTER_ASKED_AT, repr(now_s))


class RosterRefresh:
    """Looks for the account's athletes at the start, every few hours, and when asked."""

    name = StageName.ROSTER

    def __init__(
        self, outbox: Outbox, *, fetch: Fetch, is_open: Callable[[], bool], now: Now
    ) -> None:
        self._outbox = outbox
        self._fetch = fetch
        self._is_open = is_open
        self._now = now
        self._not_before_s = 0.0  # after a failure
        self._answered_ask = outbox.switches.get(ROSTER_ASKED_AT)  # a start looks anyway

    def step(self) -> float:
        """Fetch the roster if it is time and the lane is open."""
        now_s = self._now().utc_s
        rest_s = self._rest_s(now_s)
        if rest_s > 0:
            return rest_s
        if not self._is_open():
            return _LOOK_AGAIN_S
        self._answered_ask = self._outbox.switches.get(ROSTER_ASKED_AT)
        try:
            named, complete = self._fetch()
        except LaneError as fault:
            log.warning("roster sync failed", detail=str(fault))
            self._not_before_s = now_s + _AFTER_FAILURE_S
            return _AFTER_FAILURE_S
        count = take_over(self._outbox, named, complete=complete, now_s=now_s)
        log.info("roster synced", athletes=count, complete=complete)
        return _EVERY_S

    def close(self) -> None:
        """Nothing is held."""

    def _rest_s(self, now_s: float) -> float:
        """Return the seconds until the roster is to be fetched."""
        synced_at = self._outbox.switches.moment(ROSTER_SYNCED_AT)
        if self._answered_ask != self._outbox.switches.get(ROSTER_ASKED_AT):
            return 0.0
        wait_s = self._not_before_s - now_s
        if not 0 < wait_s <= _AFTER_FAILURE_S:  # no failure, or the clock jumped
            wait_s = 0.0
        if synced_at is None or synced_at > now_s:  # never, or the clock was set back
            return wait_s
        return max(synced_at + _EVERY_S - now_s, wait_s)
