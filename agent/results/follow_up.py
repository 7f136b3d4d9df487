"""The follow-up stage: polls sessions, one by one or many by one list, within a request budget.

The list tells less than a session's own document: what it leaves open is asked for singly, and what
is asked for singly in vain is looked for in the list.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace

import structlog

from agent.api.client import ApiClient, ApiKey
from agent.api.documents import read_analysis
from agent.clock import Instant, Now
from agent.errors import ApiUnavailableError
from agent.failpoints import crash_point
from agent.outbox.follow_ups import FollowUp, FollowUpState
from agent.outbox.outbox import Outbox
from agent.outbox.roster import StationFlags
from agent.results.polling import (
    FollowUpPolicy,
    FollowUpRecorder,
    PollOutcome,
    PollResult,
    SessionPoller,
    judge_analysis,
)
from agent.retry import Backoff
from agent.stage import WAKE_ONLY, StageName
from agent.token_bucket import TokenBucket

MOST_OPEN = 10_000  # sessions that are looked for in one list
_MANY = 3  # sessions that are due at once: from so many on, one read of the list asks about all
_LISTED_FOR_ONE = 500  # sessions in a list that are read for one that is due
_MOST_KEPT = 500  # results that one list brings: what is left comes with the next
_BY_LIST = frozenset({1, 3})  # after so many polls in a row for nothing
_RESTS_S = 600.0  # after a list that failed, sessions are asked about one by one

Conclude = Callable[[FollowUp, PollResult], None]


class _SeenAll(Exception):  # not an error: the rest of the list need not be read
    """Every session that is looked for was in the list so far."""


@dataclass(slots=True, kw_only=True)
class _ListScan:
    """What one list told of the sessions that are looked for."""

    wanted: dict[str, list[FollowUp]]  # by session: an API may call several uploads the same
    listed: int = 0  # sessions in the list, as far as it was read
    kept: int = 0
    results: list[tuple[FollowUp, PollResult]] = field(default_factory=list)


class BatchPoller:
    """Reads the list where that is the better way, and knows what it does not tell."""

    def __init__(self, outbox: Outbox, client: ApiClient, *, conclude: Conclude, now: Now) -> None:
        """Prepare to read.

        Args:
            outbox: where the sessions are that are looked for.
            client: the way to the host.
            conclude: records what a poll leads to.
            now: the station's clock.
        """
        self._outbox = outbox
        self._client = client
        self._conclude = conclude
        self._now = now
        self._singly: set[int] = set()  # entries of which the list does not tell enough
        self._failed_at: float | None = None
        self._listed = 0  # sessions in the last list, as far as it had to be read

    def serves(self, due: Sequence[FollowUp]) -> list[FollowUp]:
        """Return those of what is due that the list is to be read for; none: ask about one."""
        missing = [f for f in due if f.state is not FollowUpState.COMPLETED]
        by_list = [f for f in missing if f.entry_id not in self._singly]
        many = max(_MANY, self._listed // _LISTED_FOR_ONE)
        is_wished = len(by_list) >= many or (by_list and _other_way(by_list[0]))
        return by_list if is_wished and not self._rests() else []

    def asked_singly(self, follow_up: FollowUp) -> None:
        """Hear that a session was asked about by itself."""
        self._singly.discard(follow_up.entry_id)

    def poll(self, due: Sequence[FollowUp], key: ApiKey) -> None:
        """Read the list, and record what it tells of what is due.

        Raises:
            ApiUnavailableError: the way to the API is at fault; what came before that is kept.
        """
        scan = _ListScan(wanted={})
        for open_ in self._outbox.follow_ups.open(most=MOST_OPEN):
            scan.wanted.setdefault(open_.session_id, []).append(open_)
        try:
            with suppress(_SeenAll):  # the newest come first
                self._client.documents(key, lambda id_, document: self._see(scan, id_, document))
        except ApiUnavailableError as fault:
            if fault.reason != "network":
                self._failed_at = self._now().utc_s
            raise
        crash_point("looked-at-list")
        self._listed = scan.listed
        self._record(scan, due)

    def _see(self, scan: _ListScan, session_id: str, document: object) -> None:
        """Take note of a session in the list; what is there is kept at once, not held in memory."""
        scan.listed += 1
        analysis = read_analysis(document, session_id) if session_id in scan.wanted else None
        if analysis is None:
            return
        result = judge_analysis(analysis, whole="angles" in analysis.document)
        for follow_up in scan.wanted.pop(session_id):
            if result.outcome is not PollOutcome.THERE:
                slim = replace(analysis, document={})
                scan.results.append((follow_up, replace(result, analysis=slim)))
            elif scan.kept < _MOST_KEPT:
                scan.kept += 1
                self._conclude(follow_up, result)
        if not scan.wanted:
            raise _SeenAll

    def _record(self, scan: _ListScan, due: Sequence[FollowUp]) -> None:
        are_due, now_s = {f.entry_id for f in due}, self._now().utc_s
        with self._outbox.transaction():
            for follow_up, result in scan.results:
                counts = follow_up.entry_id in are_due or _goes_along(follow_up, now_s)
                if counts or result.outcome is PollOutcome.FAILED:
                    self._conclude(follow_up, result)
                    self._ask_singly_where_stuck(follow_up, result)
            for follow_up in due:
                if follow_up.session_id in scan.wanted:
                    self._not_listed(follow_up)

    def _ask_singly_where_stuck(self, follow_up: FollowUp, result: PollResult) -> None:
        """Let the analysed video be asked for, where metrics are there without it."""
        if result.analysis is not None and result.analysis.numbers and follow_up.polls > 0:
            self._singly.add(follow_up.entry_id)

    def _not_listed(self, follow_up: FollowUp) -> None:
        """Ask singly for what the list does not tell of; it is absent where that failed before."""
        if _other_way(follow_up):
            result = PollResult(outcome=PollOutcome.ABSENT, words="the API does not list it either")
            self._conclude(follow_up, result)
        else:
            self._singly.add(follow_up.entry_id)

    def _rests(self) -> bool:
        if self._failed_at is None:
            return False
        return abs(self._now().utc_s - self._failed_at) < _RESTS_S


def _other_way(follow_up: FollowUp) -> bool:
    """Tell whether polls of a session served for nothing, so that the list is asked; twice."""
    return follow_up.absences + follow_up.failures in _BY_LIST


def _goes_along(follow_up: FollowUp, now_s: float) -> bool:
    """Tell whether a list that is read for others may serve as the next poll at a session, too.

    Where half of its wait is over: hundreds of sessions come to be due together, and one list in a
    quarter of an hour does for all.  For each by itself a long list would be read all the time.
    """
    if follow_up.last_asked_at is None or follow_up.due_at is None:
        return False
    return follow_up.due_at - now_s <= now_s - follow_up.last_asked_at


_ON_RECORD = "follow_up_pace"
_REQUEST_S = 60.0 / 2.5  # below the three a minute that a station may make: bursts fit in
_BRIM_S = 2 * _REQUEST_S  # two requests may be made at once after a rest
_LONGEST_HOLD_S = 3600.0
_NOTHING_S = 0.001  # less is an error of rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """How full the bucket was at one moment."""

    saved_s: float  # what was saved up
    at: Instant
    hold_s: float  # from then on, nothing may be asked for so long


class RequestBudget:
    """The station's budget of requests about sessions."""

    def __init__(self, switches: StationFlags, *, now: Now) -> None:
        self._switches = switches
        self._now = now

    def wait_s(self) -> float:
        """Return the seconds until a request may be made; 0: at once."""
        level, passed_s = self._level()
        bucket_wait_s = _bucket(level).wait_s(passed_s, cost_s=_REQUEST_S)
        wait_s = max(level.hold_s - passed_s, bucket_wait_s)
        return wait_s if wait_s > _NOTHING_S else 0.0

    def spend(self) -> None:
        """Take note of a request, durably and before it is made.

        One that could not wait, a person's or one that belongs to another, is a debt.
        """
        level, passed_s = self._level()
        bucket = _bucket(level)
        bucket.take(_REQUEST_S, passed_s)
        saved_s = max(bucket.saved_s(passed_s), -_BRIM_S)
        self._note(saved_s, hold_s=max(level.hold_s - passed_s, 0.0))

    def hold(self, seconds: float) -> None:
        """Ask nothing for so long; an hour is the longest."""
        level, passed_s = self._level()
        held_s = max(min(seconds, _LONGEST_HOLD_S), level.hold_s - passed_s)
        self._note(_bucket(level).saved_s(passed_s), hold_s=held_s)

    def _level(self) -> tuple[_Level, float]:
        """Return the level on record and how long ago that was."""
        now = self._now()
        saved = self._switches.get(_ON_RECORD)
        if saved is None:
            return _Level(saved_s=_REQUEST_S, at=now, hold_s=0.0), 0.0
        noted = json.loads(saved)
        level = _Level(**{**noted, "at": Instant(**noted["at"])})
        passed_s = level.at.elapsed_s(now)
        if passed_s <= 0 and now.utc_s < level.at.utc_s:  # the clock went back: start over
            self._note(level.saved_s, hold_s=level.hold_s)
        return level, max(passed_s, 0.0)

    def _note(self, saved_s: float, *, hold_s: float) -> None:
        noted = {"saved_s": saved_s, "at": asdict(self._now()), "hold_s": hold_s}
        self._switches.set(_ON_RECORD, json.dumps(noted))


def _bucket(level: _Level) -> TokenBucket:
    """Return the bucket on a time axis that begins when the level was noted."""
    return TokenBucket(capacity_s=_BRIM_S, empty_at_s=-level.saved_s)


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
        recorder: FollowUpRecorder,
        *,
        policy: FollowUpPolicy,
        key: Callable[[], ApiKey | None],
        now: Now,
    ) -> None:
        """Prepare to follow.

        Args:
            outbox: where sessions and results are kept.
            client: the way to the host.
            recorder: records what comes of a poll.
            policy: what the settings say.
            key: gives the key while the lane is open.
            now: the station's clock.
        """
        self._outbox = outbox
        self._policy = policy
        self._key = key
        self._now = now
        self._poller = SessionPoller(client, now=now)
        self._budget = RequestBudget(outbox.switches, now=now)
        self._conclude = recorder.conclude
        self._list = BatchPoller(outbox, client, conclude=recorder.conclude, now=now)
        self._setbacks = 0  # polls in a row that found the way to the API at fault

    def step(self) -> float:
        """Ask once, and say when there may be another poll."""
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
        wait_s = self._budget.wait_s()
        if wait_s > 0:
            return wait_s
        self._ask_about(due, key)
        return 0.0

    def poll_now(self, follow_up: FollowUp, key: ApiKey) -> PollResult:
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

    def _look_at(self, follow_up: FollowUp, key: ApiKey) -> PollResult:
        self._budget.spend()
        result = self._poller.poll(follow_up, key)
        has_numbers = result.analysis is not None and bool(result.analysis.numbers)
        if result.outcome is PollOutcome.NOT_YET and has_numbers and follow_up.polls > 0:
            self._budget.spend()  # the next poll waits for it
            result = self._poller.ask_for_link(follow_up, key, result)
        crash_point("looked-at-session")
        self._conclude(follow_up, result)
        self._note_way(result.fault)
        return result

    def _look_at_list(self, due: Sequence[FollowUp], key: ApiKey) -> None:
        self._budget.spend()
        try:
            self._list.poll(due, key)
        except ApiUnavailableError as fault:
            self._note_way(fault)
        else:
            self._note_way(None)

    def _note_way(self, fault: ApiUnavailableError | None) -> None:
        """Hold this stage, and nothing else, while the way to the API is at fault."""
        if fault is None:
            self._setbacks = 0
            return
        if self._setbacks == 0:
            log.info("session poll failed", detail=str(fault))
        self._setbacks += 1
        self._budget.hold(_SETBACKS.delay_s(self._setbacks, retry_after_s=fault.retry_after_s))
