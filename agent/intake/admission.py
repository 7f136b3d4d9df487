"""Admits one settled file: hashed, moved, durable on disk, and only then a row.

Order of the durable steps; interrupted after any of them, the next start resumes:

1. the content is hashed, and the file is proven unchanged by that;
2. a sidecar with the facts that only we know is written into the work folder;
3. the content is made durable and the file gets its place in the work folder;
4. the row is written.
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Self

import structlog

from agent.clock import Now
from agent.disk.state_folder import (
    StateFolder,
    fsync_folder,
    move_durably,
    open_plain,
    put_aside,
    quarantine,
    remove,
    walk,
    write_durably,
)
from agent.errors import AnalysisFault
from agent.failpoints import crash_point
from agent.heartbeat import during_io
from agent.intake.folder import NOT_PLAIN, UnsettledError, folder_beneath
from agent.intake.stability import WriterState, writer_state
from agent.outbox.journal.snapshots import is_unfinished_sidecar
from agent.outbox.models import Capture, CaptureEvidence, FileFacts
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, FileState, Reason
from agent.stage import StageName
from agent.text import printable_file_name

_OURS = ".spotter-"  # begins the names of files that are just being removed
_READ_BYTES = 1 << 20
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK})


class SettledFile:
    """A plain file that is, from its opening on, what it was expected to be."""

    def __init__(self, path: Path, folder: int, descriptor: int, expected: FileFacts) -> None:
        self._path = path
        self._folder = folder
        self._fd = descriptor
        self._expected = expected
        self._opened = os.fstat(descriptor)

    @classmethod
    @contextmanager
    def opened(cls, path: Path, expected: FileFacts, *, beneath: Path) -> Iterator[Self]:
        """Open a file in a folder beneath another one.

        Raises:
            UnsettledError: it is not what was expected, no plain file, or behind a link.
            OSError: it cannot be opened.
        """
        with folder_beneath(beneath, path.parent) as folder:
            try:
                descriptor = os.open(path.name, _FILE_FLAGS, dir_fd=folder)
            except OSError as error:
                if error.errno in NOT_PLAIN:
                    raise UnsettledError(path.name) from error
                raise
            try:
                file = cls(path, folder, descriptor, expected)
                file.check()
                yield file
            finally:
                os.close(descriptor)

    def check(self) -> None:
        """Raise `UnsettledError` unless this is still the expected file, under its name."""
        now = os.fstat(self._fd)
        if not stat.S_ISREG(now.st_mode) or FileFacts.of(now) != self._expected:
            raise UnsettledError(self._path.name)
        if not self._is_me(self._path.name):
            raise UnsettledError(self._path.name)

    def sha256(self) -> str:
        """Return the SHA-256 of its content, which did not change meanwhile.

        Raises:
            UnsettledError: it did.
        """
        before = os.fstat(self._fd)
        os.lseek(self._fd, 0, os.SEEK_SET)
        with during_io(self._expected.size_bytes), os.fdopen(os.dup(self._fd), "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        # The time of modification can be set by whoever owns the file, that of the change cannot.
        if os.fstat(self._fd).st_ctime_ns != before.st_ctime_ns:
            raise UnsettledError(self._path.name)
        self.check()
        return sha256

    def fsync(self) -> None:
        """Make its content durable."""
        with during_io(self._expected.size_bytes):
            os.fsync(self._fd)

    def move_to(self, target: Path) -> bool:
        """Give it its durable place; False where that is on another file system.

        Raises:
            UnsettledError: another file had taken its name by then; that one is back under it.
            OSError: it cannot be moved; nothing was changed.
        """
        self.check()
        crash_point("intake-moving")
        try:
            os.rename(self._path.name, target, src_dir_fd=self._folder)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        if not self.is_at(target):
            self._give_back(target)
            raise UnsettledError(self._path.name)
        fsync_folder(target.parent)
        os.fsync(self._folder)
        return True

    def copy_to(self, target: Path) -> None:
        """Write its content to a new file, durably.

        Raises:
            OSError: it cannot be read or written.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        os.lseek(self._fd, 0, os.SEEK_SET)
        with (
            during_io(3 * self._expected.size_bytes),  # read, written, made durable
            os.fdopen(os.dup(self._fd), "rb") as source,
            os.fdopen(os.open(target, flags, 0o660), "wb") as copy,
        ):
            shutil.copyfileobj(source, copy, _READ_BYTES)
            copy.flush()
            os.fsync(copy.fileno())

    def remove(self) -> None:
        """Remove it, its content being safe elsewhere, unless it went on growing.

        It gets a name of ours first: what another file took the old name for stays.
        """
        if FileFacts.of(os.fstat(self._fd)) != self._expected or not self._is_me(self._path.name):
            return
        ours = f"{_OURS}{secrets.token_hex(8)}{self._path.suffix}"
        os.rename(self._path.name, ours, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        if not self._is_me(ours):
            self._rename_back(ours)
            return
        os.unlink(ours, dir_fd=self._folder)
        os.fsync(self._folder)

    def _is_there(self, name: str) -> bool:
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            return True
        return False

    def _is_me(self, name: str) -> bool:
        with suppress(OSError):
            found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            return os.path.samestat(found, self._opened)
        return False

    def is_at(self, place: Path) -> bool:
        """Tell whether this very file is also there: by a second name, or the same one."""
        with suppress(OSError):
            return os.path.samestat(place.lstat(), self._opened)
        return False

    def _give_back(self, target: Path) -> None:
        """Put what was moved by mistake back under its name, never over another file.

        Where the name is taken again, or the file system knows no second names, it stays in the
        work folder, and is ingested there for what it is.
        """
        name = self._path.name
        try:
            os.link(target, name, dst_dir_fd=self._folder, follow_symlinks=False)
            target.unlink()
        except OSError as error:
            if error.errno in _NO_LINKS and not self._is_there(name):
                with suppress(OSError):
                    os.rename(target, name, dst_dir_fd=self._folder)

    def _rename_back(self, ours: str) -> None:
        try:
            os.link(
                ours,
                self._path.name,
                src_dir_fd=self._folder,
                dst_dir_fd=self._folder,
                follow_symlinks=False,
            )
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.rename(ours, self._path.name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        else:
            os.unlink(ours, dir_fd=self._folder)


def show_unremoved(root: Path) -> None:
    """Give files whose removal was cut off a visible name again: they are checked again.

    To be called where nothing is being removed.
    """
    for _, names, folder in walk(root):
        for name in names:
            if name.startswith(_OURS):
                with suppress(OSError):
                    os.rename(name, name[1:], src_dir_fd=folder, dst_dir_fd=folder)


def facts_of(path: Path) -> FileFacts:
    """Return what shows whether a file is still the same; of a link, what the link is."""
    return FileFacts.of(path.stat(follow_symlinks=False))


def hash_if_unchanged(path: Path, expected: FileFacts) -> str:
    """Return the SHA-256 of a plain file of ours that is what it is expected to be.

    Raises:
        UnsettledError: it is something else.
    """
    with SettledFile.opened(path, expected, beneath=path.parent) as file:
        return file.sha256()


_SIDECAR_SUFFIX = ".json"
_MOST_SIDECAR_BYTES = 1 << 24
_DIGEST_SIGNS = 64
_LARGE_BYTES = 256 << 20
_MENDED_BY_A_COPY = frozenset(
    {
        Reason.CAPTURE_MISSING,
        Reason.CAPTURE_DAMAGED,
        AnalysisFault.UNREADABLE,
        AnalysisFault.INCOMPLETE,
        AnalysisFault.NO_VIDEO,
    }
)
_NEVER_AGAIN = frozenset({Reason.FILMING_STOPPED, Reason.FORGOTTEN})  # nobody may see it

log = structlog.get_logger(stage=StageName.INTAKE)


class AdmissionResult(Enum):
    """What taking a file in came to."""

    NEW = auto()
    KNOWN = auto()  # its content was ingested before; this copy is gone
    RESTORED = auto()  # its content was known, but its file was gone: it took that place


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sidecar:
    """What a row will say of a file, kept beside it until the row is there and after."""

    file_name: str
    evidence: CaptureEvidence

    def to_bytes(self) -> bytes:
        stored = {"file_name": self.file_name, "evidence": json.loads(self.evidence.to_json())}
        return json.dumps(stored, indent=1).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "_Sidecar":
        stored = json.loads(content)
        evidence = CaptureEvidence.from_json(json.dumps(stored["evidence"]))
        return cls(file_name=str(stored["file_name"]), evidence=evidence)


def names_on_the_way(outbox: Outbox, folder: StateFolder, *, since_s: float) -> list[str]:
    """Return the names of files that have their place in the work folder, but no row yet.

    Args:
        outbox, folder: where.
        since_s: Unix time; what was put there before will not get its row by itself.
    """
    names = []
    for path in folder.captures.iterdir():
        with suppress(OSError, ValueError, KeyError, TypeError):  # gone, or not ours
            if _is_sidecar(path) or path.stat().st_ctime < since_s:
                continue
            if outbox.captures.by_sha256(path.stem) is None:
                sidecar = _Sidecar.from_bytes(_sidecar_path(path).read_bytes())
                within = sidecar.evidence.folder
                names.append(f"{within}/{sidecar.file_name}" if within else sidecar.file_name)
    return names


class Admission:
    """The door between the capture folder and the work folder."""

    def __init__(
        self, outbox: Outbox, folder: StateFolder, *, now: Now, capture: Path | None = None
    ) -> None:
        """Prepare a door.

        Args:
            outbox: where captures get their rows.
            folder: where they get their place.
            now: reads the clock.
            capture: the capture folder, below which no link is followed; None: the folder that a
                file is in.
        """
        self._outbox = outbox
        self._capture = capture
        self._folder = folder
        self._now = now
        self._doubtful: set[int] = set()  # inodes of files whose fsync failed

    def admit(
        self, path: Path, *, expected: FileFacts, evidence: CaptureEvidence
    ) -> AdmissionResult:
        """Take a settled file in.

        Raises:
            UnsettledError: it changed since `expected` was read.
            OSError: it cannot be read or moved; nothing was changed.
        """
        beneath = path.parent if self._capture is None else self._capture
        with SettledFile.opened(path, expected, beneath=beneath) as file:
            return self._admit(file, path, expected, evidence)

    def _admit(
        self, file: SettledFile, path: Path, expected: FileFacts, evidence: CaptureEvidence
    ) -> AdmissionResult:
        sha256 = file.sha256()
        crash_point("intake-hashed")
        known = self._outbox.captures.by_sha256(sha256)
        if known is not None:
            return self._admit_known(known, file, path, expected)
        stored = self._folder.captures / f"{sha256}{path.suffix.lower()}"
        sidecar = _Sidecar(file_name=printable_file_name(path.name), evidence=evidence)
        write_durably(_sidecar_path(stored), sidecar.to_bytes(), tmp=self._folder.tmp)
        crash_point("intake-sidecar-written")
        moved = self._bring_in(file, stored, expected)
        crash_point("intake-moved")
        capture = self._write_row(sha256, stored, sidecar)
        crash_point("intake-row-written")
        if not moved:
            file.remove()
        log.info(
            "capture admitted",
            capture=capture.name,
            file=capture.file_name,
            bytes=expected.size_bytes,
        )
        return AdmissionResult.NEW

    def resume(self) -> bool:
        """Give every file in the work folder its row; set aside what nobody can place.

        Nothing is deleted but sidecars of files that never arrived, or that were not finished.
        False where a file is still being written: it waits for another time.
        """
        if self._capture is not None:
            show_unremoved(self._capture)
        known = self._outbox.captures.stored_names()
        present = self._folder.files_in(self._folder.captures)
        sidecars = {path for path in present if _is_sidecar(path)}
        videos = [path for path in present if path not in sidecars]
        done = [self._place(path) for path in videos if path.name not in known]
        arrived = {path.stem for path in videos}
        for path in sidecars:
            if path.stem not in arrived:
                self._drop_sidecar(path)
        return all(done)

    def _place(self, path: Path) -> bool:
        """Give a file its row, or set it aside; False where it is still being written."""
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                self._put_aside(path)
            elif writer_state(path) is WriterState.OPEN:
                raise UnsettledError(path.name)
            else:
                self._adopt(path)
        except PermissionError:
            self._put_aside(path)
        except UnsettledError:
            log.warning("capture recovery postponed", file=path.name)
            return False
        return True

    def _drop_sidecar(self, path: Path) -> None:
        """Remove the sidecar of a file that never arrived; one that is none of ours is kept."""
        if is_unfinished_sidecar(path) or _read_sidecar(path) is not None:
            remove(path)
        else:
            quarantine(path, self._folder, why="no capture belongs to it")

    def _put_aside(self, path: Path) -> None:
        quarantine(path, self._folder, why="it was never admitted as a capture")

    def _adopt(self, path: Path) -> None:
        """Write the row that a crash kept from a file, or quarantine the file."""
        found = path.lstat()
        if _is_mostly_a_hole(found) or not (
            _is_digest(path.stem) or _read_sidecar(_sidecar_path(path)) is not None
        ):
            self._put_aside(path)  # nobody need read it to know that it is none of ours
            return
        sha256 = hash_if_unchanged(path, facts_of(path))
        known = self._outbox.captures.by_sha256(sha256)
        if known is not None and path.name == known.stored_name:
            self._restore(known, path)
            return
        sidecar = self._sidecar_of(path, is_named_by_content=sha256 == path.stem)
        if sidecar is None:
            self._put_aside(path)
            return
        if sha256 != path.stem:  # it went on growing: under its new hash it is another capture
            grown = path.with_stem(sha256)
            write_durably(_sidecar_path(grown), sidecar.to_bytes(), tmp=self._folder.tmp)
            move_durably(path, grown)
            path = grown
        capture = self._write_row(sha256, path, sidecar)
        log.info("capture recovered", capture=capture.name, file=capture.file_name)

    def _sidecar_of(self, path: Path, *, is_named_by_content: bool) -> _Sidecar | None:
        """Return what is known of a file without a row; None where it never was one of ours.

        A file that is named by its content was ingested once, whatever became of its sidecar.
        """
        sidecar = _read_sidecar(_sidecar_path(path))
        if sidecar is not None or not is_named_by_content:
            return sidecar
        seen = CaptureEvidence(grew_until=None, appeared=self._now(), mtime_s=path.stat().st_mtime)
        return _Sidecar(file_name=path.name, evidence=seen)

    def _write_row(self, sha256: str, stored: Path, sidecar: _Sidecar) -> Capture:
        return self._outbox.captures.admit(
            sha256=sha256,
            file_name=sidecar.file_name,
            stored_name=stored.name,
            facts=facts_of(stored),
            evidence=sidecar.evidence,
            now_s=self._now().utc_s,
        )

    def _admit_known(
        self, known: Capture, file: SettledFile, path: Path, expected: FileFacts
    ) -> AdmissionResult:
        """Deal with a copy of what was ingested before: never a second clip, never a loss."""
        if known.file_state is FileState.CLEARING:
            raise UnsettledError(path.name)  # its place is being cleared at this moment
        stored = self._folder.captures / known.stored_name
        is_here = known.file_state is FileState.PRESENT and stored.exists()
        is_torn = stored.exists() and not _is_intact(stored, known)
        if (is_here and not is_torn) or known.reason in _NEVER_AGAIN:
            if file.is_at(stored):  # no copy but the only one, by another name
                raise PermissionError(errno.EPERM, "this is Spotter's own file, linked here")
            file.remove()
            log.info(
                "duplicate capture ignored", capture=known.name, file=printable_file_name(path.name)
            )
            return AdmissionResult.KNOWN
        if is_torn:
            put_aside(stored, self._folder)
        if not self._bring_in(file, stored, expected):
            file.remove()
        self._restore(known, stored)
        return AdmissionResult.RESTORED

    def _restore(self, known: Capture, stored: Path) -> None:
        """Record that a capture's file is there; let it be analysed, if it waited for that."""
        now_s = self._now().utc_s
        with self._outbox.transaction():
            self._outbox.captures.restore_file(known, facts_of(stored), now_s=now_s)
            if known.state is CaptureState.QUARANTINED and known.reason in _MENDED_BY_A_COPY:
                self._outbox.captures.move(known, CaptureState.CAPTURED, now_s=now_s)
        log.info("original restored", capture=known.name, file=known.file_name)

    def _bring_in(self, file: SettledFile, stored: Path, expected: FileFacts) -> bool:
        """Give a file its place in the work folder; False where it had to be copied.

        A file whose fsync failed is never moved: the system may have dropped what it could not
        write, and the next fsync says nothing of it.  What can still be read is written again.
        """
        if expected.inode not in self._doubtful:
            self._doubtful.add(expected.inode)
            file.fsync()
            self._doubtful.discard(expected.inode)
            if file.move_to(stored):
                return True
        self._copy_in(file, stored)
        self._doubtful.discard(expected.inode)
        return False

    def _copy_in(self, file: SettledFile, stored: Path) -> None:
        unfinished = self._folder.tmp / stored.name
        try:
            file.copy_to(unfinished)
            copied = hash_if_unchanged(unfinished, facts_of(unfinished))
            file.check()
            if copied != stored.stem:
                raise UnsettledError(stored.name)
        except BaseException:
            unfinished.unlink(missing_ok=True)  # on a full disk every byte counts
            raise
        crash_point("intake-copied")
        move_durably(unfinished, stored)


def _is_intact(stored: Path, known: Capture) -> bool:
    """Tell whether a capture's file is what was ingested, before another copy of it is removed.

    Its content is read only where that copy may be the last good one: what was analysed is
    clips by now.
    """
    if stored.stat().st_size < known.facts.size_bytes:
        return False
    if known.state not in {CaptureState.CAPTURED, CaptureState.QUARANTINED}:
        return True
    try:
        return hash_if_unchanged(stored, facts_of(stored)) == known.sha256
    except UnsettledError:
        return False


def _sidecar_path(stored: Path) -> Path:
    return stored.with_suffix(_SIDECAR_SUFFIX)


def _is_sidecar(path: Path) -> bool:
    """Tell whether a file is a sidecar, or what a crash left of one."""
    return path.suffix == _SIDECAR_SUFFIX or is_unfinished_sidecar(path)


def _read_sidecar(path: Path) -> _Sidecar | None:
    """Read what intake wrote beside a capture; None where there is none, or it is damaged."""
    try:
        with open_plain(path) as file:
            return _Sidecar.from_bytes(file.read(_MOST_SIDECAR_BYTES))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _is_digest(stem: str) -> bool:
    """Tell whether a file may be named by its content."""
    return len(stem) == _DIGEST_SIGNS and set(stem) <= set("0123456789abcdef")


def _is_mostly_a_hole(found: os.stat_result) -> bool:
    """Tell whether a large file has hardly any content: it would take long to read, for nothing."""
    return found.st_size > _LARGE_BYTES and found.st_blocks * 512 < found.st_size // 8
