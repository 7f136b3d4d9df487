"""The capture folder: what is in it, read without following a link out of it."""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from agent.clock import Now, read_clock
from agent.disk.state_folder import StateFolder, walk
from agent.outbox.models import FileFacts
from agent.outbox.outbox import Outbox
from agent.settings import Settings
from agent.station.camera import CameraWatch
from agent.station.recorders import ask_for_recorders
from agent.text import printable_file_name, read_json

_STILL_GROWING_S = 12.0  # recorders flush every few seconds
_SIDECAR_BYTES = 65536
UNFINISHED_SUFFIXES = (".part", ".tmp", ".partial", ".crdownload", "~")
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NOT_PLAIN = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO})


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
        if error.errno in NOT_PLAIN:
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


def sidecar_of(path: Path) -> Path:
    """Return where a recorder writes what it knows of a file."""
    return path.with_name(f"{path.name}.json")


def sidecar_values(sidecar: Path) -> Mapping[str, Any]:
    """Return what a sidecar says, as it came; nothing where there is none.

    Anybody who writes into the capture folder may have written it: a pipe is not waited for, a link
    not followed.

    Raises:
        ValueError: it cannot be read, or is no JSON object of a sidecar's size.
    """
    try:
        fd = os.open(sidecar, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            values = read_json(file.read(_SIDECAR_BYTES))
    except FileNotFoundError:
        return {}
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # the file's own name is as long as names can be
            return {}
        raise ValueError(str(error.strerror)) from error
    if not isinstance(values, dict):
        raise ValueError("no JSON object")
    return values


class CaptureFolder:
    """The folder into which the camera program writes."""

    def __init__(self, root: Path, *, suffixes: frozenset[str], now: Now) -> None:
        self._root = root
        self._suffixes = suffixes
        self._now = now

    def is_capture_name(self, path: Path) -> bool:
        """Tell whether a path is a video by name, and not a temporary or hidden one."""
        if not path.is_relative_to(self._root):
            return False  # such as where a file was moved to from here
        inside = path.relative_to(self._root)
        if any(part.startswith(".") for part in inside.parts):
            return False
        name = path.name.lower()
        return path.suffix.lower() in self._suffixes and not name.endswith(UNFINISHED_SUFFIXES)

    def below(self, path: Path) -> str:
        """Return the folder of a capture, as seen from here; empty where it is this one."""
        inside = path.relative_to(self._root).parent
        return "" if inside == Path() else printable_file_name(str(inside))

    def camera_of(self, path: Path) -> str | None:
        """Return the camera that a recorder names in a file's sidecar, or None."""
        try:
            camera = sidecar_values(sidecar_of(path)).get("camera")
        except ValueError:
            return None
        return printable_file_name(camera) if isinstance(camera, str) and camera else None

    def scan(self) -> Iterator[tuple[Path, FileFacts]]:
        """Yield every capture that is in the folder, with its facts.

        Raises:
            OSError: the folder cannot be read.
        """
        with os.scandir(self._root):
            pass  # a missing folder must be an error; walking would pass over it
        for folder, names, descriptor in walk(self._root, with_hidden=False):
            for name in sorted(names):
                path = folder / name
                if self.is_capture_name(path):
                    facts = _look_at(name, descriptor)
                    if facts is not None:
                        yield path, facts

    def holds_any(self) -> bool:
        """Tell whether a capture is in the folder: being written, or not yet ingested."""
        try:
            return any(True for _ in self.scan())
        except OSError:
            return False

    def arriving(self, *, since_s: float) -> list[str]:
        """Return the names of the captures that are being written, or are about to be ingested.

        Names below the folder; unfinished and hidden files count too, for a recorder may rename
        them when they are whole.

        Args:
            since_s: Unix time; what has not changed since then is not waited for.
        """
        names, now_s = [], self._now().utc_s
        for folder, files, _ in walk(self._root):
            for name in files:
                path = folder / name
                try:
                    found = path.lstat()
                except OSError:
                    continue
                if stat.S_ISREG(found.st_mode) and _changed_ns(found, now_s) > since_s * 1e9:
                    finished = self._finished_name(path)
                    if finished is not None:
                        names.append(finished)
        return names

    def _finished_name(self, path: Path) -> str | None:
        """Return what a capture is called once it is whole; None for what is no capture."""
        name = path.name.removeprefix(".")
        while name.lower().endswith(UNFINISHED_SUFFIXES):
            shorter = name.rstrip("~") if name.endswith("~") else name.rpartition(".")[0]
            if shorter == name:
                break
            name = shorter
        if Path(name.lower()).suffix not in self._suffixes:
            return None
        # A recorder moves what is whole out of its hidden folder.
        folders = path.relative_to(self._root).parts[:-1]
        seen = [part for part in folders if not part.startswith(".")]
        return printable_file_name(Path(*seen, name).as_posix())

    def is_growing(self) -> bool:
        """Tell whether a capture is being written: one has grown in the last seconds."""
        now_s = self._now().utc_s
        since_ns = (now_s - _STILL_GROWING_S) * 1e9
        try:
            return any(
                # One that is dated ahead, as by a camera's wrong clock, may stay there for long.
                facts.mtime_ns > since_ns and _changed_ns(path.lstat(), now_s) > since_ns
                for path, facts in self.scan()
            )
        except OSError:
            return False

    def written_at(self) -> float | None:
        """Return when a recording in the folder last grew (Unix time); None where none is there.

        Those count too that their writer calls unfinished: a long recording is no silence.
        """
        latest_ns = 0
        for folder, names, _ in walk(self._root):
            for name in names:
                if self._may_become_capture(name):
                    with suppress(OSError):
                        found = (folder / name).lstat()
                        if stat.S_ISREG(found.st_mode) and found.st_size:
                            latest_ns = max(latest_ns, _changed_ns(found, self._now().utc_s))
        return latest_ns / 1e9 if latest_ns else None

    def _may_become_capture(self, name: str) -> bool:
        path = Path(name.lower())
        return path.suffix in self._suffixes or path.name.endswith(UNFINISHED_SUFFIXES)

    def look(self, path: Path) -> FileFacts | None:
        """Return a file's facts, or None where there is no plain file of that name."""
        return look_beneath(self._root, path)


def watch_of(outbox: Outbox, settings: Settings) -> CameraWatch:
    """Return what watches the camera for a command, beside or without a daemon."""
    folder = CaptureFolder(
        settings.paths.capture,
        suffixes=frozenset(settings.capture.suffixes),
        now=read_clock,
    )
    socket = StateFolder(settings.paths.state).recorder_socket
    return CameraWatch(outbox, settings, folder.written_at, lambda: ask_for_recorders(socket))


def _look_at(name: str, descriptor: int) -> FileFacts | None:
    try:
        found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        return None
    return FileFacts.of(found) if stat.S_ISREG(found.st_mode) else None


def _changed_ns(found: os.stat_result, now_s: float) -> int:
    """Return when a file last changed: by whichever of its two times is the later, but not ahead.

    A copy may keep its original's time of modification.
    """
    changed_ns = (ns for ns in (found.st_mtime_ns, found.st_ctime_ns) if ns <= now_s * 1e9)
    return max(changed_ns, default=int(now_s * 1e9))
