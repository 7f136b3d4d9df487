"""Unknown outcomes: look for the clip code at the API before anything is sent again.

Absence is proven only by two look-ups `wait_s` apart, each with its positive control
(`agent.delivery.evidence`), at a host that has never changed a title.  What cannot be proven is
held for a person, and still looked for: rarely, and once more if the person has it sent again.
The pause between the look-ups runs on the monotonic clock of this process; after a restart it
begins anew, which costs time and never a second clip.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from agent.api.client import ApiClient
from agent.api.sessions import ListedSession
from agent.clock import Now
from agent.crashpoints import crash_point
from agent.delivery.evidence import Control, Finding, Search
from agent.delivery.gate import Passage
from agent.delivery.patience import Patience
from agent.errors import LaneError
from agent.outbox.attempts import AttemptEnd, AttemptKind
from agent.outbox.backoff import Backoff
from agent.outbox.entry import Entry, LookFirst
from agent.outbox.states import EntryState, Reason
from agent.outbox.store import Outbox

_MOST_AT_ONCE = 50  # held clips that are looked for in one list
_LOOK_AGAIN_S = (600.0, 86_400.0)  # soonest and latest look at what is held
_AFTER_NO_LIST = Backoff(base_s=30.0, longest_s=3600.0)

log = structlog.get_logger(stage="delivery")


class Reconciler:
    """Finds out what became of clips that were sent whole without an answer."""

    def __init__(
        self,
        outbox: Outbox,
        client: ApiClient,
        patience: Patience,
        *,
        wait_s: float,
        keeps_titles: Callable[[], bool],
        now: Now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._client = client
        self._patience = patience
        self._wait_s = wait_s
        self._keeps_titles = keeps_titles
        self._now = now
        self._monotonic = monotonic
        self._first_looks: dict[tuple[int, int], tuple[float, Finding]] = {}
        self._no_lists = 0  # look-ups in a row to which the API gave no list

    def look_up(self, entry: Entry, passage: Passage) -> bool:
        """Look one uncertain entry up and move it, or set when to look again; True if it is there.

        Raises:
            LaneError: the API gave no list; the entry is looked up again later.
        """
        try:
            found, finding = self._look(entry, passage)
        except LaneError:
            self._no_lists += 1
            later_s = self._now().utc_s + _AFTER_NO_LIST.delay_s(self._no_lists)
            self._outbox.entries.postpone(entry, due_at=later_s)  # the others must not wait for it
            raise
        self._no_lists = 0
        if found:
            self._adopt(entry, found)
        else:
            self._conclude(entry, finding)
        return bool(found)

    def may_go_again(self, entry: Entry, passage: Passage) -> bool:
        """Look once more before a clip is sent again; False where it was found.

        What a person saw, or what proved its absence hours ago, may have been a list that was late.

        Raises:
            LaneError: the API gave no list.
        """
        now_s = self._now().utc_s
        if not self._outbox.outcomes.may_have_been_made(entry, now_s=now_s):
            return True
        if entry.look_first in {LookFirst.PROVE, LookFirst.THEN_HOLD}:
            changes = {"due_at": now_s}
            self._outbox.entries.move(entry, EntryState.UNCERTAIN, now_s=now_s, changes=changes)
            return False
        found, _ = self._look(entry, passage)
        if found:
            self._adopt(entry, found)
        return not found

    def settles_first_at(self) -> float | None:
        """Return when the next look is due where nothing else may be sent before; else None."""
        first = None if self._no_lists else self._outbox.outcomes.settled_first()
        return None if first is None else first.due_at

    def next_look_at(self) -> float | None:
        """Return when something that is held is looked for again, or None."""
        return self._outbox.outcomes.unknown_due_at()

    def look_for_held(self, passage: Passage) -> None:
        """Look for the clips that are held because nobody knows: the list may have been late.

        Raises:
            LaneError: the API gave no list.
        """
        now_s = self._now().utc_s
        entries = self._outbox.outcomes.unknown_due(now_s, most=_MOST_AT_ONCE)
        if not entries:
            return
        for (
            entry
        ) in entries:  # beforehand: a list that cannot be read must not be asked for at once
            wait_s = min(max(now_s - entry.changed_at, _LOOK_AGAIN_S[0]), _LOOK_AGAIN_S[1])
            self._outbox.outcomes.look_again_at(entry, due_at=now_s + wait_s)
        search = Search([entry.clip_code for entry in entries])
        self._client.sessions(passage.key, search.see)
        for entry in entries:
            if found := search.found(entry.clip_code):
                self._adopt(entry, found)

    def _look(self, entry: Entry, passage: Passage) -> tuple[list[ListedSession], Finding]:
        """Look for one entry, and keep the look on record."""
        attempt_id = self._outbox.attempts.begin(
            entry.id, AttemptKind.LOOK_UP, now_s=self._now().utc_s
        )
        began_s = self._monotonic()
        control = self._control(entry, passage)
        search = Search([entry.clip_code])

        def see(session: ListedSession) -> None:
            search.see(session)
            control.see(session)

        end = AttemptEnd(outcome="no_list", seconds=0.0)
        try:
            has_sessions = self._client.sessions(passage.key, see)
            found = search.found(entry.clip_code)
            end = replace(end, outcome=self._judge(found, control, has_sessions=has_sessions))
        except LaneError as error:
            end = replace(end, status=error.status, detail=str(error))
            raise
        finally:
            end = replace(end, seconds=self._monotonic() - began_s)
            self._outbox.attempts.end(attempt_id, end)
        crash_point("looked-up")
        return found, Finding(end.outcome)

    def _control(self, entry: Entry, passage: Passage) -> Control:
        upload = self._outbox.attempts.last_upload(entry.id)
        began_at = upload.began_at if upload else entry.sent_after
        account = upload.account if upload else None
        return Control(
            entry,
            self._outbox.outcomes,
            began_at=min(began_at, self._now().utc_s),  # the clock may have been ahead
            is_its_account=account in {None, passage.uid},  # an older Spotter did not keep it
        )

    def _judge(
        self, found: Sequence[ListedSession], control: Control, *, has_sessions: bool
    ) -> Finding:
        if found:
            return Finding.FOUND
        if has_sessions:
            proven = self._keeps_titles() and control.proves
        else:
            proven = control.proves_by_having_none and not self._outbox.entries.has_delivered()
        return Finding.ABSENT if proven else Finding.UNPROVEN

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
        if finding is Finding.ABSENT and first_finding is not finding:
            # A proof is there since, as when another clip was found meanwhile: it counts from now.
            self._first_looks[sending] = (self._monotonic(), finding)
            self._outbox.entries.postpone(entry, due_at=now_s + self._wait_s)
            return
        del self._first_looks[sending]
        concluded = {"look_first": LookFirst.ONCE if entry.look_first else LookFirst.NO}
        is_absent = finding is first_finding is Finding.ABSENT
        if is_absent and entry.look_first is LookFirst.THEN_HOLD:
            log.warning("not at the API, its record is damaged: held", entry=entry.name)
            self._move(entry, EntryState.HELD, {"reason": Reason.RECORD_DAMAGED, **concluded})
            return
        if is_absent:
            log.info("not at the API: will be sent again", entry=entry.name, clip=entry.clip_code)
            after = self._patience.after_failure(
                entry, failures=entry.failures, waited_s=self._wait_s
            )
            self._move(entry, EntryState.READY, {**after, **concluded})
            return
        log.warning("outcome cannot be known: held", entry=entry.name, clip=entry.clip_code)
        later_s = now_s + _LOOK_AGAIN_S[0]
        changes = {"reason": Reason.OUTCOME_UNKNOWN, "due_at": later_s, **concluded}
        self._move(entry, EntryState.HELD, changes)

    def _move(self, entry: Entry, to: EntryState, changes: Mapping[str, object]) -> None:
        self._outbox.entries.move(entry, to, now_s=self._now().utc_s, changes=changes)

    def _adopt(self, entry: Entry, found: Sequence[ListedSession]) -> None:
        """Record the session that was found; a second one is told of, not chosen."""
        self._first_looks.pop((entry.id, entry.attempts), None)
        session, *others = found
        now_s = self._now().utc_s
        with self._outbox.transaction():
            self._outbox.entries.adopt_session(
                entry.id,
                session_id=session.session_id,
                server_title=session.title,
                now_s=now_s,
            )
            was_given = bool(session.user_id) and self._outbox.outcomes.note_athlete(
                entry.id, session.user_id, now_s=now_s
            )
            for other in others:
                self._outbox.outcomes.note_second_session(entry.id, other.session_id)
        log.info(
            "delivered (found)",
            entry=entry.name,
            clip=entry.clip_code,
            session=session.session_id,
        )
        if was_given:
            log.warning("it had gone to the athlete before", entry=entry.name)
        for other in others:
            log.error("the API made a second session", entry=entry.name, session=other.session_id)
