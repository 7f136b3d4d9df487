"""How long a clip waits after failures of its own."""

from agent.clock import Now
from agent.outbox.backoff import Backoff
from agent.outbox.entry import Entry
from agent.outbox.states import Reason
from agent.outbox.store import Outbox

PATIENT = Backoff(base_s=3600.0, longest_s=86_400.0)  # for what the server alone fails on
_FAILS_OFTEN = 10  # server errors in a row, while others passed


class Patience:
    """The delays of single clips; the lane's own pauses are the gate's."""

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
