"""Assignments on record: who was said to be on the station, from when on, and by whom."""

from dataclasses import dataclass
from enum import StrEnum

from agent.clock import Instant
from agent.outbox.database import OutboxDatabase, Row


class Layer(StrEnum):
    """Who speaks: a coach's word goes before the station's default."""

    COACH = "coach"
    STATION = "station"


class AssignmentKind(StrEnum):
    """What was said."""

    ATHLETE = "athlete"
    NOBODY = "nobody"
    DEFAULT = "default"  # back to the station's default


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One statement of who is on the station, valid until the next of its layer."""

    layer: Layer
    kind: AssignmentKind
    starts: Instant
    user_id: str | None = None
    activity: str | None = None
    exercise: str | None = None
    barbell_mass_kg: float | None = None
    incline_deg: float | None = None
    lasts_s: float | None = None  # after that, nobody; None: until the next
    set_by: str = "command line"


class Assignments:
    """The table of assignments, in the order in which they were made."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def append(self, assignment: Assignment) -> None:
        """Record a statement; earlier ones stay as they are."""
        starts = assignment.starts
        plain = {
            name: getattr(assignment, name) for name in Assignment.__slots__ if name != "starts"
        }
        with self._db.transaction():
            self.note_boot(starts.boot_id)
            self._db.insert(
                "assignment",
                {
                    **plain,
                    "starts_at": starts.utc_s,
                    "boot_id": starts.boot_id,
                    "boot_s": starts.boot_s,
                    "clock_trusted": int(starts.trusted),
                },
            )

    def all(self) -> list[Assignment]:
        """Return every statement, in the order in which they were made."""
        return [_assignment(row) for row in self._db.rows("SELECT * FROM assignment ORDER BY id")]

    def boots(self) -> tuple[str, ...]:
        """Return the boot ids the outbox has met, oldest first."""
        rows = self._db.rows("SELECT boot_id FROM boot ORDER BY seq")
        return tuple(str(row["boot_id"]) for row in rows)

    def note_boot(self, boot_id: str | None) -> None:
        """Remember the order of boots: what an earlier one saw came before what this one sees."""
        if boot_id is not None:
            self._db.change("INSERT OR IGNORE INTO boot (boot_id) VALUES (?)", (boot_id,))


def _assignment(row: Row) -> Assignment:
    plain = {
        name: row[name] for name in Assignment.__slots__ if name not in {"layer", "kind", "starts"}
    }
    return Assignment(
        layer=Layer(str(row["layer"])),
        kind=AssignmentKind(str(row["kind"])),
        starts=Instant(
            utc_s=float(str(row["starts_at"])),
            boot_id=None if row["boot_id"] is None else str(row["boot_id"]),
            boot_s=None if row["boot_s"] is None else float(str(row["boot_s"])),
            trusted=bool(row["clock_trusted"]),
        ),
        **plain,  # type: ignore[arg-type]  # SQLite's STRICT tables keep the types
    )
