"""Who is in the sandbox's account."""

from dataclasses import dataclass

OWNER_UID = "owner-0001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key that the sandbox accepts."""

    token: str
    role: str  # admin or user
    uid: str = OWNER_UID


@dataclass(frozen=True, slots=True, kw_only=True)
class Athlete:
    """One athlete of the account."""

    user_uid: str
    display_name: str

    def document(self) -> dict[str, object]:
        """Return the athlete as the API lists them."""
        return {
            "user_uid": self.user_uid,
            "display_name": self.display_name,
            "email": f"{self.user_uid}@example.org",
            "phone": None,
            "created_at": "2026-01-05T09:00:00Z",
            "age": 27,
            "weight": 71.5,
            "height": 176,
            "leg_length": 0.91,
            "ycom": None if self.user_uid == "athlete-0005" else 0.96,
        }


ATHLETES = (
    Athlete(user_uid=OWNER_UID, display_name="Olga Owner"),
    Athlete(user_uid="someUserId123", display_name="Ada Example"),
    Athlete(user_uid="athlete-0002", display_name="Jörg Müller"),
    Athlete(user_uid="athlete-0003", display_name="李小龍"),
    Athlete(user_uid="athlete-0004", display_name="Анна Петрова"),
    Athlete(user_uid="athlete-0005", display_name="ياسمين"),
)
