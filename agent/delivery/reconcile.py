"""Uploads of unknown outcome: look for the clip code at the API before anything is sent again.

The API's filter by title is asked first: what that costs does not grow with the account.  What it
finds is there.  Absence is proven only by two look-ups, `wait_s` apart, the later one with its
positive control: the same query finds a clip that this station delivered.  Where the filter fails
that, or nothing was delivered yet, the whole list is read.  A host that has ever changed a title
proves nothing.

After a time-out (504, no answer in time, a crash of ours meanwhile) the API may still be at it, and
its list late: there the look-ups are `_PATIENCE` times as far apart.  That is the bound: a session
that is listed later still, while everything older is, would be made twice.  What cannot be proven
is held for a person, and still looked for: rarely, and once more if the person has it sent again.

The pause between the look-ups runs on the monotonic clock of this process; after a restart it
starts over, which costs time and never a second clip.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

import structlog

from agent.api.client import ApiClient
from agent.api.contract import ACTIVITY_LABELS
from agent.api.documents import ListedSession
from agent.clock import Clock
from agent.delivery.circuit_breaker import ApiAccess
from agent.delivery.retry_policy import ClipBackoff
from agent.errors import ApiUnavailableError
from agent.failpoints import crash_point
from agent.outbox.entries import AttemptEnd, AttemptKind, DeliveryQueries
from agent.outbox.models import Entry, LookFirst
from agent.outbox.outbox import Outbox
from agent.outbox.states import EntryState, Reason
from agent.retry import Backoff
from agent.stage import StageName

_ANY_CODE = re.compile(r"\[[0-9a-hjkmnp-tv-z]{10}\]")  # of any station


class LookupResult(StrEnum):
    """What one look-up shows."""

    FOUND = "found"
    NOT_FOUND = "not_found"  # the filter does not show it; it was not tried on another one
    ABSENT = "absent"
    UNPROVEN = "unproven"  # not there, but the list may not show everything


def is_shown(delivered: tuple[str, str] | None, session: ListedSession) -> bool:
    """Tell whether a session is that of a delivered clip, its code still in its title."""
    if delivered is None:
        return False
    session_id, code = delivered
    return session.session_id == session_id and code in session.title.lower()


class TitleSearch:
    """One reading of the list for the codes of some clips; no more is kept of it."""

    def __init__(self, clip_codes: Collection[str]) -> None:
        self._found: dict[str, dict[str, ListedSession]] = {c.lower(): {} for c in clip_codes}

    def see(self, session: ListedSession) -> None:
        """Take note of one listed session."""
        title = session.title.lower()
        for code, sessions in self._found.items():
            if code in title:  # a list may name one and the same session twice
                sessions.setdefault(session.session_id, session)

    def found(self, clip_code: str) -> list[ListedSession]:
        """Return the sessions whose title carries a code: one, or by the server's fault more."""
        return list(self._found[clip_code.lower()].values())


class PositiveControl:
    """The same reading of the list, asked whether it would show a session if there were one."""

    def __init__(
        self, entry: Entry, outcomes: DeliveryQueries, *, began_at: float, is_its_account: bool
    ) -> None:
        """Prepare to read a list.

        Args:
            entry: the clip that is looked for.
            outcomes: what was delivered before and after.
            began_at: Unix time, when it was sent at the latest.
            is_its_account: whether the list is surely of the account that it was sent to.
        """
        self._entry = entry
        self._moment = datetime.fromtimestamp(began_at, UTC)
        self._is_its_account = is_its_account
        self._before = outcomes.newest_delivered_before(entry)
        self._after = outcomes.newest_delivered_after(entry)
        self._shown_ids: set[str] = set()  # of the two
        self._count = 0
        self._shows_older = False
        self._shows_newer = False
        self._may_be_ours = False

    def see(self, session: ListedSession) -> None:
        """Take note of one listed session."""
        self._count += 1
        for delivered in (self._before, self._after):
            if is_shown(delivered, session):
                self._shown_ids.add(session.session_id)
        self._shows_newer |= session.is_surely_newer_than(self._moment)
        if session.is_surely_older_than(self._moment):
            self._shows_older = True
        else:
            self._may_be_ours |= self._could_be_ours(session)

    @property
    def reaches_back(self) -> bool:
        """Whether the list shows what was there before the attempt."""
        if self._before is not None:
            return self._before[0] in self._shown_ids
        return self._is_its_account and self._shows_older and not self._may_be_ours

    def reaches_the_present(self, session_number: int | None) -> bool:
        """Whether the list shows what was made after the attempt, too.

        Args:
            session_number: how many sessions the account has, by its own count after this
                reading; None: it gives none.
        """
        if self._shows_newer or (self._after is not None and self._after[0] in self._shown_ids):
            return True
        if session_number is None:
            return self._before is not None
        return self._count >= session_number

    @property
    def is_its_account(self) -> bool:
        """Whether the list is surely of the account that the clip was sent to."""
        return self._is_its_account

    def _could_be_ours(self, session: ListedSession) -> bool:
        """Tell whether a session that is not older could be this clip's, its title replaced."""
        return (
            not _ANY_CODE.search(session.title.lower())
            and session.activity.lower() in self._names_of_activity()
            and (self._entry.user_id is None or session.user_id in {"", self._entry.user_id})
        )

    def _names_of_activity(self) -> set[str]:
        """Return what the API may call the clip's activity; nothing where it does not say."""
        activity = self._entry.activity
        label = ACTIVITY_LABELS.get(activity, activity).lower()
        return {"", activity, label, label.replace(" ", "")}


_MOST_AT_ONCE = 50  # held clips that are looked for in one list
_MOST_BY_FILTER = 5  # held clips that are looked for one by one
_PATIENCE = 15  # times as long between the look-ups after a time-out: 30 min instead of 2
_NO_LIST = "this key may not list the sessions in which it would be looked up"
_OF_THE_WAY = frozenset({"network", "tls", "key"})  # no fault of the filter's
_LOOK_AGAIN_S = (600.0, 86_400.0)  # soonest and latest look-up of what is held
_AFTER_NO_LIST = Backoff(base_s=30.0, longest_s=3600.0)

log = structlog.get_logger(stage=StageName.DELIVERY)


class Reconciler:
    """Finds out what became of clips that were sent whole without an answer."""

    def __init__(
        self,
        outbox: Outbox,
        client: ApiClient,
        patience: ClipBackoff,
        *,
        wait_s: float,
        keeps_titles: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._client = client
        self._patience = patience
        self._wait_s = wait_s
        self._keeps_titles = keeps_titles
        self._now = clock.now
        self._monotonic = clock.monotonic
        self._first_looks: dict[tuple[int, int], tuple[float, LookupResult]] = {}
        self._no_lists = 0  # look-ups in a row to which the API gave no list
        self._refused: set[int] = set()  # entries for whose look-up the list was refused
        self._filter_works = False  # it stood its control when it was last tried

    def look_up(self, entry: Entry, access: ApiAccess) -> bool:
        """Look one uncertain entry up and move it, or set when to look again; True if it is there.

        Raises:
            ApiUnavailableError: the API gave no list; the entry is looked up again later.
        """
        if not access.has_list:
            self._hold(entry, detail=_NO_LIST)
            return False
        try:
            found, finding = self._look(entry, access, is_last=self._rest_s(entry) == 0)
        except ApiUnavailableError as fault:
            if fault.status == 403 and entry.id in self._refused:
                self._hold(entry, detail=f"{_NO_LIST}: {fault}")
                return False
            if fault.status == 403:
                self._refused.add(entry.id)
            self._no_lists += 1
            later_s = self._now().utc_s + _AFTER_NO_LIST.delay_s(self._no_lists)
            self._outbox.entries.postpone(entry, due_at=later_s)  # the others must not wait for it
            raise
        self._no_lists = 0
        self._refused.discard(entry.id)
        if found:
            self._adopt(entry, found)
        else:
            self._conclude(entry, finding)
        return bool(found)

    def may_resend(self, entry: Entry, access: ApiAccess) -> bool:
        """Look once more before a clip is sent again; False where it was found.

        What a person saw, or what proved its absence hours ago, may have been a list that was late.

        Raises:
            ApiUnavailableError: the API gave no list.
        """
        now_s = self._now().utc_s
        if not self._outbox.outcomes.may_have_been_made(entry, now_s=now_s):
            return True
        if entry.look_first in {LookFirst.PROVE, LookFirst.THEN_HOLD}:
            changes = {"due_at": now_s}
            self._outbox.entries.move(entry, EntryState.UNCERTAIN, now_s=now_s, changes=changes)
            return False
        if not access.has_list:
            return True  # nobody could look it up; a person has it sent all the same
        found, _ = self._look(entry, access, is_last=not self._filter_works)
        if found:
            self._adopt(entry, found)
        return not found

    def next_settlement_at(self) -> float | None:
        """Return when the next look-up is due where nothing else may be sent before; else None."""
        first = None if self._no_lists else self._outbox.outcomes.settled_first()
        return None if first is None else first.due_at

    def next_look_at(self) -> float | None:
        """Return when something that is held is looked for again, or None."""
        return self._outbox.outcomes.unknown_due_at()

    def look_for_held(self, access: ApiAccess) -> None:
        """Look for the clips that are held because nobody knows: the list may have been late.

        Raises:
            ApiUnavailableError: the API gave no list.
        """
        now_s = self._now().utc_s
        most = _MOST_BY_FILTER if self._filter_works else _MOST_AT_ONCE
        entries = self._outbox.outcomes.unknown_due(now_s, most=most)
        if not entries:
            return
        for (
            entry
        ) in entries:  # beforehand: a list that cannot be read must not be asked for at once
            wait_s = min(max(now_s - entry.changed_at, _LOOK_AGAIN_S[0]), _LOOK_AGAIN_S[1])
            self._outbox.outcomes.look_again_at(entry, due_at=now_s + wait_s)
        if not access.has_list:
            return
        clip_codes = [entry.clip_code for entry in entries]
        search = TitleSearch(clip_codes)
        self._search(search, clip_codes, access)
        for entry in entries:
            if found := search.found(entry.clip_code):
                self._adopt(entry, found)

    def _search(self, search: TitleSearch, clip_codes: Sequence[str], access: ApiAccess) -> None:
        """Look for several clips, in the cheaper way."""
        if not self._filter_works:
            self._client.sessions(access.key, search.see)
            return
        for clip_code in clip_codes:
            for session in self._client.find_sessions(access.key, clip_code):
                search.see(session)

    def _look(
        self, entry: Entry, access: ApiAccess, *, is_last: bool
    ) -> tuple[list[ListedSession], LookupResult]:
        """Look for one entry, and keep the look-up on record.

        Args:
            entry: what is looked for.
            access: to the open lane.
            is_last: whether what is not found now is to be proven absent.
        """
        attempt_id = self._outbox.attempts.begin(
            entry.id, AttemptKind.LOOK_UP, now_s=self._now().utc_s
        )
        began_s = self._monotonic()
        end = AttemptEnd(outcome="no_list", seconds=0.0)
        try:
            found, finding = self._look_by_filter(entry, access, is_last=is_last)
            if finding is LookupResult.UNPROVEN:
                found, finding = self._look_by_list(entry, access)
            end = replace(end, outcome=finding)
        except ApiUnavailableError as error:
            end = replace(end, status=error.status, detail=str(error))
            raise
        finally:
            end = replace(end, seconds=self._monotonic() - began_s)
            self._outbox.attempts.end(attempt_id, end)
        crash_point("looked-up")
        return found, finding

    def _look_by_filter(
        self, entry: Entry, access: ApiAccess, *, is_last: bool
    ) -> tuple[list[ListedSession], LookupResult]:
        """Ask the filter; unproven where it does not serve.

        Raises:
            ApiUnavailableError: the way to the API is at fault.
        """
        delivered = self._outbox.outcomes.newest_delivered_before(entry)
        try:
            if is_last and delivered is not None:
                shown = self._client.find_sessions(access.key, delivered[1])
                self._filter_works = any(is_shown(delivered, session) for session in shown)
            found = self._client.find_sessions(access.key, entry.clip_code)
        except ApiUnavailableError as fault:
            if fault.reason in _OF_THE_WAY or fault.status == 429:
                raise
            self._filter_works = False
            return [], LookupResult.UNPROVEN
        if found:
            return found, LookupResult.FOUND
        if delivered is None:
            return [], LookupResult.UNPROVEN
        if not is_last:
            return [], LookupResult.NOT_FOUND
        proven = self._filter_works and self._keeps_titles()
        return [], LookupResult.ABSENT if proven else LookupResult.UNPROVEN

    def _look_by_list(
        self, entry: Entry, access: ApiAccess
    ) -> tuple[list[ListedSession], LookupResult]:
        """Read the whole list.

        Raises:
            ApiUnavailableError: the API gave none.
        """
        control = self._control(entry, access)
        search = TitleSearch([entry.clip_code])

        def see(session: ListedSession) -> None:
            search.see(session)
            control.see(session)

        has_sessions = self._client.sessions(access.key, see)
        if found := search.found(entry.clip_code):
            return found, LookupResult.FOUND
        if not self._keeps_titles():
            return [], LookupResult.UNPROVEN
        if has_sessions:
            proven = control.reaches_back
        else:
            proven = control.is_its_account and not self._outbox.entries.has_delivered()
        if proven:
            number = self._client.organization_status(access.key).session_number
            proven = control.reaches_the_present(number) if has_sessions else not number
        return [], LookupResult.ABSENT if proven else LookupResult.UNPROVEN

    def _is_its_account(self, entry: Entry, access: ApiAccess) -> bool:
        """Tell whether a clip was sent to the account that the key opens now."""
        upload = self._outbox.attempts.last_upload(entry.id)
        account = upload.account if upload else None
        return account in {None, access.uid}  # an older Spotter did not keep it

    def _control(self, entry: Entry, access: ApiAccess) -> PositiveControl:
        upload = self._outbox.attempts.last_upload(entry.id)
        began_at = upload.began_at if upload else entry.sent_after
        return PositiveControl(
            entry,
            self._outbox.outcomes,
            began_at=min(began_at, self._now().utc_s),  # the clock may have been ahead
            is_its_account=self._is_its_account(entry, access),
        )

    def _wait_between_looks_s(self, entry: Entry) -> float:
        """Return how far apart two look-ups must be: longer where the API may be at it still."""
        return self._wait_s * (_PATIENCE if self._outbox.outcomes.timed_out(entry) else 1)

    def _rest_s(self, entry: Entry) -> float | None:
        """Return how long the second look-up must wait yet; None: there was no first one."""
        first = self._first_looks.get((entry.id, entry.attempts))
        if first is None:
            return None
        return max(0.0, first[0] + self._wait_between_looks_s(entry) - self._monotonic())

    def _conclude(self, entry: Entry, finding: LookupResult) -> None:
        now_s, wait_s = self._now().utc_s, self._wait_between_looks_s(entry)
        sending = (entry.id, entry.attempts)
        rest_s = self._rest_s(entry)
        if rest_s is None:
            self._first_looks[sending] = (self._monotonic(), finding)
            self._outbox.entries.postpone(entry, due_at=now_s + wait_s)
            return
        if rest_s > 0 or finding is LookupResult.NOT_FOUND:  # that was asked a moment too early
            self._outbox.entries.postpone(entry, due_at=now_s + rest_s)
            return
        _, first_finding = self._first_looks[sending]
        if finding is LookupResult.ABSENT and first_finding is LookupResult.UNPROVEN:
            # A proof is there since, as when another clip was found meanwhile: it counts from now.
            self._first_looks[sending] = (self._monotonic(), finding)
            self._outbox.entries.postpone(entry, due_at=now_s + wait_s)
            return
        del self._first_looks[sending]
        if finding is not LookupResult.ABSENT:
            self._hold(entry)
            return
        if entry.look_first is LookFirst.THEN_HOLD:
            log.warning(
                "entry held", entry=entry.name, clip=entry.clip_code, reason=Reason.RECORD_DAMAGED
            )
            changes: dict[str, object] = {"reason": Reason.RECORD_DAMAGED}
            self._move(entry, EntryState.HELD, {**changes, **_concluded(entry)})
            return
        log.info("upload not found", entry=entry.name, clip=entry.clip_code)
        after = self._patience.after_failure(entry, failures=entry.failures, waited_s=wait_s)
        self._move(entry, EntryState.READY, {**after, **_concluded(entry)})

    def _hold(self, entry: Entry, *, detail: str | None = None) -> None:
        """Let a person say its outcome; it is still looked for."""
        self._first_looks.pop((entry.id, entry.attempts), None)
        self._refused.discard(entry.id)
        log.warning(
            "entry held", entry=entry.name, clip=entry.clip_code, reason=Reason.OUTCOME_UNKNOWN
        )
        later_s = self._now().utc_s + _LOOK_AGAIN_S[0]
        details: dict[str, object] = {} if detail is None else {"detail": detail}
        waits = {"reason": Reason.OUTCOME_UNKNOWN, "due_at": later_s}
        self._move(entry, EntryState.HELD, {**waits, **details, **_concluded(entry)})

    def _move(self, entry: Entry, to: EntryState, changes: Mapping[str, object]) -> None:
        self._outbox.entries.move(entry, to, now_s=self._now().utc_s, changes=changes)

    def _adopt(self, entry: Entry, found: Sequence[ListedSession]) -> None:
        """Record the session that was found; a second one is reported, not chosen."""
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
            "upload confirmed",
            entry=entry.name,
            clip=entry.clip_code,
            session=session.session_id,
        )
        if was_given:
            log.warning("athlete mismatch found", entry=entry.name)
        for other in others:
            log.error("duplicate session found", entry=entry.name, session=other.session_id)


def _concluded(entry: Entry) -> dict[str, object]:
    """Return what is left to check before an entry is sent, once it was looked up."""
    return {"look_first": LookFirst.ONCE if entry.look_first else LookFirst.NO}
