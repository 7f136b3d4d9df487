"""The intake stage: watch, wait until settled, admit, or wait for space.

Events only say where to look; every `rescan_s` the whole folder is scanned, and once a file
is quiet its writer is asked about.  A file that cannot be ingested waits and blocks nobody; a
disk that is short, a folder that is missing, or another daemon that has it makes all of them wait,
and intake resumes automatically when that is over.
"""

import contextlib
import ctypes
import os
import sqlite3
import struct
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import structlog

from agent.clock import Clock, Instant
from agent.disk.capture_lock import CaptureFolderLock
from agent.disk.mounts import MountMemory, Mounts, mount_point_of, mounted_now
from agent.disk.space import READ_ONLY_REMEDY, DiskSpace, is_disk_full, is_read_only, megabytes
from agent.disk.state_folder import StateFolder
from agent.intake.admission import Admission, AdmissionResult
from agent.intake.folder import UnsettledError, sidecar_of, sidecar_values
from agent.intake.stability import NOTHING, StabilityTracker, reject_sparse, writer_state
from agent.intake.watcher import WatchedFolder
from agent.outbox.models import FileFacts, SidecarTime
from agent.outbox.pauses import FOLDER_IN_USE, FOLDER_MISSING, PauseReporter
from agent.stage import StageName, Wake
from agent.text import counted, printable_file_name

_SMALL_BYTES = 65536  # a sidecar, a row, and the names of both
_ASKER = "intake"


class IntakeGuard:
    """Lets captures in, or says why not."""

    def __init__(
        self,
        space: DiskSpace,
        waiting: PauseReporter,
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
        self._lock = CaptureFolderLock(capture)
        self._copies = False  # the folders are on different file systems
        self._missing: str | None = None  # what a folder lacks
        self._short = False  # less is free than must stay free
        self._refused = False  # the disk refused a write, whatever it says it has free
        self._too_large: dict[Path, int] = {}  # files that wait until there is room for them

    @property
    def is_shut(self) -> bool:
        """Tell whether nothing is ingested as things were found last."""
        return self._short or self._missing is not None

    @property
    def folder_is_missing(self) -> bool:
        """Tell whether a folder, or the disk it should be on, is not there for this daemon."""
        return self._missing is not None

    def look(self) -> None:
        """Check the folders and the free space again."""
        self._missing, reason = self._find_missing(), "mount_missing"
        if self._missing is None and is_read_only(self._capture):
            # What is ingested must leave the folder, or every scan would find it again.
            text = f"capture folder is read-only: {self._capture}"
            self._missing, reason = f"{text}; {READ_ONLY_REMEDY}", "folder_read_only"
        if self._missing is None and (conflict := self._lock.take()) is not None:
            self._missing, reason = conflict.words(self._capture), FOLDER_IN_USE
        if self._missing is not None:
            self._waiting.begin(reason, self._missing)
            return
        self._copies = self._are_apart()
        self._look_at_room()  # what was reported is withdrawn once the folder was read

    def is_open(self) -> bool:
        """Tell whether files may be ingested; room that came back is noticed at once."""
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
        self._space.request_space(_ASKER, min(self._too_large.values()))
        self._tell_of_room()
        return False

    def has_let_in(self, path: Path) -> None:
        """Take note that a file was ingested: whatever was wrong is over."""
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
        """Close intake until the next scan: the disk refused a write."""
        self._short = self._refused = True
        self._space.request_space(_ASKER, _SMALL_BYTES)
        self._waiting.begin("disk_full", f"the disk is full ({_words(error)}); {self._help()}")

    def shut_for_folder(self, error: OSError | None = None) -> None:
        """Close intake until the next scan: the capture folder is missing or cannot be read."""
        text = "is missing"
        if error is not None and not isinstance(error, FileNotFoundError):
            text = f"cannot be read: {error.strerror}"
        self._missing = f"capture folder {text}: {self._capture}"
        self._waiting.begin(FOLDER_MISSING, self._missing)

    def _look_at_room(self) -> None:
        self._short = self._space.lacks_for_intake() > 0
        if self._short:
            self._space.request_space(_ASKER, min(self._too_large.values(), default=0))
            self._tell_of_room()

    def _end_if_over(self) -> None:
        if not (self.is_shut or self._refused or self._too_large):
            self._space.request_space(_ASKER, None)
            self._waiting.end()

    def _tell_of_room(self) -> None:
        floor = megabytes(self._space.floor_bytes())
        kept = f"less than {floor} would be left free on the disk"
        count = len(self._too_large)
        waiting = f"{counted(count, 'file waits', 'files wait')}: " if count else ""
        if not self._space.room().has_names:
            kept = "the file system has hardly any inodes left"
        self._waiting.begin("disk_full", f"{waiting}{kept}; {self._help()}")

    def _help(self) -> str:
        return f"free disk space on the disk of {self._folder.root}; uploads continue"

    def _find_missing(self) -> str | None:
        place = self._mounts.missing_for(self._capture, self._folder.root)
        if place is None and not self._folder.captures.is_dir():
            return f"state folder is missing: {self._folder.root}"
        if place is not None:
            return f"{place} is not mounted: mount it and intake resumes"
        place = self._memory.missing()
        if place is None:
            return None
        return (
            f"{self._capture} was on {place}, which is not mounted: mount it and intake resumes; "
            f"if it was moved permanently, remove {self._memory.path}"
        )

    def _are_apart(self) -> bool:
        mounted = mounted_now()
        places = {
            mount_point_of(path.resolve(), mounted) for path in (self._capture, self._folder.root)
        }
        return len(places) > 1

    def close(self) -> None:
        """Let another daemon have the capture folder."""
        self._lock.release()

    def remember_folder(self) -> None:
        """Remember where the capture folder is, now that it was read."""
        with contextlib.suppress(OSError):  # tried again at the next scan
            self._memory.note()


def _words(error: OSError | sqlite3.OperationalError) -> str:
    return str(error.strerror if isinstance(error, OSError) else error)


_SCHEMA = 1
_LARGEST = 1e12  # seconds, or milliseconds
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _STATX_BTIME = -100, 0x100, 0x800
_STATX_BYTES, _BTIME_AT = 256, 80  # of struct statx, linux/stat.h


def born_s(path: Path) -> float | None:
    """Return when a file was created, as Unix time; None where the file system does not say."""
    found = ctypes.create_string_buffer(_STATX_BYTES)
    try:
        statx = ctypes.CDLL(None).statx
    except AttributeError:  # a C library without it
        return None
    name = os.fsencode(path)
    if statx(_AT_FDCWD, name, _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, found) != 0:
        return None
    (mask,) = struct.unpack_from("=I", found.raw, 0)
    seconds, nanoseconds = struct.unpack_from("=qI", found.raw, _BTIME_AT)
    return seconds + nanoseconds * 1e-9 if mask & _STATX_BTIME else None


def _number(told: object) -> float:
    """Return a number of a sidecar; `ValueError` where it is none that a time can have."""
    if not isinstance(told, int | float) or not abs(told) < _LARGEST:  # nor is NaN
        raise ValueError("not a number of seconds")
    return float(told)


def _instant(told: object) -> Instant:
    if not isinstance(told, dict):
        raise ValueError("not a moment")
    boot_id = told.get("boot_id")
    return Instant(
        utc_s=_number(told["utc_s"]),
        boot_id=None if boot_id is None else str(boot_id),
        boot_s=None if boot_id is None else _number(told["boot_s"]),
        trusted=told.get("trusted") is True,
    )


def whole_bytes(sidecar: Path) -> int | None:
    """Return how large a file is when it is whole, by its recorder; None where none says so."""
    try:
        size = sidecar_values(sidecar).get("size_bytes")
    except ValueError:
        return None
    return size if isinstance(size, int) else None


def read_sidecar(path: Path) -> SidecarTime | None:
    """Return when a recorder says that it recorded a file; None where it says nothing of use."""
    try:
        stored = sidecar_values(path)
        if not stored or stored["schema"] != _SCHEMA:
            return None
        told = stored.get("continues")
        return SidecarTime(
            start=_instant(stored["start"]),
            end=_instant(stored["end"]),
            uncertainty_s=_number(stored["uncertainty_ms"]) / 1000,
            continues=printable_file_name(told) if isinstance(told, str) and told else None,
        )
    except (ValueError, KeyError):
        log.warning("sidecar rejected", file=printable_file_name(path.name))
        return None


_REFUSED_AGAIN_S = 60.0  # a file that we may not read or move is tried again after this
_AT_ONCE = 100  # files; between two such rounds hints are followed and the daemon may end
_REST = 10.0  # a scan that took a second is not begun again for so many

log = structlog.get_logger(stage=StageName.INTAKE)


class IntakeStage:
    """From the capture folder into the outbox."""

    name = StageName.INTAKE

    def __init__(
        self,
        folder: WatchedFolder,
        tracker: StabilityTracker,
        admission: Admission,
        guard: IntakeGuard,
        *,
        clock: Clock,
        wake_next: Wake,
    ) -> None:
        self._folder = folder
        self._tracker = tracker
        self._admission = admission
        self._guard = guard
        self._rescan_s = tracker.rescan_s
        self._now = clock.now
        self._wake_next = wake_next
        self._monotonic = clock.monotonic
        self._next_scan_s = float("-inf")
        # An admission was cut off: by an error, or (at a start) while its file was being written.
        self._half_admitted = True
        self._complained: set[str] = set()  # each file that cannot be ingested is logged once

    def step(self) -> float:
        """Look where something was noticed, take in what is settled, return when to check again."""
        monotonic_s = self._monotonic()
        self._follow_hints(monotonic_s)
        if monotonic_s >= self._next_scan_s:
            self._rescan(monotonic_s)
        if self._guard.is_open() and self._finish_admissions():
            for path in self._tracker.due(monotonic_s, most=_AT_ONCE):
                if not self._guard.is_shut:
                    self._take_in_if_settled(path)
        return self._wait_s()

    def close(self) -> None:
        """Stop watching the folder, which another daemon may have then."""
        self._folder.stop()
        self._guard.close()

    def _wait_s(self) -> float:
        next_s = self._next_scan_s
        next_look_s = self._tracker.next_look_s()
        if next_look_s is not None and not self._guard.is_shut:
            next_s = min(next_s, next_look_s)
        return max(0.0, next_s - self._monotonic())

    def _follow_hints(self, monotonic_s: float) -> None:
        for path, hint in self._folder.take_hints().items():
            facts = self._folder.look(path)
            if facts is None:
                self._tracker.forget(path)
            else:
                self._tracker.observe(path, facts, hint, now=self._now(), monotonic_s=monotonic_s)
                self._heed_sidecar(path, monotonic_s)

    def _rescan(self, monotonic_s: float) -> None:
        """Scan the whole folder; check again what has paused intake, too."""
        self._next_scan_s = monotonic_s + self._rescan_s
        self._guard.look()
        if self._guard.folder_is_missing or not self._folder.watch():
            self._folder.stop()
            if not self._guard.folder_is_missing:
                self._guard.shut_for_folder()
            return
        try:
            present = self._look_at_all(monotonic_s)
        except OSError as error:
            self._guard.shut_for_folder(error)
            return
        self._tracker.keep_only(present)
        self._guard.keep_only(present)
        self._guard.remember_folder()
        ended_s = self._monotonic()  # a folder of many thousands must not be all that is done
        rest_s = max(self._rescan_s, _REST * (ended_s - monotonic_s))
        self._next_scan_s = ended_s + rest_s

    def _look_at_all(self, monotonic_s: float) -> list[Path]:
        now = self._now()
        present = []
        for path, facts in self._folder.scan():
            present.append(path)
            self._tracker.observe(path, facts, NOTHING, now=now, monotonic_s=monotonic_s)
            self._heed_sidecar(path, monotonic_s)
        return present

    def _heed_sidecar(self, path: Path, monotonic_s: float) -> None:
        """Take a file in at once that is as large as its recorder says that it is when whole."""
        if self._tracker.facts(path).size_bytes == whole_bytes(sidecar_of(path)):
            self._tracker.vouch(path, monotonic_s=monotonic_s)

    def _take_in_if_settled(self, path: Path) -> None:
        monotonic_s = self._monotonic()
        try:
            writer = writer_state(path)
            if self._tracker.is_settled(path, writer, monotonic_s=monotonic_s):
                self._take_in(path)
        except UnsettledError:
            self._tracker.forget(path)
            self._next_scan_s = monotonic_s  # it must settle again
        except FileNotFoundError:
            if self._folder.look(path) is None:
                self._tracker.forget(path)
            else:  # it is there, so our own folder is not: the next scan will say so
                self._tracker.look_again(path, after_s=self._rescan_s, monotonic_s=monotonic_s)
        except (OSError, sqlite3.OperationalError) as error:
            self._put_off(path, error)

    def _take_in(self, path: Path) -> None:
        facts = self._tracker.facts(path)
        beside = sidecar_of(path)
        evidence = replace(
            self._tracker.evidence(path),
            settled=self._now(),
            born_s=born_s(path),
            folder=self._folder.below(path),
            camera=self._folder.camera_of(path),
            sidecar=read_sidecar(beside),
        )
        reject_sparse(path)
        if not self._guard.lets_in(path, facts):
            self._tracker.look_again(path, after_s=self._rescan_s, monotonic_s=self._monotonic())
            return
        try:
            admitted = self._admission.admit(path, expected=facts, evidence=evidence)
        except (OSError, sqlite3.Error, UnsettledError):
            self._half_admitted = True
            raise
        if evidence.sidecar is not None:
            beside.unlink(missing_ok=True)
        self._tracker.forget(path)
        self._guard.has_let_in(path)
        if str(path) in self._complained:
            self._complained.discard(str(path))
            log.info("admission recovered", file=printable_file_name(path.name))
        if admitted is not AdmissionResult.KNOWN:
            self._wake_next()

    def _finish_admissions(self) -> bool:
        """Give a file its row that got its place in the work folder, and then an error came."""
        if not self._half_admitted:
            return True
        try:
            self._half_admitted = not self._admission.resume()
        except (OSError, sqlite3.OperationalError) as error:
            if not is_disk_full(error):
                raise
            self._guard.shut_for_space(error)
            return False
        self._wake_next()
        return True

    def _put_off(self, path: Path, error: OSError | sqlite3.OperationalError) -> None:
        if is_disk_full(error):
            self._guard.shut_for_space(error)
            return
        if isinstance(error, sqlite3.OperationalError):
            raise error
        refused = isinstance(error, PermissionError)
        again_s = _REFUSED_AGAIN_S if refused else self._rescan_s
        self._tracker.look_again(path, after_s=again_s, monotonic_s=self._monotonic())
        if str(path) not in self._complained:
            self._complained.add(str(path))
            log.error(
                "admission failed",
                file=printable_file_name(path.name),
                error=error.strerror,
                hint="give the group spotter the right to read and move it" if refused else None,
            )
