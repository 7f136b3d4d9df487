"""Sessions: a signed cookie says which device this is, and since when.  Pure.

The cookie holds nothing secret but its signature.  The CSRF token is derived from the same secret,
so that the page of one device is of no use to another.
"""

import hashlib
import re
from dataclasses import dataclass

import itsdangerous

from agent.outbox.people.devices import Role

_DAY_S = 86400.0
_RENEW_AFTER_S = _DAY_S  # a session in use is renewed once a day
_AHEAD_S = _DAY_S  # a session from further in the future is none: or the clock was far wrong
_PAYLOAD = re.compile(r"([a-z2-7]{1,32})\.(coach|wall)\.([0-9]{1,12})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One device's session."""

    device_id: str
    role: Role
    issued_at: int  # Unix time

    @property
    def payload(self) -> str:
        """What is signed."""
        return f"{self.device_id}.{self.role}.{self.issued_at}"

    def is_old(self, now_s: float) -> bool:
        """Tell whether it should be renewed."""
        return now_s - self.issued_at > _RENEW_AFTER_S


class Signer:
    """Signs sessions, and verifies its own signatures."""

    def __init__(self, secret: bytes, *, lasts_days: float) -> None:
        self._sessions = _signer(secret, "session")
        self._csrf = _signer(secret, "csrf")
        self._lasts_s = lasts_days * _DAY_S

    @property
    def lasts_s(self) -> int:
        """How long a session lasts without use."""
        return round(self._lasts_s)

    def cookie(self, session: Session) -> str:
        """Return a session as a cookie's value."""
        return self._sessions.sign(session.payload).decode()

    def read(self, cookie: str, *, now_s: float) -> Session | None:
        """Return the session of a cookie; None where it is forged, damaged or too old."""
        try:
            payload = self._sessions.unsign(cookie.encode()).decode()
        except (itsdangerous.BadSignature, UnicodeError):
            return None
        parts = _PAYLOAD.fullmatch(payload)
        if parts is None:
            return None
        session = Session(device_id=parts[1], role=Role(parts[2]), issued_at=int(parts[3]))
        age_s = now_s - session.issued_at
        return session if -_AHEAD_S <= age_s <= self._lasts_s else None

    def csrf_token(self, session: Session) -> str:
        """Return the token that every changing request of this device must carry."""
        return self._csrf.get_signature(session.device_id).decode()

    def verify_csrf(self, session: Session, token: str) -> bool:
        """Tell whether a request comes from a page of this device."""
        return self._csrf.verify_signature(session.device_id, token)


def _signer(secret: bytes, purpose: str) -> itsdangerous.Signer:
    """Return what signs for one purpose alone, with a key derived for it."""
    return itsdangerous.Signer(
        secret, salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256
    )
