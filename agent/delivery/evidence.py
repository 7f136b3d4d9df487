"""What the session list says of a clip: found, proven absent, or neither.

Absence needs a positive control: the list must show the session that this station delivered
last before the attempt, its title still with its code.  Then it is neither late, nor cut short,
nor stripped of its titles.  Where nothing was delivered before, any session that is surely older
than the attempt shows that the list reaches back; but then it must be the list of the account
that the clip was sent to, and nothing in it that could be the clip's own session under another
title.
"""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum

from agent.api.sessions import ListedSession
from agent.outbox.entry import Entry
from agent.outbox.outcomes import Outcomes

_ANY_CODE = re.compile(r"\[[0-9a-hjkmnp-tv-z]{10}\]")  # of any station


class Finding(StrEnum):
    """What one look-up shows."""

    FOUND = "found"
    ABSENT = "absent"
    UNPROVEN = "unproven"  # not there, but the list may not show everything


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
            outcomes: what was delivered before.
            began_at: Unix time, when it was sent at the latest.
            is_its_account: whether the list is surely of the account that it was sent to.
        """
        self._entry = entry
        self._moment = datetime.fromtimestamp(began_at, UTC)
        self._is_its_account = is_its_account
        self._delivered = outcomes.newest_delivered_before(entry)
        self._is_shown = False
        self._shows_older = False
        self._may_be_ours = False

    def see(self, session: ListedSession) -> None:
        """Take note of one listed session."""
        if self._delivered is not None:
            session_id, code = self._delivered
            self._is_shown |= session.session_id == session_id and code in session.title.lower()
        elif session.is_surely_older_than(self._moment):
            self._shows_older = True
        else:
            self._may_be_ours |= self._could_be_ours(session)

    @property
    def proves(self) -> bool:
        """Whether what the list does not show does not exist."""
        if self._delivered is not None:
            return self._is_shown
        return self._is_its_account and self._shows_older and not self._may_be_ours

    @property
    def proves_by_having_none(self) -> bool:
        """Whether an account that has no session at all is surely the one that it was sent to."""
        return self._is_its_account

    def _could_be_ours(self, session: ListedSession) -> bool:
        """Tell whether a session that is not older could be this clip's, its title replaced."""
        return (
            not _ANY_CODE.search(session.title.lower())
            and session.activity.lower() in {"", self._entry.activity}
            and (self._entry.user_id is None or session.user_id in {"", self._entry.user_id})
        )
