"""The follow-up stage: asks about every session until its analysis is there.

One request a step, rarely two, and never more of them than the pace allows, whatever the number of
sessions: a few are asked about one by one, many by one read of the list.  It waits while the lane
is paused, and it never stands in the way of an upload: what goes wrong here holds this stage alone.
"""

from collections.abc import Callable, Sequence

import structlog

from agent.api.client import ApiClient, ApiKey
from agent.clock import Now
from agent.crashpoints import crash_point
from agent.delivery.concluding import Concluder, Share, share_by_chance
from agent.delivery.conclusion import FollowUpPolicy
from agent.delivery.keeping import Keeper
from agent.delivery.list_round import MOST_OPEN, ListRound
from agent.delivery.looking import Look, Looker, Sight
from agent.delivery.pace import Pace
from agent.errors import LaneError
from agent.outbox.backoff import Backoff
from agent.outbox.results.follow_ups import FollowUp
from agent.outbox.store import Outbox
from agent.stage import WAKE_ONLY, StageName, Wake, ignore_wake

_LOOK_AT_LANE_S = 15.0
_SETBACKS = Backoff(base_s=10.0, longest_s=3600.0)

log = structlog.get_logger(stage=StageName.FOLLOW_UP)


class FollowUpStage:
    """Follows the station's sessions at one API host."""

    name = StageName.FOLLOW_UP

    def __init__(
        self,
        outbox: Outbox,
        client: ApiClient,
        keeper: Keeper,
        *,
        policy: FollowUpPolicy,
        key: Callable[[], ApiKey | None],
        now: Now,
        wake_next: Wake = ignore_wake,
        share: Share = share_by_chance,
    ) -> None:
        """Prepare to follow.

        Args:
            outbox: where sessions and results are kept.
            client: the way to the host.
            keeper: records results.
            policy: what the settings say.
            key: gives the key while the lane is open.
            now: the station's clock.
            wake_next: hears that a result is there.
            share: gives the share of a wait that is really waited.
        """
        self._outbox = outbox
        self._policy = policy
        self._key = key
        self._now = now
        self._looker = Looker(client, now=now)
        self._pace = Pace(outbox.switches, now=now)
        concluder = Concluder(outbox, keeper, policy, now=now, wake_next=wake_next, share=share)
        self._conclude = concluder.conclude
        self._list = ListRound(outbox, client, conclude=concluder.conclude, now=now)
        self._setbacks = 0  # looks in a row that found the way to the API at fault

    def step(self) -> float:
        """Ask once, and say when there may be another look."""
        if not self._policy.follow:
            return WAKE_ONLY
        now_s = self._now().utc_s
        first_s = self._policy.first_look_s
        due = self._outbox.follow_ups.due(
            now_s, first_look_s=first_s, most=MOST_OPEN, farthest_s=self._policy.farthest_s
        )
        if not due:
            next_at = self._outbox.follow_ups.next_due_at(first_look_s=first_s)
            return WAKE_ONLY if next_at is None else max(next_at - now_s, 0.1)
        key = self._key()
        if key is None:
            return _LOOK_AT_LANE_S
        wait_s = self._pace.wait_s()
        if wait_s > 0:
            return wait_s
        self._ask_about(due, key)
        return 0.0

    def look_now(self, follow_up: FollowUp, key: ApiKey) -> Look:
        """Ask about one session at once: a person wishes it."""
        return self._look_at(follow_up, key)

    def close(self) -> None:
        """Nothing is held: the connections belong to whoever made the client."""

    def _ask_about(self, due: Sequence[FollowUp], key: ApiKey) -> None:
        """Look at the one that is longest due, or at many by one list."""
        by_list = self._list.serves(due)
        if by_list:
            self._look_at_list(by_list, key)
        else:
            self._list.asked_singly(due[0])
            self._look_at(due[0], key)

    def _look_at(self, follow_up: FollowUp, key: ApiKey) -> Look:
        self._pace.spend()
        look = self._looker.look(follow_up, key)
        has_numbers = look.analysis is not None and bool(look.analysis.numbers)
        if look.sight is Sight.NOT_YET and has_numbers and follow_up.polls > 0:
            self._pace.spend()  # the next look waits for it
            look = self._looker.ask_for_link(follow_up, key, look)
        crash_point("looked-at-session")
        self._conclude(follow_up, look)
        self._note_way(look.fault)
        return look

    def _look_at_list(self, due: Sequence[FollowUp], key: ApiKey) -> None:
        self._pace.spend()
        try:
            self._list.look(due, key)
        except LaneError as fault:
            self._note_way(fault)
        else:
            self._note_way(None)

    def _note_way(self, fault: LaneError | None) -> None:
        """Hold this stage, and nothing else, while the way to the API is at fault."""
        if fault is None:
            self._setbacks = 0
            return
        if self._setbacks == 0:
            log.info("session poll failed", detail=str(fault))
        self._setbacks += 1
        self._pace.hold(_SETBACKS.delay_s(self._setbacks, retry_after_s=fault.retry_after_s))
