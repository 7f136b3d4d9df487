"""What happens to a clip, and to uploads as a whole, after an error: the retry table.

What an answer means is decided in `agent.api.responses`.
"""

import structlog

from agent.clock import Now
from agent.delivery.circuit_breaker import ApiAccess, CircuitBreaker
from agent.errors import (
    ApiUnavailableError,
    NotCreatedError,
    OutcomeUnknownError,
    OutOfHoursError,
    RefusedError,
    UploadError,
)
from agent.outbox.models import SMALLER, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import LIMITS_IN_ROW
from agent.outbox.states import EntryState, Reason
from agent.retry import Backoff
from agent.stage import StageName, Wake

PATIENT = Backoff(base_s=3600.0, longest_s=86_400.0)  # for what the server alone fails on
_FAILS_OFTEN = 10  # server errors in a row, while others passed


class ClipBackoff:
    """The delays of single clips; the lane's own pauses are the circuit breaker's."""

    def __init__(self, outbox: Outbox, backoff: Backoff, *, now: Now) -> None:
        self._outbox = outbox
        self._backoff = backoff
        self._now = now

    def after_failure(
        self, entry: Entry, *, failures: int, waited_s: float = 0.0
    ) -> dict[str, object]:
        """Return `due_at` and `reason` of a clip whose last upload failed, on record already.

        Args:
            entry: the clip.
            failures: of its own, in a row, the last one included.
            waited_s: what it has waited already since then.
        """
        often = self._failures_at_server(entry)
        if often < _FAILS_OFTEN:
            delay_s, reason = self._backoff.delay_s(failures), None
        else:
            delay_s, reason = PATIENT.delay_s(often - _FAILS_OFTEN + 1), Reason.FAILS_AT_SERVER
        return {"due_at": self._now().utc_s + max(0.0, delay_s - waited_s), "reason": reason}

    def pull_in(self) -> None:
        """Let nothing wait longer than the longest backoff: the clock may have jumped."""
        now_s = self._now().utc_s
        self._outbox.entries.pull_in(
            latest_s=now_s + self._backoff.longest_s, patient_s=now_s + PATIENT.longest_s
        )

    def _failures_at_server(self, entry: Entry) -> int:
        """Return how many server errors in a row a clip has met; 0 where others fared no better."""
        failed = []
        for attempt in reversed(self._outbox.outcomes.uploads(entry.id)):
            if attempt.status is None or attempt.status < 500:
                break
            failed.append(attempt)
        if len(failed) < _FAILS_OFTEN:
            return 0
        others_passed = self._outbox.outcomes.any_delivered(after_s=failed[-1].began_at)
        return len(failed) if others_passed else 0


_IN_A_ROW = 3  # so many different clips in trouble, and the lane is at fault
_ABOUT_ACCOUNT = frozenset({402, 403})
_LIMIT = 404  # of an upload: the sessions of the plan, or of the athlete, are used up
_TOO_LARGE = 413
_CUT_AGAIN = frozenset({Reason.CLIP_DAMAGED, Reason.TOO_LARGE})

log = structlog.get_logger(stage=StageName.DELIVERY)


class RetryPolicy:
    """Moves clips whose upload failed, and pauses the lane where it is at fault."""

    def __init__(
        self,
        outbox: Outbox,
        breaker: CircuitBreaker,
        patience: ClipBackoff,
        *,
        smaller_if_too_large: bool,
        now: Now,
        wake_analysis: Wake,
    ) -> None:
        self._outbox = outbox
        self._breaker = breaker
        self._patience = patience
        self._smaller_if_too_large = smaller_if_too_large
        self._now = now
        self._wake_analysis = wake_analysis
        self._troubled: set[int] = set()  # different clips that failed since the last success

    def note_delivered(self, entry: Entry, access: ApiAccess) -> None:
        """The lane works: what failed before was the clips' own trouble."""
        self._troubled.clear()
        self._outbox.limits.lift(access.uid, entry.user_id)
        self._breaker.note_delivered()

    def carry_out(self, entry: Entry, error: UploadError, access: ApiAccess) -> None:
        """Do what the retry table says of a failed upload, whose attempt is on record."""
        log.info("upload failed", entry=entry.name, clip=entry.clip_code, answer=str(error))
        if isinstance(error, ApiUnavailableError):
            self._breaker.pause(error)
            self.put_back(entry)
        elif isinstance(error, OutcomeUnknownError):
            self._move(
                entry,
                EntryState.UNCERTAIN,
                due_at=self._now().utc_s,
                failures=entry.failures + 1,
                detail=str(error),
            )
            self._blame(entry, error)
        elif isinstance(error, OutOfHoursError):
            self.put_back(entry)
        elif isinstance(error, NotCreatedError):
            self._back_off(entry, error)
        elif isinstance(error, RefusedError):
            self._refuse(entry, error, access)

    def put_back(self, entry: Entry) -> None:
        """Put an entry back as it was: nothing is counted against it."""
        self._move(entry, EntryState.READY, due_at=entry.due_at)

    def hold(self, entry: Entry, reason: Reason, *, detail: str | None = None) -> None:
        """Let an entry wait for a person, or for the analysis to cut it again."""
        log.warning("entry held", entry=entry.name, clip=entry.clip_code, reason=reason)
        self._move(entry, EntryState.HELD, reason=reason, detail=detail)
        if reason in _CUT_AGAIN:
            self._wake_analysis()

    def discard(self, entry: Entry, reason: Reason) -> None:
        """End an entry that waits to be sent."""
        self._move(entry, EntryState.DISCARDED, reason=reason)

    def _back_off(self, entry: Entry, error: NotCreatedError) -> None:
        failures = entry.failures + 1
        after = self._patience.after_failure(entry, failures=failures)
        self._move(entry, EntryState.READY, failures=failures, detail=str(error), **after)
        self._blame(entry, error)

    def _refuse(self, entry: Entry, error: RefusedError, access: ApiAccess) -> None:
        """Believe a refusal only of a host that answers for the account as before."""
        self._breaker.forget_role()
        if not access.is_same_account(self._breaker.acquire()):
            self.put_back(entry)  # the account itself is refused, or it may do something else now
            return
        if error.status == _LIMIT:
            self._meet_limit(entry, error, access)
            return
        if error.status in _ABOUT_ACCOUNT:
            in_plan = error.status != 402
            reason = Reason.REFUSED_FOR_ATHLETE if in_plan else Reason.ACTIVITY_NOT_IN_PLAN
            self.hold(entry, reason, detail=str(error))
        elif error.status == _TOO_LARGE and self._can_be_smaller(entry):
            self.hold(entry, Reason.TOO_LARGE, detail=self._size_words(entry, error))
        else:
            detail = self._size_words(entry, error) if error.status == _TOO_LARGE else str(error)
            self._move(entry, EntryState.DEAD, reason=f"http_{error.status}", detail=detail)
        self._count_trouble(entry, error)

    def _meet_limit(self, entry: Entry, error: RefusedError, access: ApiAccess) -> None:
        """Let an athlete's clips wait; where another's was refused so before, everything."""
        self._move(entry, EntryState.READY, due_at=entry.due_at, detail=str(error))
        in_row = self._outbox.limits.note(
            access.uid, entry.user_id, now_s=self._now().utc_s, detail=str(error)
        )
        log.warning("session limit reached", entry=entry.name, athletes_in_row=in_row)
        if in_row >= LIMITS_IN_ROW:
            self._breaker.pause_for_limit(str(error), account=access.uid)

    def _can_be_smaller(self, entry: Entry) -> bool:
        """Tell whether the station allows a smaller rendition, and this is none yet."""
        can_be_cut = entry.cut_method != "whole"  # else the analysis failed on it
        return self._smaller_if_too_large and can_be_cut and SMALLER not in entry.remarks

    def _size_words(self, entry: Entry, error: RefusedError) -> str:
        """Say how large a refused clip is, and what is known of the limit."""
        largest = self._outbox.outcomes.largest_delivered_bytes()
        taken = (
            "none was accepted yet"
            if largest is None
            else f"the largest accepted one had {_mb(largest)}"
        )
        return f"{error}: the clip has {_mb(entry.clip_bytes)}, more than the API accepts ({taken})"

    def _blame(self, entry: Entry, error: UploadError) -> None:
        """Pause the lane for what is not this clip's fault alone."""
        if error.retry_after_s is not None or error.status == 429:
            self._breaker.pause(
                ApiUnavailableError(
                    str(error),
                    reason="server_asks_to_wait",
                    status=error.status,
                    retry_after_s=error.retry_after_s,
                )
            )
        elif error.status is not None and error.status < 400:
            self._breaker.pause(
                ApiUnavailableError(
                    f"{error}: a captive portal or a wrong base_url?",
                    reason="not_our_api",
                    status=error.status,
                )
            )
        else:
            self._count_trouble(entry, error)

    def _count_trouble(self, entry: Entry, error: UploadError) -> None:
        """Three different clips in a row in trouble: the lane is at fault.

        After that one more is enough, until something is delivered: each costs a whole upload.
        """
        self._troubled.add(entry.id)
        if len(self._troubled) >= _IN_A_ROW:
            text = f"{_IN_A_ROW} clips and more failed in a row, the last one with: {error}"
            self._breaker.pause(
                ApiUnavailableError(text, reason="many_clips_fail", status=error.status)
            )

    def _move(self, entry: Entry, to: EntryState, **changes: object) -> None:
        self._outbox.entries.move(entry, to, now_s=self._now().utc_s, changes=changes)


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
