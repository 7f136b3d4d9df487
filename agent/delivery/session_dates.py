"""Sets the recording time of sessions whose upload came later (`delivery.date_sessions`).

The API dates a session by its upload.  It takes another date in no known zone: the setting says
which.  A change may be asked for again; what the API refuses is left as it is.
"""

from collections.abc import Callable
from datetime import datetime, tzinfo

import structlog

from agent.api.client import ApiClient, ApiKey
from agent.api.responses import lane_fault
from agent.clock import Now
from agent.errors import ApiUnavailableError
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.retry import Backoff
from agent.stage import WAKE_ONLY, StageName

_LOOK_AGAIN_S = 30.0
_SINCE = "sessions_dated_since"  # Unix time at which the setting was first met
_MOST_WORDS = 300
_FOR_LATER = frozenset({401, 402, 408, 425, 429})

log = structlog.get_logger(stage=StageName.DATING)


class SessionDatesStage:
    """Dates the sessions of the station at one API host."""

    name = StageName.DATING

    def __init__(
        self,
        outbox: Outbox,
        client: ApiClient,
        *,
        zone: tzinfo | None,
        key: Callable[[], ApiKey | None],
        backoff: Backoff,
        now: Now,
    ) -> None:
        """Prepare to date.

        Args:
            outbox: where the delivered clips are.
            client: the way to the host.
            zone: of the dates at the API; None: sessions keep the date of their upload.
            key: gives the key while the lane is open.
            backoff: after what failed.
            now: the station's clock.
        """
        self._outbox = outbox
        self._client = client
        self._zone = zone
        self._key = key
        self._backoff = backoff
        self._now = now

    def step(self) -> float:
        """Date one session, and say when there may be another."""
        if self._zone is None:
            return WAKE_ONLY
        now_s = self._now().utc_s
        since_s = self._outbox.switches.moment(_SINCE)
        if since_s is None:
            self._outbox.switches.set(_SINCE, str(now_s))
            return 0.0
        longest_s = self._backoff.longest_s
        entry = self._outbox.dates.next_due(now_s, since_s=since_s, farthest_s=longest_s)
        key = self._key()
        if entry is None or key is None:
            return _LOOK_AGAIN_S
        self._date(entry, key, self._zone)
        return 0.0

    def close(self) -> None:
        """Nothing is held."""

    def _date(self, entry: Entry, key: ApiKey, zone: tzinfo) -> None:
        assert entry.session_id is not None and entry.filmed_at is not None  # it was chosen so
        filmed = datetime.fromtimestamp(entry.filmed_at, zone)
        now_s = self._now().utc_s
        try:
            refusal = self._ask(entry.session_id, key, f"{filmed:%Y-%m-%d %H:%M:%S}")
        except ApiUnavailableError as fault:
            failures = self._outbox.dates.failures(entry.id) + 1
            due_at = now_s + self._backoff.delay_s(failures, retry_after_s=fault.retry_after_s)
            detail = str(fault)[:_MOST_WORDS]
            self._outbox.dates.note(
                entry.id, "waiting", due_at=due_at, failures=failures, detail=detail
            )
            return
        state = "dated" if refusal is None else "refused"
        if refusal is None:
            log.info("session dated", entry=entry.name)
        else:
            log.warning("session date refused", entry=entry.name, answer=refusal)
        self._outbox.dates.note(entry.id, state, due_at=now_s, failures=0, detail=refusal)

    def _ask(self, session_id: str, key: ApiKey, created_at: str) -> str | None:
        """Change a session's date; return the words of a refusal, None where it is done.

        Raises:
            ApiUnavailableError: it was not the API that answered, or not about this session.
        """
        answer = self._client.change_session(session_id, key, {"created_at": created_at})
        words = answer.error_words()
        if 200 <= answer.status < 300 and answer.json() is not None:
            return None
        if words is None or answer.status in _FOR_LATER or answer.status >= 500:
            raise lane_fault(answer, now_s=self._now().utc_s)
        return f"HTTP {answer.status}: {words}"
