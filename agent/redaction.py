"""Keeping secrets out of what is written: the second line of defence, behind never writing them.

What is known to be a secret is hidden wherever it stands; what looks like one is hidden too.
"""

import re
import threading
from collections.abc import Mapping

HIDDEN = "********"
_SHORTEST = 4  # less would hide half of every line
_NAMES = frozenset(
    {
        *("key", "api_key", "token", "pin", "password", "secret", "cookie", "authorization"),
        *("metrics_token", "word", "url"),
    }
)
_LOOKS = (
    # a key or token behind the word that announces it
    re.compile(r"(?i)\b((?:API-KEY|Bearer|Basic)[:= ]+)[^\s\"',;]+"),
    re.compile(
        r"(?i)\b((?:authorization|cookie|api[-_]?key|token|password|pin)\"?'?\s*[:=]\s*\"?'?)"
        r"(?!API-KEY|Bearer|Basic)[^\s\"',;&]+"
    ),
    re.compile(r"(://)[^/\s:@]+:[^/\s@]+(?=@)"),  # rtsp://camera:password@host
)

_known: set[str] = set()
_lock = threading.Lock()


def hide_always(secret: str | None) -> None:
    """Hide this secret from now on, wherever it stands."""
    if secret is not None and len(secret.strip()) >= _SHORTEST:
        with _lock:
            _known.add(secret.strip())


def without_known(text: str) -> str:
    """Return a text without what is known to be a secret; what only looks like one stays."""
    with _lock:
        known = sorted(_known, key=len, reverse=True)
    for secret in known:
        text = text.replace(secret, HIDDEN)
    return text


def redacted(text: str) -> str:
    """Return a text without what is a secret, or looks like one."""
    text = without_known(text)
    for look in _LOOKS:
        text = look.sub(rf"\g<1>{HIDDEN}", text)
    return text


def redacted_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Return named values without secrets: by their names, and by what they hold."""
    return {name: _value(name, value) for name, value in fields.items()}


def _value(name: str, value: object) -> object:
    if name.lower() in _NAMES and value not in (None, True, False):
        return HIDDEN
    if isinstance(value, str):
        return redacted(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return redacted(str(value))
