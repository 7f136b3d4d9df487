"""Athletes who are to go from this box: what is theirs, and what makes the rest say nobody's name.

asked -> begun -> done; asked -> undone.  The row of the forgetting stays, with a digest of the
user_id: by it the roster, which comes from the account, does not bring the name back.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.entry import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
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
    def from_row(cls, row: Row) -> "Forgetting":
        """Build it from a row of its table."""
        plain = {name: row[name] for name in cls.__slots__ if name not in {"at_api", "erased"}}
        return cls(
            at_api=bool(row["at_api"]),
            erased=json.loads(str(row["erased"] or "{}")),
            **plain,  # type: ignore[arg-type]  # STRICT tables keep the types
        )


class Forgettings:
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
    ) -> Forgetting:
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
        return Forgetting.from_row(row)

    def of_person(self, user_id: str | None, guest_id: int | None) -> list[Forgetting]:
        """Return every erasure of an athlete that was not undone, oldest first."""
        who = () if user_id is None else (user_id, _digest(user_id))
        rows = self._db.rows(
            """
            SELECT * FROM forgetting
             WHERE state != 'undone'
               AND (user_id IN (SELECT value FROM json_each(?)) OR guest_id = ?)
             ORDER BY id
            """,
            (json.dumps(who), guest_id),
        )
        return [Forgetting.from_row(row) for row in rows]

    def latest(self, *, most: int) -> list[Forgetting]:
        """Return the latest erasures that were not undone, latest first."""
        rows = self._db.rows(
            "SELECT * FROM forgetting WHERE state != 'undone' ORDER BY id DESC LIMIT ?", (most,)
        )
        return [Forgetting.from_row(row) for row in rows]

    def unfinished(self) -> list[Forgetting]:
        """Return those that are neither done nor undone, oldest first."""
        rows = self._db.rows(
            "SELECT * FROM forgetting WHERE state IN ('asked', 'begun') ORDER BY id"
        )
        return [Forgetting.from_row(row) for row in rows]

    def of_undoable(self, undoable_id: int) -> Forgetting | None:
        """Return the one that a person may undo by this."""
        row = self._db.row("SELECT * FROM forgetting WHERE undoable_id = ?", (undoable_id,))
        return None if row is None else Forgetting.from_row(row)

    def move(self, forgetting: Forgetting, to: str, *, now_s: float) -> bool:
        """Make one step; False where somebody else made one first."""
        return bool(
            self._db.change(
                "UPDATE forgetting SET state = ?, changed_at = ? WHERE id = ? AND state = ?",
                (to, now_s, forgetting.id, forgetting.state),
            )
        )

    def is_forgotten(self, user_id: str) -> bool:
        """Tell whether an athlete was forgotten, and not assigned since."""
        row = self._db.row(
            """
            SELECT 1 AS one FROM forgetting
             WHERE user_id IN (:who, :digest) AND state IN ('begun', 'done')
               AND NOT EXISTS (SELECT 1 FROM assignment WHERE user_id = :who AND layer = 'coach')
            """,
            {"who": user_id, "digest": _digest(user_id)},
        )
        return row is not None

    def is_leaving(self, entry: Entry) -> bool:
        """Tell whether a clip is of somebody whose forgetting has begun."""
        row = self._db.row(
            """
            SELECT 1 AS one FROM forgetting
             WHERE state = 'begun' AND (user_id = ? OR guest_id = ?)
            """,
            (entry.user_id, entry.guest_id),
        )
        return row is not None

    def entries_of(self, forgetting: Forgetting) -> list[Entry]:
        """Return an athlete's clips, oldest first."""
        if forgetting.user_id is not None:
            query, value = "SELECT * FROM entry WHERE user_id = ? ORDER BY id", forgetting.user_id
            return [Entry.from_row(row) for row in self._db.rows(query, (value,))]
        query = "SELECT * FROM entry WHERE guest_id = ? ORDER BY id"
        return [Entry.from_row(row) for row in self._db.rows(query, (forgetting.guest_id,))]

    def leave_the_roster(self, forgetting: Forgetting) -> None:
        """Take an athlete out of roster and queue."""
        for statement in _LEAVE:
            self._db.change(statement, _who(forgetting))

    def finish(
        self,
        forgetting: Forgetting,
        entries: Collection[Entry],
        captures: Collection[int],
        *,
        now_s: float,
    ) -> None:
        """begun -> done: let every row that is left of an athlete tell of nobody."""
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
            "may_be": f"may_be:{forgetting.user_id}",
            "may_be_guest": f"may_be:guest:{forgetting.guest_id}",
        }
        for statement in _UNNAME:
            self._db.change(statement, values)


def _digest(user_id: str) -> str:
    return f"sha256:{hashlib.sha256(user_id.encode()).hexdigest()}"


def _who(forgetting: Forgetting) -> dict[str, object]:
    return {"user": forgetting.user_id, "guest": forgetting.guest_id}


_LEAVE = (
    "DELETE FROM queue WHERE user_id = :user OR guest_id = :guest",
    """
    UPDATE athlete SET name = 'forgotten', folded = '', gone_at = coalesce(gone_at, 0.0)
     WHERE user_id IS NULL AND (id = :guest OR resolved_to = :user)
    """,
    "DELETE FROM athlete WHERE user_id = :user",
)
# Clips that may have been theirs, among others.
_IN_QUESTION = """
SELECT id FROM entry
 WHERE (instr(remarks, 'may_be:') > 0) = 1
   AND EXISTS (SELECT 1 FROM json_each(entry.remarks) WHERE value IN (:may_be, :may_be_guest))
"""  # index: entry_in_question
_UNNAME = (
    f"UPDATE event SET detail = NULL WHERE entry_id IN ({_IN_QUESTION})",  # noqa: S608  # our own words
    f"""
    UPDATE entry SET detail = NULL, remarks =
           (SELECT json_group_array(value) FROM json_each(entry.remarks)
             WHERE value NOT IN (:may_be, :may_be_guest))
     WHERE id IN ({_IN_QUESTION})
    """,  # noqa: S608  # our own words
    """
    UPDATE assignment SET kind = 'nobody', user_id = NULL, guest_id = NULL,
                          barbell_mass_kg = NULL, incline_deg = NULL
     WHERE user_id = :user OR guest_id = :guest
        OR guest_id IN (SELECT id FROM athlete WHERE resolved_to = :user)
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
    """
    UPDATE resend SET user_id = '', barbell_mass_kg = NULL
     WHERE new_entry_id IN (SELECT value FROM json_each(:entries))
    """,
    """
    UPDATE capture SET report = '{}'
     WHERE id IN (SELECT value FROM json_each(:captures)) AND file_state = 'cleared'
       AND report IS NOT NULL
    """,
)
