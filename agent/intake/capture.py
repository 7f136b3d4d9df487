"""The intake stage: notice, settle, admit.

Events only say where to look; every `rescan_s` the whole folder is looked at, and once a file
is quiet its writer is asked about.  A file that cannot be taken in waits and blocks nobody; a
disk that is short or a folder that is missing makes all of them wait, and intake goes on by
itself when that is over.
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from agent.clock import Now
from agent.intake.admit import Admission, Admitted
from agent.intake.beside import born_s, read_sidecar, sidecar_of
from agent.intake.door import Door
from agent.intake.holes import refuse_hollow
from agent.intake.settle import NOTHING, Settler
from agent.intake.unchanged import UnsettledError
from agent.intake.watch import CaptureFolder
from agent.intake.writers import writer_state
from agent.outbox.disk.space import is_disk_full
from agent.outbox.file_name import printable
from agent.stage import StageName, Wake

_REFUSED_AGAIN_S = 60.0  # a file that we may not read or move is tried again after this
_AT_ONCE = 100  # files; between two such rounds hints are followed and the daemon may end
_REST = 10.0  # a scan that took a second is not begun again for so many

log = structlog.get_logger(stage=StageName.INTAKE)


class Intake:
    """From the capture folder into the outbox."""

    name = StageName.INTAKE

    def __init__(
        self,
        folder: CaptureFolder,
        settler: Settler,
        admission: Admission,
        door: Door,
        *,
        rescan_s: float,
        now: Now,
        wake_next: Wake,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._settler = settler
        self._admission = admission
        self._door = door
        self._rescan_s = rescan_s
        self._now = now
        self._wake_next = wake_next
        self._monotonic = monotonic
        self._next_scan_s = float("-inf")
        # An admission was cut off: by an error, or (at a start) while its file was being written.
        self._half_admitted = True
        self._complained: set[str] = set()  # each file that cannot be taken in is logged once

    def step(self) -> float:
        """Look where something was noticed, take in what is settled, say when to look again."""
        monotonic_s = self._monotonic()
        self._follow_hints(monotonic_s)
        if monotonic_s >= self._next_scan_s:
            self._rescan(monotonic_s)
        if self._door.is_open() and self._finish_admissions():
            for path in self._settler.ripe(monotonic_s, most=_AT_ONCE):
                if not self._door.is_shut:
                    self._take_in_if_settled(path)
        return self._wait_s()

    def close(self) -> None:
        """Stop watching the folder."""
        self._folder.stop()

    def _wait_s(self) -> float:
        next_s = self._next_scan_s
        next_look_s = self._settler.next_look_s()
        if next_look_s is not None and not self._door.is_shut:
            next_s = min(next_s, next_look_s)
        return max(0.0, next_s - self._monotonic())

    def _follow_hints(self, monotonic_s: float) -> None:
        for path, hint in self._folder.take_hints().items():
            facts = self._folder.look(path)
            if facts is None:
                self._settler.forget(path)
            else:
                self._settler.observe(path, facts, hint, now=self._now(), monotonic_s=monotonic_s)

    def _rescan(self, monotonic_s: float) -> None:
        """Look at the whole folder; whatever shut the door is looked at anew, too."""
        self._next_scan_s = monotonic_s + self._rescan_s
        self._door.look()
        if self._door.folder_is_missing or not self._folder.watch():
            self._folder.stop()
            if not self._door.folder_is_missing:
                self._door.shut_for_folder()
            return
        try:
            present = self._look_at_all(monotonic_s)
        except OSError as error:
            self._door.shut_for_folder(error)
            return
        self._settler.keep_only(present)
        self._door.keep_only(present)
        self._door.remember_folder()
        ended_s = self._monotonic()  # a folder of many thousands must not be all that is done
        rest_s = max(self._rescan_s, _REST * (ended_s - monotonic_s))
        self._next_scan_s = ended_s + rest_s

    def _look_at_all(self, monotonic_s: float) -> list[Path]:
        now = self._now()
        present = []
        for path, facts in self._folder.scan():
            present.append(path)
            self._settler.observe(path, facts, NOTHING, now=now, monotonic_s=monotonic_s)
        return present

    def _take_in_if_settled(self, path: Path) -> None:
        monotonic_s = self._monotonic()
        try:
            writer = writer_state(path)
            if self._settler.is_settled(path, writer, monotonic_s=monotonic_s):
                self._take_in(path)
        except UnsettledError:
            self._settler.forget(path)
            self._next_scan_s = monotonic_s  # seen anew, it must be quiet anew
        except FileNotFoundError:
            if self._folder.look(path) is None:
                self._settler.forget(path)
            else:  # it is there, so our own folder is not: the next look will say so
                self._settler.look_again(path, after_s=self._rescan_s, monotonic_s=monotonic_s)
        except (OSError, sqlite3.OperationalError) as error:
            self._put_off(path, error)

    def _take_in(self, path: Path) -> None:
        facts = self._settler.facts(path)
        beside = sidecar_of(path)
        evidence = replace(
            self._settler.evidence(path),
            settled=self._now(),
            born_s=born_s(path),
            folder=self._folder.below(path),
            camera=self._folder.camera_of(path),
            sidecar=read_sidecar(beside),
        )
        refuse_hollow(path)
        if not self._door.lets_in(path, facts):
            self._settler.look_again(path, after_s=self._rescan_s, monotonic_s=self._monotonic())
            return
        try:
            admitted = self._admission.admit(path, expected=facts, evidence=evidence)
        except (OSError, sqlite3.Error, UnsettledError):
            self._half_admitted = True
            raise
        if evidence.sidecar is not None:
            beside.unlink(missing_ok=True)
        self._settler.forget(path)
        self._door.has_let_in(path)
        if str(path) in self._complained:
            self._complained.discard(str(path))
            log.info("admission recovered", file=printable(path.name))
        if admitted is not Admitted.KNOWN:
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
            self._door.shut_for_space(error)
            return False
        self._wake_next()
        return True

    def _put_off(self, path: Path, error: OSError | sqlite3.OperationalError) -> None:
        if is_disk_full(error):
            self._door.shut_for_space(error)
            return
        if isinstance(error, sqlite3.OperationalError):
            raise error
        refused = isinstance(error, PermissionError)
        again_s = _REFUSED_AGAIN_S if refused else self._rescan_s
        self._settler.look_again(path, after_s=again_s, monotonic_s=self._monotonic())
        if str(path) not in self._complained:
            self._complained.add(str(path))
            log.error(
                "admission failed",
                file=printable(path.name),
                error=error.strerror,
                hint="give the group spotter the right to read and move it" if refused else None,
            )
