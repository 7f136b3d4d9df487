"""Retry delays: exponential, full jitter, capped."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import RetryCallState
from tenacity.wait import wait_base

_MOST_DOUBLINGS = 64  # more would leave the range of a float; every cap is reached long before


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff(wait_base):
    """The delays of one kind of failure.

    `delay_s` serves waits that outlive the process, whose failures the outbox counts; tries within
    one call are carried out by tenacity, which takes the object as its wait strategy.
    """

    base_s: float = 5.0  # longest delay after the first failure
    longest_s: float = 3600.0  # no delay is longer, whatever the server asks for

    def delay_s(self, failures: int, *, retry_after_s: float | None = None) -> float:
        """Return the seconds to wait after `failures` failures in a row (1 for the first).

        Source of the jitter: M. Brooker, "Exponential Backoff and Jitter", 2015.
        """
        doublings = min(max(failures, 1) - 1, _MOST_DOUBLINGS)
        window_s = min(self.base_s * 2**doublings, self.longest_s)
        jittered_s = random.uniform(min(1.0, window_s), window_s)  # noqa: S311  # jitter
        return min(max(jittered_s, retry_after_s or 0.0), self.longest_s)

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the seconds to wait after an attempt that tenacity has carried out."""
        return self.delay_s(retry_state.attempt_number)


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
