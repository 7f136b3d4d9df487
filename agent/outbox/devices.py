"""Devices that may use the page, and the links that pair them."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from agent.outbox.database import OutboxDatabase, Row


class Role(StrEnum):
    """What a device may do."""

    COACH = "coach"  # see and change
    WALL = "wall"  # see the wall view, nothing else
    KIOSK = "kiosk"  # let the athletes of one group put themselves on the station, nothing else
    SETUP = "setup"  # set a new station up, for a while, nothing else


class Way(StrEnum):
    """How a device came in."""

    PAIRED = "paired"
    PIN = "pin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device, as its row stood when it was read."""

    id: str  # random; not a secret, for the session's cookie is signed
    role: Role
    way: Way
    name: str
    paired_at: float  # Unix time
    ended_at: float | None  # None: it may still come in
    group_id: int | None = None  # of a kiosk

    @classmethod
    def from_row(cls, row: Row) -> "Device":
        """Build a device from a row of its table."""
        plain = {name: row[name] for name in ("id", "name", "paired_at", "ended_at")}
        role, _, group_id = str(row["role"]).partition(_OF)
        return cls(
            role=Role(role),
            way=Way(str(row["way"])),
            group_id=int(group_id) if group_id else None,
            **plain,
        )


_OF = ":"  # between the role of a kiosk and its group's id, which are stored as one


class Devices:
    """The tables of devices and pairing links."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def offer(
        self,
        token: str,
        *,
        role: Role,
        name: str,
        now_s: float,
        lasts_s: float,
        group_id: int | None = None,
    ) -> None:
        """Let whoever shows `token` in time become a device, once; only its hash is kept."""
        with self._db.transaction():
            self._db.change("DELETE FROM pairing WHERE expires_at < ?", (now_s,))
            self._db.insert(
                "pairing",
                {
                    "token_sha256": _hash(token),
                    "role": role if group_id is None else f"{role}{_OF}{group_id}",
                    "name": name,
                    "made_at": now_s,
                    "expires_at": now_s + lasts_s,
                },
            )

    def pair(
        self, token: str, *, device_id: str, now_s: float, address: str | None = None
    ) -> Device | None:
        """Use a pairing link up; None where it is unknown, used or too old.

        A link from the future counts as too old: the clock jumped back behind its making.
        """
        with self._db.transaction():
            row = self._db.row(
                """
                DELETE FROM pairing WHERE token_sha256 = ? AND made_at <= ? AND expires_at > ?
                RETURNING *
                """,
                (_hash(token), now_s, now_s),
            )
            if row is None:
                return None
            device = self._add(
                device_id, str(row["role"]), Way.PAIRED, str(row["name"]), now_s=now_s
            )
            self._note_address(device_id, address)
            return device

    def add_by_pin(self, *, device_id: str, now_s: float, address: str | None = None) -> Device:
        """Let in a device that knew the PIN."""
        with self._db.transaction():
            device = self._add(device_id, Role.COACH, Way.PIN, "", now_s=now_s)
            self._note_address(device_id, address)
            return device

    def addresses(self, *, most: int) -> list[str]:
        """Return from where the devices came in that may still do so, the latest last."""
        rows = self._db.rows(
            """
            SELECT address FROM device WHERE ended_at IS NULL AND address IS NOT NULL
             ORDER BY rowid DESC LIMIT ?
            """,
            (most,),
        )
        return [str(row["address"]) for row in reversed(rows)]

    def get(self, device_id: str) -> Device | None:
        """Return one device."""
        return self._db.one(Device.from_row, "SELECT * FROM device WHERE id = ?", (device_id,))

    def all(self) -> list[Device]:
        """Return the devices that may come in, in the order in which they were paired."""
        return self._db.all(
            Device.from_row, "SELECT * FROM device WHERE ended_at IS NULL ORDER BY paired_at, rowid"
        )

    def end(self, device_id: str, *, now_s: float) -> bool:
        """Let a device in no longer; False where there is no such device."""
        changed = self._db.change(
            "UPDATE device SET ended_at = ? WHERE id = ? AND ended_at IS NULL", (now_s, device_id)
        )
        return changed > 0

    def end_all(self, role: Role, *, now_s: float) -> None:
        """Let no device of a role in any longer, nor anybody pair one by a link that is out."""
        with self._db.transaction():
            self._db.change("DELETE FROM pairing WHERE role = ?", (role,))
            self._db.change(
                "UPDATE device SET ended_at = ? WHERE role = ? AND ended_at IS NULL", (now_s, role)
            )

    def _add(self, device_id: str, role: str, way: Way, name: str, *, now_s: float) -> Device:
        row = self._db.row(
            """
            INSERT INTO device (id, role, way, name, paired_at) VALUES (?, ?, ?, ?, ?) RETURNING *
            """,
            (device_id, role, way, name, now_s),
        )
        assert row is not None  # inserted
        return Device.from_row(row)

    def _note_address(self, device_id: str, address: str | None) -> None:
        self._db.change("UPDATE device SET address = ? WHERE id = ?", (address, device_id))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
