"""A file proven to be, before and after it was read, what it was when it was found settled."""

import hashlib
import os
import stat
from pathlib import Path

from agent.outbox.capture import FileFacts
from agent.outbox.disk.folders import fsync_folder
from agent.pulse import moving


class UnsettledError(Exception):
    """The file is not what it was when it was found settled: it must settle again."""


def fsync_source(path: Path) -> None:
    """Make a file's content durable that is not ours yet."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def facts_of(path: Path) -> FileFacts:
    """Return what tells whether a file is still the same; of a link, what the link is."""
    return FileFacts.of(path.stat(follow_symlinks=False))


def hash_unchanged(path: Path, expected: FileFacts) -> str:
    """Return the SHA-256 of a plain file that is, before and after, what it is expected to be.

    Raises:
        UnsettledError: it is something else.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode) or FileFacts.of(before) != expected:
            raise UnsettledError(path.name)
        with moving(expected.size_bytes):
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if FileFacts.of(os.fstat(fd)) != expected or facts_of(path) != expected:
            raise UnsettledError(path.name)
    return sha256


def unlink_unchanged(path: Path, expected: FileFacts) -> None:
    """Remove a file whose content is safe elsewhere, unless it went on growing."""
    if facts_of(path) == expected:
        path.unlink()
        fsync_folder(path.parent)
