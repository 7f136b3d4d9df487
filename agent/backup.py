"""Backups of a station, or a hub: records, settings and, if wanted, videos in one archive.

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
from agent.disk.state_folder import (
    BACKED_UP_FILES,
    LEDGER_NAME,
    StateFolder,
    StateFolderLock,
    acting_as_owner,
    fsync_file,
    fsync_folder,
    give_to_owner_of,
    is_ours,
    is_plain,
    put_aside,
)
from agent.errors import OutboxError, RequestError
from agent.outbox.database_file import DATABASE_NAME, holds_history
from agent.outbox.outbox import Outbox
from agent.outbox.states import UNSETTLED_ENTRIES
from agent.text import printable, read_json

_SCHEMA = 1
_MANIFEST = "manifest.json"
_RECORDS = (DATABASE_NAME, LEDGER_NAME)
_VIDEO_PLACES = ("captures", "clips", "pictures", "results")
_UNFINISHED = frozenset({".part", ".note"})
_IN_PLACE = re.compile(r"([^/\0]+)/[^/\0.][^/\0]*")
_LARGEST_MANIFEST = 1 << 28  # bytes; a hundred for each of two million files
_PIECE_BYTES = 1 << 20

Progress = Callable[[int, int], None]  # bytes that are done, and bytes in all


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupKind:
    """What a backup is of, and which of its files are in it."""

    name: str  # in the manifest
    settings_name: str
    command: str  # that makes one
    root_files: tuple[str, ...]  # beside the database, in the root of the state folder
    places: tuple[str, ...]  # folders in it
    mode: int  # of a restored file
    prepare: Callable[[StateFolder], None]  # makes the folders
    make_room: Callable[[StateFolder], None]  # raises RequestError where a history is

    def holds(self, name: str) -> bool:
        """Tell whether a file of the state folder, by its name in there, may be in one."""
        place = _IN_PLACE.fullmatch(name)
        return name in {*_RECORDS, *self.root_files} or (
            place is not None and place[1] in self.places
        )

    @property
    def settings_entry(self) -> str:
        """The name of the settings in the archive."""
        return f"settings/{self.settings_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupContent:
    """What an archive holds."""

    station: str  # or the site, of a hub
    made_at: str  # UTC, ISO 8601
    version: str  # of the Spotter that wrote it
    has_videos: bool
    unsent: int  # clips that were not delivered at that moment, those held for a person included
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
    kind: BackupKind | None = None,
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
        kind: None: of a station.
        progress: is called with how much is written.

    Raises:
        RequestError: it cannot be written.
        OutboxError: the outbox cannot be opened.
    """
    kind = kind or STATION_BACKUP
    unfinished = out.with_name(f".{out.name}.part")
    if out.exists():
        raise RequestError(f"{out} is there already", hint="choose another file")
    if out.resolve().is_relative_to(root.resolve()):
        raise RequestError(
            f"{out} is in {root}, which it is to replace one day",
            hint="choose a file elsewhere, best on another disk",
        )
    try:
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        settings = settings_file.read_bytes()
        try:
            with os.fdopen(fd, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
                with acting_as_owner(root), _frozen(root, kind, videos=videos) as frozen:
                    content = BackupContent(
                        station=station,
                        made_at=iso_utc(now.utc_s) or "",
                        version=__version__,
                        has_videos=videos,
                        unsent=frozen.unsent,
                        files=_write_files(archive, frozen.folder, kind, settings, progress),
                    )
                _add_bytes(archive, _MANIFEST, json.dumps(_document(content, kind)).encode())
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
            f"{where}: {error.strerror}",
            hint="use sudo, or choose another place"
            if isinstance(error, PermissionError)
            else "choose another place, or free space there",
        ) from error
    return content


@dataclass(frozen=True, slots=True)
class _Frozen:
    """One moment of a state folder, under other names."""

    folder: Path
    unsent: int


@contextmanager
def _frozen(root: Path, kind: BackupKind, *, videos: bool) -> Iterator[_Frozen]:
    """Hold one moment of a state folder, until its files are read."""
    copy = StateFolder(root).tmp / f"backup-{os.getpid()}"
    copy.mkdir(mode=0o700, parents=True)
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
            for path in _linked(root, kind, videos=videos):
                target_path = copy / path.relative_to(root)
                target_path.parent.mkdir(exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # removed a moment ago
                    os.link(path, target_path)
            unsent = len(outbox.entries.in_states(UNSETTLED_ENTRIES))
        yield _Frozen(copy, unsent)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _linked(root: Path, kind: BackupKind, *, videos: bool) -> Iterator[Path]:
    """Yield the files that are never written again under their name, but only replaced."""
    yield from (root / name for name in kind.root_files if is_plain(root / name))
    for place in kind.places if videos else ():
        for path in sorted((root / place).iterdir()) if (root / place).is_dir() else ():
            if is_ours(path) and not path.name.startswith(".") and path.suffix not in _UNFINISHED:
                yield path


def _write_files(
    archive: tarfile.TarFile,
    folder: Path,
    kind: BackupKind,
    settings: bytes,
    progress: Progress,
) -> dict[str, dict[str, object]]:
    """Write the settings and all files below a folder; return what was written, by name."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    size, done = sum(path.stat().st_size for path in found), 0
    files = {kind.settings_entry: _add_bytes(archive, kind.settings_entry, settings)}
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


def read_manifest(archive: tarfile.TarFile, path: Path, kind: BackupKind) -> BackupContent:
    """Return what an archive says that it holds.

    Raises:
        RequestError: it is no backup, or not a whole one.
    """
    try:
        entry = archive.getmember(_MANIFEST)
        file = archive.extractfile(entry)
        if file is None or entry.size > _LARGEST_MANIFEST:
            raise KeyError(_MANIFEST)
        told = read_json(file.read())
        if told["schema"] != _SCHEMA:
            raise RequestError(
                f"{path} was written by a newer Spotter ({printable(str(told['version']), 20)})",
                hint="update this one first",
            )
        if told.get("kind", STATION_BACKUP.name) != kind.name:
            raise KeyError("kind")
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
            f"{path} is not a whole backup of a {kind.name}",
            hint=f"it is made by: {kind.command} FILE",
        ) from error


def settings_of_backup(path: Path, kind: BackupKind | None = None) -> bytes:
    """Return the settings file of the station, or what `kind` says, that an archive is of.

    Raises:
        RequestError: it cannot be read, or is no whole backup.
    """
    kind = kind or STATION_BACKUP
    with _opened(path) as archive:
        content = read_manifest(archive, path, kind)
        name = kind.settings_entry
        settings = _content(archive, _member(archive, name, kind))
        if hashlib.sha256(settings).hexdigest() != content.files[name]["sha256"]:
            raise RequestError("the backup is damaged: its settings")
        return settings


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            yield archive
    except tarfile.TarError as error:
        raise RequestError(
            f"{path} is damaged or no backup: {error}",
            hint="choose a file that spotter backup wrote",
        ) from error
    except OSError as error:
        raise RequestError(
            f"{error.filename or path}: {error.strerror}",
            hint="use sudo" if isinstance(error, PermissionError) else "choose another file",
        ) from error


def restore_backup(
    path: Path,
    root: Path,
    *,
    kind: BackupKind | None = None,
    progress: Progress = lambda _done, _all: None,
) -> BackupContent:
    """Put the state of a backup into an empty state folder.

    Everything is read and compared with its hash before anything gets its place; the database is
    last.  The next start finds that it is a copy, and looks every clip up before it is sent.

    Raises:
        RequestError: it cannot be read, is no backup or a damaged one, or the folder has a history.
        BusyError: a daemon runs on the folder.
    """
    kind = kind or STATION_BACKUP
    with _opened(path) as archive:
        content = read_manifest(archive, path, kind)
        with acting_as_owner(root):
            folder = StateFolder(root)
            kind.prepare(folder)
            lock = StateFolderLock(folder)
            lock.take()
            try:
                kind.make_room(folder)
                _restore(archive, content, folder, kind, progress)
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
            put_records_aside(folder)
            return
    raise RequestError(
        f"{root} holds a station's records already, which a restore does not replace",
        hint=f"stop the service and move them away first: sudo mv {root} {root}.old",
    )


def put_records_aside(folder: StateFolder, *more: str) -> None:
    """Make room for a restored database, and for more files in the root of the folder."""
    for name in (*_RECORDS, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm", *more):
        if is_plain(folder.root / name):
            put_aside(folder.root / name, folder)


STATION_BACKUP = BackupKind(
    name="station",
    settings_name="station.toml",
    command="spotter backup",
    root_files=BACKED_UP_FILES,
    places=_VIDEO_PLACES,
    mode=0o660,
    prepare=StateFolder.prepare,
    make_room=_make_room,
)


def _restore(
    archive: tarfile.TarFile,
    content: BackupContent,
    folder: StateFolder,
    kind: BackupKind,
    progress: Progress,
) -> None:
    unpacked = folder.tmp / f"restore-{os.getpid()}"
    unpacked.mkdir(mode=0o700)
    try:
        done = 0
        for name, told in content.files.items():
            entry = _member(archive, name, kind)
            if name == kind.settings_entry:
                continue
            if (
                _unpack(archive, entry, unpacked / name.removeprefix("state/"), told)
                != told["sha256"]
            ):
                raise RequestError(f"the backup is damaged: {printable(name, 100)}")
            done += entry.size
            progress(done, content.size_bytes)
        _place(unpacked, folder.root, kind)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _member(archive: tarfile.TarFile, name: str, kind: BackupKind) -> tarfile.TarInfo:
    """Return a plain file of an archive that belongs where its name says.

    Raises:
        RequestError: it is something else, or missing.
    """
    is_state = name.startswith("state/") and kind.holds(name.removeprefix("state/"))
    if name == kind.settings_entry or is_state:
        with contextlib.suppress(KeyError):
            entry = archive.getmember(name)
            if entry.isreg():
                return entry
    raise RequestError(f"the backup holds what is not a {kind.name}'s: {printable(name, 100)}")


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


def _place(unpacked: Path, root: Path, kind: BackupKind) -> None:
    """Give everything its place: the database is last."""
    found = [path for path in unpacked.rglob("*") if path.is_file()]
    for path in sorted(found, key=lambda path: (path.name == DATABASE_NAME, path)):
        target = root / path.relative_to(unpacked)
        path.chmod(kind.mode)
        give_to_owner_of(root, path)
        path.replace(target)
    for place in (*(root / name for name in kind.places), root):
        fsync_folder(place)


def _document(content: BackupContent, kind: BackupKind) -> dict[str, object]:
    return {"schema": _SCHEMA, "kind": kind.name, **asdict(content)}
