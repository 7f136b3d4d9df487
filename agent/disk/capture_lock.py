"""The lock of the one daemon on this box that may ingest from a capture folder.

It is the name of a socket in the kernel's abstract namespace (unix(7)), made of the folder's device
and inode.  So nothing is written into the folder, it may be reached by other paths, network file
systems need no locks for it, and the name goes with the process, however that ends.  A lock on the
folder itself (flock(2)) would need it open: its disk could not be unmounted while the daemon runs.

Any user of the box may take such a name.  The kernel tells whose it is, and it counts only where
that user could take files out of the folder.  Intake goes through the folders inside, too: a folder
above or below this one, which another daemon watches, is in its way as well.
"""

import contextlib
import errno
import os
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import structlog

from agent.disk.rights import may_empty, user_of
from agent.disk.state_folder import walk
from agent.errors import plain_words
from agent.stage import StageName

_SOCKETS = Path("/proc/self/net/unix")
_NAMED = re.compile(r"@spotter-capture-([0-9a-f]+)-([0-9a-f]+)$", re.MULTILINE)
_CREDENTIALS = "3i"  # struct ucred of unix(7): process, user, group
_QUEUE = 16  # of others who ask

log = structlog.get_logger(stage=StageName.INTAKE)


class _FolderId(NamedTuple):
    """What a folder is, whatever path leads there."""

    device: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "_FolderId":
        return cls(found.st_dev, found.st_ino)

    @property
    def address(self) -> bytes:
        """Of its socket."""
        return f"\0spotter-capture-{self.device:x}-{self.inode:x}".encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderConflict:
    """Another daemon ingests from a folder."""

    folder: Path  # which it watches: the same one, or one above or below
    pid: int | None  # None: it cannot be told

    def words(self, capture: Path) -> str:
        """Return what is wrong and what to do, in a sentence.

        Args:
            capture: the folder of this station.
        """
        return (
            f"{self.found(capture)}: give each station a capture folder of its own "
            "(paths.capture), or stop the other one; intake then resumes automatically"
        )

    def found(self, capture: Path) -> str:
        """Return what is wrong."""
        process = "" if self.pid is None else f" (process {self.pid})"
        which = f"{capture}"
        if self.folder != capture:
            relation = "inside" if self.folder.is_relative_to(capture) else "above"
            which = f"{self.folder}, {relation} {capture}"
        return f"another spotter{process} ingests from {which}"


class CaptureFolderLock:
    """The lock of one capture folder, for as long as it is held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: _FolderId | None = None
        self._socket: socket.socket | None = None
        self._was_taken = False  # by somebody who could not be asked who it is
        self._complained = False

    def take(self) -> FolderConflict | None:
        """Lock the folder that is there now, or keep it locked; return who else has it.

        A folder that was unmounted and came back is another folder.  Where none is there, or where
        the system has no such sockets, nothing is locked and nobody is in the way.
        """
        try:
            wanted = _FolderId.of(self._folder.stat())
        except OSError:
            self.release()
            return None
        if self._socket is not None and self._held == wanted:
            _hear_out(self._socket)
            return None
        self.release()
        conflict = find_conflict(self._folder) or self._bind(wanted)
        if conflict is None and self._socket is not None:
            conflict = find_conflict(self._folder, own=wanted)  # who began at the same moment
            if conflict is not None:
                self.release()
        return conflict

    def release(self) -> None:
        """Let another daemon have the folder."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._held = None

    def _bind(self, wanted: _FolderId) -> FolderConflict | None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            made.bind(wanted.address)
            made.listen(_QUEUE)
        except OSError as error:
            made.close()
            return self._why_not(error, wanted)
        self._socket, self._held = made, wanted
        self._was_taken = self._complained = False
        return None

    def _why_not(self, error: OSError, wanted: _FolderId) -> FolderConflict | None:
        """Return who has the name; None, once it is certain that nobody has who is in the way."""
        if error.errno == errno.EADDRINUSE:
            conflict = _holder_of(wanted, self._folder)
            if conflict is None and not self._was_taken:  # who took it now can be asked soon
                conflict, self._was_taken = FolderConflict(folder=self._folder, pid=None), True
            if conflict is not None:
                return conflict
        if not self._complained:
            log.warning("capture folder not locked", error=plain_words(error))
            self._complained = True
        return None


def find_conflict(capture: Path, *, own: _FolderId | None = None) -> FolderConflict | None:
    """Return the daemon that ingests from a folder, or from one above or below it; or None.

    Args:
        capture: the folder.
        own: what this process has locked itself.
    """
    held = _held_on_this_box() - {own}
    if not held:
        return None
    for folder, identity in _reached_with(capture):
        if identity in held:
            holder = _holder_of(identity, folder)
            if holder is not None:
                return holder
    return None


def _held_on_this_box() -> set[_FolderId | None]:
    try:
        listed = _SOCKETS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return {_FolderId(int(device, 16), int(inode, 16)) for device, inode in _NAMED.findall(listed)}


def _reached_with(capture: Path) -> Iterator[tuple[Path, _FolderId]]:
    """Yield each folder from which the same files would be ingested; hidden ones are passed over.

    Of the folders above, those are meant from which intake would come down to this one.
    """
    with contextlib.suppress(OSError):
        yield capture, _FolderId.of(capture.stat())
        here = Path(os.path.realpath(capture))
        while not here.name.startswith(".") and here != here.parent:
            here = here.parent
            yield here, _FolderId.of(here.stat())
    for folder, _, descriptor in walk(capture, with_hidden=False):
        if folder != capture:
            with contextlib.suppress(OSError):
                yield folder, _FolderId.of(os.fstat(descriptor))


def _holder_of(identity: _FolderId, folder: Path) -> FolderConflict | None:
    """Return who has a folder's name; None where nobody has who could ingest from it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as asking:
        try:
            asking.connect(identity.address)
        except BlockingIOError:  # many ask at this moment
            return FolderConflict(folder=folder, pid=None)
        except OSError:  # it has gone meanwhile
            return None
        told = asking.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS)
        )
    pid, uid, _ = struct.unpack(_CREDENTIALS, told)
    with contextlib.suppress(OSError):
        if uid != os.geteuid() and not may_empty(folder, user_of(uid)):
            return None
    return FolderConflict(folder=folder, pid=pid or None)


def _hear_out(listening: socket.socket) -> None:
    """Take those off the queue who asked: they know by now."""
    with contextlib.suppress(OSError):
        while True:
            listening.accept()[0].close()
