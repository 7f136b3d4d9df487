"""The lock of a state folder: one process owns it at a time."""

import contextlib
import fcntl
import os
import struct

from agent.disk.state_folder import StateFolder, give_to_owner_of, is_plain, quarantine
from agent.errors import BusyError

_PID_DIGITS = 12
_MODE = 0o640  # who may only read cannot lock it
_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_FLOCK = "hhqqi0q"  # struct flock of fcntl(2): type, whence, start, length, process


class StateFolderLock:
    """The lock of the one process that may move clips in a state folder.

    It is a write lock of an open file (fcntl(2)), so that only who may write the file can hold it:
    a camera program that reads the folder cannot keep the daemon from starting.  The folder itself
    is locked too, for the file may be removed by somebody who takes it for a stale one; as anybody
    who reads the folder can lock that, it counts only where the file tells of no daemon before.
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
        if os.path.lexists(self._path) and not is_plain(self._path):
            quarantine(self._path, self._folder, why="it is not a plain file")
        for path, flags in ((self._path, _FILE), (self._folder.root, _FOLDER)):
            try:
                self._fds.append(os.open(path, flags | os.O_CLOEXEC, _MODE))
            except PermissionError as error:
                self.release()
                raise self._folder.refusal(error, path) from error
        give_to_owner_of(self._folder.root, self._path)  # as whom the service runs
        fd = self._fds[0]
        with contextlib.suppress(PermissionError):  # another's, who may write it all the same
            os.fchmod(fd, _MODE)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
            self._lock_folder(is_needed=not os.fstat(fd).st_size)
        except BlockingIOError:
            owner = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise BusyError(
                f"another spotter (process {owner}) runs on {self._path.parent}",
                hint="stop it first, or give this one a state folder of its own",
            ) from None
        with contextlib.suppress(OSError):  # told to others only: a full disk must not matter
            os.pwrite(fd, f"{os.getpid():<{_PID_DIGITS}}".encode("ascii"), 0)

    def release(self) -> None:
        """Let another process become the owner."""
        while self._fds:
            os.close(self._fds.pop())

    def _lock_folder(self, *, is_needed: bool) -> None:
        try:
            fcntl.flock(self._fds[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if isinstance(error, BlockingIOError) and is_needed:
                raise
            # A file system that cannot lock folders, or a reader's lock: the file has to do.

    def is_taken(self) -> bool:
        """Tell whether a living process is the owner; nobody is hindered by the question."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
        except OSError:  # a file system without locks
            return False
        finally:
            os.close(fd)
        kind: int = struct.unpack_from("h", found)[0]
        return kind != fcntl.F_UNLCK


def _whole_file(kind: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)
