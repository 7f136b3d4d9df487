"""The signed headers of a webhook's notices, as Standard Webhooks 1.0.0 specifies them.  Pure.

The signature is the HMAC-SHA256 of id, time of the attempt and body: none of them can be changed,
and a recorded request cannot be sent again later.

Source: https://www.standardwebhooks.com, "Signature scheme" and "Webhook headers".
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
KEY_PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes, of the specification


def signing_key(secret: str) -> bytes:
    """Return the key that a secret stands for: base64, usually behind `whsec_`.

    Raises:
        ValueError: it is no base64, or too short or too long.
    """
    try:
        key = base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the secret is not {KEY_PREFIX} and base64") from None
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        size = f"{SHORTEST_KEY} to {LONGEST_KEY} bytes"
        raise ValueError(f"the secret must have {size} behind its base64, not {len(key)}")
    return key


def signed_headers(message_id: str, body: bytes, *, key: bytes, now_s: float) -> Mapping[str, str]:
    """Return the headers of one attempt to send a message.

    Args:
        message_id: the same at every attempt; without a full stop, which separates what is signed.
        body: exactly as it is sent.
        key: as `signing_key` returns it.
        now_s: Unix time of the attempt.
    """
    moment = str(int(now_s))
    content = b".".join((message_id.encode(), moment.encode(), body))
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {ID: message_id, TIMESTAMP: moment, SIGNATURE: f"v1,{signature}"}


def command_for_secret(file: Path) -> str:
    """Return the shell command that puts a new secret into a file."""
    return f'echo "{KEY_PREFIX}$(openssl rand -base64 32)" | sudo tee {file}'
