"""Which file system a folder is on, and whether it is the configured one.

A folder below a mount point looks the same when the mount is missing: empty, and on the disk of
the system.  Nothing may be written there, and "empty" must not pass for "nothing was filmed".
Three things say that a mount is missing: the settings (`disk.mounts`), /etc/fstab, and our own
memory of where the capture folder was before.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.disk.state_folder import StateFolder, device_of, open_plain, write_durably
from agent.text import read_json

_MOUNTED = Path("/proc/self/mountinfo")
_FSTAB = Path("/etc/fstab")
_MEMORY = "mounts.json"
_MOST_BYTES = 1 << 16
_ROOT = Path("/")


def mount_point_of(path: Path, mounted: Iterable[Path]) -> Path:
    """Return the mount point that holds a path: the longest one above it."""
    above = [place for place in mounted if path.is_relative_to(place)]
    return max(above, key=lambda place: len(place.parts), default=_ROOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mount:
    """One line of mountinfo.  Source: proc(5)."""

    parent: str  # the number of its parent mount
    device: str  # major:minor
    root: Path  # what of that file system is to be seen here
    place: Path

    @classmethod
    def of(cls, fields: Sequence[str]) -> "_Mount":
        """Read the fields of a line, but for the first."""
        parent, device, root, place = fields[:4]
        return cls(
            parent=parent,
            device=device,
            root=Path(unescaped(root)),
            place=Path(unescaped(place)),
        )

    def shows_what_is_below(self, below: "_Mount | None") -> bool:
        """Tell whether it shows, at its place, what would be there without it."""
        if below is None or self.device != below.device:
            return False
        if not self.place.is_relative_to(below.place):
            return False
        return self.root == below.root / self.place.relative_to(below.place)


def mounted_now() -> list[Path]:
    """Return every mount point of this process's view; see `mounts_in`."""
    return mounts_in(_MOUNTED.read_text(encoding="utf-8", errors="surrogateescape"))


def mounts_in(mountinfo: str) -> list[Path]:
    """Return the mount points at which something else is to be seen than would be without them.

    To a service whose system is read-only, systemd shows each folder that it may write to by a
    mount of that folder onto itself: whether a disk is there or not.
    """
    lines = (line.split(" ") for line in mountinfo.splitlines())
    known = {fields[0]: _Mount.of(fields[1:]) for fields in lines}
    return [
        mount.place
        for mount in known.values()
        if not mount.shows_what_is_below(known.get(mount.parent))
    ]


def mount_points_in(fstab: str) -> list[Path]:
    """Return the mount points that a file system table names, but for the root."""
    places = []
    for line in fstab.splitlines():
        fields = line.split()
        if len(fields) >= 2 and not fields[0].startswith("#") and fields[1].startswith("/"):
            places.append(Path(unescaped(fields[1])))
    return [place for place in places if place != _ROOT]


def unescaped(field: str) -> str:
    r"""Return a field of mountinfo or fstab as a path: blanks stand there as \040."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


class Mounts:
    """The mounts that a station rests on."""

    def __init__(self, named: Sequence[Path] = (), *, fstab: Path = _FSTAB) -> None:
        self._named = list(named)
        self._fstab = fstab

    def missing_for(self, *paths: Path) -> Path | None:
        """Return a mount point that should be there for these paths and is not, or None."""
        mounted = set(mounted_now())
        wanted = self._named + [
            place
            for place in self._in_fstab()
            if any(path.resolve().is_relative_to(place) for path in paths)
        ]
        return next((place for place in wanted if place not in mounted), None)

    def missing_above(self, path: Path) -> Path | None:
        """Return a mount point on which a path should be and that is not there, or None."""
        mounted, real = set(mounted_now()), path.resolve()
        wanted = [*self._named, *self._in_fstab()]
        above = (place for place in wanted if real.is_relative_to(place))
        return next((place for place in above if place not in mounted), None)

    def _in_fstab(self) -> list[Path]:
        try:
            return mount_points_in(self._fstab.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return []


class MountMemory:
    """Where the capture folder was when it was last seen; kept in the state folder."""

    def __init__(self, folder: StateFolder, watched: Path) -> None:
        self._folder = folder
        self._watched = watched
        self.path = folder.root / _MEMORY
        self._known = self._read()

    def missing(self) -> Path | None:
        """Return the mount point on which the folder was and is no more, or None.

        That a folder has come to a disk of its own is no loss; that it came back to the disk of
        the system, or to the one above it, is one.
        """
        before, here = self._read(), self._here()  # read again: a person may have removed it
        if before.get("folder") != str(self._watched) or before == here:
            return None
        place = Path(str(before.get("mount_point")))
        if before.get("apart_from_root") is False:
            return None  # it was on the disk of the system, and no other can be missing
        higher = len(Path(str(here["mount_point"])).parts) < len(place.parts)
        to_root = bool(before.get("apart_from_root")) and here["apart_from_root"] is False
        return place if higher or to_root else None

    def note(self) -> None:
        """Remember where the folder is, now that it is there.

        Raises:
            OSError: it cannot be written.
        """
        here = self._here()
        if self._known != here and here["apart_from_root"] is not None:
            write_durably(self.path, json.dumps(here, indent=1).encode(), tmp=self._folder.tmp)
            self._known = here

    def _here(self) -> dict[str, object]:
        device = device_of(self._watched)  # None: it is not there at this moment
        return {
            "folder": str(self._watched),
            "mount_point": str(mount_point_of(self._watched.resolve(), mounted_now())),
            "apart_from_root": None if device is None else device != device_of(_ROOT),
        }

    def _read(self) -> dict[str, object]:
        try:
            with open_plain(self.path) as file:
                known = read_json(file.read(_MOST_BYTES))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}
