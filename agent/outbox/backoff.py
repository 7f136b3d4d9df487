"""How long to wait before the next try: exponential, full jitter, capped."""

from dataclasses import dataclass

from tenacity import RetryCallState, wait_random_exponential
from tenacity.wait import wait_base


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The delays of one kind of failure."""

    base_s: float = 5.0  # longest delay after the first failure
    longest_s: float = 3600.0  # no delay is longer, whatever the server asks for

    def delay_s(self, failures: int, *, retry_after_s: float | None = None) -> float:
        """Return the seconds to wait after `failures` failures in a row (1 for the first).

        Source of the jitter: M. Brooker, "Exponential Backoff and Jitter", 2015.
        """
        wished = max(_jittered(self._policy(), failures), retry_after_s or 0.0)
        return min(wished, self.longest_s)

    def _policy(self) -> wait_base:
        shortest = min(1.0, self.base_s, self.longest_s)
        return wait_random_exponential(multiplier=self.base_s, max=self.longest_s, min=shortest)


def _jittered(policy: wait_base, failures: int) -> float:
    state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]  # the policy reads attempt_number alone
    state.attempt_number = max(failures, 1)
    return policy(state)
