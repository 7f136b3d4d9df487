"""The follow-up stage: polls sessions, one by one or many by one list, and stores what they say.

Requests keep to a budget.  The list contains less than a session's own document: what it leaves
open is asked for singly, and what is asked for singly in vain is looked for in the list.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

import structlog

from agent.api.client import ApiClient, ApiKey
from agent.api.contract import rendering_flags
from agent.api.documents import Analysis, link_path, read_analysis, read_link, session_path
from agent.api.responses import ApiResponse, lane_fault, requested_wait_s
from agent.clock import Instant, Now
from agent.disk.space import DiskSpace, is_disk_full
from agent.disk.state_folder import StateFolder
from agent.errors import ApiUnavailableError
from agent.failpoints import crash_point
from agent.outbox.outbox import Outbox
from agent.outbox.results import (
    MOST_DOCUMENT_BYTES,
    DocumentState,
    FollowUp,
    FollowUpState,
    Head,
    NewResult,
    write_document,
)
from agent.outbox.roster import StationFlags
from agent.outbox.states import EntryState
from agent.retry import Backoff
from agent.stage import WAKE_ONLY, StageName, Wake, ignore_wake
from agent.text import counted, read_json
from agent.token_bucket import TokenBucket

_MB = 1 << 20
_ABSENT = frozenset({404, 410})
_OF_THE_WAY = frozenset({401, 402, 408, 425, 429})  # said of every session alike


class PollOutcome(StrEnum):
    """What a poll showed."""

    THERE = "there"  # the analysed video has a link
    NOT_YET = "not_yet"
    FAILED = "failed"  # the API says that the analysis failed
    ABSENT = "absent"  # the API does not know the session
    UNCLEAR = "unclear"  # no answer, or none about this session: nothing is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """What one poll of a session showed."""

    outcome: PollOutcome
    analysis: Analysis | None = None
    whole: bool = True  # False: from the list, which contains no angles and timestamps
    words: str | None = None  # why, for a person
    fault: ApiUnavailableError | None = None  # of the way to the API: others would meet it too


def judge_analysis(analysis: Analysis, *, whole: bool) -> PollResult:
    """Return what an answer about a session shows."""
    if analysis.link is not None:
        return PollResult(outcome=PollOutcome.THERE, analysis=analysis, whole=whole)
    if analysis.failure is not None:
        return PollResult(outcome=PollOutcome.FAILED, analysis=analysis, words=analysis.failure)
    return PollResult(outcome=PollOutcome.NOT_YET, analysis=analysis)


class SessionPoller:
    """Asks about single sessions."""

    def __init__(self, client: ApiClient, *, now: Now) -> None:
        self._client = client
        self._now = now

    def poll(self, follow_up: FollowUp, key: ApiKey) -> PollResult:
        """Ask the endpoint of a session's activity."""
        path = session_path(follow_up.activity, follow_up.session_id)
        try:
            answer = self._client.ask("GET", path, key, most_bytes=MOST_DOCUMENT_BYTES)
        except ApiUnavailableError as fault:
            return PollResult(outcome=PollOutcome.UNCLEAR, words=str(fault), fault=fault)
        if not 200 <= answer.status < 300:
            return self._refused(answer)
        if answer.is_cut:
            text = f"the API's answer is longer than {MOST_DOCUMENT_BYTES // _MB} MB"
            return PollResult(outcome=PollOutcome.UNCLEAR, words=text)
        analysis = read_analysis(answer.json(), follow_up.session_id)
        if analysis is None:
            strange = self._fault(answer)
            return PollResult(outcome=PollOutcome.UNCLEAR, words=str(strange), fault=strange)
        return judge_analysis(analysis, whole=True)

    def ask_for_link(self, follow_up: FollowUp, key: ApiKey, result: PollResult) -> PollResult:
        """Ask for the analysed video of a session whose metrics are there: it may begin with it."""
        assert result.analysis is not None  # it contained metrics
        path = link_path(follow_up.activity, follow_up.session_id)
        try:
            answer = self._client.ask("GET", path, key, most_bytes=_MB)
            if answer.status == 404 and answer.error_words() is not None:  # not begun: do so
                plain, flags = path.partition("?")[0], rendering_flags(follow_up.activity)
                answer = self._client.ask("POST", plain, key, document=flags, most_bytes=_MB)
        except ApiUnavailableError as fault:
            return replace(result, fault=fault)
        if answer.status == 429:
            return replace(result, fault=self._fault(answer))
        link = read_link(answer.json()) if 200 <= answer.status < 300 else None
        if link is None:
            return result
        return replace(
            result, outcome=PollOutcome.THERE, analysis=replace(result.analysis, link=link)
        )

    def _refused(self, answer: ApiResponse) -> PollResult:
        words = answer.error_words()
        text = f"HTTP {answer.status}" + (f": {words}" if words else "")
        if words is not None and answer.status in _ABSENT:
            return PollResult(outcome=PollOutcome.ABSENT, words=text)
        if words is not None and 400 <= answer.status < 500 and answer.status not in _OF_THE_WAY:
            return PollResult(outcome=PollOutcome.UNCLEAR, words=text)  # this session's own trouble
        return PollResult(outcome=PollOutcome.UNCLEAR, words=text, fault=self._fault(answer))

    def _fault(self, answer: ApiResponse) -> ApiUnavailableError:
        now_s = self._now().utc_s
        fault = lane_fault(answer, now_s=now_s)
        fault.retry_after_s = requested_wait_s(answer, now_s=now_s)
        return fault


_GROWTH = 1.6
_GONE_AFTER = 5  # polls in a row that did not find it ...
_GONE_AFTER_S = 3600.0  # ... and so long after the upload: lists may be late
_LEAST_POLLS = 8  # before it is given up: a clock that jumps counts as no poll
_RARELY_S = 3600.0  # between polls for what is not expected any more
_MOST_EXPONENT = 40
_MOST_JITTER = 1.5  # on any wait

Share = Callable[[], float]  # of a wait: jitter


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpPolicy:
    """What the settings say about following sessions."""

    follow: bool = True
    first_look_s: float = 20.0
    longest_s: float = 900.0
    give_up_s: float = 2 * 86_400.0

    def wait_s(self, polls: int) -> float:
        """Return how long to wait after so many polls; it grows."""
        grown_s = self.first_look_s * _GROWTH ** min(polls, _MOST_EXPONENT)
        return min(grown_s, self.longest_s)

    @property
    def farthest_s(self) -> float:
        """How far off a poll may be planned at most."""
        return max(_RARELY_S, self.longest_s) * _MOST_JITTER


def after_poll(
    follow_up: FollowUp, result: PollResult, policy: FollowUpPolicy, *, now: Instant, share: Share
) -> dict[str, object]:
    """Return the columns that a poll changes.

    Args:
        follow_up: as it was before.
        result: of the poll.
        policy: what the settings say.
        now: this moment.
        share: gives the share of a wait that is really waited.
    """
    changes = {
        "last_asked_at": now.utc_s,
        "first_asked_at": follow_up.first_asked_at or now.utc_s,
        **_counts(follow_up, result),
    }
    if follow_up.state is FollowUpState.COMPLETED or result.outcome is PollOutcome.THERE:
        return {**changes, **_of_completed(follow_up, result, policy, now)}
    state = _state(follow_up, result, now)
    age_s = now.utc_s - follow_up.began_at
    is_late = age_s >= policy.give_up_s and now.trusted
    polls = follow_up.polls + follow_up.failures + 1
    if result.outcome is PollOutcome.UNCLEAR:
        wait_s = max(_RARELY_S, policy.longest_s) if is_late else policy.wait_s(polls)
        return {**changes, "detail": result.words, "due_at": now.utc_s + wait_s * share()}
    if is_late and polls >= _LEAST_POLLS:
        if state is FollowUpState.WAITING:
            state, words = FollowUpState.NOT_SEEN, f"no analysis within {_days(age_s)}"
            return {**changes, "state": state, "detail": words, "due_at": None}
        return {**changes, "state": state, "detail": result.words, "due_at": None}
    is_expected = state is FollowUpState.WAITING
    wait_s = policy.wait_s(polls) if is_expected else max(_RARELY_S, policy.longest_s)
    due_at = now.utc_s + wait_s * share()
    return {**changes, "state": state, "detail": result.words, "due_at": due_at}


def _counts(follow_up: FollowUp, result: PollResult) -> dict[str, object]:
    if result.outcome is PollOutcome.UNCLEAR:
        return {"failures": follow_up.failures + 1}
    absences = follow_up.absences + 1 if result.outcome is PollOutcome.ABSENT else 0
    return {"polls": follow_up.polls + 1, "failures": 0, "absences": absences}


def _state(follow_up: FollowUp, result: PollResult, now: Instant) -> FollowUpState:
    if result.outcome is PollOutcome.FAILED:
        return FollowUpState.FAILED
    if result.outcome is PollOutcome.ABSENT:
        is_old = now.utc_s - follow_up.began_at >= _GONE_AFTER_S
        is_gone = is_old and follow_up.absences + 1 >= _GONE_AFTER
        return FollowUpState.GONE if is_gone else follow_up.state
    return FollowUpState.WAITING


def _of_completed(
    follow_up: FollowUp, result: PollResult, policy: FollowUpPolicy, now: Instant
) -> dict[str, object]:
    """Complete it; keep asking where the whole document is still missing."""
    plain: dict[str, object] = {"state": FollowUpState.COMPLETED, "detail": None}
    if result.outcome is PollOutcome.UNCLEAR and follow_up.failures + 1 < _LEAST_POLLS:
        due_at = now.utc_s + policy.wait_s(follow_up.failures + 1)
        return {**plain, "due_at": due_at}
    is_partial = result.outcome is PollOutcome.THERE and not result.whole
    return {**plain, "due_at": now.utc_s if is_partial else None}


def _days(seconds: float) -> str:
    days = seconds / 86_400
    return f"{days:.0f} days" if days >= 1.5 else counted(round(seconds / 3600), "hour")


_LOOK_FOR_ROOM_S = 3600.0
_NAMES = frozenset({"user_name", "email"})  # the roster alone keeps names


class ResultStore:
    """Records results."""

    def __init__(self, outbox: Outbox, folder: StateFolder, space: DiskSpace, *, now: Now) -> None:
        self._outbox = outbox
        self._folder = folder
        self._space = space
        self._now = now

    def keep(self, follow_up: FollowUp, result: PollResult, changes: Mapping[str, object]) -> bool:
        """Record what a poll showed of a session whose analysis is there.

        Args:
            follow_up: as it was read; False where it moved meanwhile: then nothing is kept.
            result: of the poll.
            changes: of the follow-up, as `after_poll` returns them.
        """
        assert result.analysis is not None  # it is there
        now_s = self._now().utc_s
        head = Head(
            session_id=follow_up.session_id,
            got_at=now_s,
            whole=result.whole,
            numbers=result.analysis.numbers,
        )
        size_bytes = self._write(follow_up, head, result)
        crash_point("result-written")
        new = NewResult(
            numbers=result.analysis.numbers,
            analysed_video_url=result.analysis.link,
            document_bytes=size_bytes or 0,
            document_state=DocumentState.PRESENT if result.whole else DocumentState.PARTIAL,
        )
        if size_bytes is None:  # not now: it completes without, and is fetched later
            changes = {**changes, "due_at": now_s + _LOOK_FOR_ROOM_S}
        is_kept = self._record(follow_up, new, changes, now_s=now_s)
        crash_point("result-recorded")
        if not is_kept and self._outbox.results.of_entry(follow_up.entry_id) is None:
            self._folder.result_document(follow_up.clip_code).unlink(missing_ok=True)
        if is_kept and follow_up.state != "completed":
            log.info(
                "session analysed",
                entry=f"e{follow_up.entry_id}",
                clip=follow_up.clip_code,
                session=follow_up.session_id,
                metrics=len(new.numbers),
            )
        return is_kept

    def _write(self, follow_up: FollowUp, head: Head, result: PollResult) -> int | None:
        """Write the document; None where the disk has no room for it, or its place refuses."""
        assert result.analysis is not None  # as above
        if self._space.lacks_for_intake():
            return None
        try:
            document = {k: v for k, v in result.analysis.document.items() if k not in _NAMES}
            return write_document(self._folder, follow_up.clip_code, head, document)
        except OSError as error:
            if not is_disk_full(error):  # of this place alone: other sessions must not wait
                log.warning(
                    "result document not stored",
                    entry=f"e{follow_up.entry_id}",
                    detail=str(error.strerror),
                )
            return None

    def _record(
        self,
        follow_up: FollowUp,
        new: NewResult,
        changes: Mapping[str, object],
        *,
        now_s: float,
    ) -> bool:
        with self._outbox.transaction():
            if self._outbox.follow_ups.note(follow_up, changes, now_s=now_s) is None:
                return False
            if not self._outbox.results.record(follow_up.entry_id, new, now_s=now_s):
                return False
            entry = self._outbox.entries.existing(follow_up.entry_id)
            if entry.state is EntryState.UPLOADED:
                self._outbox.entries.move(entry, EntryState.COMPLETED, now_s=now_s)
        return True


_SHARES = (0.85, 1.15)  # of a wait: what came together need not be asked about together


def random_share() -> float:
    """Return the share of a wait that is really waited."""
    return random.uniform(*_SHARES)  # noqa: S311  # jitter


class FollowUpRecorder:
    """Records what polls lead to."""

    def __init__(
        self,
        outbox: Outbox,
        store: ResultStore,
        policy: FollowUpPolicy,
        *,
        now: Now,
        wake_next: Wake = ignore_wake,
        share: Share = random_share,
    ) -> None:
        """Prepare to record.

        Args:
            outbox: where sessions are kept.
            store: of the results.
            policy: what the settings say.
            now: the station's clock.
            wake_next: hears that a result is there.
            share: gives the share of a wait that is really waited.
        """
        self._outbox = outbox
        self._store = store
        self._policy = policy
        self._now = now
        self._wake_next = wake_next
        self._share = share

    def conclude(self, follow_up: FollowUp, result: PollResult) -> None:
        """Keep a result that is there; else note when there may be the next poll, if any."""
        changes = after_poll(follow_up, result, self._policy, now=self._now(), share=self._share)
        was_completed = follow_up.state is FollowUpState.COMPLETED
        if result.outcome is PollOutcome.THERE or (
            was_completed and result.outcome is PollOutcome.NOT_YET
        ):
            self._store.keep(follow_up, result, changes)
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
    """What one list contained of the sessions that are looked for."""

    wanted: dict[str, list[FollowUp]]  # by session: an API may call several uploads the same
    listed: int = 0  # sessions in the list, as far as it was read
    kept: int = 0
    results: list[tuple[FollowUp, PollResult]] = field(default_factory=list)


class BatchPoller:
    """Reads the list where that is the better way, and knows what it does not contain."""

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
        self._singly: set[int] = set()  # entries of which the list does not contain enough
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
        """Read the list, and record what it contains of what is due.

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
        """Ask singly for what the list does not contain; it is absent where that failed before."""
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
    quarter of an hour does for all.  For each separately a long list would be read all the time.
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
        noted = read_json(saved)
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
        """Ask about one session at once: a person requests it."""
        return self._look_at(follow_up, key)

    def close(self) -> None:
        """Nothing is held: the connections belong to the creator of the client."""

    def _ask_about(self, due: Sequence[FollowUp], key: ApiKey) -> None:
        """Ask for the one that is longest due, or for many by one list."""
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
