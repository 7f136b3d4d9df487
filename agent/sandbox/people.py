"""Who is in the sandbox's account."""

from dataclasses import dataclass

OWNER_UID = "owner-0001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key that the sandbox accepts."""

    token: str
    role: str  # admin, subadmin or user
    uid: str = OWNER_UID

    @property
    def is_admins(self) -> bool:
        """Whether it may do more than send its owner's own clips."""
        return self.role != "user"


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
            "phone": "",
            "created_at": "2026-01-05T09:00:00Z",
            "age": "27",
            "weight": 71.5,
            "height": 176,
            "leg_length": 0.91,
            "ycom": 0 if self.user_uid == "athlete-0005" else 0.96,
            "gender": "",
            "shoeSize": "",
            "brand": "",
            "shoeModel": "",
        }


ATHLETES = (
    Athlete(user_uid=OWNER_UID, display_name="Olga Owner"),
    Athlete(user_uid="someUserId123", display_name="Ada Example"),
    Athlete(user_uid="athlete-0002", display_name="Jörg Müller"),
    Athlete(user_uid="athlete-0003", display_name="李小龍"),
    Athlete(user_uid="athlete-0004", display_name="Анна Петрова"),
    Athlete(user_uid="athlete-0005", display_name="ياسمين"),
)
_NAMES = (  # given name and family name, in many scripts and directions
    *("Zoë Ångström", "Łukasz Żółć", "Nguyễn Ánh", "Σοφία Παπαδοπούλου", "Ольга Щукина"),
    *("محمد الأمين", "שירה כהן", "अनन्या शर्मा", "ธนกร ใจดี", "김민준", "さくら 田中", "王小明"),
    *("ანა ბერიძე", "Արամ Պետրոսյան", "ሰላም ተስፋዬ", "தமிழ் செல்வி", "O'Brien-Smith 3rd"),
)


def roster(count: int) -> tuple[Athlete, ...]:
    """Return an account's athletes: those that every sandbox has, and more up to `count`."""
    drawn = (
        Athlete(
            user_uid=f"athlete-{number:04}",
            display_name=f"{_NAMES[number % len(_NAMES)]} {number}",
        )
        for number in range(len(ATHLETES), count)
    )
    return (*ATHLETES, *drawn) if count > len(ATHLETES) else ATHLETES[: max(count, 1)]
