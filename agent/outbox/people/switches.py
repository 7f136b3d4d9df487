"""Switches: what is on or off at the station, or was last done."""

from agent.outbox.database import OutboxDatabase

ROTATE = "rotate"  # whoever makes way for the next goes to the queue's end
ROSTER_ASKED_AT = "roster_asked_at"  # Unix time of the last look for the account's athletes
ROSTER_SYNCED_AT = "roster_synced_at"  # the same, of the last that succeeded


class Switches:
    """The table of switches."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def get(self, name: str) -> str | None:
        """Return a switch's value, or None where it was never set."""
        row = self._db.row("SELECT value FROM switch WHERE name = ?", (name,))
        return None if row is None else str(row["value"])

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
