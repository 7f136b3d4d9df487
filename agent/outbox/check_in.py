"""Groups of athletes, and the cards by which athletes check in.

Both are known to nobody but this box, so the ledger tells of them as of guests and assignments.  It
tells of no deletion: a group is marked as removed and a card unlinked, and an erasure, which
rewrites the ledger, deletes what is left of them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.outbox.database import OutboxDatabase, Row

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
        members = tuple(json.loads(str(row["members"])))
        return cls(id=int(str(row["id"])), name=str(row["name"]), members=members)


class Groups:
    """The table of groups; a handful of rows."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def all(self) -> list[AthleteGroup]:
        """Return the groups, the oldest first."""
        rows = self._db.rows("SELECT * FROM athlete_group WHERE removed_at IS NULL ORDER BY id")
        return [AthleteGroup.from_row(row) for row in rows]

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

    @classmethod
    def from_row(cls, row: Row) -> "LinkedCard":
        """Build a card from a row of its table."""
        return cls(**{name: row[name] for name in cls.__slots__})  # type: ignore[arg-type]  # STRICT tables keep the types


class Cards:
    """The table of cards."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def get(self, digest: str) -> LinkedCard | None:
        """Return a card; None where it is linked to nobody."""
        query = "SELECT * FROM card WHERE digest = ? AND athlete IS NOT NULL"
        row = self._db.row(query, (digest,))
        return None if row is None else LinkedCard.from_row(row)

    def all(self) -> list[LinkedCard]:
        """Return every linked card, in the order in which they were linked."""
        query = "SELECT * FROM card WHERE athlete IS NOT NULL ORDER BY changed_at, digest"
        return [LinkedCard.from_row(row) for row in self._db.rows(query)]

    def of(self, athlete: str) -> list[LinkedCard]:
        """Return the cards of a person, in the order in which they were linked."""
        query = "SELECT * FROM card WHERE athlete = ? ORDER BY changed_at, digest"
        return [LinkedCard.from_row(row) for row in self._db.rows(query, (athlete,))]

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
