"""Keys of stations and hubs, and the documents that a hub signs for one station.

A key is Ed25519, written as NATS writes it (NKeys).  A public key is what the broker knows a user
by; a seed never leaves the box that made it.  Source of the form: github.com/nats-io/nkeys: prefix,
key, CRC-16/XMODEM, in base32.  What is signed begins with its kind, so that one never passes for
another: plan, settings, version, share of the uplink, commands.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, ValidationError

from agent.errors import RequestError
from agent.facility.membership import Membership
from agent.text import read_json

SEED_BYTES = 32
_USER = 20 << 3  # makes the first letter U
_SEED = 18 << 3  # makes the first letter S; what kind of key it is follows
_PUBLIC_BYTES = 1 + 32 + 2


class FacilityKey:
    """A key pair that signs."""

    def __init__(self, seed: bytes) -> None:
        """Derive both keys from a seed of 32 random bytes.

        Raises:
            ValueError: it has another length.
        """
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        content = bytes([_USER]) + self._private.public_key().public_bytes_raw()
        self.public = base64.b32encode(content + _checksum(content)).decode().rstrip("=")

    @property
    def seed(self) -> str:
        """The seed as the broker reads it; as secret as the seed itself."""
        prefix = bytes([_SEED | _USER >> 5, (_USER & 31) << 3])
        content = prefix + self._private.private_bytes_raw()
        return base64.b32encode(content + _checksum(content)).decode().rstrip("=")

    def sign(self, content: bytes) -> bytes:
        """Return the signature of a content, 64 bytes."""
        return self._private.sign(content)


def is_signed(content: bytes, signature: bytes, *, public: str) -> bool:
    """Tell whether a content was signed by the owner of a public key."""
    try:
        Ed25519PublicKey.from_public_bytes(_raw(public)).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def is_public_key(text: str) -> bool:
    """Tell whether a text is a public key that the broker would know."""
    try:
        _raw(text)
    except ValueError:
        return False
    return True


def _raw(public: str) -> bytes:
    """Return the 32 bytes of a public key.

    Raises:
        ValueError: it is none.
    """
    try:
        content = base64.b32decode(public + "=" * (-len(public) % 8))
    except binascii.Error:
        raise ValueError("not a key") from None
    head, check = content[:-2], content[-2:]
    if len(content) != _PUBLIC_BYTES or content[0] != _USER or _checksum(head) != check:
        raise ValueError("not a key")
    return head[1:]


def _checksum(content: bytes) -> bytes:
    return binascii.crc_hqx(content, 0).to_bytes(2, "little")


class HubDocument(BaseModel):
    """What the hub wants of one station.  A subclass says its kind, and how large it is."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    KIND: ClassVar[str]
    MOST_BYTES: ClassVar[int]

    site: str
    station: str

    def sealed(self, key: FacilityKey) -> bytes:
        """Return it with the hub's signature, as it is published and kept."""
        text = self.model_dump_json()
        signature = base64.b64encode(key.sign(self._signed(text))).decode()
        return json.dumps({"document": text, "signature": signature}).encode()

    @classmethod
    def unsealed(cls, body: bytes, *, site: str, station: str, hub: str) -> Self:
        """Return the document that `sealed` has made.

        Args:
            body: what was published.
            site, station: for whom it must be.
            hub: the public key that must have signed it.

        Raises:
            RequestError: it is not the hub's, another station's, or cannot be read.
        """
        try:
            told = read_json(body[: cls.MOST_BYTES])
            text = str(told["document"])
            signed = cls._signed(text)  # half a character, which JSON may hold, is no text
            signature = base64.b64decode(str(told["signature"]), validate=True)
        except (ValueError, TypeError, KeyError):
            raise RequestError("it cannot be read") from None
        if not is_signed(signed, signature, public=hub):
            raise RequestError("it is not signed by the hub")
        try:
            document = cls.model_validate_json(text)
        except ValidationError:
            raise RequestError("it cannot be read") from None
        if (document.site, document.station) != (site, station):
            raise RequestError("it is for another station")
        return document

    @classmethod
    def of_hub(cls, body: bytes, member: Membership) -> Self:
        """Return the document that a member's hub has sealed for it.

        Raises:
            RequestError: as `unsealed`.
        """
        return cls.unsealed(body, site=member.site, station=member.station, hub=member.hub)

    @classmethod
    def _signed(cls, text: str) -> bytes:
        return f"spotter {cls.KIND} 1\n{text}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """What became of a document of the hub's; the board shows it."""

    revision: int | None = None
    state: str = "none"  # none, applied, refused; of a plan also waiting, overruled
    detail: str | None = None

    def document(self) -> Mapping[str, object]:
        """Return it as a part of the state document."""
        return {"revision": self.revision, "state": self.state, "detail": self.detail}
