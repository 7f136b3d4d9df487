"""Polls one session, interprets the answer, and stores results."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
from agent.outbox.follow_ups import FollowUp, FollowUpState
from agent.outbox.outbox import Outbox
from agent.outbox.results import MOST_DOCUMENT_BYTES, DocumentState, Head, NewResult, write_document
from agent.outbox.states import EntryState
from agent.stage import StageName, Wake, ignore_wake
from agent.text import counted

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
    whole: bool = True  # False: from the list, which tells no angles and timestamps
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
        assert result.analysis is not None  # it told of metrics
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
    """Complete it; go on asking where the whole document is still missing."""
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

log = structlog.get_logger(stage=StageName.FOLLOW_UP)


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
            entry = self._outbox.entries.by_id(follow_up.entry_id)
            assert entry is not None  # rows are never deleted
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
