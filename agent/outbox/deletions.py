"""Sessions of erased athletes at the API: kept -> waiting -> deleted | refused; refused -> waiting.

A row is durable before anything is asked for, and stays: it is what a receipt of the erasure says.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.entry import Entry


class DeletionState(StrEnum):
    """How far the deletion of a session has come."""

    KEPT = "kept"  # only this box was to forget the athlete
    WAITING = "waiting"
    DELETED = "deleted"  # the API said so, or knows no such session
    REFUSED = "refused"
    UNLISTED = "unlisted"  # it was never known whether there is one, and the API lists none


_UNKNOWN = "?"  # begins what stands for the id of a session that may exist


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDeletion:
    """One session that is to be deleted."""

    id: int
    forgetting_id: int
    session_id: str
    clip_code: str
    state: DeletionState
    status: int | None  # of the last answer
    answer: str | None  # the API's own words, or why nobody answered
    attempts: int
    failures: int  # in a row
    due_at: float  # Unix time: not tried before
    asked_at: float
    ended_at: float | None  # when it was deleted or refused
    changed_at: float

    @property
    def is_known(self) -> bool:
        """Whether the session's id is known; else it is to be looked up by the clip's code."""
        return not self.session_id.startswith(_UNKNOWN)

    @classmethod
    def from_row(cls, row: Row) -> "SessionDeletion":
        """Build it from a row of its table."""
        plain = {name: row[name] for name in cls.__slots__ if name != "state"}
        return cls(state=DeletionState(str(row["state"])), **plain)  # type: ignore[arg-type]  # STRICT tables keep the types


class SessionDeletions:
    """The table of sessions that are to be deleted."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def add(self, entries: Sequence[Entry], *, forgetting_id: int, now_s: float) -> None:
        """Record the sessions of these clips; those on record already stay as they are.

        A clip without one stands for a session that may exist: its outcome was never known.
        """
        for entry in entries:
            self._db.change(
                """
                INSERT INTO session_deletion
                       (forgetting_id, session_id, clip_code, due_at, asked_at, changed_at)
                VALUES (:forgetting, :session, :code, :now, :now, :now)
                ON CONFLICT (session_id) DO NOTHING
                """,
                {
                    "forgetting": forgetting_id,
                    "session": entry.session_id or f"{_UNKNOWN}{entry.clip_code}",
                    "code": entry.clip_code,
                    "now": now_s,
                },
            )

    def ask_for(self, forgetting_ids: Sequence[int], *, now_s: float) -> int:
        """kept -> waiting, for every session of some erasures; return how many."""
        return self._db.change(
            """
            UPDATE session_deletion SET state = 'waiting', due_at = :now, asked_at = :now,
                                        changed_at = :now
             WHERE state = 'kept' AND forgetting_id IN (SELECT value FROM json_each(:ids))
            """,
            {"ids": json.dumps(list(forgetting_ids)), "now": now_s},
        )

    def identify(
        self, deletion: SessionDeletion, session_ids: Sequence[str], *, now_s: float
    ) -> None:
        """Record which sessions a clip of unknown outcome has at the API: each is to go."""
        with self._db.transaction():
            self._db.change("DELETE FROM session_deletion WHERE id = ?", (deletion.id,))
            for session_id in session_ids:
                self._db.change(
                    """
                    INSERT INTO session_deletion
                           (forgetting_id, session_id, clip_code, state, due_at, asked_at,
                            changed_at)
                    VALUES (:forgetting, :session, :code, 'waiting', :now, :asked, :now)
                    ON CONFLICT (session_id) DO UPDATE SET state = 'waiting', due_at = :now
                     WHERE state = 'kept'
                    """,
                    {
                        "forgetting": deletion.forgetting_id,
                        "session": session_id,
                        "code": deletion.clip_code,
                        "asked": deletion.asked_at,
                        "now": now_s,
                    },
                )

    def next_due(self) -> SessionDeletion | None:
        """Return the one that is due first, whenever that is."""
        row = self._db.row(
            "SELECT * FROM session_deletion WHERE state = 'waiting' ORDER BY due_at LIMIT 1"
        )
        return None if row is None else SessionDeletion.from_row(row)

    def count_fresh(self) -> int:
        """Return how many wait and were not tried without success."""
        row = self._db.row(
            "SELECT count(*) AS n FROM session_deletion WHERE state = 'waiting' AND failures = 0"
        )
        assert row is not None and isinstance(row["n"], int)  # an aggregate gives one row
        return row["n"]

    def of_forgetting(self, forgetting_id: int) -> list[SessionDeletion]:
        """Return those of one erasure, oldest first."""
        rows = self._db.rows(
            "SELECT * FROM session_deletion WHERE forgetting_id = ? ORDER BY id", (forgetting_id,)
        )
        return [SessionDeletion.from_row(row) for row in rows]

    def record(
        self,
        deletion: SessionDeletion,
        to: DeletionState,
        *,
        status: int | None,
        answer: str | None,
        due_at: float,
        now_s: float,
    ) -> bool:
        """Record how one attempt ended; False where somebody else did first."""
        is_ended = to is not DeletionState.WAITING
        return bool(
            self._db.change(
                """
                UPDATE session_deletion
                   SET state = :to, status = :status, answer = :answer, attempts = attempts + 1,
                       failures = :failures, due_at = :due, ended_at = :ended, changed_at = :now
                 WHERE id = :id AND state = 'waiting' AND attempts = :attempts
                """,
                {
                    "to": to,
                    "status": status,
                    "answer": answer,
                    "failures": 0 if is_ended else deletion.failures + 1,
                    "due": due_at,
                    "ended": now_s if is_ended else None,
                    "now": now_s,
                    "id": deletion.id,
                    "attempts": deletion.attempts,
                },
            )
        )

    def retry_refused(self, *, now_s: float) -> int:
        """refused -> waiting, for all; return how many there were."""
        return self._db.change(
            """
            UPDATE session_deletion SET state = 'waiting', failures = 0, due_at = :now,
                                        ended_at = NULL, changed_at = :now
             WHERE state = 'refused'
            """,
            {"now": now_s},
        )
