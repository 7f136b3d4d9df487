"""Actions that a person may undo within some seconds.

What takes effect at once (a clip discarded or given to somebody, the queue cleared) is put back as
it was; what must not be half done (sent anew, forgotten) has not begun before those seconds are
over.  Either way one row says which of the two it is, whatever crashes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from agent.clock import Instant
from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.models import Capture, ClipTarget, Entry

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
            id=int(str(row["id"])),
            kind=UndoKind(str(row["kind"])),
            asked=Instant(
                utc_s=float(str(row["asked_at"])),
                boot_id=None if row["boot_id"] is None else str(row["boot_id"]),
                boot_s=None if row["boot_s"] is None else float(str(row["boot_s"])),
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
        row = self._db.row("SELECT * FROM undoable WHERE id = ?", (undoable_id,))
        return None if row is None else UndoableAction.from_row(row)

    def open(self) -> list[UndoableAction]:
        """Return what is neither undone nor past undoing, the latest first."""
        rows = self._db.rows("SELECT * FROM undoable WHERE state = 'open' ORDER BY id DESC")
        return [UndoableAction.from_row(row) for row in rows]

    def settle(self, undoable: UndoableAction, to: str) -> bool:
        """open -> undone or done; False where it is settled already.

        Whose clips were is forgotten then: it may be somebody who is to be forgotten.
        """
        return bool(
            self._db.change(
                """
                UPDATE undoable SET state = ?, payload = iif(kind = 'give', '{}', payload)
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


def rows_of(undoable: UndoableAction, name: str) -> list[Mapping[str, object]]:
    """Return the rows that a payload holds under a name."""
    rows = undoable.payload.get(name, [])
    assert isinstance(rows, list)  # we wrote it
    return rows
