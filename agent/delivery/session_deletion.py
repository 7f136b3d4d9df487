"""Deletes the sessions of erased athletes at the API, one by one, until all are gone.

A deletion can be asked for again: a session that is gone already is deleted.  What the API refuses
stays on record with its words, for a person.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from agent.api.client import ApiClient, ApiKey
from agent.api.responses import ApiResponse, lane_fault
from agent.clock import Now
from agent.errors import ApiUnavailableError
from agent.failpoints import crash_point
from agent.outbox.erasures import DeletionState, SessionDeletion
from agent.outbox.outbox import Outbox
from agent.retry import Backoff
from agent.stage import StageName

_LOOK_AGAIN_S = 30.0
_MOST_WORDS = 300

log = structlog.get_logger(stage=StageName.ERASURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What the API said to the deletion of a session."""

    is_gone: bool  # else it is refused for good
    status: int
    words: str | None  # the API's own


class SessionDeleter:
    """Asks the API to delete a session."""

    def __init__(self, client: ApiClient, *, key: Callable[[], ApiKey | None], now: Now) -> None:
        self._client = client
        self._key = key  # while the lane is open
        self._now = now

    @property
    def is_open(self) -> bool:
        """Whether the API can be asked now."""
        return self._key() is not None

    def delete(self, session_id: str) -> Deletion:
        """Delete a session; one that the API does not know is gone.

        Raises:
            ApiUnavailableError: it was not the API that answered, or not about this session.
        """
        key = self._key()
        if key is None:
            raise ApiUnavailableError("the API cannot be reached now", reason="closed")
        answer = self._client.delete_session(session_id, key)
        return _read(answer, now_s=self._now().utc_s)

    def sessions_of(self, clip_code: str) -> list[str]:
        """Return the sessions whose title holds a clip's code.

        Raises:
            ApiUnavailableError: it was not the API that answered.
        """
        key = self._key()
        if key is None:
            raise ApiUnavailableError("the API cannot be reached now", reason="closed")
        return [found.session_id for found in self._client.find_sessions(key, clip_code)]


class SessionDeletionStage:
    """Deletes the sessions of athletes who were forgotten here and at the API."""

    name = StageName.ERASURE

    def __init__(
        self, outbox: Outbox, deleter: SessionDeleter, *, backoff: Backoff, now: Now
    ) -> None:
        self._outbox = outbox
        self._deleter = deleter
        self._backoff = backoff
        self._now = now

    def step(self) -> float:
        """Delete the session that is due first; return when to come back."""
        due = self._outbox.deletions.next_due()
        if due is None or not self._deleter.is_open:
            return _LOOK_AGAIN_S
        wait_s = due.due_at - self._now().utc_s
        if 0 < wait_s <= self._backoff.longest_s:  # more: the clock jumped
            return _LOOK_AGAIN_S if wait_s > _LOOK_AGAIN_S else wait_s
        self._try(due)
        return 0.0

    def close(self) -> None:
        """Nothing is held."""

    def _try(self, due: SessionDeletion) -> None:
        try:
            if not due.is_known:
                self._look_up(due)
                return
            deletion = self._deleter.delete(due.session_id)
        except ApiUnavailableError as fault:
            now_s = self._now().utc_s
            delay_s = self._backoff.delay_s(due.failures + 1, retry_after_s=fault.retry_after_s)
            self._outbox.deletions.record(
                due,
                DeletionState.WAITING,
                status=fault.status,
                answer=str(fault)[:_MOST_WORDS],
                due_at=now_s + delay_s,
                now_s=now_s,
            )
            return
        crash_point("erasure-deleted")
        now_s = self._now().utc_s
        to = DeletionState.DELETED if deletion.is_gone else DeletionState.REFUSED
        self._outbox.deletions.record(
            due, to, status=deletion.status, answer=deletion.words, due_at=now_s, now_s=now_s
        )
        if deletion.is_gone:
            log.info("session deleted", session=due.session_id, clip=due.clip_code)
        else:
            log.warning("session deletion refused", session=due.session_id, answer=deletion.words)

    def _look_up(self, due: SessionDeletion) -> None:
        """Find the sessions of a clip whose outcome was never known."""
        found = self._deleter.sessions_of(due.clip_code)
        now_s = self._now().utc_s
        if found:
            self._outbox.deletions.identify(due, found, now_s=now_s)
            return
        self._outbox.deletions.record(
            due, DeletionState.UNLISTED, status=None, answer=None, due_at=now_s, now_s=now_s
        )


def _read(answer: ApiResponse, *, now_s: float) -> Deletion:
    """Return what an answer says.

    Raises:
        ApiUnavailableError: it was not the API that answered, or not about this session.
    """
    words, document = answer.error_words(), answer.json()
    if 200 <= answer.status < 300 and (document is not None or not answer.body):
        success = document.get("success") if isinstance(document, dict) else None
        words = success[:_MOST_WORDS] if isinstance(success, str) else None
        return Deletion(is_gone=success is not False, status=answer.status, words=words)
    if words is None or answer.status in {401, 408, 425, 429} or answer.status >= 500:
        raise lane_fault(answer, now_s=now_s)
    return Deletion(is_gone=answer.status == 404, status=answer.status, words=words[:_MOST_WORDS])
