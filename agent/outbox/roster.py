"""Athletes of the account, guests, groups, cards and the queue.  The only tables that hold names.

Groups and cards are known to nobody but this box, so the ledger contains them as it does guests and
assignments.  It contains no deletion: a group is marked as removed and a card unlinked, and an
erasure, which rewrites the ledger, deletes what is left of them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from agent.outbox.database import OutboxDatabase, Row, built
from agent.outbox.models import ClipTarget
from agent.outbox.states import Recipient

GUEST_PREFIX = "guest:"  # of the key of somebody who has no user_id yet


def key_of(user_id: str | None, guest_id: int | None) -> str:
    """Return what names a person in commands and forms: the user_id, or guest:3."""
    return f"{GUEST_PREFIX}{guest_id}" if user_id is None else user_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterAthlete:
    """One person who can be on the station."""

    id: int
    user_id: str | None  # None: a guest
    name: str = field(repr=False)  # names stay out of logs
    resolved_to: str | None  # the user_id that a guest turned out to be
    gone_at: float | None  # since then no longer offered
    last_assigned_at: float | None
    masses_kg: Mapping[str, float]  # the last barbell mass of each exercise
    lacks: tuple[str, ...] = ()  # body measures that the account does not have

    @property
    def is_guest(self) -> bool:
        """Whether the account does not know this person (yet)."""
        return self.user_id is None

    @property
    def key(self) -> str:
        """What names this person in commands and forms: the user_id, or guest:3."""
        return key_of(self.user_id, self.id)

    @classmethod
    def from_row(cls, row: Row) -> "RosterAthlete":
        """Build an athlete from a row of the query below."""
        masses_kg, lacks = json.loads(row["masses_kg"]), json.loads(row["lacks"] or "[]")
        return built(cls, row, masses_kg=masses_kg, lacks=tuple(lacks))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAthlete:
    """One athlete as the account names them."""

    user_id: str
    name: str = field(repr=False)
    folded: str = field(repr=False)  # the name as it is searched
    lacks: tuple[str, ...] = ()  # body measures that the account does not have


class Roster:
    """The table of athletes."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def by_user_id(self, user_id: str) -> RosterAthlete | None:
        """Return the athlete with this user_id."""
        return self._one(f"{_ATHLETES} WHERE athlete.user_id = :wanted", user_id)

    def by_id(self, athlete_id: int) -> RosterAthlete | None:
        """Return the person of a row: a guest, or an athlete."""
        return self._one(f"{_ATHLETES} WHERE athlete.id = :wanted", athlete_id)

    def search(
        self,
        words: Sequence[str],
        *,
        most: int,
        with_gone: bool = False,
        group_id: int | None = None,
    ) -> list[RosterAthlete]:
        """Return those whose folded names hold every one of some folded words.

        Who was on the station last comes first, then the others by name; a group comes by name.
        """
        asked = {"words": json.dumps(list(words)), "most": most, "gone": int(with_gone)}
        found = self._db.rows(SEARCH, {**asked, "group": group_id})
        return [RosterAthlete.from_row(row) for row in found]

    def replace(self, known: Sequence[AccountAthlete], *, complete: bool, now_s: float) -> None:
        """Take over what the account says.

        Args:
            known: the athletes it names.
            complete: whether these are all: who is not among them has left, and is kept for the
                clips there are, but no longer offered.
            now_s: Unix time.
        """
        with self._db.transaction():
            for one in known:
                self._db.change(
                    UPSERT,
                    {
                        "user_id": one.user_id,
                        "name": one.name,
                        "folded": one.folded,
                        "lacks": json.dumps(one.lacks),
                        "now": now_s,
                    },
                )
            if complete:
                ids = json.dumps([one.user_id for one in known])
                self._db.change(MARK_GONE, {"known": ids, "now": now_s})

    def add_guest(self, name: str, folded: str, *, now_s: float) -> RosterAthlete:
        """Note a person who is not in the account."""
        values = {"name": name, "folded": folded, "noted_at": now_s}
        guest = self.by_id(self._db.insert("athlete", values))
        assert guest is not None  # inserted above
        return guest

    def resolve(self, guest: RosterAthlete, user_id: str, *, now_s: float) -> bool:
        """Record who a guest is; False where it is on record already."""
        return bool(
            self._db.change(
                """
                UPDATE athlete SET resolved_to = ?, gone_at = ?
                 WHERE id = ? AND user_id IS NULL AND resolved_to IS NULL
                """,
                (user_id, now_s, guest.id),
            )
        )

    def lacking(self) -> list[RosterAthlete]:
        """Return the athletes whose body measures the account does not have, by name."""
        return self._db.all(RosterAthlete.from_row, LACKING)

    def count(self) -> int:
        """Return how many athletes of the account are known and offered."""
        query = """
            SELECT count(*) AS n FROM athlete WHERE user_id IS NOT NULL AND gone_at IS NULL
            """
        return self._db.number(query)

    def _one(self, query: str, wanted: object) -> RosterAthlete | None:
        return self._db.one(RosterAthlete.from_row, query, {"wanted": wanted})


# When and with what somebody was on the station last is in the assignments themselves.
_ATHLETES = """
SELECT athlete.*,
       (SELECT starts_at FROM assignment
         WHERE layer = 'coach' AND (user_id = athlete.user_id OR guest_id = athlete.id)
         ORDER BY id DESC LIMIT 1) AS last_assigned_at,
       (SELECT json_group_object(exercise, barbell_mass_kg) FROM
          (SELECT exercise, barbell_mass_kg, max(id) FROM assignment
            WHERE layer = 'coach' AND exercise IS NOT NULL AND barbell_mass_kg IS NOT NULL
              AND (assignment.user_id = athlete.user_id OR assignment.guest_id = athlete.id)
            GROUP BY exercise)
       ) AS masses_kg
  FROM athlete
"""

SEARCH = f"""
{_ATHLETES}
 WHERE (:gone OR gone_at IS NULL)
   AND NOT EXISTS (SELECT 1 FROM json_each(:words) WHERE instr(athlete.folded, value) = 0)
   AND (:group IS NULL OR coalesce(user_id, '{GUEST_PREFIX}' || athlete.id) IN
        (SELECT value FROM athlete_group, json_each(members) WHERE athlete_group.id = :group))
 ORDER BY :group IS NULL AND last_assigned_at IS NULL,
          iif(:group IS NULL, last_assigned_at, NULL) DESC, athlete.folded, athlete.id
 LIMIT :most
"""  # noqa: S608  # our own words; index: assignment_by_user, assignment_by_guest

LACKING = f"""
{_ATHLETES}
 WHERE user_id IS NOT NULL AND gone_at IS NULL AND lacks != '[]'
 ORDER BY athlete.folded, athlete.id
"""

UPSERT = """
INSERT INTO athlete (user_id, name, folded, lacks, noted_at)
VALUES (:user_id, :name, :folded, :lacks, :now)
ON CONFLICT (user_id) DO UPDATE
   SET name = :name, folded = :folded, lacks = :lacks, gone_at = NULL
 WHERE name != :name OR folded != :folded OR lacks IS NOT :lacks OR gone_at IS NOT NULL
"""

MARK_GONE = """
UPDATE athlete SET gone_at = :now
 WHERE user_id IS NOT NULL AND gone_at IS NULL
   AND user_id NOT IN (SELECT value FROM json_each(:known))
"""


_PLAIN = ("user_id", "guest_id", "activity", "exercise", "barbell_mass_kg", "incline_deg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """One place in the queue."""

    id: int  # stays the same wherever it is moved
    target: ClipTarget

    @classmethod
    def from_row(cls, row: Row) -> "Queued":
        """Build a place from a row of its table."""
        recipient = Recipient.UNKNOWN if row["user_id"] is None else Recipient.ATHLETE
        return cls(id=row["id"], target=built(ClipTarget, row, recipient=recipient))


class Queue:
    """The table of who comes next; a handful of rows."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database
        self._flags = StationFlags(database)

    def all(self) -> list[Queued]:
        """Return the queue, the next one first."""
        return self._db.all(Queued.from_row, "SELECT * FROM queue ORDER BY position, id")

    def append(self, target: ClipTarget) -> Queued:
        """Put somebody at the end."""
        columns = {name: getattr(target, name) for name in _PLAIN}
        with self._db.transaction():
            row = self._db.row(_NEXT_PLACE, {"switch": _LAST_PLACE})
            assert row is not None  # an aggregate gives one row
            self._flags.set(_LAST_PLACE, str(row["id"]))
            self._db.insert("queue", {"id": row["id"], "position": row["position"], **columns})
        return Queued(id=row["id"], target=target)

    def remove(self, queued_id: int) -> Mapping[str, object] | None:
        """Take somebody out, and return what `put_back` needs; None: no such place (any more)."""
        return self._db.one(dict, "DELETE FROM queue WHERE id = ? RETURNING *", (queued_id,))

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
            ids.insert(place, self.append(Queued.from_row(dict(held)).target).id)
            self.arrange(ids)

    def restore(self, held: Sequence[Mapping[str, object]]) -> None:
        """Put back what `clear` took, before whatever came since."""
        with self._db.transaction():
            since = [queued.target for queued in self.all()]
            self._db.change("DELETE FROM queue")
            for row in held:
                self.append(Queued.from_row(row).target)
            for target in since:
                self.append(target)


# A place's id is never given again: a page that shows the queue of a moment ago names the place,
# and must not move or remove somebody else who came since.
_LAST_PLACE = "queue_last_place"
_NEXT_PLACE = """
SELECT max(coalesce(max(id), 0),
           coalesce((SELECT CAST(value AS INTEGER) FROM switch WHERE name = :switch), 0)) + 1 AS id,
       coalesce(max(position), 0) + 1 AS position
  FROM queue
"""


class Identities:
    """Read-only views over whoever is on record."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def user_ids(self) -> set[str]:
        """Return the user_id of everybody who was ever assigned, filmed or in the account."""
        return {
            str(row["user_id"])
            for query in (ROSTER_IDS, ASSIGNED_IDS, QUEUED_IDS, FILMED_IDS, GROUPED_IDS)
            for row in self._db.rows(query)
        }

    def names(self) -> set[str]:
        """Return the names of athletes and guests, and those of devices and groups."""
        queries = (NAMES, DEVICES, GROUPS)
        return {str(row["name"]) for query in queries for row in self._db.rows(query)}


ROSTER_IDS = "SELECT user_id FROM athlete WHERE user_id IS NOT NULL"
ASSIGNED_IDS = "SELECT user_id FROM assignment WHERE user_id IS NOT NULL"
QUEUED_IDS = "SELECT user_id FROM queue WHERE user_id IS NOT NULL"
FILMED_IDS = "SELECT DISTINCT user_id FROM entry WHERE user_id IS NOT NULL"
GROUPED_IDS = f"""
SELECT value AS user_id FROM athlete_group, json_each(members)
 WHERE value NOT LIKE '{GUEST_PREFIX}%'
UNION SELECT athlete FROM card WHERE athlete NOT LIKE '{GUEST_PREFIX}%'
"""  # noqa: S608  # our own words
NAMES = "SELECT name FROM athlete"
GROUPS = "SELECT name FROM athlete_group WHERE name != ''"
DEVICES = "SELECT name FROM device WHERE name != ''"


ROTATE = "rotate"  # whoever makes way for the next goes to the queue's end
ROSTER_ASKED_AT = "roster_asked_at"  # Unix time of the last request for the account's athletes
ROSTER_SYNCED_AT = "roster_synced_at"  # the same, of the last that succeeded


class StationFlags:
    """The table of switches."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def get(self, name: str) -> str | None:
        """Return a switch's value, or None where it was never set."""
        return self._db.value(str, "SELECT value FROM switch WHERE name = ?", (name,))

    def set(self, name: str, value: str) -> None:
        """Set a switch."""
        self._db.change(
            """
            INSERT INTO switch (name, value) VALUES (?, ?)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value
            """,
            (name, value),
        )

    def is_on(self, name: str) -> bool:
        """Tell whether a switch is on."""
        return self.get(name) == "on"

    def turn(self, name: str, *, on: bool) -> None:
        """Turn a switch on or off."""
        self.set(name, "on" if on else "off")

    def moment(self, name: str) -> float | None:
        """Return the Unix time that a switch holds, or None."""
        value = self.get(name)
        return None if value is None else float(value)


_ID_CHARS = 12  # of a digest


@dataclass(frozen=True, slots=True, kw_only=True)
class AthleteGroup:
    """A class or a team."""

    id: int
    name: str = field(repr=False)
    members: tuple[str, ...]  # keys of people: user_id, or guest:3

    @classmethod
    def from_row(cls, row: Row) -> "AthleteGroup":
        """Build a group from a row of its table."""
        return built(cls, row, members=tuple(json.loads(row["members"])))


class Groups:
    """The table of groups; a handful of rows."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def all(self) -> list[AthleteGroup]:
        """Return the groups, the oldest first."""
        return self._db.all(
            AthleteGroup.from_row,
            "SELECT * FROM athlete_group WHERE removed_at IS NULL ORDER BY id",
        )

    def add(self, name: str, members: Sequence[str], *, now_s: float) -> AthleteGroup:
        """Make a group."""
        told = {"name": name, "members": json.dumps(list(members)), "changed_at": now_s}
        group_id = self._db.insert("athlete_group", told)
        return AthleteGroup(id=group_id, name=name, members=tuple(members))

    def set_members(self, group_id: int, members: Sequence[str], *, now_s: float) -> None:
        """Let these people, in this order, be in a group."""
        self._db.change(
            "UPDATE athlete_group SET members = ?, changed_at = ? WHERE id = ?",
            (json.dumps(list(members)), now_s, group_id),
        )

    def rename(self, athlete: str, to: str, *, now_s: float) -> None:
        """Let an athlete be in the groups of the guest who they turned out to be."""
        for group in self.all():
            if athlete in group.members:
                members = dict.fromkeys(to if one == athlete else one for one in group.members)
                self.set_members(group.id, list(members), now_s=now_s)

    def remove(self, group_id: int, *, now_s: float) -> None:
        """Remove a group, and what it was called."""
        self._db.change(
            """
            UPDATE athlete_group SET name = '', members = '[]', changed_at = :now, removed_at = :now
             WHERE id = :id
            """,
            {"id": group_id, "now": now_s},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedCard:
    """A card, code or fob, and whom it belongs to."""

    digest: str  # of what it says, by the station's secret
    athlete: str  # key of a person
    changed_at: float  # Unix time

    @property
    def id(self) -> str:
        """What people call it by: the beginning of the digest."""
        return self.digest[:_ID_CHARS]


_card = partial(built, LinkedCard)


class Cards:
    """The table of cards."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def get(self, digest: str) -> LinkedCard | None:
        """Return a card; None where it is linked to nobody."""
        query = "SELECT * FROM card WHERE digest = ? AND athlete IS NOT NULL"
        return self._db.one(_card, query, (digest,))

    def all(self) -> list[LinkedCard]:
        """Return every linked card, in the order in which they were linked."""
        query = "SELECT * FROM card WHERE athlete IS NOT NULL ORDER BY changed_at, digest"
        return self._db.all(_card, query)

    def of(self, athlete: str) -> list[LinkedCard]:
        """Return the cards of a person, in the order in which they were linked."""
        query = "SELECT * FROM card WHERE athlete = ? ORDER BY changed_at, digest"
        return self._db.all(_card, query, (athlete,))

    def link(self, digest: str, athlete: str | None, *, now_s: float) -> None:
        """Let a card belong to a person, or to nobody."""
        self._db.change(
            """
            INSERT INTO card (digest, athlete, changed_at) VALUES (:digest, :athlete, :now)
            ON CONFLICT (digest) DO UPDATE SET athlete = :athlete, changed_at = :now
            """,
            {"digest": digest, "athlete": athlete, "now": now_s},
        )

    def rename(self, athlete: str, to: str, *, now_s: float) -> None:
        """Let an athlete have the cards of the guest who they turned out to be."""
        self._db.change(
            "UPDATE card SET athlete = ?, changed_at = ? WHERE athlete = ?", (to, now_s, athlete)
        )
