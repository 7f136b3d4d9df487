"""Logs: one event a line, quiet, without secrets; in the journal's own fields where it reads them.

Without a journal, lines go to standard error as key=value, readable by people and by scripts.
"""

import contextlib
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from datetime import datetime

import structlog
from structlog.typing import EventDict

from agent import journald
from agent.redaction import redacted_fields

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


class LineLogger(structlog.PrintLogger):
    """Writes lines; where they cannot go, as to a full disk, nothing ends for it."""

    def msg(self, message: str) -> None:
        """Write one line."""
        with contextlib.suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


def configure_logs(level: str = "info") -> None:
    """Send every event to the journal if systemd runs this process, else to standard error."""
    to_journal = journald.is_ours(os.environ, sys.stderr.fileno()) and journald.SOCKET.exists()
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        RepeatLimit(),
        stamp,
        structlog.processors.format_exc_info,
        _drop_nothing,
        hide_secrets,
    ]
    line = structlog.processors.LogfmtRenderer(key_order=_ORDER, drop_missing=True)
    one = journald.JournalLogger() if to_journal else LineLogger(sys.stderr)
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
