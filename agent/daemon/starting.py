"""Starting on a box that is not ready: a full disk, a mount that is missing, an outbox in use.

A start that gives up would be started again and again, and deliver nothing meanwhile.  So it says
once what it waits for, waits, and goes on by itself.
"""

import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

import structlog

from agent.errors import AgentError
from agent.outbox.disk.mounts import Mounts
from agent.outbox.disk.space import is_fault
from agent.outbox.opening import is_about_full_disk, is_locked
from agent.pulse import beat
from agent.stage import StageName

Result = TypeVar("Result")
Say = Callable[[str], None]  # tells whoever looks on what the start waits for
_AGAIN_S = 2.0
_FULL = "the disk is full"
_FAULTY = "the disk refuses"
_IN_USE = "somebody else writes into the outbox"

log = structlog.get_logger(stage=StageName.START)


def _say_nothing(_words: str) -> None:
    """Stand in for somebody who looks on."""


def end_at_once_when_asked() -> None:
    """Let SIGTERM end a start that waits; the daemon, once it runs, ends in its own way."""

    def end(_number: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)


def ignore_reload() -> None:
    """Let SIGHUP pass while a start goes on: it has only just read the settings."""
    if not sys.stderr.isatty():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def await_mounts(mounts: Mounts, *paths: Path, say: Say = _say_nothing) -> None:
    """Wait until every mount is there that these paths need."""
    told: Path | None = None
    while (place := mounts.missing_for(*paths)) is not None:
        if place != told:
            log.error("start paused", reason="a mount is missing", mount=str(place))
            say(f"start paused: {place} is not mounted")
            told = place
        _wait()
    if told is not None:
        log.info("start resumed")


def patiently(
    step: Callable[[], Result],
    root: Path,
    give_way: Callable[[], None] = lambda: None,
    *,
    say: Say = _say_nothing,
) -> Result:
    """Take one step of a start; while the disk of `root` is full, make way and try it again.

    Likewise while somebody else holds the outbox for long, such as a doctor who compares it all.

    Raises:
        whatever the step raises that is about neither.
    """
    told: str | None = None
    while True:
        try:
            result = step()
        except (AgentError, OSError, sqlite3.OperationalError) as error:
            why = _what_passes(error, root)
            if why is None:
                raise
            if why == _FULL:
                give_way()
            if told == why:
                _wait()
            else:  # the reserve may have been enough
                told = why
                log.error("start paused", reason=why, error=str(error))
                say(f"start paused: {why}")
        else:
            if told is not None:
                log.info("start resumed")
            return result


def _what_passes(error: Exception, root: Path) -> str | None:
    """Return what a start waits for, of which an error came; None: waiting helps nobody."""
    if is_about_full_disk(error, root):
        return _FULL
    causes = (error, error.__cause__)
    if any(is_fault(cause) for cause in causes):
        return _FAULTY
    return _IN_USE if any(is_locked(cause) for cause in causes) else None


def _wait() -> None:
    beat()
    threading.Event().wait(_AGAIN_S)
