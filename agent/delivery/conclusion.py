"""When to look at a session again, and what to conclude from a look.  Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.clock import Instant
from agent.delivery.looking import Look, Sight
from agent.outbox.results.follow_ups import FollowUp, FollowUpState
from agent.plurals import counted

_GROWTH = 1.6
_GONE_AFTER = 5  # looks in a row that did not find it ...
_GONE_AFTER_S = 3600.0  # ... and so long after the upload: lists may be late
_LEAST_LOOKS = 8  # before it is given up: a clock that jumps makes no look
_RARELY_S = 3600.0  # between looks for what is not expected any more
_MOST_EXPONENT = 40
_MOST_JITTER = 1.5  # on any wait

Share = Callable[[], float]  # of a wait: jitter


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpPolicy:
    """What the settings say about following sessions."""

    follow: bool = True
    first_look_s: float = 20.0
    longest_s: float = 900.0
    give_up_s: float = 2 * 86_400.0

    def wait_s(self, looks: int) -> float:
        """Return how long to wait after so many looks; it grows."""
        grown_s = self.first_look_s * _GROWTH ** min(looks, _MOST_EXPONENT)
        return min(grown_s, self.longest_s)

    @property
    def farthest_s(self) -> float:
        """How far off a look may be planned at most."""
        return max(_RARELY_S, self.longest_s) * _MOST_JITTER


def after_look(
    follow_up: FollowUp, look: Look, policy: FollowUpPolicy, *, now: Instant, share: Share
) -> dict[str, object]:
    """Return the columns that a look changes.

    Args:
        follow_up: as it was before.
        look: what was seen.
        policy: what the settings say.
        now: this moment.
        share: gives the share of a wait that is really waited.
    """
    changes = {
        "last_asked_at": now.utc_s,
        "first_asked_at": follow_up.first_asked_at or now.utc_s,
        **_counts(follow_up, look),
    }
    if follow_up.state is FollowUpState.COMPLETED or look.sight is Sight.THERE:
        return {**changes, **_of_completed(follow_up, look, policy, now)}
    state = _state(follow_up, look, now)
    age_s = now.utc_s - follow_up.began_at
    is_late = age_s >= policy.give_up_s and now.trusted
    looks = follow_up.polls + follow_up.failures + 1
    if look.sight is Sight.UNCLEAR:
        wait_s = max(_RARELY_S, policy.longest_s) if is_late else policy.wait_s(looks)
        return {**changes, "detail": look.words, "due_at": now.utc_s + wait_s * share()}
    if is_late and looks >= _LEAST_LOOKS:
        if state is FollowUpState.WAITING:
            state, words = FollowUpState.NOT_SEEN, f"no analysis within {_days(age_s)}"
            return {**changes, "state": state, "detail": words, "due_at": None}
        return {**changes, "state": state, "detail": look.words, "due_at": None}
    is_expected = state is FollowUpState.WAITING
    wait_s = policy.wait_s(looks) if is_expected else max(_RARELY_S, policy.longest_s)
    due_at = now.utc_s + wait_s * share()
    return {**changes, "state": state, "detail": look.words, "due_at": due_at}


def _counts(follow_up: FollowUp, look: Look) -> dict[str, object]:
    if look.sight is Sight.UNCLEAR:
        return {"failures": follow_up.failures + 1}
    absences = follow_up.absences + 1 if look.sight is Sight.ABSENT else 0
    return {"polls": follow_up.polls + 1, "failures": 0, "absences": absences}


def _state(follow_up: FollowUp, look: Look, now: Instant) -> FollowUpState:
    if look.sight is Sight.FAILED:
        return FollowUpState.FAILED
    if look.sight is Sight.ABSENT:
        is_old = now.utc_s - follow_up.began_at >= _GONE_AFTER_S
        is_gone = is_old and follow_up.absences + 1 >= _GONE_AFTER
        return FollowUpState.GONE if is_gone else follow_up.state
    return FollowUpState.WAITING


def _of_completed(
    follow_up: FollowUp, look: Look, policy: FollowUpPolicy, now: Instant
) -> dict[str, object]:
    """Complete it; go on asking where the whole document is still missing."""
    plain: dict[str, object] = {"state": FollowUpState.COMPLETED, "detail": None}
    if look.sight is Sight.UNCLEAR and follow_up.failures + 1 < _LEAST_LOOKS:
        due_at = now.utc_s + policy.wait_s(follow_up.failures + 1)
        return {**plain, "due_at": due_at}
    is_partial = look.sight is Sight.THERE and not look.whole
    return {**plain, "due_at": now.utc_s if is_partial else None}


def _days(seconds: float) -> str:
    days = seconds / 86_400
    return f"{days:.0f} days" if days >= 1.5 else counted(round(seconds / 3600), "hour")
