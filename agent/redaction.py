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
        *("metrics_token", "csrf_token", "url"),
    }
)
_LOOKS = (
    # a key or token behind the word that announces it
    re.compile(r"(?i)\b((?:API-KEY|Bearer|Basic)[:= ]+)[^\s\"',;]+"),
    re.compile(
        r"(?i)\b((?:authorization|cookie|api[-_]?key|token|password|pin)\"?'?\s*[:=]\s*\"?'?)"
        r"(?!API-KEY|Bearer|Basic)[^\s\"',;&]+"
    ),
)
_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,15}://)([^\s\"'<>]+)")
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.%]+\])(?::\d{1,5})?")
_CAMERAS = ("rtsp", "rtmp", "rtp", "srt", "mms", "onvif", "udp", "tcp")  # schemes, by their begin
# Everything behind one of these in an address: cameras take passwords in queries and in paths.
_PARAMETER = re.compile(
    r"(?i)((?:^|[/?&;,_#])(?:user(?:name)?|usr|login|account|password|passwd|passphrase|pass|pwd|"
    r"psw|pw|auth\w*|token|access_token|api_?key|key|secret|sig|signature|credentials?|session|sid)"
    r"[=:]).+"
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
    return _ADDRESS.sub(_without_secrets, text) if "://" in text else text


def _without_secrets(found: "re.Match[str]") -> str:
    """Return an address without user and password, wherever in it they stand.

    Of a camera's address nothing but the host stays: some carry the password in their path.
    """
    scheme, rest = found[1], found[2]
    cut = min((at for sign in "/?#" if (at := rest.find(sign)) >= 0), default=len(rest))
    authority, behind = rest[:cut], rest[cut:]
    user, has_user, host = authority.rpartition("@")
    is_camera = scheme.lower().startswith(_CAMERAS)
    may_be_password = "@" in behind and (is_camera or has_user or ":" in authority)
    if may_be_password or (has_user and _HOST.fullmatch(host) is None):
        return f"{scheme}{HIDDEN}"  # a password with such signs in it: nobody knows where it ends
    told = f"{HIDDEN}@{host}" if has_user and user else host
    if is_camera:
        return f"{scheme}{told}/{HIDDEN}" if len(behind) > 1 else f"{scheme}{told}{behind}"
    shown = _PARAMETER.sub(rf"\g<1>{HIDDEN}", behind)
    return f"{scheme}{told}{shown}"


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
