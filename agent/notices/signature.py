"""The signature of a webhook's notice, by which its receiver knows who sent it.  Pure.

HMAC-SHA256 over the time of sending, a dot and the body: what somebody listened to cannot be sent
again later, and nothing in it can be changed.
"""

import hashlib
import hmac

HEADER = "Spotter-Signature"


def signature(secret: str, body: bytes, *, now_s: float) -> str:
    """Return the header's value: t=<Unix time>,v1=<signature in hex>."""
    moment = str(int(now_s))
    signed = moment.encode() + b"." + body
    return f"t={moment},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"
