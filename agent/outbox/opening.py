"""Opening the outbox on a disk that may be full."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from agent.errors import AgentError
from agent.outbox.disk.reserve import Reserve
from agent.outbox.disk.space import is_disk_full, is_nearly_full
from agent.outbox.store import Outbox


def open_with(reserve: Reserve, opener: Callable[[], Outbox]) -> Outbox:
    """Open the outbox, on a full disk with what the reserve holds.

    Raises:
        whatever the opener raises, if that was not enough.
    """
    try:
        return opener()
    except (AgentError, OSError, sqlite3.OperationalError) as error:
        if not is_about_full_disk(error, reserve.root):
            raise
        reserve.release()
    try:
        return opener()
    except (AgentError, OSError, sqlite3.OperationalError):
        reserve.hold()
        raise


def is_about_full_disk(error: BaseException, root: Path) -> bool:
    """Tell whether an error, or what it was raised from, is what a full disk does.

    SQLite calls it anything from "disk I/O error" to "unable to open", which on a disk with room
    would be a matter of rights or of a dying disk: there waiting helps nobody.
    """
    causes = (error, error.__cause__)
    if any(is_disk_full(cause) for cause in causes):
        return True
    return any(isinstance(c, sqlite3.OperationalError) for c in causes) and is_nearly_full(root)


def is_locked(error: BaseException | None) -> bool:
    """Tell whether an error says that somebody else has held the outbox for long."""
    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF == sqlite3.SQLITE_BUSY
