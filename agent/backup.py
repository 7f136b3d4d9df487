"""Backups of a station: its records, settings and, if wanted, its videos in one archive.

A backup is of one moment: while nothing can be committed, the records are copied and every file
gets a second name (a hard link) in the folder for unfinished files; the archive is written from
those at leisure.  What a backup does not hold is what must not travel or is made again by itself:
the API key, the page's TLS key, locks and sockets.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from agent import __version__
from agent.clock import Instant, iso_utc
from agent.disk.lock import StateFolderLock
from agent.disk.state_folder import (
    BACKED_UP_FILES,
    LEDGER_NAME,
    StateFolder,
    acting_as_owner,
    fsync_file,
    fsync_folder,
    give_to_owner_of,
    is_ours,
    is_plain,
    put_aside,
)
from agent.errors import OutboxError, RequestError
from agent.outbox.integrity import DATABASE_NAME, holds_history
from agent.outbox.outbox import Outbox
from agent.text import printable

SETTINGS_NAME = "station.toml"
_SCHEMA = 1
_MANIFEST = "manifest.json"
_RECORDS = (DATABASE_NAME, LEDGER_NAME)
_VIDEO_PLACES = ("captures", "clips", "pictures", "results")
_UNFINISHED = frozenset({".part", ".note"})
_ROOT_FILES = frozenset({*_RECORDS, *BACKED_UP_FILES})
_IN_PLACE = re.compile(rf"(?:{'|'.join(_VIDEO_PLACES)})/[^/\0.][^/\0]*")
_LARGEST_MANIFEST = 1 << 28  # bytes; a hundred for each of two million files
_PIECE_BYTES = 1 << 20

Progress = Callable[[int, int], None]  # bytes that are done, and bytes in all


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupContent:
    """What an archive holds."""

    station: str
    made_at: str  # UTC, ISO 8601
    version: str  # of the Spotter that wrote it
    has_videos: bool
    unsent: int  # clips that were not delivered at that moment
    files: Mapping[str, Mapping[str, object]]  # by name in the archive: `bytes`, `sha256`

    @property
    def size_bytes(self) -> int:
        """The bytes of all its files."""
        return sum(int(str(told["bytes"])) for told in self.files.values())


def write_backup(
    out: Path,
    root: Path,
    settings_file: Path,
    *,
    station: str,
    videos: bool,
    now: Instant,
    progress: Progress = lambda _done, _all: None,
) -> BackupContent:
    """Write what a station holds at this moment into an archive that only its owner can read.

    The daemon may run meanwhile.

    Args:
        out: the archive, a tar file; one that is there already is not overwritten.
        root: the state folder.
        settings_file: the station's.
        station: its id.
        videos: whether captures, clips, pictures and results are in it.
        now: this moment.
        progress: is told how much is written.

    Raises:
        RequestError: it cannot be written.
        OutboxError: the outbox cannot be opened.
    """
    unfinished = out.with_name(f".{out.name}.part")
    if out.exists():
        raise RequestError(f"{out} is there already", hint="choose another file")
    try:
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        settings = settings_file.read_bytes()
        try:
            with os.fdopen(fd, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
                with acting_as_owner(root), _frozen(root, videos=videos) as frozen:
                    content = BackupContent(
                        station=station,
                        made_at=iso_utc(now.utc_s) or "",
                        version=__version__,
                        has_videos=videos,
                        unsent=frozen.unsent,
                        files=_write_files(archive, frozen.folder, settings, progress),
                    )
                _add_bytes(archive, _MANIFEST, json.dumps(_document(content)).encode())
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(out)
            fsync_folder(out.parent)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    except OSError as error:
        where = out if error.filename in {None, str(unfinished)} else error.filename
        raise RequestError(
            f"{where}: {error.strerror}", hint="choose another place, or free space there"
        ) from error
    return content


@dataclass(frozen=True, slots=True)
class _Frozen:
    """One moment of a state folder, under other names."""

    folder: Path
    unsent: int


@contextmanager
def _frozen(root: Path, *, videos: bool) -> Iterator[_Frozen]:
    """Hold one moment of a state folder, until its files are read."""
    copy = StateFolder(root).tmp / f"backup-{os.getpid()}"
    copy.mkdir(mode=0o700)
    try:
        # The write lock is held: no commit, and so no line of the ledger, comes in between.
        with Outbox.open(root) as outbox, outbox.database.transaction(record=False):
            uri = f"{(root / DATABASE_NAME).absolute().as_uri()}?mode=ro"
            with (
                closing(sqlite3.connect(uri, uri=True)) as source,
                closing(sqlite3.connect(copy / DATABASE_NAME)) as target,
            ):
                source.backup(target)
            if is_plain(root / LEDGER_NAME):
                shutil.copyfile(root / LEDGER_NAME, copy / LEDGER_NAME)
            for path in _linked(root, videos=videos):
                target_path = copy / path.relative_to(root)
                target_path.parent.mkdir(exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # removed a moment ago
                    os.link(path, target_path)
            unsent = outbox.traffic.backlog().clips
        yield _Frozen(copy, unsent)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _linked(root: Path, *, videos: bool) -> Iterator[Path]:
    """Yield the files that are never written again under their name, but only replaced."""
    yield from (root / name for name in BACKED_UP_FILES if is_plain(root / name))
    for place in _VIDEO_PLACES if videos else ():
        for path in sorted((root / place).iterdir()):
            if is_ours(path) and not path.name.startswith(".") and path.suffix not in _UNFINISHED:
                yield path


def _write_files(
    archive: tarfile.TarFile, folder: Path, settings: bytes, progress: Progress
) -> dict[str, dict[str, object]]:
    """Write the settings and all files below a folder; return what was written, by name."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    size, done = sum(path.stat().st_size for path in found), 0
    files = {
        f"settings/{SETTINGS_NAME}": _add_bytes(archive, f"settings/{SETTINGS_NAME}", settings)
    }
    for path in found:
        name = f"state/{path.relative_to(folder)}"
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = status.st_size, status.st_mtime, 0o600
            read = _HashedReader(file)
            archive.addfile(entry, read)
        files[name] = {"bytes": entry.size, "sha256": read.sha256, "mtime_ns": status.st_mtime_ns}
        done += entry.size
        progress(done, size)
    return files


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> dict[str, object]:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


class _HashedReader:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read the next piece."""
        piece = self._file.read(size)
        self._hash.update(piece)
        return piece

    @property
    def sha256(self) -> str:
        """The hash of what was read, in hexadecimal digits."""
        return self._hash.hexdigest()


def read_manifest(archive: tarfile.TarFile, path: Path) -> BackupContent:
    """Return what an archive says that it holds.

    Raises:
        RequestError: it is no backup, or not a whole one.
    """
    try:
        entry = archive.getmember(_MANIFEST)
        file = archive.extractfile(entry)
        if file is None or entry.size > _LARGEST_MANIFEST:
            raise KeyError(_MANIFEST)
        told = json.loads(file.read())
        if told["schema"] != _SCHEMA:
            raise RequestError(
                f"{path} was written by a newer Spotter ({printable(str(told['version']), 20)})",
                hint="update this one first",
            )
        return BackupContent(
            station=str(told["station"]),
            made_at=str(told["made_at"]),
            version=str(told["version"]),
            has_videos=bool(told["has_videos"]),
            unsent=int(told["unsent"]),
            files={str(name): dict(of) for name, of in told["files"].items()},
        )
    except (KeyError, ValueError, TypeError, AttributeError, tarfile.TarError) as error:
        raise RequestError(
            f"{path} is not a whole backup of a station", hint="it is made by: spotter backup FILE"
        ) from error


def settings_of_backup(path: Path) -> bytes:
    """Return the settings file of the station of which an archive is a backup.

    Raises:
        RequestError: it cannot be read, or is no whole backup.
    """
    with _opened(path) as archive:
        content = read_manifest(archive, path)
        name = f"settings/{SETTINGS_NAME}"
        settings = _content(archive, _member(archive, name))
        if hashlib.sha256(settings).hexdigest() != content.files[name]["sha256"]:
            raise RequestError("the backup is damaged: its settings")
        return settings


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            yield archive
    except tarfile.TarError as error:
        raise RequestError(f"{path} is damaged or no backup: {error}") from error
    except OSError as error:
        raise RequestError(f"{error.filename or path}: {error.strerror}") from error


def restore_backup(
    path: Path, root: Path, *, progress: Progress = lambda _done, _all: None
) -> BackupContent:
    """Put the state of a backup into an empty state folder.

    Everything is read and compared with its hash before anything gets its place; the database is
    last.  The next start finds that it is a copy, and looks every clip up before it is sent.

    Raises:
        RequestError: it cannot be read, is no backup or a damaged one, or the folder has a history.
        BusyError: a daemon runs on the folder.
    """
    with _opened(path) as archive:
        content = read_manifest(archive, path)
        with acting_as_owner(root):
            folder = StateFolder(root)
            folder.prepare()
            lock = StateFolderLock(folder)
            lock.take()
            try:
                _make_room(folder)
                _restore(archive, content, folder, progress)
            finally:
                lock.release()
    return content


def _make_room(folder: StateFolder) -> None:
    """Put aside the records of a station that has never had a recording.

    Raises:
        RequestError: there are others.
    """
    root = folder.root
    if not (root / DATABASE_NAME).exists() and not holds_history(root):
        return
    with contextlib.suppress(OutboxError), Outbox.open(root) as outbox:
        is_empty = outbox.captures.by_id(1) is None  # rows are never deleted
        if is_empty and not any(any((root / place).iterdir()) for place in ("captures", "clips")):
            outbox.database.checkpoint()
            outbox.database.close()
            for name in (*_RECORDS, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm"):
                if is_plain(root / name):
                    put_aside(root / name, folder)
            return
    raise RequestError(
        f"{root} holds a station's records already, which a restore does not replace",
        hint=f"stop the service and move them away first: sudo mv {root} {root}.old",
    )


def _restore(
    archive: tarfile.TarFile, content: BackupContent, folder: StateFolder, progress: Progress
) -> None:
    unpacked = folder.tmp / f"restore-{os.getpid()}"
    unpacked.mkdir(mode=0o700)
    try:
        done = 0
        for name, told in content.files.items():
            entry = _member(archive, name)
            if name == f"settings/{SETTINGS_NAME}":
                continue
            if (
                _unpack(archive, entry, unpacked / name.removeprefix("state/"), told)
                != told["sha256"]
            ):
                raise RequestError(f"the backup is damaged: {printable(name, 100)}")
            done += entry.size
            progress(done, content.size_bytes)
        _place(unpacked, folder.root)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _member(archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    """Return a plain file of an archive that belongs where its name says.

    Raises:
        RequestError: it is something else, or missing.
    """
    plain = name.removeprefix("state/")
    is_known = name == f"settings/{SETTINGS_NAME}" or (
        name.startswith("state/") and (plain in _ROOT_FILES or _IN_PLACE.fullmatch(plain))
    )
    if is_known:
        with contextlib.suppress(KeyError):
            entry = archive.getmember(name)
            if entry.isreg():
                return entry
    raise RequestError(f"the backup holds what is not a station's: {printable(name, 100)}")


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(entry)
    assert file is not None  # it is a plain file
    return file.read()


def _unpack(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path, told: Mapping[str, object]
) -> str:
    """Write one file of an archive and return its hash."""
    target.parent.mkdir(exist_ok=True)
    file = archive.extractfile(entry)
    assert file is not None  # it is a plain file
    read = _HashedReader(file)
    with target.open("xb") as written:
        while piece := read.read(_PIECE_BYTES):
            written.write(piece)
    moment_ns = int(str(told["mtime_ns"]))
    os.utime(target, ns=(moment_ns, moment_ns))
    fsync_file(target)
    return read.sha256


def _place(unpacked: Path, root: Path) -> None:
    """Give everything its place: the database is last."""
    found = [path for path in unpacked.rglob("*") if path.is_file()]
    for path in sorted(found, key=lambda path: (path.name == DATABASE_NAME, path)):
        target = root / path.relative_to(unpacked)
        path.chmod(0o660)
        give_to_owner_of(root, path)
        path.replace(target)
    for place in (*(root / name for name in _VIDEO_PLACES), root):
        fsync_folder(place)


def _document(content: BackupContent) -> dict[str, object]:
    return {"schema": _SCHEMA, **asdict(content)}
