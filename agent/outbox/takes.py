"""Takes on record: numbered once, never renumbered, so that a clip code is never used twice."""

from collections.abc import Sequence
from dataclasses import replace

from agent.outbox.capture import Capture, Take, TakeOrigin
from agent.outbox.database import OutboxDatabase, Row

# Delivered, on its way, waiting, or refused: a person's no is the only thing that frees a stretch.
_HAS_ENTRY = """
EXISTS (SELECT 1 FROM entry_capture JOIN entry ON entry.id = entry_capture.entry_id
         WHERE entry_capture.capture_id = take.capture_id
           AND entry_capture.take_number = take.number AND entry.state != 'discarded')
"""
_WAS_CUT = """
EXISTS (SELECT 1 FROM entry_capture
         WHERE entry_capture.capture_id = take.capture_id
           AND entry_capture.take_number = take.number)
"""


class Takes:
    """The table of takes."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def record(self, capture: Capture, takes: Sequence[Take], *, report: str) -> list[Take]:
        """Commit what the analysis found, all of it at once and before anything is cut.

        What is on record already stays.  The takes get the numbers that follow the highest one
        ever given in this capture, and are returned with them.
        """
        with self._db.transaction():
            if self.report(capture.id) is None:
                self._db.change("UPDATE capture SET report = ? WHERE id = ?", (report, capture.id))
                for take in takes:
                    self._insert(capture, take)
            return self.waiting(capture)

    def add_by_hand(self, capture: Capture, *, start_s: float, end_s: float) -> Take:
        """Record a take that a person saw."""
        take = Take(
            number=0,
            start_s=start_s,
            end_s=end_s,
            active_start_s=start_s,
            active_end_s=end_s,
            origin=TakeOrigin.BY_HAND,
        )
        with self._db.transaction():
            return self._insert(capture, take)

    def of(self, capture: Capture) -> list[Take]:
        """Return the takes on record for a capture, in order, without those given up."""
        return self._where(capture, "retired_at IS NULL")

    def waiting(self, capture: Capture) -> list[Take]:
        """Return the takes that have no clip yet."""
        return self._where(capture, f"retired_at IS NULL AND NOT {_WAS_CUT}")

    def kept(self, capture: Capture) -> list[Take]:
        """Return the takes whose clips are sent, waiting or refused, but not discarded."""
        return self._where(capture, _HAS_ENTRY)

    def begin_anew(self, capture: Capture, *, now_s: float) -> None:
        """Give up what the analysis found and has no clip to keep, so that it looks again."""
        with self._db.transaction():
            self._db.change("UPDATE capture SET report = NULL WHERE id = ?", (capture.id,))
            self._db.change(
                f"""
                UPDATE take SET retired_at = ?
                 WHERE capture_id = ? AND origin = 'found' AND retired_at IS NULL
                   AND NOT {_HAS_ENTRY}
                """,  # noqa: S608  # our own words
                (now_s, capture.id),
            )

    def retire(self, capture: Capture, take: Take, *, now_s: float) -> None:
        """Give up a take whose moment another clip shows."""
        self._db.change(
            "UPDATE take SET retired_at = ? WHERE capture_id = ? AND number = ?",
            (now_s, capture.id, take.number),
        )

    def report(self, capture_id: int) -> str | None:
        """Return the analysis report as it was stored, or None."""
        row = self._db.row("SELECT report FROM capture WHERE id = ?", (capture_id,))
        return None if row is None or row["report"] is None else str(row["report"])

    def _insert(self, capture: Capture, take: Take) -> Take:
        row = self._db.row(
            "SELECT coalesce(max(number), 0) + 1 AS next FROM take WHERE capture_id = ?",
            (capture.id,),
        )
        assert row is not None and isinstance(row["next"], int)  # an aggregate gives one row
        numbered = replace(take, number=row["next"])
        values = {name: getattr(numbered, name) for name in Take.__slots__}
        self._db.insert("take", {"capture_id": capture.id, **values})
        return numbered

    def _where(self, capture: Capture, condition: str) -> list[Take]:
        query = f"SELECT * FROM take WHERE capture_id = ? AND {condition} ORDER BY number"  # noqa: S608  # our own words
        return [_take(row) for row in self._db.rows(query, (capture.id,))]


def _take(row: Row) -> Take:
    values = {name: row[name] for name in Take.__slots__}
    values["origin"] = TakeOrigin(str(row["origin"]))
    values.update({name: bool(row[name]) for name in ("begins_before", "goes_on")})
    return Take(**values)  # type: ignore[arg-type]  # SQLite's STRICT tables keep the types
