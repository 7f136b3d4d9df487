"""Whether a file is still being written: asked of the kernel, and of the file's own index."""

import errno
import fcntl
import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from agent.intake.settle import WriterState

_INDEXED_SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".3gp"})
_MOUNTS = Path("/proc/self/mountinfo")
_REMOTE_TYPES = ("nfs", "cifs", "smb", "9p", "fuse", "virtiofs", "ceph", "afs")
_MOST_BOXES = 100_000  # a file of nothing but empty boxes must not keep us


def writer_state(path: Path) -> WriterState:
    """Return what is known of the writer of `path`.

    Raises:
        OSError: the file cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb", buffering=0) as file:
        asked = _ask_kernel(fd)
        if asked is WriterState.UNKNOWN and path.suffix.lower() in _INDEXED_SUFFIXES:
            return WriterState.CLOSED if index_covers(file) else WriterState.UNKNOWN
        return asked


def index_covers(file: BinaryIO) -> bool:
    """Tell whether an MP4 or MOV is complete by its own index.

    True where its top-level boxes fill the file exactly and hold both samples and their index.
    A fragmented file proves nothing: it is well formed after every fragment.
    """
    size_bytes = os.fstat(file.fileno()).st_size
    boxes = list(_top_level_boxes(file, size_bytes))
    kinds = {kind for kind, _ in boxes}
    filled = bool(boxes) and boxes[-1][1] == size_bytes
    return filled and {b"moov", b"mdat"} <= kinds and b"moof" not in kinds


def _top_level_boxes(file: BinaryIO, size_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Yield the kind and the end of each top-level box (ISO/IEC 14496-12, 4.2)."""
    start = 0
    for _ in range(_MOST_BOXES):
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            return
        length, kind = struct.unpack(">I4s", header[:8])
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack(">Q", header[8:])
        elif length == 0:
            length = size_bytes - start
        if length < 8:
            return
        start += length
        yield kind, start


def _ask_kernel(fd: int) -> WriterState:
    """Ask for a read lease: the kernel refuses it while any process has the file open to write.

    The lease is given back at once.  Should a writer come in between, the kernel's notice is
    sent as SIGURG, which does nothing; its usual SIGIO would end the process.  Source: fcntl(2).
    """
    if _is_remote(fd):
        return WriterState.UNKNOWN  # a lease says nothing of writers on other machines
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return WriterState.OPEN if error.errno == errno.EAGAIN else WriterState.UNKNOWN
    return WriterState.CLOSED


def _is_remote(fd: int) -> bool:
    device = os.fstat(fd).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == wanted:
            return source.startswith(_REMOTE_TYPES)
    return False
