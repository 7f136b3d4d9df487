"""Sessions: a signed cookie says which device this is, and since when.  Pure.

The cookie holds nothing secret but its signature.  The word against forged requests (CSRF) is
derived from the same secret, so that a page of one device serves no other.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

from agent.outbox.people.devices import Role

_DAY_S = 86400.0
_RENEW_AFTER_S = _DAY_S  # a session in use is renewed once a day
_AHEAD_S = _DAY_S  # a session from further in the future is none: or the clock was far wrong
_COOKIE = re.compile(r"([a-z2-7]{1,32})\.(coach|wall)\.([0-9]{1,12})\.([0-9a-f]{64})")


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
    """Signs sessions, and knows its own signature again."""

    def __init__(self, secret: bytes, *, lasts_days: float) -> None:
        self._secret = secret
        self._lasts_s = lasts_days * _DAY_S

    @property
    def lasts_s(self) -> int:
        """How long a session lasts without use."""
        return round(self._lasts_s)

    def cookie(self, session: Session) -> str:
        """Return a session as a cookie's value."""
        return f"{session.payload}.{self._mac('session', session.payload)}"

    def read(self, cookie: str, *, now_s: float) -> Session | None:
        """Return the session of a cookie; None where it is forged, damaged or too old."""
        parts = _COOKIE.fullmatch(cookie)
        if parts is None:
            return None
        session = Session(device_id=parts[1], role=Role(parts[2]), issued_at=int(parts[3]))
        if not hmac.compare_digest(self._mac("session", session.payload), parts[4]):
            return None
        age_s = now_s - session.issued_at
        return session if -_AHEAD_S <= age_s <= self._lasts_s else None

    def csrf_word(self, session: Session) -> str:
        """Return the word that every changing request of this device must carry."""
        return self._mac("csrf", session.device_id)[:32]

    def knows_csrf_word(self, session: Session, word: str) -> bool:
        """Tell whether a request comes from a page of this device."""
        return word.isascii() and hmac.compare_digest(self.csrf_word(session), word)

    def _mac(self, purpose: str, text: str) -> str:
        message = f"{purpose}:{text}".encode()
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()
