"""The follow-up stage: asks about every session until its analysis is there.

One request a step, rarely two, and never more of them than the pace allows, whatever the number of
sessions: a few are asked about one by one, many by one read of the list, as it arrives.  It waits
while the lane is paused, and it never stands in the way of an upload: what goes wrong here holds
this stage alone.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog

from agent.api.analyses import read_analysis
from agent.api.client import ApiClient, ApiKey
from agent.clock import Now
from agent.crashpoints import crash_point
from agent.delivery.conclusion import FollowUpPolicy, after_look
from agent.delivery.keeping import Keeper
from agent.delivery.looking import Look, Looker, Sight, judged
from agent.delivery.pace import Pace
from agent.errors import LaneError
from agent.outbox.backoff import Backoff
from agent.outbox.follow_ups import FollowUp, FollowUpState
from agent.outbox.store import Outbox
from agent.stage import WAKE_ONLY, Wake, ignore_wake

STAGE = "follow-up"
_MANY = 3  # sessions that are due at once: from so many on, one read of the list asks about all
_LISTED_FOR_ONE = 500  # sessions in a list that are read for one that is due
_MOST_OPEN = 10_000  # looked for in one list
_MOST_KEPT = 500  # results that one list brings: what is left comes with the next
_BY_LIST = frozenset({1, 3})  # after so many looks in a row for nothing
_LOOK_AT_LANE_S = 15.0
_WITHOUT_LIST_S = 600.0  # after a list that failed, sessions are asked about one by one
_SETBACKS = Backoff(base_s=10.0, longest_s=3600.0)
_SHARES = (0.85, 1.15)  # of a wait: what came together need not be asked about together

log = structlog.get_logger(stage=STAGE)


class _SeenAll(Exception):  # not an error: the rest of the list need not be read
    """Every session that is looked for was in the list so far."""


@dataclass(slots=True, kw_only=True)
class _Sighted:
    """What one list told of the sessions that are looked for."""

    wanted: dict[str, list[FollowUp]]  # by session: an API may call several uploads the same
    listed: int = 0  # sessions in the list, as far as it was read
    kept: int = 0
    looks: list[tuple[FollowUp, Look]] = field(default_factory=list)


class FollowUpStage:
    """Follows the station's sessions at one API host."""

    name = STAGE

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
        share: Callable[[], float] = lambda: random.uniform(*_SHARES),  # noqa: S311  # jitter
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
        self._client = client
        self._keeper = keeper
        self._policy = policy
        self._key = key
        self._now = now
        self._wake_next = wake_next
        self._share = share
        self._looker = Looker(client, now=now)
        self._pace = Pace(outbox.switches, now=now)
        self._singly: set[int] = set()  # entries of which the list does not tell enough
        self._setbacks = 0  # looks in a row that found the way to the API at fault
        self._list_failed_at: float | None = None
        self._listed = 0  # sessions in the last list, as far as it had to be read

    def step(self) -> float:
        """Ask once, and say when there may be another look."""
        if not self._policy.follow:
            return WAKE_ONLY
        now_s = self._now().utc_s
        first_s = self._policy.first_look_s
        due = self._outbox.follow_ups.due(
            now_s, first_look_s=first_s, most=_MOST_OPEN, farthest_s=self._policy.farthest_s
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
        missing = [f for f in due if f.state is not FollowUpState.COMPLETED]
        by_list = [f for f in missing if f.entry_id not in self._singly]
        many = max(_MANY, self._listed // _LISTED_FOR_ONE)
        wishes_list = len(by_list) >= many or (by_list and _other_way(by_list[0]))
        if wishes_list and not self._list_rests():
            self._look_at_list(by_list, key)
        else:
            self._singly.discard(due[0].entry_id)
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
        sighted = _Sighted(wanted={})
        for open_ in self._outbox.follow_ups.open(most=_MOST_OPEN):
            sighted.wanted.setdefault(open_.session_id, []).append(open_)
        try:
            with suppress(_SeenAll):  # the newest come first
                self._client.documents(key, lambda id_, told: self._see(sighted, id_, told))
        except LaneError as fault:
            if fault.reason != "network":
                self._list_failed_at = self._now().utc_s
            self._note_way(fault)
            return
        crash_point("looked-at-list")
        self._note_way(None)
        self._listed = sighted.listed
        are_due, now_s = {f.entry_id for f in due}, self._now().utc_s
        with self._outbox.transaction():
            for follow_up, look in sighted.looks:
                counts = follow_up.entry_id in are_due or _goes_along(follow_up, now_s)
                if counts or look.sight is Sight.FAILED:
                    self._conclude(follow_up, look)
                    self._ask_singly_where_stuck(follow_up, look)
            for follow_up in due:
                if follow_up.session_id in sighted.wanted:
                    self._not_listed(follow_up)

    def _see(self, sighted: _Sighted, session_id: str, told: object) -> None:
        """Take note of a session in the list; what is there is kept at once, not held in memory."""
        sighted.listed += 1
        analysis = read_analysis(told, session_id) if session_id in sighted.wanted else None
        if analysis is None:
            return
        look = judged(analysis, whole="angles" in analysis.document)
        for follow_up in sighted.wanted.pop(session_id):
            if look.sight is not Sight.THERE:
                slim = replace(analysis, document={})
                sighted.looks.append((follow_up, replace(look, analysis=slim)))
            elif sighted.kept < _MOST_KEPT:
                sighted.kept += 1
                self._conclude(follow_up, look)
        if not sighted.wanted:
            raise _SeenAll

    def _ask_singly_where_stuck(self, follow_up: FollowUp, look: Look) -> None:
        """Let the analysed video be asked for, where metrics are there without it."""
        if look.analysis is not None and look.analysis.numbers and follow_up.polls > 0:
            self._singly.add(follow_up.entry_id)

    def _not_listed(self, follow_up: FollowUp) -> None:
        """Ask singly for what the list does not tell of; it is absent where that failed before."""
        if _other_way(follow_up):
            look = Look(sight=Sight.ABSENT, words="the API does not list it either")
            self._conclude(follow_up, look)
        else:
            self._singly.add(follow_up.entry_id)

    def _conclude(self, follow_up: FollowUp, look: Look) -> None:
        changes = after_look(follow_up, look, self._policy, now=self._now(), share=self._share)
        was_completed = follow_up.state is FollowUpState.COMPLETED
        if look.sight is Sight.THERE or (was_completed and look.sight is Sight.NOT_YET):
            self._keeper.keep(follow_up, look, changes)
            self._wake_next()
            return
        noted = self._outbox.follow_ups.note(follow_up, changes, now_s=self._now().utc_s)
        if noted is not None and noted.state not in {follow_up.state, FollowUpState.WAITING}:
            log.warning(
                "no analysis",
                entry=f"e{follow_up.entry_id}",
                clip=follow_up.clip_code,
                session=follow_up.session_id,
                state=noted.state,
                detail=noted.detail,
            )

    def _list_rests(self) -> bool:
        if self._list_failed_at is None:
            return False
        return abs(self._now().utc_s - self._list_failed_at) < _WITHOUT_LIST_S

    def _note_way(self, fault: LaneError | None) -> None:
        """Hold this stage, and nothing else, while the way to the API is at fault."""
        if fault is None:
            self._setbacks = 0
            return
        if self._setbacks == 0:
            log.info("sessions cannot be asked about now", detail=str(fault))
        self._setbacks += 1
        self._pace.hold(_SETBACKS.delay_s(self._setbacks, retry_after_s=fault.retry_after_s))


def _other_way(follow_up: FollowUp) -> bool:
    """Tell whether looks at a session served for nothing, so that the list is asked; twice."""
    return follow_up.absences + follow_up.failures in _BY_LIST


def _goes_along(follow_up: FollowUp, now_s: float) -> bool:
    """Tell whether a list that is read for others may serve as the next look at a session, too.

    Where half of its wait is over: hundreds of sessions come to be due together, and one list in a
    quarter of an hour does for all.  For each by itself a long list would be read all the time.
    """
    if follow_up.last_asked_at is None or follow_up.due_at is None:
        return False
    return follow_up.due_at - now_s <= now_s - follow_up.last_asked_at
