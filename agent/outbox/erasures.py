"""Erasures of athletes: what is theirs, here and at the API, and what remains to be deleted.

asked -> begun -> done; asked -> undone.  The row of the forgetting stays, with a digest of the
user_id: by it the roster, which comes from the account, does not bring the name back.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from agent.outbox.database import OutboxDatabase, Row, built
from agent.outbox.models import Entry
from agent.outbox.roster import key_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """One athlete who is to go."""

    id: int
    undoable_id: int
    user_id: str | None
    guest_id: int | None  # one of both
    state: str
    at_api: bool = False  # whether the sessions at the API go too
    asked_at: float | None = None  # Unix time; None: by an older version
    done_at: float | None = None  # when nothing was left on this box
    erased: Mapping[str, int] = field(default_factory=dict)  # how much went from this box

    @classmethod
    def from_row(cls, row: Row) -> "Erasure":
        """Build it from a row of its table."""
        erased = json.loads(row["erased"] or "{}")
        return built(cls, row, at_api=bool(row["at_api"]), erased=erased)


class Erasures:
    """The table of forgettings."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def add(
        self,
        user_id: str | None,
        guest_id: int | None,
        *,
        undoable_id: int,
        at_api: bool,
        now_s: float,
    ) -> Erasure:
        """Record that an athlete is to go, from this box or from the API as well."""
        person = {"user_id": user_id, "guest_id": guest_id}
        row_id = self._db.insert(
            "forgetting",
            {
                **person,
                "undoable_id": undoable_id,
                "at_api": int(at_api),
                "asked_at": now_s,
                "changed_at": now_s,
            },
        )
        row = self._db.row("SELECT * FROM forgetting WHERE id = ?", (row_id,))
        assert row is not None  # inserted above
        return Erasure.from_row(row)

    def of_person(self, user_id: str | None, guest_id: int | None) -> list[Erasure]:
        """Return every erasure of an athlete that was not undone, oldest first."""
        who = () if user_id is None else (user_id, _digest(user_id))
        return self._db.all(
            Erasure.from_row,
            """
            SELECT * FROM forgetting
             WHERE state != 'undone'
               AND (user_id IN (SELECT value FROM json_each(?)) OR guest_id = ?)
             ORDER BY id
            """,
            (json.dumps(who), guest_id),
        )

    def latest(self, *, most: int) -> list[Erasure]:
        """Return the latest erasures that were not undone, latest first."""
        return self._db.all(
            Erasure.from_row,
            "SELECT * FROM forgetting WHERE state != 'undone' ORDER BY id DESC LIMIT ?",
            (most,),
        )

    def unfinished(self) -> list[Erasure]:
        """Return those that are neither done nor undone, oldest first."""
        return self._db.all(
            Erasure.from_row,
            "SELECT * FROM forgetting WHERE state IN ('asked', 'begun') ORDER BY id",
        )

    def of_undoable(self, undoable_id: int) -> Erasure | None:
        """Return the one that a person may undo by this."""
        return self._db.one(
            Erasure.from_row, "SELECT * FROM forgetting WHERE undoable_id = ?", (undoable_id,)
        )

    def move(self, forgetting: Erasure, to: str, *, now_s: float) -> bool:
        """Make one step; False where somebody else made one first."""
        return bool(
            self._db.change(
                "UPDATE forgetting SET state = ?, changed_at = ? WHERE id = ? AND state = ?",
                (to, now_s, forgetting.id, forgetting.state),
            )
        )

    def is_forgotten(self, user_id: str) -> bool:
        """Tell whether an athlete is being forgotten, or was and has not been assigned since."""
        return self._db.has(
            """
            SELECT 1 FROM forgetting
             WHERE user_id IN (:who, :digest) AND (state = 'begun' OR state = 'done'
               AND NOT EXISTS (SELECT 1 FROM assignment WHERE user_id = :who AND layer = 'coach'))
            """,
            {"who": user_id, "digest": _digest(user_id)},
        )

    def is_leaving(self, entry: Entry) -> bool:
        """Tell whether a clip is of somebody whose forgetting has begun."""
        return self._db.has(
            """
            SELECT 1 FROM forgetting
             WHERE state = 'begun' AND (user_id = ? OR guest_id = ?)
            """,
            (entry.user_id, entry.guest_id),
        )

    def entries_of(self, forgetting: Erasure) -> list[Entry]:
        """Return an athlete's clips, oldest first."""
        query = "SELECT * FROM entry WHERE user_id = :user OR guest_id = :guest ORDER BY id"
        return self._db.all(Entry.from_row, query, _who(forgetting))

    def leave_the_roster(self, forgetting: Erasure) -> None:
        """Take an athlete out of roster, queue and groups, and unlink their cards."""
        for statement in _LEAVE:
            self._db.change(statement, _who(forgetting))

    def leave_questions(self, forgetting: Erasure) -> None:
        """Take an athlete out of those whose a clip may be; its sidecar says so, too."""
        with self._db.transaction():
            for statement in _LEAVE_QUESTIONS:
                self._db.change(statement, _may_be(forgetting))

    def finish(
        self,
        forgetting: Erasure,
        entries: Collection[Entry],
        captures: Collection[int],
        *,
        now_s: float,
    ) -> None:
        """begun -> done: let every row that is left of an athlete name nobody."""
        erased = {
            "clips": len(entries),
            "never_delivered": sum(entry.session_id is None for entry in entries),
            "recordings": len(captures),
        }
        values = {
            **_who(forgetting),
            "id": forgetting.id,
            "digest": forgetting.user_id and _digest(forgetting.user_id),
            "entries": json.dumps([entry.id for entry in entries]),
            "captures": json.dumps(sorted(captures)),
            "now": now_s,
            "erased": json.dumps(erased),
        }
        for statement in _UNNAME:
            self._db.change(statement, values)


def _digest(user_id: str) -> str:
    return f"sha256:{hashlib.sha256(user_id.encode()).hexdigest()}"


def _who(forgetting: Erasure) -> dict[str, object]:
    user_id, guest_id = forgetting.user_id, forgetting.guest_id
    return {"user": user_id, "guest": guest_id, "key": key_of(user_id, guest_id)}


_LEAVE = (
    "UPDATE card SET athlete = NULL WHERE athlete = :key",
    """
    UPDATE athlete_group SET members =
           (SELECT json_group_array(value) FROM json_each(athlete_group.members)
             WHERE value != :key)
     WHERE EXISTS (SELECT 1 FROM json_each(athlete_group.members) WHERE value = :key)
    """,
    "DELETE FROM queue WHERE user_id = :user OR guest_id = :guest",
    # What could still be undone would bring them back, and name them.
    """
    UPDATE undoable SET payload = json_set(payload, '$.queue', json(coalesce(
           (SELECT json_group_array(json(value)) FROM json_each(payload, '$.queue')
             WHERE NOT coalesce(json_extract(value, '$.user_id') = :user, 0)
               AND NOT coalesce(json_extract(value, '$.guest_id') = :guest, 0)), '[]')))
     WHERE state = 'open' AND kind IN ('clear_queue', 'leave_queue')
    """,
    "DELETE FROM session_limit WHERE user_id = :user",
    """
    UPDATE athlete SET name = 'forgotten', folded = '', gone_at = coalesce(gone_at, 0.0)
     WHERE user_id IS NULL AND (id = :guest OR resolved_to = :user)
    """,
    "DELETE FROM athlete WHERE user_id = :user",
)


def _may_be(forgetting: Erasure) -> dict[str, object]:
    return {
        "may_be": f"may_be:{forgetting.user_id}",
        "may_be_guest": f"may_be:guest:{forgetting.guest_id}",
    }


# Clips that may have been theirs, among others.
_IN_QUESTION = """
SELECT id FROM entry
 WHERE (instr(remarks, 'may_be:') > 0) = 1
   AND EXISTS (SELECT 1 FROM json_each(entry.remarks) WHERE value IN (:may_be, :may_be_guest))
"""  # index: entry_in_question
_LEAVE_QUESTIONS = (
    f"UPDATE event SET detail = NULL WHERE entry_id IN ({_IN_QUESTION})",  # noqa: S608  # our own words
    f"""
    UPDATE entry SET detail = NULL, remarks =
           (SELECT json_group_array(value) FROM json_each(entry.remarks)
             WHERE value NOT IN (:may_be, :may_be_guest))
     WHERE id IN ({_IN_QUESTION})
    """,  # noqa: S608  # our own words
)
_UNNAME = (
    """
    UPDATE assignment SET kind = 'nobody', user_id = NULL, guest_id = NULL,
                          barbell_mass_kg = NULL, incline_deg = NULL
     WHERE user_id = :user OR guest_id = :guest
        OR guest_id IN (SELECT id FROM athlete WHERE resolved_to = :user)
    """,
    "DELETE FROM card WHERE athlete IS NULL",  # the ledger is rewritten with this
    # A kiosk stays bound to its group's id, which must never become another group's.
    """
    DELETE FROM athlete_group
     WHERE removed_at IS NOT NULL AND id < (SELECT max(id) FROM athlete_group)
    """,
    "UPDATE athlete SET resolved_to = NULL WHERE resolved_to = :user",
    """
    UPDATE forgetting SET state = 'done', user_id = :digest, changed_at = :now, done_at = :now,
                          erased = :erased
     WHERE id = :id AND state IN ('asked', 'begun')
    """,
    """
    UPDATE entry SET user_id = NULL, guest_id = NULL, recipient = 'unknown', title = NULL,
                     server_title = NULL, barbell_mass_kg = NULL, incline_deg = NULL,
                     changed_at = :now, fence = fence + 1
     WHERE id IN (SELECT value FROM json_each(:entries))
    """,
    """
    UPDATE event SET word = NULL
     WHERE what = 'athlete' AND entry_id IN (SELECT value FROM json_each(:entries))
    """,
    # Clips that are somebody else's by now.
    "UPDATE event SET word = NULL WHERE what = 'athlete' AND word = :user",
    """
    UPDATE resend SET user_id = '', barbell_mass_kg = NULL
     WHERE new_entry_id IN (SELECT value FROM json_each(:entries))
    """,
    "UPDATE resend SET user_id = '', barbell_mass_kg = NULL WHERE user_id = :user",
    """
    UPDATE capture SET report = '{}'
     WHERE id IN (SELECT value FROM json_each(:captures)) AND file_state = 'cleared'
       AND report IS NOT NULL
    """,
)


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
        return built(cls, row, state=DeletionState(row["state"]))


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
        return self._db.one(
            SessionDeletion.from_row,
            "SELECT * FROM session_deletion WHERE state = 'waiting' ORDER BY due_at LIMIT 1",
        )

    def count_fresh(self) -> int:
        """Return how many wait and were not tried without success."""
        query = (
            "SELECT count(*) AS n FROM session_deletion WHERE state = 'waiting' AND failures = 0"
        )
        return self._db.number(query)

    def of_forgetting(self, forgetting_id: int) -> list[SessionDeletion]:
        """Return those of one erasure, oldest first."""
        return self._db.all(
            SessionDeletion.from_row,
            "SELECT * FROM session_deletion WHERE forgetting_id = ? ORDER BY id",
            (forgetting_id,),
        )

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
