"""Who owns a state folder: one process at a time."""

import contextlib
import fcntl
import os
import threading

from agent.errors import BusyError
from agent.outbox.disk.folders import StateFolder, give_to_owner_of

_PID_DIGITS = 12
_LOOKERS = 100  # met at a start, before it gives up
_LOOKS_FOR_S = 0.02
_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_DIRECTORY


class OwnerLock:
    """The lock of the one process that may move clips in a state folder.

    The folder itself is locked too: the lock's file may be removed by somebody who takes it for a
    stale one.
    """

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._path = folder.root / "owner.lock"
        self._fds: list[int] = []

    def take(self) -> None:
        """Become the owner.

        Raises:
            BusyError: another process is.
            ConfigError: this user may not be.
        """
        for path, flags in ((self._path, _FILE), (self._folder.root, _FOLDER)):
            try:
                self._fds.append(os.open(path, flags | os.O_CLOEXEC, 0o660))
            except PermissionError as error:
                self.release()
                raise self._folder.refusal(error, path) from error
        give_to_owner_of(self._folder.root, self._path)  # as whom the service runs
        fd = self._fds[0]
        try:
            _lock(fd)
            self._lock_folder()
        except BlockingIOError:
            owner = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise BusyError(
                f"another spotter (process {owner}) runs on {self._path.parent}",
                hint="stop it first, or give this one its own paths.state",
            ) from None
        with contextlib.suppress(OSError):  # told to others only: a full disk must not matter
            os.pwrite(fd, f"{os.getpid():<{_PID_DIGITS}}".encode("ascii"), 0)

    def release(self) -> None:
        """Let another process become the owner."""
        while self._fds:
            os.close(self._fds.pop())

    def _lock_folder(self) -> None:
        try:
            fcntl.flock(self._fds[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
            # A file system that cannot lock folders: the file has to do.

    def is_taken(self) -> bool:
        """Tell whether a living process is the owner."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False


def _lock(fd: int) -> None:
    """Lock the lock's file; a command that looks whether it is taken has it, shared, for a moment.

    Raises:
        BlockingIOError: it has an owner.
    """
    for _ in range(_LOOKERS):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # refused too where it has an owner
        fcntl.flock(fd, fcntl.LOCK_UN)
        threading.Event().wait(_LOOKS_FOR_S)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
