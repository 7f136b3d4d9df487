"""Waiting after failures, on the monotonic clock: the outbox's own delays."""

import time
from collections.abc import Callable

from agent.outbox.backoff import Backoff

_LONGEST_WISH_S = 3600.0  # however long a receiver asks to be left alone


class Patience:
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
