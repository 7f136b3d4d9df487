"""A token bucket: so much at once, so much on average.  Pure: time comes in.

Tokens are counted as the time that they take to come in, so that the rate may change on the way
and whatever is limited (bytes, requests, guesses) costs seconds.
Source: the generic cell rate algorithm, as virtual scheduling (ITU-T I.371, annex A).
"""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class TokenBucket:
    """What may be spent now; full at first unless said otherwise.  All times in seconds."""

    capacity_s: float  # at most so much is saved up
    empty_at_s: float = float("-inf")  # when it was, or will be, empty

    def saved_s(self, now_s: float) -> float:
        """Return what is saved up; negative: a debt."""
        return min(self.capacity_s, now_s - self.empty_at_s)

    def wait_s(self, now_s: float, *, cost_s: float = 0.0) -> float:
        """Return the seconds until so much is saved up; 0: at once."""
        return max(0.0, cost_s - self.saved_s(now_s))

    def take(self, cost_s: float, now_s: float) -> None:
        """Spend so much, saved up or not."""
        self.empty_at_s = now_s - self.saved_s(now_s) + cost_s
