"""Retry delays: exponential, full jitter, capped."""

import time
from collections.abc import Callable
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


_LONGEST_WISH_S = 3600.0  # however long a receiver asks to be left alone


class BackoffTimer:
    """When to try one thing again."""

    def __init__(
        self, backoff: Backoff, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._backoff = backoff
        self._monotonic = monotonic
        self._not_before_s = 0.0
        self.failures = 0  # in a row

    def rest_s(self) -> float:
        """Return the seconds until it may be tried; 0 for now."""
        return max(0.0, self._not_before_s - self._monotonic())

    def note_failure(self, *, retry_after_s: float | None = None) -> float:
        """Take note of a failure and return the seconds until the next try."""
        self.failures += 1
        wish_s = min(retry_after_s or 0.0, _LONGEST_WISH_S)
        delay_s = max(self._backoff.delay_s(self.failures), wish_s)
        self._not_before_s = self._monotonic() + delay_s
        return delay_s

    def note_success(self) -> None:
        """Forget the failures."""
        self.failures, self._not_before_s = 0, 0.0
