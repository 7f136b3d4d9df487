"""Keys of stations and hubs: Ed25519, written as NATS writes them (NKeys).

A public key is what the broker knows a user by; a seed never leaves the box that made it.
Source of the form: github.com/nats-io/nkeys: prefix, key, CRC-16/XMODEM, in base32.
"""

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

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
