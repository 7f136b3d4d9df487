"""What the session list says of a clip: found, proven absent, or neither.

Absence needs a positive control: the list must show the session that this station delivered
last before the attempt, its title still with its code; where nothing was delivered before, a
session that is surely older, in the list of the account that the clip was sent to, and nothing
that could be the clip's own session under another title.  And it must reach to the present: it
shows what is newer than the attempt, or as many sessions as the account has.  Else it may be
late, or cut at either end.
"""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum

from agent.api.contract import ACTIVITY_LABELS
from agent.api.sessions import ListedSession
from agent.outbox.entry import Entry
from agent.outbox.outcomes import Outcomes

_ANY_CODE = re.compile(r"\[[0-9a-hjkmnp-tv-z]{10}\]")  # of any station


class Finding(StrEnum):
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


class Search:
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


class Control:
    """The same reading of the list, asked whether it would show a session if there were one."""

    def __init__(
        self, entry: Entry, outcomes: Outcomes, *, began_at: float, is_its_account: bool
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
                reading; None: it tells none.
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
        """Return what the API may call the clip's activity; nothing where it does not tell."""
        activity = self._entry.activity
        label = ACTIVITY_LABELS.get(activity, activity).lower()
        return {"", activity, label, label.replace(" ", "")}
