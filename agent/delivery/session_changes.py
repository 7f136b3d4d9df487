"""Changes to sessions that the API has: those of erased athletes, of the wrong athlete, and dates.

An erased athlete's session is deleted; a clip of the wrong athlete is resent for the right one,
then the wrong session is deleted.  The API dates a session by its upload, and takes another date in
no known zone: `delivery.date_sessions` says which.  Each pass makes one step, a row says what is to
be done before it is done, and every step can be done again: a session that is gone already is
deleted.  A refused deletion stays on record with the API's words, for a person; a refused date is
left as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

import structlog

from agent.api.client import ApiClient, ApiKey
from agent.api.responses import ApiResponse, lane_fault
from agent.clock import Now
from agent.disk.state_folder import StateFolder, fsync_file, link_or_copy, move_durably
from agent.errors import ApiUnavailableError
from agent.failpoints import crash_point
from agent.outbox.corrections import Resend, ResendState
from agent.outbox.erasures import DeletionState, SessionDeletion
from agent.outbox.models import ClipFile, Entry, NewEntry, derive_clip_code
from agent.outbox.outbox import Outbox
from agent.outbox.states import SENT, EntryState, FileState
from agent.retry import Backoff
from agent.stage import WAKE_ONLY, StageName, Wake

_LOOK_AGAIN_S = 30.0
_MOST_WORDS = 300

deletion_log = structlog.get_logger(stage=StageName.ERASURE)
dating_log = structlog.get_logger(stage=StageName.DATING)
resend_log = structlog.get_logger(stage=StageName.RESENDING)


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
            deletion_log.info("session deleted", session=due.session_id, clip=due.clip_code)
        else:
            deletion_log.warning(
                "session deletion refused", session=due.session_id, answer=deletion.words
            )

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


_SINCE = "sessions_dated_since"  # Unix time at which the setting was first met
_FOR_LATER = frozenset({401, 402, 408, 425, 429})


class SessionDatesStage:
    """Dates the sessions of the station at one API host."""

    name = StageName.DATING

    def __init__(
        self,
        outbox: Outbox,
        client: ApiClient,
        *,
        zone: tzinfo | None,
        key: Callable[[], ApiKey | None],
        backoff: Backoff,
        now: Now,
    ) -> None:
        """Prepare to date.

        Args:
            outbox: where the delivered clips are.
            client: the way to the host.
            zone: of the dates at the API; None: sessions keep the date of their upload.
            key: gives the key while the lane is open.
            backoff: after what failed.
            now: the station's clock.
        """
        self._outbox = outbox
        self._client = client
        self._zone = zone
        self._key = key
        self._backoff = backoff
        self._now = now

    def step(self) -> float:
        """Date one session, and say when there may be another."""
        if self._zone is None:
            return WAKE_ONLY
        now_s = self._now().utc_s
        since_s = self._outbox.switches.moment(_SINCE)
        if since_s is None:
            self._outbox.switches.set(_SINCE, str(now_s))
            return 0.0
        longest_s = self._backoff.longest_s
        entry = self._outbox.dates.next_due(now_s, since_s=since_s, farthest_s=longest_s)
        key = self._key()
        if entry is None or key is None:
            return _LOOK_AGAIN_S
        self._date(entry, key, self._zone)
        return 0.0

    def close(self) -> None:
        """Nothing is held."""

    def _date(self, entry: Entry, key: ApiKey, zone: tzinfo) -> None:
        assert entry.session_id is not None and entry.filmed_at is not None  # it was chosen so
        filmed = datetime.fromtimestamp(entry.filmed_at, zone)
        now_s = self._now().utc_s
        try:
            refusal = self._ask(entry.session_id, key, f"{filmed:%Y-%m-%d %H:%M:%S}")
        except ApiUnavailableError as fault:
            failures = self._outbox.dates.failures(entry.id) + 1
            due_at = now_s + self._backoff.delay_s(failures, retry_after_s=fault.retry_after_s)
            detail = str(fault)[:_MOST_WORDS]
            self._outbox.dates.note(
                entry.id, "waiting", due_at=due_at, failures=failures, detail=detail
            )
            return
        state = "dated" if refusal is None else "refused"
        if refusal is None:
            dating_log.info("session dated", entry=entry.name)
        else:
            dating_log.warning("session date refused", entry=entry.name, answer=refusal)
        self._outbox.dates.note(entry.id, state, due_at=now_s, failures=0, detail=refusal)

    def _ask(self, session_id: str, key: ApiKey, created_at: str) -> str | None:
        """Change a session's date; return the words of a refusal, None where it is done.

        Raises:
            ApiUnavailableError: it was not the API that answered, or not about this session.
        """
        answer = self._client.change_session(session_id, key, {"created_at": created_at})
        words = answer.error_words()
        if 200 <= answer.status < 300 and answer.json() is not None:
            return None
        if words is None or answer.status in _FOR_LATER or answer.status >= 500:
            raise lane_fault(answer, now_s=self._now().utc_s)
        return f"HTTP {answer.status}: {words}"


_ONE_BY_ONE_S = 1.0
_AT_WORK = frozenset({ResendState.ASKED, ResendState.SENDING, ResendState.DELETING})


class ResendStage:
    """Resends what went to the wrong athlete."""

    name = StageName.RESENDING

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        deleter: SessionDeleter,
        *,
        backoff: Backoff,
        now: Now,
        wake_lane: Wake,
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._deleter = deleter
        self._backoff = backoff
        self._now = now
        self._wake_lane = wake_lane

    def step(self) -> float:
        """Make one step of each clip that is on its way."""
        at_work = self._outbox.resends.in_states(_AT_WORK)
        for resend in at_work:
            _STEPS[resend.state](self, resend)
        return _ONE_BY_ONE_S if at_work else _LOOK_AGAIN_S

    def close(self) -> None:
        """Nothing is held."""

    def _begin(self, resend: Resend) -> None:
        """asked -> sending, once it is too late to undo it."""
        undoable = self._outbox.undoables.by_id(resend.undoable_id)
        assert undoable is not None  # made with it
        if undoable.left_s(self._now()) > 0:
            return
        old = self._outbox.entries.existing(resend.entry_id)
        if not self._is_whole(old):
            self._end(resend, ResendState.GIVEN_UP, "the clip is no longer on this box")
            return
        new = self._new_entry(resend, old)
        self._link(old, new)
        crash_point("resend-linked")
        now_s = self._now().utc_s
        with self._outbox.transaction():
            if not self._outbox.undoables.settle(undoable, "done"):
                return  # it was undone at this very moment
            entry = self._outbox.entries.create(new, now_s=now_s)
            self._outbox.resends.move(
                resend, ResendState.SENDING, now_s=now_s, new_entry_id=entry.id
            )
        crash_point("resend-entered")
        resend_log.info("resend queued", entry=old.name, new_entry=entry.name, clip=entry.clip_code)
        self._wake_lane()

    def _follow(self, resend: Resend) -> None:
        """sending -> deleting, once the right session is there."""
        assert resend.new_entry_id is not None  # it has one from `sending` on
        new = self._outbox.entries.existing(resend.new_entry_id)
        if new.state in SENT:
            self._outbox.resends.move(resend, ResendState.DELETING, now_s=self._now().utc_s)
            crash_point("resend-delivered")
        elif new.state is EntryState.DISCARDED:
            self._end(resend, ResendState.GIVEN_UP, f"{new.name} was discarded: nothing changed")

    def _delete(self, resend: Resend) -> None:
        """deleting -> done or refused; a session that is gone already is deleted."""
        now_s = self._now().utc_s
        wait_s = resend.due_at - now_s
        if not self._deleter.is_open or 0 < wait_s <= self._backoff.longest_s:
            return  # more: the clock jumped
        try:
            deletion = self._deleter.delete(resend.session_id)
        except ApiUnavailableError as fault:
            failures = resend.failures + 1
            due_at = now_s + self._backoff.delay_s(failures, retry_after_s=fault.retry_after_s)
            self._outbox.resends.move(
                resend,
                ResendState.DELETING,
                now_s=now_s,
                detail=str(fault),
                failures=failures,
                due_at=due_at,
            )
            return
        crash_point("resend-deleted")
        if not deletion.is_gone:
            resend_log.warning(
                "session deletion refused", session=resend.session_id, answer=deletion.words
            )
            self._end(resend, ResendState.REFUSED, f"HTTP {deletion.status}: {deletion.words}")
            return
        assert resend.new_entry_id is not None  # as above
        with self._outbox.transaction():
            new_name = self._outbox.entries.existing(resend.new_entry_id).name
            self._outbox.resends.end_old(resend, new_name=new_name, now_s=now_s)
            self._outbox.resends.move(resend, ResendState.DONE, now_s=now_s)
        resend_log.info("session deleted", session=resend.session_id)

    def _end(self, resend: Resend, to: ResendState, detail: str) -> None:
        self._outbox.resends.move(resend, to, now_s=self._now().utc_s, detail=detail)

    def _is_whole(self, old: Entry) -> bool:
        clip = self._folder.clips / old.stored_name
        present = old.file_state is FileState.PRESENT and clip.is_file()
        return present and clip.stat().st_size == old.clip_bytes

    def _new_entry(self, resend: Resend, old: Entry) -> NewEntry:
        cut_from = self._outbox.entries.sources(old.id)
        named_by, capture = cut_from[-1]  # of a clip over two recordings, the second
        generation = self._outbox.resends.next_generation(named_by)
        code = derive_clip_code(capture.sha256, named_by.take_number, generation)
        suffix = Path(old.stored_name).suffix
        return NewEntry(
            clip_code=code,
            generation=generation,
            sources=tuple(source for source, _ in cut_from),
            state=EntryState.READY,
            reason=None,
            due_at=self._now().utc_s,
            clip=ClipFile(
                stored_name=f"{code}{suffix}",
                sha256=old.clip_sha256,
                size_bytes=old.clip_bytes,
                seconds=old.clip_seconds,
                cut_method=old.cut_method or "whole",
                cut_why=old.cut_why,
            ),
            target=resend.target,
            filmed_at=old.filmed_at,
            remarks=old.remarks,
        )

    def _link(self, old: Entry, new: NewEntry) -> None:
        """Give the clip and its pictures their new names beside the old ones: no copy, no wait."""
        clips = self._folder.clips
        pairs = [(clips / old.stored_name, clips / new.clip.stored_name)]
        pictures = (self._folder.beside_clip(code) for code in (old.clip_code, new.clip_code))
        pairs += [pair for pair in zip(*pictures, strict=True) if pair[0].exists()]
        for source, target in pairs:
            if target.exists():
                continue
            unfinished = self._folder.tmp / target.name
            unfinished.unlink(missing_ok=True)
            link_or_copy(source, unfinished)
            fsync_file(unfinished)
            move_durably(unfinished, target)


_STEPS: dict[ResendState, Callable[[ResendStage, Resend], None]] = {
    ResendState.ASKED: ResendStage._begin,
    ResendState.SENDING: ResendStage._follow,
    ResendState.DELETING: ResendStage._delete,
}
