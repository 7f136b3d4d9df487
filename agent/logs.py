"""Logs: one event a line, rate-limited, without secrets, with journald's own fields.

Without a journal, lines go to standard error as key=value, readable by people and by scripts.
"""

import contextlib
import logging
import os
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import ModuleType


@contextlib.contextmanager
def _missing(unused: str, *, stood_in_for: str) -> Iterator[None]:
    """Let what is imported meanwhile do without two packages that were not imported before."""
    unloaded = {unused: None, stood_in_for: ModuleType(stood_in_for)}
    hidden = {name: module for name, module in unloaded.items() if name not in sys.modules}
    sys.modules.update(hidden)  # type: ignore[arg-type]  # None: as if it were not installed
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


# structlog imports both for coloured tracebacks and asynchronous methods, which no log of ours has.
# A recorder needs neither: without them it imports in 219 ms, not 303, and takes 8 MB less.
with _missing("rich", stood_in_for="asyncio"):
    import structlog
    from structlog.typing import EventDict

SOCKET = Path("/run/systemd/journal/socket")
FIELD = "SPOTTER_"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_MOST_BYTES = 32768  # of one value: a datagram that is too large would be lost whole
_TIMESTAMP, _EVENT, _LEVEL = "timestamp", "event", "level"


def is_ours(environ: Mapping[str, str], fd: int) -> bool:
    """Tell whether a descriptor is the journal's, as the service manager says in JOURNAL_STREAM."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def encode(event: Mapping[str, object]) -> bytes:
    """Return an event as the journal reads it."""
    return b"".join(_field(name, value) for name, value in _fields(event))


class JournalLogger:
    """What structlog writes to where systemd runs Spotter; standard error if that fails."""

    def __init__(self, path: Path = SOCKET) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def msg(self, **event: object) -> None:
        """Write one event."""
        try:
            self._socket.sendto(encode(event), self._path)
        except OSError:
            priority = PRIORITIES.get(str(event.get(_LEVEL)), 6)
            with contextlib.suppress(OSError):
                print(f"<{priority}>{_message(event)}", file=sys.stderr, flush=True)  # noqa: T201  # the log itself

    def close(self) -> None:
        """Write no more."""
        self._socket.close()

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


def _fields(event: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    yield "MESSAGE", _message(event)
    yield "PRIORITY", str(PRIORITIES.get(str(event.get(_LEVEL)), 6))
    yield "SYSLOG_IDENTIFIER", "spotter"
    for name, value in event.items():
        if name not in (_TIMESTAMP, _EVENT, _LEVEL):
            clean = re.sub(r"[^A-Z0-9_]", "_", name.upper()).strip("_")[:48]
            yield f"{FIELD}{clean}", str(value)


def _message(event: Mapping[str, object]) -> str:
    """Return an event as a line for people: what happened, then what it happened to."""
    hidden = (_TIMESTAMP, _EVENT, _LEVEL, "exception")
    told = " ".join(f"{name}={value}" for name, value in event.items() if name not in hidden)
    line = f"{event.get(_EVENT, '')} {told}".strip()
    trace = event.get("exception")
    return line if trace is None else f"{line}\n{trace}"


def _field(name: str, value: str) -> bytes:
    content = value.encode("utf-8", "replace")[:_MOST_BYTES]
    if b"\n" not in content:
        return name.encode() + b"=" + content + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(content)) + content + b"\n"


HIDDEN = "********"
_SHORTEST = 4  # less would hide half of every line
_NAMES = frozenset(
    {
        *("key", "api_key", "token", "pin", "password", "secret", "cookie", "authorization"),
        *("metrics_token", "tap_token", "csrf_token", "url"),
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


def _without_secrets(found: re.Match[str]) -> str:
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


_ORDER = ("timestamp", "level", "stage", "event", "capture", "entry", "clip")
_TELL_APART = ("capture", "entry", "clip", "device")  # other numbers make no new message
_OFTEN, _WITHIN_S = 5, 60.0
_MOST_KINDS = 512


class RepeatLimit:
    """Lets the same message through a few times a minute, then counts; the next one says how many.

    Two messages are the same if they differ in numbers alone, such as seconds or ports; what they
    are about counts as a difference.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[str, tuple[float, int]] = {}  # since when, and how many since then

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        """Pass an event on, or drop it."""
        now_s, kind = self._clock(), _kind(event)
        since_s, times = self._kinds.get(kind, (now_s, 0))
        if now_s - since_s >= _WITHIN_S:
            dropped, since_s, times = max(0, times - _OFTEN), now_s, 0
            if dropped:
                event["repeated"] = dropped
        if kind not in self._kinds and len(self._kinds) >= _MOST_KINDS:
            self._kinds.pop(next(iter(self._kinds)))
        self._kinds[kind] = (since_s, times + 1)
        if times >= _OFTEN:
            raise structlog.DropEvent
        return event


class LineLogger:
    """Writes lines to a descriptor; where they cannot go, as to a full disk, nothing ends for it.

    Nothing is buffered: a process ends with 120 where Python cannot write what it has buffered.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def msg(self, message: str) -> None:
        """Write one line."""
        with contextlib.suppress(OSError):
            os.write(self._descriptor, f"{message}\n".encode(errors="replace"))

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


def configure_logs(level: str = "info") -> None:
    """Send every event to the journal if systemd runs this process, else to standard error."""
    to_journal = is_ours(os.environ, sys.stderr.fileno()) and SOCKET.exists()
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        RepeatLimit(),
        stamp,
        structlog.processors.format_exc_info,
        _drop_nothing,
        hide_secrets,
    ]
    line = structlog.processors.LogfmtRenderer(key_order=_ORDER, drop_missing=True)
    one = JournalLogger() if to_journal else LineLogger(sys.stderr.fileno())
    structlog.configure(
        processors=shared if to_journal else [*shared, line],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=lambda *_: one,
        cache_logger_on_first_use=True,
    )


def stamp(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Say when: by the box's own clock, with what that is off UTC."""
    event["timestamp"] = datetime.now().astimezone().isoformat(timespec="seconds")
    return event


def hide_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Hide what is a secret, or looks like one."""
    return redacted_fields(event)


def _drop_nothing(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Leave out what does not apply."""
    return {name: value for name, value in event.items() if value is not None}


def _kind(event: EventDict) -> str:
    told = [
        f"{name}={value if name in _TELL_APART else re.sub(r'[0-9]+', '#', str(value))}"
        for name, value in sorted(event.items())
        if name != "exc_info"
    ]
    return " ".join(told)
