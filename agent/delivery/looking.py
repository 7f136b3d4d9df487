"""Asking the API about a session, and what its answer means.  It changes nothing here."""

from dataclasses import dataclass, replace
from enum import StrEnum

from agent.api.analyses import Analysis, link_path, read_analysis, read_link, session_path
from agent.api.answers import Answer, lane_fault, wished_wait_s
from agent.api.client import ApiClient, ApiKey
from agent.api.contract import rendering_flags
from agent.clock import Now
from agent.errors import LaneError
from agent.outbox.results.documents import MOST_DOCUMENT_BYTES
from agent.outbox.results.follow_ups import FollowUp

_MB = 1 << 20
_ABSENT = frozenset({404, 410})
_OF_THE_WAY = frozenset({401, 402, 408, 425, 429})  # said of every session alike


class Sight(StrEnum):
    """What a look showed."""

    THERE = "there"  # the analysed video has a link
    NOT_YET = "not_yet"
    FAILED = "failed"  # the API says that the analysis failed
    ABSENT = "absent"  # the API does not know the session
    UNCLEAR = "unclear"  # no answer, or none about this session: nothing is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a session showed."""

    sight: Sight
    analysis: Analysis | None = None
    whole: bool = True  # False: from the list, which tells no angles and timestamps
    words: str | None = None  # why, for a person
    fault: LaneError | None = None  # of the way to the API: others would meet it too


def judged(analysis: Analysis, *, whole: bool) -> Look:
    """Return what an answer about a session shows."""
    if analysis.link is not None:
        return Look(sight=Sight.THERE, analysis=analysis, whole=whole)
    if analysis.failure is not None:
        return Look(sight=Sight.FAILED, analysis=analysis, words=analysis.failure)
    return Look(sight=Sight.NOT_YET, analysis=analysis)


class Looker:
    """Asks about single sessions."""

    def __init__(self, client: ApiClient, *, now: Now) -> None:
        self._client = client
        self._now = now

    def look(self, follow_up: FollowUp, key: ApiKey) -> Look:
        """Ask the endpoint of a session's activity."""
        path = session_path(follow_up.activity, follow_up.session_id)
        try:
            answer = self._client.ask("GET", path, key, most_bytes=MOST_DOCUMENT_BYTES)
        except LaneError as fault:
            return Look(sight=Sight.UNCLEAR, words=str(fault), fault=fault)
        if not 200 <= answer.status < 300:
            return self._refused(answer)
        if answer.is_cut:
            told = f"the API's answer is longer than {MOST_DOCUMENT_BYTES // _MB} MB"
            return Look(sight=Sight.UNCLEAR, words=told)
        analysis = read_analysis(answer.json(), follow_up.session_id)
        if analysis is None:
            strange = self._fault(answer)
            return Look(sight=Sight.UNCLEAR, words=str(strange), fault=strange)
        return judged(analysis, whole=True)

    def ask_for_link(self, follow_up: FollowUp, key: ApiKey, look: Look) -> Look:
        """Ask for the analysed video of a session whose metrics are there: it may begin with it."""
        assert look.analysis is not None  # it told of metrics
        path = link_path(follow_up.activity, follow_up.session_id)
        try:
            answer = self._client.ask("GET", path, key, most_bytes=_MB)
            if answer.status == 404 and answer.error_words() is not None:  # not begun: do so
                plain, flags = path.partition("?")[0], rendering_flags(follow_up.activity)
                answer = self._client.ask("POST", plain, key, document=flags, most_bytes=_MB)
        except LaneError as fault:
            return replace(look, fault=fault)
        if answer.status == 429:
            return replace(look, fault=self._fault(answer))
        link = read_link(answer.json()) if 200 <= answer.status < 300 else None
        if link is None:
            return look
        return replace(look, sight=Sight.THERE, analysis=replace(look.analysis, link=link))

    def _refused(self, answer: Answer) -> Look:
        words = answer.error_words()
        told = f"HTTP {answer.status}" + (f": {words}" if words else "")
        if words is not None and answer.status in _ABSENT:
            return Look(sight=Sight.ABSENT, words=told)
        if words is not None and 400 <= answer.status < 500 and answer.status not in _OF_THE_WAY:
            return Look(sight=Sight.UNCLEAR, words=told)  # this session's own trouble
        return Look(sight=Sight.UNCLEAR, words=told, fault=self._fault(answer))

    def _fault(self, answer: Answer) -> LaneError:
        now_s = self._now().utc_s
        fault = lane_fault(answer, now_s=now_s)
        fault.retry_after_s = wished_wait_s(answer, now_s=now_s)
        return fault
