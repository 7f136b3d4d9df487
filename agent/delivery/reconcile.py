"""Unknown outcomes: look for the clip code at the API before anything is sent again.

Absence is proven only by two look-ups `wait_s` apart, each of which must reach back before the
attempt: it shows a session that this station delivered earlier, its title still with its code,
or any session that is older; and this host has never changed a title.  What cannot be proven
is held for a person.  The pause between the look-ups runs on the monotonic clock of this
process; after a restart it begins anew, which costs time and never a second clip.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

import structlog

from agent.api.client import ApiClient
from agent.api.payloads import SessionList
from agent.clock import Now
from agent.crashpoints import crash_point
from agent.delivery.gate import Passage
from agent.outbox.attempts import AttemptEnd, AttemptKind
from agent.outbox.entry import Entry
from agent.outbox.states import EntryState, Reason
from agent.outbox.store import Outbox

log = structlog.get_logger(stage="delivery")


class Finding(StrEnum):
    """What one look-up shows."""

    FOUND = "found"
    ABSENT = "absent"
    UNPROVEN = "unproven"  # not there, but the list may not show everything


class Reconciler:
    """Finds out what became of clips that were sent whole without an answer."""

    def __init__(
        self,
        outbox: Outbox,
        client: ApiClient,
        *,
        wait_s: float,
        keeps_titles: Callable[[], bool],
        now: Now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._client = client
        self._wait_s = wait_s
        self._keeps_titles = keeps_titles
        self._now = now
        self._monotonic = monotonic
        self._first_looks: dict[tuple[int, int], tuple[float, Finding]] = {}

    def look_up(self, entry: Entry, passage: Passage) -> None:
        """Look one entry up and move it, or set when to look again.

        Raises:
            LaneError: the API did not answer; nothing changed.
        """
        attempt_id = self._outbox.attempts.begin(
            entry.id, AttemptKind.LOOK_UP, now_s=self._now().utc_s
        )
        began_s = self._monotonic()
        listed = self._client.sessions(passage.key)
        session_id = find_code(listed, entry.clip_code)
        finding = Finding.FOUND if session_id is not None else self._judge_absence(entry, listed)
        end = AttemptEnd(outcome=finding, seconds=self._monotonic() - began_s)
        crash_point("looked-up")
        with self._outbox.transaction():
            self._outbox.attempts.end(attempt_id, end)
            if session_id is not None and listed is not None:
                self._adopt(entry, session_id, listed.sessions[session_id].title)
            else:
                self._conclude(entry, finding)

    def _judge_absence(self, entry: Entry, listed: SessionList | None) -> Finding:
        """Tell whether a list without the code proves that there is no session."""
        if listed is None:
            proven = not self._outbox.entries.has_delivered()
        else:
            proven = self._keeps_titles() and self._reaches_back(entry, listed)
        return Finding.ABSENT if proven else Finding.UNPROVEN

    def _reaches_back(self, entry: Entry, listed: SessionList) -> bool:
        """Tell whether a list shows sessions from before the attempt, with intact titles."""
        attempt = self._outbox.attempts.last_upload(entry.id)
        began_at = attempt.began_at if attempt else entry.created_at
        ours = self._outbox.entries.delivered_among(listed.sessions, before_s=began_at)
        if ours:
            return all(
                code in listed.sessions[session_id].title.lower()
                for session_id, code in ours.items()
            )
        moment = datetime.fromtimestamp(began_at, UTC)
        return any(session.is_surely_older_than(moment) for session in listed.sessions.values())

    def _conclude(self, entry: Entry, finding: Finding) -> None:
        now_s = self._now().utc_s
        sending = (entry.id, entry.attempts)
        first = self._first_looks.get(sending)
        if first is None:
            self._first_looks[sending] = (self._monotonic(), finding)
            self._outbox.entries.postpone(entry, due_at=now_s + self._wait_s)
            return
        looked_s, first_finding = first
        rest_s = looked_s + self._wait_s - self._monotonic()
        if rest_s > 0:
            self._outbox.entries.postpone(entry, due_at=now_s + rest_s)
            return
        del self._first_looks[sending]
        if finding is first_finding is Finding.ABSENT:
            log.info("not at the API: will be sent again", entry=entry.name, clip=entry.clip_code)
            self._outbox.entries.move(
                entry, EntryState.READY, now_s=now_s, changes={"due_at": now_s}
            )
            return
        log.warning("outcome cannot be known: held", entry=entry.name, clip=entry.clip_code)
        self._outbox.entries.move(
            entry, EntryState.HELD, now_s=now_s, reason=Reason.OUTCOME_UNKNOWN
        )

    def _adopt(self, entry: Entry, session_id: str, title: str) -> None:
        self._first_looks.pop((entry.id, entry.attempts), None)
        self._outbox.entries.adopt_session(
            entry.id, session_id=session_id, server_title=title, now_s=self._now().utc_s
        )
        log.info("delivered (found)", entry=entry.name, clip=entry.clip_code, session=session_id)


def find_code(listed: SessionList | None, clip_code: str) -> str | None:
    """Return the id of the session whose title carries a clip code, or None."""
    if listed is None:
        return None
    wanted = clip_code.lower()
    return next(
        (
            session_id
            for session_id, session in listed.sessions.items()
            if wanted in session.title.lower()
        ),
        None,
    )
