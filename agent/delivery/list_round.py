"""Asking about many sessions by one read of the list, as it arrives.

The list tells less than a session's own document: what it leaves open is asked for singly, and what
is asked for singly in vain is looked for in the list.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from agent.api.analyses import read_analysis
from agent.api.client import ApiClient, ApiKey
from agent.clock import Now
from agent.crashpoints import crash_point
from agent.delivery.looking import Look, Sight, judged
from agent.errors import LaneError
from agent.outbox.results.follow_ups import FollowUp, FollowUpState
from agent.outbox.store import Outbox

MOST_OPEN = 10_000  # sessions that are looked for in one list
_MANY = 3  # sessions that are due at once: from so many on, one read of the list asks about all
_LISTED_FOR_ONE = 500  # sessions in a list that are read for one that is due
_MOST_KEPT = 500  # results that one list brings: what is left comes with the next
_BY_LIST = frozenset({1, 3})  # after so many looks in a row for nothing
_RESTS_S = 600.0  # after a list that failed, sessions are asked about one by one

Conclude = Callable[[FollowUp, Look], None]


class _SeenAll(Exception):  # not an error: the rest of the list need not be read
    """Every session that is looked for was in the list so far."""


@dataclass(slots=True, kw_only=True)
class _Sighted:
    """What one list told of the sessions that are looked for."""

    wanted: dict[str, list[FollowUp]]  # by session: an API may call several uploads the same
    listed: int = 0  # sessions in the list, as far as it was read
    kept: int = 0
    looks: list[tuple[FollowUp, Look]] = field(default_factory=list)


class ListRound:
    """Reads the list where that is the better way, and knows what it does not tell."""

    def __init__(self, outbox: Outbox, client: ApiClient, *, conclude: Conclude, now: Now) -> None:
        """Prepare to read.

        Args:
            outbox: where the sessions are that are looked for.
            client: the way to the host.
            conclude: records what a look leads to.
            now: the station's clock.
        """
        self._outbox = outbox
        self._client = client
        self._conclude = conclude
        self._now = now
        self._singly: set[int] = set()  # entries of which the list does not tell enough
        self._failed_at: float | None = None
        self._listed = 0  # sessions in the last list, as far as it had to be read

    def serves(self, due: Sequence[FollowUp]) -> list[FollowUp]:
        """Return those of what is due that the list is to be read for; none: ask about one."""
        missing = [f for f in due if f.state is not FollowUpState.COMPLETED]
        by_list = [f for f in missing if f.entry_id not in self._singly]
        many = max(_MANY, self._listed // _LISTED_FOR_ONE)
        is_wished = len(by_list) >= many or (by_list and _other_way(by_list[0]))
        return by_list if is_wished and not self._rests() else []

    def asked_singly(self, follow_up: FollowUp) -> None:
        """Hear that a session was asked about by itself."""
        self._singly.discard(follow_up.entry_id)

    def look(self, due: Sequence[FollowUp], key: ApiKey) -> None:
        """Read the list, and record what it tells of what is due.

        Raises:
            LaneError: the way to the API is at fault; what came before that is kept.
        """
        sighted = _Sighted(wanted={})
        for open_ in self._outbox.follow_ups.open(most=MOST_OPEN):
            sighted.wanted.setdefault(open_.session_id, []).append(open_)
        try:
            with suppress(_SeenAll):  # the newest come first
                self._client.documents(key, lambda id_, told: self._see(sighted, id_, told))
        except LaneError as fault:
            if fault.reason != "network":
                self._failed_at = self._now().utc_s
            raise
        crash_point("looked-at-list")
        self._listed = sighted.listed
        self._record(sighted, due)

    def _see(self, sighted: _Sighted, session_id: str, told: object) -> None:
        """Take note of a session in the list; what is there is kept at once, not held in memory."""
        sighted.listed += 1
        analysis = read_analysis(told, session_id) if session_id in sighted.wanted else None
        if analysis is None:
            return
        look = judged(analysis, whole="angles" in analysis.document)
        for follow_up in sighted.wanted.pop(session_id):
            if look.sight is not Sight.THERE:
                slim = replace(analysis, document={})
                sighted.looks.append((follow_up, replace(look, analysis=slim)))
            elif sighted.kept < _MOST_KEPT:
                sighted.kept += 1
                self._conclude(follow_up, look)
        if not sighted.wanted:
            raise _SeenAll

    def _record(self, sighted: _Sighted, due: Sequence[FollowUp]) -> None:
        are_due, now_s = {f.entry_id for f in due}, self._now().utc_s
        with self._outbox.transaction():
            for follow_up, look in sighted.looks:
                counts = follow_up.entry_id in are_due or _goes_along(follow_up, now_s)
                if counts or look.sight is Sight.FAILED:
                    self._conclude(follow_up, look)
                    self._ask_singly_where_stuck(follow_up, look)
            for follow_up in due:
                if follow_up.session_id in sighted.wanted:
                    self._not_listed(follow_up)

    def _ask_singly_where_stuck(self, follow_up: FollowUp, look: Look) -> None:
        """Let the analysed video be asked for, where metrics are there without it."""
        if look.analysis is not None and look.analysis.numbers and follow_up.polls > 0:
            self._singly.add(follow_up.entry_id)

    def _not_listed(self, follow_up: FollowUp) -> None:
        """Ask singly for what the list does not tell of; it is absent where that failed before."""
        if _other_way(follow_up):
            look = Look(sight=Sight.ABSENT, words="the API does not list it either")
            self._conclude(follow_up, look)
        else:
            self._singly.add(follow_up.entry_id)

    def _rests(self) -> bool:
        if self._failed_at is None:
            return False
        return abs(self._now().utc_s - self._failed_at) < _RESTS_S


def _other_way(follow_up: FollowUp) -> bool:
    """Tell whether looks at a session served for nothing, so that the list is asked; twice."""
    return follow_up.absences + follow_up.failures in _BY_LIST


def _goes_along(follow_up: FollowUp, now_s: float) -> bool:
    """Tell whether a list that is read for others may serve as the next look at a session, too.

    Where half of its wait is over: hundreds of sessions come to be due together, and one list in a
    quarter of an hour does for all.  For each by itself a long list would be read all the time.
    """
    if follow_up.last_asked_at is None or follow_up.due_at is None:
        return False
    return follow_up.due_at - now_s <= now_s - follow_up.last_asked_at
