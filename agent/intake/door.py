"""Whether anything is taken in now: the folders are there, and there is room.

The door opens by itself: it is tried again at every rescan, and whenever files were cleared.
"""

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from agent.outbox.capture import FileFacts
from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.mounts import MountMemory, Mounts, mount_point_of, mounted_now
from agent.outbox.disk.space import READ_ONLY_REMEDY, Space, is_read_only, megabytes
from agent.outbox.waiting import Waiting
from agent.plurals import counted

_SMALL_BYTES = 65536  # a sidecar, a row, and the names of both
_ASKER = "intake"


class Door:
    """Lets captures in, or says why not."""

    def __init__(
        self,
        space: Space,
        waiting: Waiting,
        folder: StateFolder,
        capture: Path,
        *,
        mounts: Mounts,
    ) -> None:
        self._space = space
        self._waiting = waiting
        self._folder = folder
        self._capture = capture
        self._mounts = mounts
        self._memory = MountMemory(folder, capture)
        self._copies = False  # the folders are on different file systems
        self._missing: str | None = None  # what a folder lacks
        self._short = False  # less is free than must stay free
        self._refused = False  # the disk refused a write, whatever it says it has free
        self._too_large: dict[Path, int] = {}  # files that wait until there is room for them

    @property
    def is_shut(self) -> bool:
        """Tell whether nothing is taken in as things were found last."""
        return self._short or self._missing is not None

    @property
    def folder_is_missing(self) -> bool:
        """Tell whether a folder, or the file system it should be on, is not there to be used."""
        return self._missing is not None

    def look(self) -> None:
        """Look at the folders and the room anew."""
        self._missing, reason = self._find_missing(), "mount_missing"
        if self._missing is None and is_read_only(self._capture):
            # What is taken in must leave the folder, or it would be met at every look again.
            told = f"capture folder can only be read: {self._capture}"
            self._missing, reason = f"{told}; {READ_ONLY_REMEDY}", "folder_read_only"
        if self._missing is not None:
            self._waiting.begin(reason, self._missing)
            return
        self._copies = self._are_apart()
        self._look_at_room()  # what was told is taken back once the folder was read

    def is_open(self) -> bool:
        """Tell whether files may be taken in; room that came back is noticed at once."""
        if self._short and self._missing is None:
            self._look_at_room()
            self._end_if_over()
        return not self.is_shut

    def lets_in(self, path: Path, facts: FileFacts) -> bool:
        """Tell whether there is room for one file: all of it where it is copied, else a name."""
        need = _SMALL_BYTES + (facts.size_bytes if self._copies else 0)
        if not self._space.lacks_for_intake(need):
            return True
        self._too_large[path] = need
        self._space.wish(_ASKER, min(self._too_large.values()))
        self._tell_of_room()
        return False

    def has_let_in(self, path: Path) -> None:
        """Take note that a file was taken in: whatever was wrong is over."""
        self._too_large.pop(path, None)
        self._refused = False
        self._end_if_over()

    def keep_only(self, present: Iterable[Path]) -> None:
        """Drop the files that are gone; what they waited for is no trouble any more."""
        there = set(present)
        self._too_large = {p: need for p, need in self._too_large.items() if p in there}
        if not there:
            self._refused = False
        self._end_if_over()

    def shut_for_space(self, error: OSError | sqlite3.OperationalError) -> None:
        """Shut until the next look: the disk refused a write."""
        self._short = self._refused = True
        self._space.wish(_ASKER, _SMALL_BYTES)
        self._waiting.begin(
            "disk_full", f"the disk takes no more ({_words(error)}); {self._help()}"
        )

    def shut_for_folder(self, error: OSError | None = None) -> None:
        """Shut until the next look: the capture folder is missing or cannot be read."""
        told = "is missing"
        if error is not None and not isinstance(error, FileNotFoundError):
            told = f"cannot be read: {error.strerror}"
        self._missing = f"capture folder {told}: {self._capture}"
        self._waiting.begin("folder_missing", self._missing)

    def _look_at_room(self) -> None:
        self._short = self._space.lacks_for_intake() > 0
        if self._short:
            self._space.wish(_ASKER, min(self._too_large.values(), default=0))
            self._tell_of_room()

    def _end_if_over(self) -> None:
        if not (self.is_shut or self._refused or self._too_large):
            self._space.wish(_ASKER, None)
            self._waiting.end()

    def _tell_of_room(self) -> None:
        floor = megabytes(self._space.floor_bytes())
        kept = f"less than {floor} would be left free on the disk"
        count = len(self._too_large)
        waiting = f"{counted(count, 'file waits', 'files wait')}: " if count else ""
        if not self._space.room().has_names:
            kept = "the disk has room for hardly any more files, however small"
        self._waiting.begin("disk_full", f"{waiting}{kept}; {self._help()}")

    def _help(self) -> str:
        return f"make room on the disk of {self._folder.root}; delivery goes on"

    def _find_missing(self) -> str | None:
        place = self._mounts.missing_for(self._capture, self._folder.root)
        if place is None and not self._folder.captures.is_dir():
            return f"state folder is missing: {self._folder.root}"
        if place is not None:
            return f"{place} is not mounted: mount it, and intake goes on"
        place = self._memory.missing()
        if place is None:
            return None
        return (
            f"{self._capture} was on {place}, which is not mounted: mount it, and intake goes on; "
            f"if it was moved for good, remove {self._memory.path}"
        )

    def _are_apart(self) -> bool:
        mounted = mounted_now()
        places = {
            mount_point_of(path.resolve(), mounted) for path in (self._capture, self._folder.root)
        }
        return len(places) > 1

    def remember_folder(self) -> None:
        """Remember where the capture folder is, now that it was read."""
        with contextlib.suppress(OSError):  # tried again at the next look
            self._memory.note()


def _words(error: OSError | sqlite3.OperationalError) -> str:
    return str(error.strerror if isinstance(error, OSError) else error)
