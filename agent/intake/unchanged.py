"""A file proven to be what it was when it was found settled, and held by descriptors from then on.

Names in the capture folder belong to the camera's user, who may rename, replace and link as they
like, also between two of our calls.  So the folder is entered part by part without following a
link, the file is opened once, and what is hashed is what is moved, copied or removed.
"""

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from agent.crashpoints import crash_point
from agent.outbox.capture import FileFacts
from agent.outbox.disk.folders import fsync_folder
from agent.pulse import moving

_OURS = ".spotter-"  # begins the names of files that are just being removed
_READ_BYTES = 1 << 20
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_PLAIN = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO})
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK})


class UnsettledError(Exception):
    """The file is not what it was when it was found settled: it must settle again."""


@contextmanager
def folder_beneath(root: Path, folder: Path) -> Iterator[int]:
    """Open a folder beneath another one, part by part, following no link below `root`.

    Raises:
        UnsettledError: a part of it is a link, or it is not beneath `root`.
        OSError: it cannot be opened.
    """
    if not folder.is_relative_to(root):
        raise UnsettledError(folder.name)
    descriptor = os.open(root, _FOLDER_FLAGS)
    try:
        for part in folder.relative_to(root).parts:
            inner = _open_inside(descriptor, part)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _open_inside(descriptor: int, part: str) -> int:
    if part == os.pardir:
        raise UnsettledError(part)
    try:
        return os.open(part, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=descriptor)
    except OSError as error:
        if error.errno in _NOT_PLAIN:
            raise UnsettledError(part) from error
        raise


def look_beneath(root: Path, path: Path) -> FileFacts | None:
    """Return the facts of a plain file beneath a folder, or None where there is none."""
    try:
        with folder_beneath(root, path.parent) as folder:
            found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except (OSError, UnsettledError):
        return None
    return FileFacts.of(found) if stat.S_ISREG(found.st_mode) else None


class SettledFile:
    """A plain file that is, from its opening on, what it was expected to be."""

    def __init__(self, path: Path, folder: int, descriptor: int, expected: FileFacts) -> None:
        self._path = path
        self._folder = folder
        self._fd = descriptor
        self._expected = expected
        self._opened = os.fstat(descriptor)

    @classmethod
    @contextmanager
    def opened(cls, path: Path, expected: FileFacts, *, beneath: Path) -> Iterator[Self]:
        """Open a file in a folder beneath another one.

        Raises:
            UnsettledError: it is not what was expected, no plain file, or behind a link.
            OSError: it cannot be opened.
        """
        with folder_beneath(beneath, path.parent) as folder:
            try:
                descriptor = os.open(path.name, _FILE_FLAGS, dir_fd=folder)
            except OSError as error:
                if error.errno in _NOT_PLAIN:
                    raise UnsettledError(path.name) from error
                raise
            try:
                file = cls(path, folder, descriptor, expected)
                file.check()
                yield file
            finally:
                os.close(descriptor)

    def check(self) -> None:
        """Raise `UnsettledError` unless this is still the expected file, under its name."""
        now = os.fstat(self._fd)
        if not stat.S_ISREG(now.st_mode) or FileFacts.of(now) != self._expected:
            raise UnsettledError(self._path.name)
        if not self._is_me(self._path.name):
            raise UnsettledError(self._path.name)

    def sha256(self) -> str:
        """Return the SHA-256 of its content, which did not change meanwhile.

        Raises:
            UnsettledError: it did.
        """
        before = os.fstat(self._fd)
        os.lseek(self._fd, 0, os.SEEK_SET)
        with moving(self._expected.size_bytes), os.fdopen(os.dup(self._fd), "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        # The time of modification can be set by whoever owns the file, that of the change cannot.
        if os.fstat(self._fd).st_ctime_ns != before.st_ctime_ns:
            raise UnsettledError(self._path.name)
        self.check()
        return sha256

    def fsync(self) -> None:
        """Make its content durable."""
        with moving(self._expected.size_bytes):
            os.fsync(self._fd)

    def move_to(self, target: Path) -> bool:
        """Give it its durable place; False where that is on another file system.

        Raises:
            UnsettledError: another file had taken its name by then; that one is back under it.
            OSError: it cannot be moved; nothing was changed.
        """
        self.check()
        crash_point("intake-moving")
        try:
            os.rename(self._path.name, target, src_dir_fd=self._folder)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        if not self.is_at(target):
            self._give_back(target)
            raise UnsettledError(self._path.name)
        fsync_folder(target.parent)
        os.fsync(self._folder)
        return True

    def copy_to(self, target: Path) -> None:
        """Write its content to a new file, durably.

        Raises:
            OSError: it cannot be read or written.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        os.lseek(self._fd, 0, os.SEEK_SET)
        with (
            moving(3 * self._expected.size_bytes),  # read, written, made durable
            os.fdopen(os.dup(self._fd), "rb") as source,
            os.fdopen(os.open(target, flags, 0o660), "wb") as copy,
        ):
            shutil.copyfileobj(source, copy, _READ_BYTES)
            copy.flush()
            os.fsync(copy.fileno())

    def remove(self) -> None:
        """Remove it, its content being safe elsewhere, unless it went on growing.

        It gets a name of ours first: what another file took the old name for stays.
        """
        if FileFacts.of(os.fstat(self._fd)) != self._expected or not self._is_me(self._path.name):
            return
        ours = f"{_OURS}{secrets.token_hex(8)}{self._path.suffix}"
        os.rename(self._path.name, ours, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        if not self._is_me(ours):
            self._rename_back(ours)
            return
        os.unlink(ours, dir_fd=self._folder)
        os.fsync(self._folder)

    def _is_there(self, name: str) -> bool:
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            return True
        return False

    def _is_me(self, name: str) -> bool:
        with suppress(OSError):
            found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            return os.path.samestat(found, self._opened)
        return False

    def is_at(self, place: Path) -> bool:
        """Tell whether this very file is also there: by a second name, or the same one."""
        with suppress(OSError):
            return os.path.samestat(place.lstat(), self._opened)
        return False

    def _give_back(self, target: Path) -> None:
        """Put what was moved by mistake back under its name, never over another file.

        Where the name is taken again, or the file system knows no second names, it stays in the
        work folder, and is taken in there for what it is.
        """
        name = self._path.name
        try:
            os.link(target, name, dst_dir_fd=self._folder, follow_symlinks=False)
            target.unlink()
        except OSError as error:
            if error.errno in _NO_LINKS and not self._is_there(name):
                with suppress(OSError):
                    os.rename(target, name, dst_dir_fd=self._folder)

    def _rename_back(self, ours: str) -> None:
        try:
            os.link(
                ours,
                self._path.name,
                src_dir_fd=self._folder,
                dst_dir_fd=self._folder,
                follow_symlinks=False,
            )
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.rename(ours, self._path.name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        else:
            os.unlink(ours, dir_fd=self._folder)


def show_unremoved(root: Path) -> None:
    """Give files whose removal was cut off a visible name again: they are looked at anew.

    To be called where nothing is being removed.
    """
    for _, _, names, folder in os.fwalk(os.path.realpath(root)):
        for name in names:
            if name.startswith(_OURS):
                with suppress(OSError):
                    os.rename(name, name[1:], src_dir_fd=folder, dst_dir_fd=folder)


def facts_of(path: Path) -> FileFacts:
    """Return what tells whether a file is still the same; of a link, what the link is."""
    return FileFacts.of(path.stat(follow_symlinks=False))


def hash_unchanged(path: Path, expected: FileFacts) -> str:
    """Return the SHA-256 of a plain file of ours that is what it is expected to be.

    Raises:
        UnsettledError: it is something else.
    """
    with SettledFile.opened(path, expected, beneath=path.parent) as file:
        return file.sha256()
