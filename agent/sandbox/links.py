"""Links that open one file for a while: whoever has one needs no key.  Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode


def signed_path(path: str, *, expires_at: float, secret: bytes) -> str:
    """Return a path with what proves, until a Unix time, that it may be read."""
    expires = str(int(expires_at))
    return f"{path}?{urlencode({'expires': expires, 'signature': _sign(path, expires, secret)})}"


def fault_of_link(
    path: str, query: Mapping[str, str], *, secret: bytes, now_s: float
) -> str | None:
    """Return why a link opens nothing, or None where it does."""
    expires = query.get("expires", "")
    told = query.get("signature", "").encode()
    if not hmac.compare_digest(told, _sign(path, expires, secret).encode()):
        return "SignatureDoesNotMatch"
    return "ExpiredToken" if now_s > int(expires) else None


def _sign(path: str, expires: str, secret: bytes) -> str:
    return hmac.new(secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
