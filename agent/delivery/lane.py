"""The delivery stage: the lane to the API, one clip at a time.

Each step does one thing: asks whether the lane is open, looks one unknown outcome up, or sends
the clip that is longest due.  What an answer means is decided in `agent.api.answers`; here it
is carried out.
"""

from collections.abc import Callable

import structlog

from agent.clock import Now
from agent.crashpoints import crash_point
from agent.delivery.gate import Gate, Passage
from agent.delivery.reconcile import Reconciler
from agent.delivery.upload import Sent, Uploader
from agent.errors import (
    AgentError,
    LaneError,
    NotMadeError,
    OutcomeUnknownError,
    RefusedError,
    UploadError,
)
from agent.outbox.backoff import Backoff
from agent.outbox.entry import Entry
from agent.outbox.states import EntryState, Reason, Recipient
from agent.outbox.store import Outbox
from agent.stage import WAKE_ONLY, Stopping, Wake

_IN_A_ROW = 3  # so many different clips in trouble, and the lane is at fault
_ABOUT_ACCOUNT = frozenset({402, 403, 404})

CheckFresh = Callable[[Entry], bool]

log = structlog.get_logger(stage="delivery")


class Lane:
    """The way of the station's clips to one API host."""

    name = "delivery"

    def __init__(
        self,
        outbox: Outbox,
        gate: Gate,
        uploader: Uploader,
        reconciler: Reconciler,
        *,
        backoff: Backoff,
        is_still_whole: CheckFresh,
        now: Now,
        wake_next: Wake,
    ) -> None:
        self._outbox = outbox
        self._gate = gate
        self._uploader = uploader
        self._reconciler = reconciler
        self._backoff = backoff
        self._is_still_whole = is_still_whole
        self._now = now
        self._wake_next = wake_next
        self._troubled: set[int] = set()  # different clips that failed since the last success

    def step(self) -> float:
        """Do one thing for one clip, and say when there may be another."""
        now_s = self._now().utc_s
        self._outbox.entries.resume_interrupted(now_s=now_s)  # a step before may have failed
        self._outbox.entries.pull_in(latest_s=now_s + self._backoff.longest_s)
        passage = self._gate.pass_through()
        if passage is None:
            return max(self._gate.wait_s(), 1.0)
        next_due_at = self._outbox.entries.next_due_at()
        if next_due_at is None:
            return WAKE_ONLY
        if next_due_at > now_s:
            return next_due_at - now_s
        uncertain = self._outbox.entries.next_uncertain(now_s)
        if uncertain is not None:
            self._look_up(uncertain, passage)
        else:
            self._send_next(passage)
        return 0.0

    def close(self) -> None:
        """Nothing is held: the connections belong to whoever made the client."""

    def _look_up(self, entry: Entry, passage: Passage) -> None:
        try:
            self._reconciler.look_up(entry, passage)
        except LaneError as fault:
            self._gate.pause(fault)

    def _send_next(self, passage: Passage) -> None:
        entry = self._outbox.entries.next_ready(self._now().utc_s)
        if entry is None or not self._may_go(entry, passage):
            return
        claimed = self._outbox.entries.claim(entry, now_s=self._now().utc_s)
        if claimed is not None:
            self._send(*claimed, passage)

    def _may_go(self, entry: Entry, passage: Passage) -> bool:
        """Tell whether an entry may be sent; one that may not has been moved out of the way."""
        if entry.attempts == 0 and not self._is_still_whole(entry):
            return False
        for_owner = entry.recipient is Recipient.KEY_OWNER or entry.user_id == passage.uid
        if for_owner or passage.acts_for_others:
            return True
        self._hold(entry, Reason.KEY_CANNOT_SEND)
        return False

    def _send(self, entry: Entry, attempt_id: int, passage: Passage) -> None:
        try:
            sent = self._uploader.send(entry, attempt_id, passage)
        except Stopping:
            self._return(entry)
            raise
        except UploadError as error:
            self._carry_out(entry, error, passage)
        except (OSError, AgentError) as error:
            self._hold(entry, Reason.CLIP_DAMAGED, detail=str(error))
        else:
            self._record(entry, attempt_id, sent)

    def _record(self, entry: Entry, attempt_id: int, sent: Sent) -> None:
        with self._outbox.transaction():
            self._outbox.attempts.end(attempt_id, sent.end)
            self._outbox.entries.adopt_session(
                entry.id,
                session_id=sent.made.session_id,
                server_title=sent.made.title,
                now_s=self._now().utc_s,
            )
            self._outbox.entries.note_title(entry.id, sent.title)
            if sent.made.title is not None and entry.clip_code not in sent.made.title.lower():
                self._gate.note_altered_title()
        crash_point("uploaded")
        self._troubled.clear()
        log.info(
            "delivered",
            entry=entry.name,
            clip=entry.clip_code,
            session=sent.made.session_id,
            bytes=sent.end.size_bytes,
            seconds=round(sent.end.seconds, 2),
        )
        self._wake_next()

    def _carry_out(self, entry: Entry, error: UploadError, passage: Passage) -> None:
        """Do what the retry table says of a failed upload."""
        log.info("not delivered", entry=entry.name, clip=entry.clip_code, answer=str(error))
        if isinstance(error, LaneError):
            self._gate.pause(error)
            self._return(entry)
        elif isinstance(error, OutcomeUnknownError):
            self._move(entry, EntryState.UNCERTAIN, due_at=self._now().utc_s, detail=str(error))
            self._hold_lane(error)
        elif isinstance(error, NotMadeError):
            self._back_off(entry, error)
        elif isinstance(error, RefusedError):
            self._refuse(entry, error, passage)

    def _back_off(self, entry: Entry, error: NotMadeError) -> None:
        failures = entry.failures + 1
        due_at = self._now().utc_s + self._backoff.delay_s(failures)
        self._move(entry, EntryState.READY, due_at=due_at, failures=failures, detail=str(error))
        self._hold_lane(error)
        self._count_trouble(entry, error)

    def _hold_lane(self, error: UploadError) -> None:
        """Leave the server alone for as long as it asked for."""
        if error.retry_after_s is not None or error.status == 429:
            self._gate.pause(
                LaneError(
                    str(error),
                    reason="server_asks_to_wait",
                    status=error.status,
                    retry_after_s=error.retry_after_s,
                )
            )

    def _refuse(self, entry: Entry, error: RefusedError, passage: Passage) -> None:
        if error.status not in _ABOUT_ACCOUNT:
            self._move(entry, EntryState.DEAD, reason=f"http_{error.status}", detail=str(error))
            return
        self._gate.forget_role()
        now_allowed = self._gate.pass_through()
        if now_allowed is None or now_allowed.acts_for_others != passage.acts_for_others:
            self._return(entry)  # the account itself is refused, or it may do something else now
            return
        reason = Reason.ACTIVITY_NOT_IN_PLAN if error.status == 402 else Reason.REFUSED_FOR_ATHLETE
        self._hold(entry, reason, detail=str(error))
        self._count_trouble(entry, error)

    def _count_trouble(self, entry: Entry, error: UploadError) -> None:
        """Three different clips in a row in trouble: the lane is at fault."""
        self._troubled.add(entry.id)
        if len(self._troubled) >= _IN_A_ROW:
            self._troubled.clear()
            self._gate.pause(LaneError(str(error), reason="many_clips_fail", status=error.status))

    def _return(self, entry: Entry) -> None:
        """Put an entry back as it was: nothing is counted against it."""
        self._move(entry, EntryState.READY, due_at=entry.due_at)

    def _hold(self, entry: Entry, reason: Reason, *, detail: str | None = None) -> None:
        log.warning("held for a person", entry=entry.name, clip=entry.clip_code, reason=reason)
        self._move(entry, EntryState.HELD, reason=reason, detail=detail)

    def _move(
        self, entry: Entry, to: EntryState, *, reason: str | None = None, **changes: object
    ) -> None:
        self._outbox.entries.move(
            entry, to, now_s=self._now().utc_s, reason=reason, changes=changes
        )
