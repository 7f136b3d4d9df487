"""The delivery stage: uploads one clip at a time.

Each step does one thing: asks whether the lane is open, looks one unknown outcome up, or sends
the clip whose turn it is.  What becomes of one that fails is `agent.delivery.retry_policy`'s.
"""

import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import structlog

from agent.api.client import ApiClient
from agent.bandwidth_schedule import Timetable, UplinkShare
from agent.clock import Clock
from agent.delivery.circuit_breaker import ApiAccess, CircuitBreaker, KeyPolicy, ReadKey
from agent.delivery.preflight import PreflightCheck
from agent.delivery.reconcile import Reconciler
from agent.delivery.retry_policy import ClipBackoff, RetryPolicy
from agent.delivery.scheduling import UploadOrder
from agent.delivery.upload import Throttle, Uploader, UploadReceipt
from agent.disk.space import is_disk_full, is_refusal
from agent.disk.state_folder import StateFolder
from agent.errors import AgentError, ApiUnavailableError, UploadError
from agent.failpoints import crash_point
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.states import Reason, Recipient
from agent.retry import Backoff
from agent.stage import WAKE_ONLY, ShutdownRequested, StageName, Wake, ignore_wake

_UNREADABLE = 3  # times that the disk may refuse a clip before it is held and cut again

log = structlog.get_logger(stage=StageName.DELIVERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """What the settings say about sending clips."""

    host: str  # the API's name in the outbox
    key: KeyPolicy
    read_key: ReadKey
    capture_folder: Path  # where the camera writes
    timetable: Timetable
    share: UplinkShare
    backoff: Backoff  # for a clip that fails
    reconcile_wait_s: float  # between the two look-ups that prove absence
    smaller_if_too_large: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvents:
    """Who hears of what came of clips."""

    on_recut: Wake = ignore_wake  # one is to be cut again
    on_delivered: Wake = ignore_wake


class DeliveryStage:
    """The way of the station's clips to one API host."""

    name = StageName.DELIVERY

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        client: ApiClient,
        *,
        policy: DeliveryPolicy,
        clock: Clock,
        events: DeliveryEvents,
    ) -> None:
        self._outbox = outbox
        self._now = now = clock.now
        self._wake_next = events.on_delivered
        self._breaker = CircuitBreaker(
            outbox,
            client,
            host=policy.host,
            settings=policy.key,
            read_key=policy.read_key,
            now=now,
        )
        self._patience = ClipBackoff(outbox, policy.backoff, now=now)
        throttle = Throttle(policy.timetable, policy.share, now=now, wait=clock.wait)
        self._uploader = Uploader(outbox, client, clips=folder.clips, throttle=throttle, now=now)
        self._reconciler = Reconciler(
            outbox,
            client,
            self._patience,
            wait_s=policy.reconcile_wait_s,
            keeps_titles=self._breaker.keeps_titles,
            clock=clock,
        )
        self._order = UploadOrder(outbox, policy.timetable, policy.share, now=now)
        self._reaction = RetryPolicy(
            outbox,
            self._breaker,
            self._patience,
            smaller_if_too_large=policy.smaller_if_too_large,
            now=now,
            wake_analysis=events.on_recut,
        )
        self._is_still_whole = PreflightCheck(
            outbox, folder, capture_folder=policy.capture_folder, now=now
        )
        self._unreadable: Counter[int] = Counter()  # how often the disk refused a clip
        # An answer that the disk refused.
        self._unrecorded: tuple[Entry, int, UploadReceipt, ApiAccess] | None = None

    def step(self) -> float:
        """Do one thing for one clip, and say when there may be another."""
        self._record_again()
        now_s = self._now().utc_s
        self._outbox.entries.resume_interrupted(now_s=now_s)  # a step before may have failed
        self._patience.pull_in()
        access = self._breaker.acquire()
        if access is None:
            return max(self._breaker.wait_s(), 1.0)
        next_due_at = self._next_due_at()
        if next_due_at is None:
            return WAKE_ONLY
        if next_due_at > now_s:
            return next_due_at - now_s
        try:
            return self._do_next(access, now_s)
        except ApiUnavailableError as fault:  # of a look-up: an upload's own is dealt with already
            self._breaker.pause(fault)
        return 0.0

    def close(self) -> None:
        """Nothing is held: the connections belong to whoever made the client."""

    def _next_due_at(self) -> float | None:
        """Return when there is something to do next, or None."""
        unsettled_at = self._reconciler.next_settlement_at()
        if unsettled_at is not None:
            return unsettled_at
        times = (self._outbox.entries.next_due_at(), self._reconciler.next_look_at())
        return min((due_at for due_at in times if due_at is not None), default=None)

    def _do_next(self, access: ApiAccess, now_s: float) -> float:
        """Look up what is uncertain, else send what is due, else look for what is held."""
        uncertain = self._outbox.entries.next_uncertain(now_s)
        if uncertain is not None:
            if self._reconciler.look_up(uncertain, access):
                self._reaction.note_delivered(uncertain, access)
                self._wake_next()
            return 0.0
        entry = self._order.next_up(access)
        if entry is None:
            self._reconciler.look_for_held(access)
            self._pause_where_limits_stop_all(access)
            return self._order.rest_s()
        if self._may_go(entry, access) and self._reconciler.may_resend(entry, access):
            now_s = self._now().utc_s
            self._breaker.begin_trial()
            self._outbox.limits.begin_trial(access.uid, entry.user_id, now_s=now_s)
            claimed = self._outbox.entries.claim(entry, now_s=now_s)
            if claimed is not None:
                self._send(*claimed, access)
        return 0.0

    def _pause_where_limits_stop_all(self, access: ApiAccess) -> None:
        """Say that the plan is used up where every clip that is due waits for such a limit."""
        limits = self._outbox.limits
        if access.is_limited or not limits.in_row(access.uid):
            return
        limited = limits.limited(access.uid)
        if limited is not None and limits.next_free(access.uid, self._now().utc_s) is None:
            self._breaker.pause_for_limit(limited.detail, account=access.uid)

    def _may_go(self, entry: Entry, access: ApiAccess) -> bool:
        """Tell whether an entry may be sent; one that may not has been moved out of the way."""
        if self._outbox.forgettings.is_leaving(entry):  # it was under way when that began
            self._reaction.discard(entry, Reason.FORGOTTEN)
            return False
        try:
            if not self._is_still_whole(entry):
                return False
        except OSError as error:
            if not self._stays_unreadable(entry, error):
                raise
            self._reaction.hold(entry, Reason.CLIP_DAMAGED, detail=str(error))
            return False
        for_owner = entry.recipient is Recipient.KEY_OWNER or access.is_owners(entry.user_id)
        if for_owner or access.acts_for_others:
            return True
        self._reaction.hold(entry, Reason.KEY_CANNOT_SEND)
        return False

    def _send(self, entry: Entry, attempt_id: int, access: ApiAccess) -> None:
        try:
            sent = self._uploader.send(entry, attempt_id, access)
        except ShutdownRequested:
            # ready, or uncertain if the body may have gone out whole: its mark tells
            self._outbox.entries.resume_interrupted(now_s=self._now().utc_s)
            raise
        except UploadError as error:
            self._reaction.carry_out(entry, error, access)
        except (OSError, AgentError) as error:
            if not self._stays_unreadable(entry, error):
                raise
            self._reaction.hold(entry, Reason.CLIP_DAMAGED, detail=str(error))
        else:
            self._unrecorded = (entry, attempt_id, sent, access)
            self._record_again()

    def _stays_unreadable(self, entry: Entry, error: Exception) -> bool:
        """Tell whether a clip is at fault, not a moment in which the disk refuses."""
        if is_disk_full(error):  # for what is kept of the attempt
            return False
        if not is_refusal(error):
            return True
        self._unreadable[entry.id] += 1
        return self._unreadable[entry.id] >= _UNREADABLE

    def _record_again(self) -> None:
        """Put an answer on record; one that the disk refuses is kept: nobody will tell it again."""
        if self._unrecorded is None:
            return
        try:
            self._record(*self._unrecorded)
        except (OSError, sqlite3.OperationalError):
            raise
        except BaseException:
            self._unrecorded = None
            raise
        self._unrecorded = None

    def _record(
        self, entry: Entry, attempt_id: int, sent: UploadReceipt, access: ApiAccess
    ) -> None:
        with self._outbox.transaction():
            self._outbox.attempts.end(attempt_id, sent.end)
            adopted = self._outbox.entries.adopt_session(
                entry.id,
                session_id=sent.made.session_id,
                server_title=sent.made.title,
                now_s=self._now().utc_s,
            )
            if adopted is None:  # found by a look-up meanwhile: it must not be another one
                self._outbox.outcomes.note_second_session(entry.id, sent.made.session_id)
            self._outbox.entries.note_title(entry.id, sent.title)
            if sent.made.title is not None and entry.clip_code not in sent.made.title.lower():
                self._breaker.note_altered_title()
        crash_point("uploaded")
        self._reaction.note_delivered(entry, access)
        log.info(
            "clip uploaded",
            entry=entry.name,
            clip=entry.clip_code,
            session=sent.made.session_id,
            bytes=sent.end.size_bytes,
            seconds=round(sent.end.seconds, 2),
        )
        self._wake_next()
