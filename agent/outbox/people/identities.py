"""Everybody who is named anywhere on the box: to leave them out of what leaves it."""

from agent.outbox.database import OutboxDatabase


class Identities:
    """Read-only views over whoever is on record."""

    def __init__(self, database: OutboxDatabase) -> None:
        self._db = database

    def user_ids(self) -> set[str]:
        """Return the user_id of everybody who was ever assigned, filmed or in the account."""
        return {
            str(row["user_id"])
            for query in (ROSTER_IDS, ASSIGNED_IDS, QUEUED_IDS, FILMED_IDS)
            for row in self._db.rows(query)
        }

    def names(self) -> set[str]:
        """Return the names of athletes and guests, and those that people gave their devices."""
        return {str(row["name"]) for query in (NAMES, DEVICES) for row in self._db.rows(query)}


ROSTER_IDS = "SELECT user_id FROM athlete WHERE user_id IS NOT NULL"
ASSIGNED_IDS = "SELECT user_id FROM assignment WHERE user_id IS NOT NULL"
QUEUED_IDS = "SELECT user_id FROM queue WHERE user_id IS NOT NULL"
FILMED_IDS = "SELECT DISTINCT user_id FROM entry WHERE user_id IS NOT NULL"
NAMES = "SELECT name FROM athlete"
DEVICES = "SELECT name FROM device WHERE name != ''"
