"""The secret that signs sessions: one file, for the service's own user and its group.

The group reads the API key as well; so a daemon that one of them has run by hand leaves nothing
that the service cannot use.
"""

import contextlib
import os
import secrets
from pathlib import Path

from agent.outbox.disk.folders import StateFolder, fsync_file, give_to_owner_of, move_durably

_BYTES = 32
_NAME = "page-secret"


def load_secret(folder: StateFolder) -> bytes:
    """Return the station's secret, made anew where it is missing or damaged.

    A new one ends all sessions; nothing else rests on it.

    Raises:
        OSError: it cannot be read or written.
    """
    path = folder.root / _NAME
    with contextlib.suppress(FileNotFoundError):
        content = path.read_bytes()
        if len(content) == _BYTES:
            return content
    return _make(path, unfinished=folder.tmp / _NAME)


def has_secret(folder: StateFolder) -> bool:
    """Tell whether the station has its secret already."""
    try:
        return (folder.root / _NAME).stat().st_size == _BYTES
    except OSError:
        return False


def _make(path: Path, *, unfinished: Path) -> bytes:
    secret = secrets.token_bytes(_BYTES)
    unfinished.unlink(missing_ok=True)
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, 0o660)
    with os.fdopen(fd, "wb") as file:
        file.write(secret)
    give_to_owner_of(path.parent, unfinished)
    fsync_file(unfinished)
    move_durably(unfinished, path)
    return secret
