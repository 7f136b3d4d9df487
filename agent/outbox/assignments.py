"""Assignments: who was on the station, from when on, and who said so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agent.clock import Instant
from agent.outbox.database import OutboxDatabase, Row, built
from agent.outbox.models import ClipTarget
from agent.outbox.states import Recipient


class AssignmentLayer(StrEnum):
    """Who assigned: a coach's choice takes precedence over the station's default."""

    COACH = "coach"
    STATION = "station"
    CAMERA = "camera"  # not who is there, but whether anybody may be filmed at all


class AssignmentKind(StrEnum):
    """What was said."""

    ATHLETE = "athlete"
    NOBODY = "nobody"
    DEFAULT = "default"  # back to the station's default; for the camera: it may film
    STOPPED = "stopped"  # nobody may be filmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One statement of who is on the station, valid until the next of its layer."""

    layer: AssignmentLayer
    kind: AssignmentKind
    starts: Instant
    user_id: str | None = None
    guest_id: int | None = None  # of the roster; an athlete has this or a user_id
    activity: str | None = None
    exercise: str | None = None
    barbell_mass_kg: float | None = None
    incline_deg: float | None = None
    lasts_s: float | None = None  # after that, nobody; None: until the next
    idle_s: float | None = None  # without a take for so long: nobody; None: never
    set_by: str = "command line"
    id: int | None = field(default=None, compare=False)  # None: not on record yet

    @property
    def who(self) -> tuple[str | None, int | None]:
        """What distinguishes people: user_id, and guest."""
        return self.user_id, self.guest_id

    @property
    def target(self) -> ClipTarget:
        """For whom a take is by it, and what the take shows."""
        return ClipTarget(
            recipient=Recipient.UNKNOWN if self.user_id is None else Recipient.ATHLETE,
            user_id=self.user_id,
            guest_id=self.guest_id,
            activity=self.activity or "",
            exercise=self.exercise,
            barbell_mass_kg=self.barbell_mass_kg,
            incline_deg=self.incline_deg,
        )


class RenewedBy(StrEnum):
    """What kept an assignment from running out."""

    TAKE = "take"
    KEPT = "kept"  # a person said: still the same athlete


_INSTANT = ("starts", "id")


class Assignments:
    """The table of assignments, in the order in which they were made."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def append(self, assignment: Assignment) -> int:
        """Record a statement and return its id; earlier ones stay as they are."""
        starts = assignment.starts
        plain = {
            name: getattr(assignment, name) for name in Assignment.__slots__ if name not in _INSTANT
        }
        with self._db.transaction():
            self.note_boot(starts.boot_id)
            return self._db.insert(
                "assignment", {**plain, "starts_at": starts.utc_s, **_boot_columns(starts)}
            )

    def all(self) -> list[Assignment]:
        """Return every statement, in the order in which they were made.

        A guest who turned out to be somebody of the account is that athlete, then and now.
        """
        return self._db.all(_assignment, _ALL)

    def latest(self, *, of_each_layer: int) -> list[Assignment]:
        """Return the last statements of each layer, in the order in which they were made."""
        return self._db.all(_assignment, _LATEST, {"most": of_each_layer})

    def take_back(self, assignment_id: int, *, now_s: float) -> None:
        """Let a statement count as never made; it stays on record."""
        self._db.change(
            "UPDATE assignment SET taken_back_at = ? WHERE id = ? AND taken_back_at IS NULL",
            (now_s, assignment_id),
        )

    def last_of(self, user_id: str | None, guest_id: int | None) -> Assignment | None:
        """Return what a coach last said of a person."""
        return self._db.one(
            _assignment,
            _LAST_OF,
            {"user_id": user_id, "guest_id": guest_id, "exercise": None, "with_mass": 0},
        )

    def last_mass_kg(
        self, user_id: str | None, guest_id: int | None, *, exercise: str | None
    ) -> float | None:
        """Return a person's own last barbell mass in an exercise."""
        person = {"user_id": user_id, "guest_id": guest_id}
        row = self._db.row(_LAST_OF, {**person, "exercise": exercise, "with_mass": 1})
        return None if row is None else _assignment(row).barbell_mass_kg

    def last_of_until(
        self, user_id: str | None, guest_id: int | None, *, until_s: float
    ) -> Assignment | None:
        """Return what a coach last said of a person before a moment (Unix time)."""
        return self._db.one(
            _assignment,
            _LAST_OF_UNTIL,
            {"user_id": user_id, "guest_id": guest_id, "until": until_s},
        )

    def renew(self, assignment_id: int, at: Instant, why: RenewedBy) -> None:
        """Record what keeps an assignment from running out."""
        columns = {"assignment_id": assignment_id, "at": at.utc_s, "why": why}
        self._db.insert("renewal", {**columns, **_boot_columns(at)})

    def renewals(self, assignment_id: int) -> list[Instant]:
        """Return the moments that kept an assignment from running out, in no order."""
        rows = self._db.rows("SELECT * FROM renewal WHERE assignment_id = ?", (assignment_id,))
        return [_instant(row, "at") for row in rows]

    def boots(self) -> tuple[str, ...]:
        """Return the boot ids the outbox has met, oldest first."""
        rows = self._db.rows("SELECT boot_id FROM boot ORDER BY seq")
        return tuple(str(row["boot_id"]) for row in rows)

    def note_boot(self, boot_id: str | None) -> None:
        """Remember the order of boots: what an earlier one saw came before what this one sees."""
        if boot_id is None or self._db.row("SELECT 1 FROM boot WHERE boot_id = ?", (boot_id,)):
            return  # whoever only reads waits for no lock
        self._db.change("INSERT OR IGNORE INTO boot (boot_id) VALUES (?)", (boot_id,))


_SAID = """
SELECT assignment.*, coalesce(assignment.user_id, athlete.resolved_to) AS known_as
  FROM assignment LEFT JOIN athlete ON athlete.id = assignment.guest_id
"""  # a guest who turned out to be an athlete is known as that
_ALL = f"{_SAID} WHERE taken_back_at IS NULL ORDER BY assignment.id"

_LATEST_OF_LAYER = """
SELECT id FROM (SELECT id FROM assignment WHERE layer = '{layer}' AND taken_back_at IS NULL
                ORDER BY id DESC LIMIT :most)
"""  # index: assignment_by_layer
_LATEST_OF_LAYERS = " UNION ALL ".join(_LATEST_OF_LAYER.format(layer=it) for it in AssignmentLayer)
_LATEST = f"""
{_SAID}
 WHERE assignment.id IN ({_LATEST_OF_LAYERS})
 ORDER BY assignment.id
"""  # our own words

_OF_PERSON = """
(assignment.user_id = :user_id OR guest_id = :guest_id
        OR guest_id IN (SELECT id FROM athlete WHERE resolved_to = :user_id))
"""
_LAST_OF = f"""
{_SAID}
 WHERE layer = 'coach' AND (:exercise IS NULL OR exercise = :exercise)
   AND {_OF_PERSON}
   AND (NOT :with_mass OR barbell_mass_kg IS NOT NULL)
 ORDER BY assignment.id DESC LIMIT 1
"""  # our own words; index: assignment_by_user, assignment_by_guest

_LAST_OF_UNTIL = f"""
{_SAID}
 WHERE layer = 'coach' AND {_OF_PERSON} AND starts_at <= :until
 ORDER BY assignment.id DESC LIMIT 1
"""  # our own words; index: assignment_by_user, assignment_by_guest


def _boot_columns(moment: Instant) -> Mapping[str, object]:
    return {
        "boot_id": moment.boot_id,
        "boot_s": moment.boot_s,
        "clock_trusted": int(moment.trusted),
    }


def _instant(row: Row, column: str) -> Instant:
    return Instant(
        utc_s=float(row[column]),
        boot_id=None if row["boot_id"] is None else str(row["boot_id"]),
        boot_s=None if row["boot_s"] is None else float(row["boot_s"]),
        trusted=bool(row["clock_trusted"]),
    )


def _assignment(row: Row) -> Assignment:
    known_as = row["known_as"]
    return built(
        Assignment,
        row,
        layer=AssignmentLayer(row["layer"]),
        kind=AssignmentKind(row["kind"]),
        starts=_instant(row, "starts_at"),
        user_id=known_as,
        guest_id=row["guest_id"] if known_as is None else None,
    )
