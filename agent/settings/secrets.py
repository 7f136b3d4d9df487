"""What an API key says of itself, where it is a token that says anything."""

import base64
import binascii
import json
from collections.abc import Mapping

_MOST_CHARS = 16_384
_OWNER_CLAIMS = ("uid", "user_uid", "user_id", "sub")
_LATEST_S = 1e11  # later is no moment that anybody meant
_WARN_S = 14 * 86_400.0


def expires_at(token: str) -> float | None:
    """Return the Unix time at which a key expires, or None where it does not say."""
    told = _claims(token).get("exp")
    is_number = isinstance(told, int | float) and not isinstance(told, bool)
    return float(told) if is_number and 0 < told < _LATEST_S else None  # type: ignore[arg-type, operator]  # a number, as was seen


def owner_ids(token: str) -> frozenset[str]:
    """Return whose key it is, in every word that it has for that."""
    claims = _claims(token)
    told = (claims.get(name) for name in _OWNER_CLAIMS)
    return frozenset(one for one in told if isinstance(one, str) and one)


def expires_soon(at: float | None, *, now_s: float) -> bool:
    """Tell whether a person should ask for a new key by now."""
    return at is not None and at - now_s < _WARN_S


def _claims(token: str) -> Mapping[str, object]:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _MOST_CHARS:
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        told = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
