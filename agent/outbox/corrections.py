"""What a person corrects: actions that may be undone within some seconds, and resends.

What takes effect at once (a clip discarded or given to somebody, the queue cleared) is put back as
it was; what must not be half done (sent again, forgotten) has not begun before those seconds are
over.  Either way one row says which of the two it is, whatever crashes.

A resend is a clip of the wrong athlete, its new session, and the session to delete: asked ->
sending -> deleting -> done; asked -> undone; deleting -> refused -> deleting (a person tries
again); asked, sending -> given_up.  Each step is a row before it is anything else.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from agent.clock import Instant
from agent.outbox.database import OutboxDatabase, Row, built
from agent.outbox.models import Capture, ClipSource, ClipTarget, Entry
from agent.outbox.states import Reason, Recipient

_TARGET_COLUMNS = ("user_id", "activity", "exercise", "barbell_mass_kg", "incline_deg")


class ResendState(StrEnum):
    """How far a clip is on its way to the right athlete."""

    ASKED = "asked"  # nothing has begun: it can still be undone
    SENDING = "sending"  # under its new code, like any clip
    DELETING = "deleting"  # the right session is there; the wrong one is to go
    REFUSED = "refused"  # the API does not delete the wrong session; a person may try again
    DONE = "done"
    UNDONE = "undone"
    GIVEN_UP = "given_up"  # the clip is gone, or its new entry was discarded


RESEND_WORDS: dict[ResendState, str] = {
    ResendState.ASKED: "will be resent; spotter undo reverts it for 10 s",
    ResendState.SENDING: "being resent; the wrong session stays until the right one exists",
    ResendState.DELETING: "resent; the wrong session is being deleted",
    ResendState.REFUSED: "resent, but the API does not delete the wrong session: retry with "
    "spotter outbox delete-wrong, or delete it there",
    ResendState.DONE: "resent, and the wrong session is deleted",
    ResendState.UNDONE: "not resent: undone",
    ResendState.GIVEN_UP: "not resent",
}

OPEN = frozenset(
    {ResendState.ASKED, ResendState.SENDING, ResendState.DELETING, ResendState.REFUSED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """One clip on its way to the right athlete."""

    id: int
    undoable_id: int
    entry_id: int  # what went to the wrong one
    session_id: str  # the wrong session
    new_entry_id: int | None  # from `sending` on
    state: ResendState
    detail: str | None  # why it is refused or given up, in a sentence
    failures: int  # of the deletion, in a row
    due_at: float  # Unix time: the deletion is not tried before
    target: ClipTarget  # for whom it is sent again
    changed_at: float

    @classmethod
    def from_row(cls, row: Row) -> "Resend":
        """Build it from a row of its table."""
        target = built(ClipTarget, row, recipient=Recipient.ATHLETE, guest_id=None)
        return built(cls, row, state=ResendState(row["state"]), target=target)


class Resends:
    """The table of clips that are sent again."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def add(self, entry: Entry, target: ClipTarget, *, undoable_id: int, now_s: float) -> Resend:
        """Record that a delivered clip is to go to somebody else."""
        resend_id = self._db.insert(
            "resend",
            {
                "undoable_id": undoable_id,
                "entry_id": entry.id,
                "session_id": entry.session_id,
                "due_at": now_s,
                "changed_at": now_s,
                **{name: getattr(target, name) for name in _TARGET_COLUMNS},
            },
        )
        added = self.by_id(resend_id)
        assert added is not None  # inserted above
        return added

    def by_id(self, resend_id: int) -> Resend | None:
        """Return one of them."""
        return self._db.one(Resend.from_row, "SELECT * FROM resend WHERE id = ?", (resend_id,))

    def of_entry(self, entry_id: int) -> Resend | None:
        """Return the latest one that takes an entry's place, or is that place."""
        return self._db.one(
            Resend.from_row,
            "SELECT * FROM resend WHERE entry_id = ? OR new_entry_id = ? ORDER BY id DESC LIMIT 1",
            (entry_id, entry_id),
        )

    def of_undoable(self, undoable_id: int) -> Resend | None:
        """Return the one that a person may undo by this."""
        return self._db.one(
            Resend.from_row, "SELECT * FROM resend WHERE undoable_id = ?", (undoable_id,)
        )

    def in_states(self, states: Collection[ResendState]) -> list[Resend]:
        """Return those in any of `states`, oldest first."""
        return self._db.in_states(Resend.from_row, "resend", states)

    def move(
        self,
        resend: Resend,
        to: ResendState,
        *,
        now_s: float,
        detail: str | None = None,
        new_entry_id: int | None = None,
        failures: int = 0,
        due_at: float | None = None,
    ) -> Resend | None:
        """Make one step; None where somebody else made one first."""
        return self._db.one(
            Resend.from_row,
            """
            UPDATE resend SET state = ?, detail = ?, failures = ?, due_at = ?, changed_at = ?,
                              new_entry_id = coalesce(?, new_entry_id)
             WHERE id = ? AND state = ? AND changed_at = ? RETURNING *
            """,
            (
                *(to, detail, failures, now_s if due_at is None else due_at, now_s),
                *(new_entry_id, resend.id, resend.state, resend.changed_at),
            ),
        )

    def next_generation(self, source: ClipSource) -> int:
        """Return the generation of a take that was never sent."""
        row = self._db.row(
            """
            SELECT max(generation) + 1 AS next FROM entry
              JOIN entry_capture ON entry_capture.entry_id = entry.id
             WHERE capture_id = ? AND take_number = ?
            """,
            (source.capture_id, source.take_number),
        )
        assert row is not None and isinstance(row["next"], int)  # the clip itself is one
        return row["next"]

    def end_old(self, resend: Resend, *, new_name: str, now_s: float) -> None:
        """Delivered -> discarded, for the entry whose session was deleted."""
        self._db.change(
            """
            UPDATE entry SET state = 'discarded', reason = ?, detail = ?, changed_at = ?,
                             fence = fence + 1
             WHERE id = ? AND state IN ('uploaded', 'completed')
            """,
            (Reason.SENT_ANEW, f"as {new_name}", now_s, resend.entry_id),
        )


UNDO_S = 10.0
UNDO_STOP_S = 30.0  # a stop of filming removes footage


class UndoKind(StrEnum):
    """What can be undone."""

    DISCARD = "discard"
    GIVE = "give"
    CLEAR_QUEUE = "clear_queue"
    LEAVE_QUEUE = "leave_queue"
    RESEND = "resend"
    FORGET = "forget"
    STOP_FILMING = "stop_filming"


_AT_ONCE = frozenset(
    {
        UndoKind.DISCARD,
        UndoKind.GIVE,
        UndoKind.CLEAR_QUEUE,
        UndoKind.LEAVE_QUEUE,
        UndoKind.STOP_FILMING,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoableAction:
    """One thing that a person ended."""

    id: int
    kind: UndoKind
    asked: Instant
    state: str  # open, undone, or done (it can no longer be undone)
    payload: Mapping[str, object]  # what it takes to undo it

    @classmethod
    def from_row(cls, row: Row) -> "UndoableAction":
        """Build it from a row of its table."""
        return cls(
            id=int(row["id"]),
            kind=UndoKind(str(row["kind"])),
            asked=Instant(
                utc_s=float(row["asked_at"]),
                boot_id=None if row["boot_id"] is None else str(row["boot_id"]),
                boot_s=None if row["boot_s"] is None else float(row["boot_s"]),
                trusted=bool(row["clock_trusted"]),
            ),
            state=str(row["state"]),
            payload=json.loads(str(row["payload"])),
        )

    def left_s(self, now: Instant) -> float:
        """Return the seconds for which it can still be undone; not over a restart of the box."""
        if self.state != "open" or self.asked.boot_id != now.boot_id:
            return 0.0
        passed_s = self.asked.elapsed_s(now)
        most_s = UNDO_STOP_S if self.kind is UndoKind.STOP_FILMING else UNDO_S
        return most_s - passed_s if 0 <= passed_s < most_s else 0.0


class UndoableActions:
    """The table of what can be undone, and how it is."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def add(self, kind: UndoKind, payload: Mapping[str, object], *, now: Instant) -> UndoableAction:
        """Record that something was ended."""
        undoable_id = self._db.insert(
            "undoable",
            {
                "kind": kind,
                "asked_at": now.utc_s,
                "boot_id": now.boot_id,
                "boot_s": now.boot_s,
                "clock_trusted": int(now.trusted),
                "payload": json.dumps(payload),
            },
        )
        added = self.by_id(undoable_id)
        assert added is not None  # inserted above
        return added

    def by_id(self, undoable_id: int) -> UndoableAction | None:
        """Return one of them."""
        return self._db.one(
            UndoableAction.from_row, "SELECT * FROM undoable WHERE id = ?", (undoable_id,)
        )

    def open(self) -> list[UndoableAction]:
        """Return what is neither undone nor past undoing, the latest first."""
        return self._db.all(
            UndoableAction.from_row, "SELECT * FROM undoable WHERE state = 'open' ORDER BY id DESC"
        )

    def settle(self, undoable: UndoableAction, to: str) -> bool:
        """open -> undone or done; False where it is settled already.

        Who is named in it is forgotten then: it may be somebody who is to be forgotten.
        """
        return bool(
            self._db.change(
                """
                UPDATE undoable SET state = ?, payload = iif(
                       kind IN ('give', 'clear_queue', 'leave_queue'), '{}', payload)
                 WHERE id = ? AND state = 'open'
                """,
                (to, undoable.id),
            )
        )

    def rest_s(self, now: Instant) -> float:
        """Return for how long something can still be undone; past that, all of it is settled."""
        longest_s = 0.0
        for undoable in self.open():
            left_s = undoable.left_s(now)
            if left_s > 0:
                longest_s = max(longest_s, left_s)
            elif undoable.kind in _AT_ONCE:
                self.settle(undoable, "done")
        return longest_s

    def restore_entry(self, was: Mapping[str, object], *, now_s: float) -> bool:
        """Put a discarded entry back as it was; False where it moved on, or its file is going."""
        return bool(
            self._db.change(
                """
                UPDATE entry SET state = :state, reason = :reason, detail = :detail,
                                 failures = :failures, due_at = max(:due_at, :now),
                                 changed_at = :now, fence = fence + 1
                 WHERE id = :id AND state = 'discarded' AND fence = :fence + 1
                   AND file_state = 'present'
                """,
                {**was, "now": now_s},
            )
        )

    def restore_given(self, was: Mapping[str, object], *, now_s: float) -> bool:
        """Put an entry back as it was before it was given to somebody; False where it moved on."""
        return bool(
            self._db.change(
                """
                UPDATE entry SET state = :state, reason = :reason, detail = :detail,
                                 failures = :failures, due_at = max(:due_at, :now),
                                 remarks = :remarks, recipient = :recipient, user_id = :user_id,
                                 guest_id = :guest_id, activity = :activity,
                                 exercise = :exercise, barbell_mass_kg = :barbell_mass_kg,
                                 incline_deg = :incline_deg, changed_at = :now, fence = fence + 1
                 WHERE id = :id AND state IN ('ready', 'held') AND fence = :fence_since
                """,
                {**was, "now": now_s},
            )
        )

    def restore_capture(self, was: Mapping[str, object], *, now_s: float) -> bool:
        """Put a discarded capture back as it was; False where it moved on, or its file is going."""
        return bool(
            self._db.change(
                """
                UPDATE capture SET state = :state, reason = :reason, detail = :detail,
                                   changed_at = :now, fence = fence + 1
                 WHERE id = :id AND state = 'discarded' AND fence = :fence + 1
                   AND file_state = 'present'
                """,
                {**was, "now": now_s},
            )
        )


def as_it_was(row: Capture | Entry) -> dict[str, object]:
    """Return what it takes to put a row back as it is, once it was discarded."""
    plain = ("id", "state", "reason", "detail", "failures", "due_at", "fence")
    return {name: getattr(row, name) for name in plain if hasattr(row, name)}


def before_given(was: Entry, given: Entry) -> dict[str, object]:
    """Return what it takes to put an entry back as it was before it was given to somebody."""
    target = {name: getattr(was, name) for name in ClipTarget.__slots__}
    remarks = json.dumps(list(was.remarks))
    return {**as_it_was(was), **target, "remarks": remarks, "fence_since": given.fence}


def names_of(undoable: UndoableAction) -> list[str]:
    """Return what it ended, as people name it: recordings (`c12`) and clips (`e7`)."""
    if undoable.kind is UndoKind.RESEND:
        return [str(undoable.payload["entry"])]
    captures = [f"c{row['id']}" for row in rows_of(undoable, "captures")]
    return captures or [f"e{row['id']}" for row in rows_of(undoable, "entries")]


def rows_of(undoable: UndoableAction, name: str) -> list[Mapping[str, object]]:
    """Return the rows that a payload holds under a name."""
    rows = undoable.payload.get(name, [])
    assert isinstance(rows, list)  # we wrote it
    return rows
