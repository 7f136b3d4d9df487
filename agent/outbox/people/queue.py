"""The queue: who comes next on the station, each with what they will do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.outbox.database import OutboxDatabase, Row
from agent.outbox.entry import Whose
from agent.outbox.states import Recipient

_PLAIN = ("user_id", "guest_id", "activity", "exercise", "barbell_mass_kg", "incline_deg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """One place in the queue."""

    id: int  # stays the same wherever it is moved
    whose: Whose

    @classmethod
    def from_row(cls, row: Row) -> "Queued":
        """Build a place from a row of its table."""
        recipient = Recipient.UNKNOWN if row["user_id"] is None else Recipient.ATHLETE
        plain = {name: row[name] for name in _PLAIN}
        return cls(id=int(str(row["id"])), whose=Whose(recipient=recipient, **plain))  # type: ignore[arg-type]  # STRICT tables keep the types


class Queue:
    """The table of who comes next; a handful of rows."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def all(self) -> list[Queued]:
        """Return the queue, the next one first."""
        rows = self._db.rows("SELECT * FROM queue ORDER BY position, id")
        return [Queued.from_row(row) for row in rows]

    def append(self, whose: Whose) -> Queued:
        """Put somebody at the end."""
        columns = {name: getattr(whose, name) for name in _PLAIN}
        with self._db.transaction():
            row = self._db.row("SELECT coalesce(max(position), 0) + 1 AS next FROM queue")
            assert row is not None  # an aggregate gives one row
            row_id = self._db.insert("queue", {"position": row["next"], **columns})
        return Queued(id=row_id, whose=whose)

    def remove(self, queued_id: int) -> Mapping[str, object] | None:
        """Take somebody out, and return what `put_back` needs; None: no such place (any more)."""
        row = self._db.row("DELETE FROM queue WHERE id = ? RETURNING *", (queued_id,))
        return None if row is None else dict(row)

    def arrange(self, ids: Sequence[int]) -> None:
        """Put the queue into this order; what is not named keeps its order behind."""
        with self._db.transaction():
            rest = [queued.id for queued in self.all() if queued.id not in set(ids)]
            for position, queued_id in enumerate([*ids, *rest], start=1):
                self._db.change("UPDATE queue SET position = ? WHERE id = ?", (position, queued_id))

    def rename_guest(self, guest_id: int, user_id: str) -> None:
        """Let an athlete have the places of the guest who they turned out to be."""
        self._db.change(
            "UPDATE queue SET user_id = ?, guest_id = NULL WHERE guest_id = ?", (user_id, guest_id)
        )

    def clear(self) -> list[Mapping[str, object]]:
        """Empty the queue and return what it held, for `restore`."""
        with self._db.transaction():
            rows = self._db.rows("SELECT * FROM queue ORDER BY position, id")
            self._db.change("DELETE FROM queue")
        return [dict(row) for row in rows]

    def put_back(self, held: Mapping[str, object], *, place: int) -> None:
        """Put somebody who was taken out back to a place; 0 is the next one's."""
        with self._db.transaction():
            ids = [queued.id for queued in self.all()]
            ids.insert(place, self.append(Queued.from_row(dict(held)).whose).id)
            self.arrange(ids)

    def restore(self, held: Sequence[Mapping[str, object]]) -> None:
        """Put back what `clear` took, before whatever came since."""
        with self._db.transaction():
            since = [queued.whose for queued in self.all()]
            self._db.change("DELETE FROM queue")
            for row in held:
                self.append(Queued.from_row(row).whose)
            for whose in since:
                self.append(whose)
