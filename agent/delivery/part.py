"""A file that is here in part: gone on with after a cut connection, a kill, even a power cut.

Beside the part lies a note of what it is a part of.  What was written before a kill is there, for
the system keeps it; after another boot only what was made durable before counts.
"""

import json
import os
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from agent.api.partial import Origin
from agent.clock import Now
from agent.outbox.disk.folders import fsync_file, fsync_folder, note_of, part_of
from agent.pulse import moving


class PartFile(AbstractContextManager["PartFile"]):
    """A file on its way into its place; open as long as its block goes on."""

    def __init__(self, final: Path, *, now: Now) -> None:
        """Go on with what is there.

        Args:
            final: where the file will be once it is whole.
            now: the station's clock, which knows the boot.

        Raises:
            OSError: the folder cannot be written.
        """
        self.path = part_of(final)
        self._note = note_of(final)
        self._boot_id = now().boot_id
        self.origin: Origin | None = None
        self.have_bytes = 0
        note = _read(self._note)
        if note is not None:
            self.origin = note[0]
        self._file: BinaryIO = os.fdopen(_opened(self.path, os.O_RDWR), "r+b")
        size = self._file.seek(0, os.SEEK_END)
        if note is None or note[0].validator is None:
            size = 0  # nobody can say of what it is a part
        elif note[2] is None or note[2] != self._boot_id:
            size = min(size, note[1])
        self._cut_to(size)

    @property
    def is_whole(self) -> bool:
        """Whether all that its host told of is here."""
        total = None if self.origin is None else self.origin.total_bytes
        return total is not None and 0 < total == self.have_bytes

    def begin(self, origin: Origin) -> None:
        """Forget what is here: a file comes from its beginning."""
        self._cut_to(0)
        self.origin = origin
        self._write_note(durable_bytes=0)

    def write(self, part: bytes) -> None:
        """Add a part."""
        self._file.write(part)
        self.have_bytes += len(part)

    def rest(self) -> None:
        """Make durable what is here, and note it, so that the next time goes on from here."""
        self._file.flush()
        with moving(self.have_bytes):
            os.fsync(self._file.fileno())
        if self.origin is not None:
            self._write_note(durable_bytes=self.have_bytes)
            fsync_file(self._note)
        fsync_folder(self.path.parent)

    def __exit__(self, *_ended: object) -> None:
        self._file.close()

    def _cut_to(self, size_bytes: int) -> None:
        self._file.seek(size_bytes)
        self._file.truncate()
        self.have_bytes = size_bytes

    def _write_note(self, *, durable_bytes: int) -> None:
        assert self.origin is not None  # only what is known is noted
        note = {**asdict(self.origin), "durable_bytes": durable_bytes, "boot_id": self._boot_id}
        with os.fdopen(_opened(self._note, os.O_WRONLY | os.O_TRUNC), "w") as file:
            file.write(json.dumps(note))


def drop_part(final: Path) -> None:
    """Remove what is here of a file that is not whole; first what would vouch for it."""
    note_of(final).unlink(missing_ok=True)
    part_of(final).unlink(missing_ok=True)


def progress(final: Path) -> tuple[int, int | None]:
    """Return how much of a file is here in part, and of how much, as far as its host told."""
    note = _read(note_of(final))
    try:
        have_bytes = part_of(final).stat().st_size
    except OSError:
        return 0, None
    return have_bytes, None if note is None else note[0].total_bytes


def _opened(path: Path, flags: int) -> int:
    """Open or make a file in a folder that may be anybody's: no link leads out of it."""
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)


def _read(note: Path) -> tuple[Origin, int, str | None] | None:
    """Return of what a part is, how much is durable, and since which boot; None: not known."""
    try:
        told = json.loads(note.read_text(encoding="ascii"))
        origin = Origin(validator=told["validator"], total_bytes=told["total_bytes"])
        return origin, int(told["durable_bytes"]), told["boot_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
