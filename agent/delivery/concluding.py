"""What a look at a session leads to, put on record."""

import random
from collections.abc import Callable

import structlog

from agent.clock import Now
from agent.delivery.conclusion import FollowUpPolicy, after_look
from agent.delivery.keeping import Keeper
from agent.delivery.looking import Look, Sight
from agent.outbox.results.follow_ups import FollowUp, FollowUpState
from agent.outbox.store import Outbox
from agent.stage import StageName, Wake

_SHARES = (0.85, 1.15)  # of a wait: what came together need not be asked about together

Share = Callable[[], float]

log = structlog.get_logger(stage=StageName.FOLLOW_UP)


def share_by_chance() -> float:
    """Return the share of a wait that is really waited."""
    return random.uniform(*_SHARES)  # noqa: S311  # jitter


class Concluder:
    """Records what looks lead to."""

    def __init__(
        self,
        outbox: Outbox,
        keeper: Keeper,
        policy: FollowUpPolicy,
        *,
        now: Now,
        wake_next: Wake,
        share: Share,
    ) -> None:
        """Prepare to record; the arguments are the stage's own."""
        self._outbox = outbox
        self._keeper = keeper
        self._policy = policy
        self._now = now
        self._wake_next = wake_next
        self._share = share

    def conclude(self, follow_up: FollowUp, look: Look) -> None:
        """Keep a result that is there; else note when there may be the next look, if any."""
        changes = after_look(follow_up, look, self._policy, now=self._now(), share=self._share)
        was_completed = follow_up.state is FollowUpState.COMPLETED
        if look.sight is Sight.THERE or (was_completed and look.sight is Sight.NOT_YET):
            self._keeper.keep(follow_up, look, changes)
            self._wake_next()
            return
        noted = self._outbox.follow_ups.note(follow_up, changes, now_s=self._now().utc_s)
        if noted is not None and noted.state not in {follow_up.state, FollowUpState.WAITING}:
            log.warning(
                "session follow-up ended",
                entry=f"e{follow_up.entry_id}",
                clip=follow_up.clip_code,
                session=follow_up.session_id,
                state=noted.state,
                detail=noted.detail,
            )
