"""The intake stage: notice, settle, admit.

Events only say where to look; every `rescan_s` the whole folder is looked at, and once a file
is quiet its writer is asked about.  A file that cannot be taken in waits and blocks nobody.
"""

import errno
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from agent.clock import Now
from agent.intake.admit import Admission, Admitted, UnsettledError, printable
from agent.intake.settle import NOTHING, Settler
from agent.intake.watch import CaptureFolder
from agent.intake.writers import writer_state
from agent.stage import Wake

_REFUSED_AGAIN_S = 60.0  # a file that we may not read or move is tried again after this
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})

log = structlog.get_logger(stage="intake")


class Intake:
    """From the capture folder into the outbox."""

    name = "intake"

    def __init__(
        self,
        folder: CaptureFolder,
        settler: Settler,
        admission: Admission,
        *,
        rescan_s: float,
        now: Now,
        wake_next: Wake,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._settler = settler
        self._admission = admission
        self._rescan_s = rescan_s
        self._now = now
        self._wake_next = wake_next
        self._monotonic = monotonic
        self._next_scan_s = float("-inf")
        self._paused_until_s = float("-inf")
        self._complained: set[str] = set()  # each standing trouble is logged once

    def step(self) -> float:
        """Look where something was noticed, take in what is settled, say when to look again."""
        monotonic_s = self._monotonic()
        self._follow_hints(monotonic_s)
        if monotonic_s >= self._next_scan_s:
            self._rescan(monotonic_s)
        if monotonic_s >= self._paused_until_s:
            for path in self._settler.ripe(monotonic_s):
                self._take_in_if_settled(path)
        return self._wait_s()

    def close(self) -> None:
        """Stop watching the folder."""
        self._folder.stop()

    def _wait_s(self) -> float:
        next_look_s = self._settler.next_look_s()
        if next_look_s is not None:
            next_look_s = max(next_look_s, self._paused_until_s)
        next_s = min(self._next_scan_s, next_look_s or self._next_scan_s)
        return max(0.0, next_s - self._monotonic())

    def _follow_hints(self, monotonic_s: float) -> None:
        for path, hint in self._folder.take_hints().items():
            facts = self._folder.look(path)
            if facts is None:
                self._settler.forget(path)
            else:
                self._settler.observe(path, facts, hint, now=self._now(), monotonic_s=monotonic_s)

    def _rescan(self, monotonic_s: float) -> None:
        self._next_scan_s = monotonic_s + self._rescan_s
        if not self._folder.watch():
            self._complain("folder", "capture folder is missing: intake waits for it")
            return
        self._settle_complaint("folder", "capture folder is back")
        present = []
        try:
            for path, facts in self._folder.scan():
                present.append(path)
                self._settler.observe(
                    path, facts, NOTHING, now=self._now(), monotonic_s=monotonic_s
                )
        except OSError as error:
            self._complain("scan", "capture folder cannot be read", error=error.strerror)
            return
        self._settle_complaint("scan", "capture folder can be read again")
        self._settler.keep_only(present)

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
            self._settler.forget(path)
        except OSError as error:
            self._put_off(path, error)

    def _take_in(self, path: Path) -> None:
        evidence = replace(self._settler.evidence(path), settled=self._now())
        admitted = self._admission.admit(
            path, expected=self._settler.facts(path), evidence=evidence
        )
        self._settler.forget(path)
        self._settle_complaint("space", "space again: intake goes on")
        self._settle_complaint(str(path), "file can be taken in after all")
        if admitted is not Admitted.KNOWN:
            self._wake_next()

    def _put_off(self, path: Path, error: OSError) -> None:
        if error.errno in _NO_SPACE:
            self._paused_until_s = self._monotonic() + self._rescan_s
            self._complain("space", "disk is full: intake waits, delivery goes on")
            return
        self._settler.look_again(path, after_s=_REFUSED_AGAIN_S, monotonic_s=self._monotonic())
        self._complain(
            str(path),
            "file cannot be taken in: give the group spotter the right to read and move it",
            file=printable(path.name),
            error=error.strerror,
        )

    def _complain(self, trouble: str, message: str, **facts: object) -> None:
        if trouble not in self._complained:
            self._complained.add(trouble)
            log.error(message, **facts)

    def _settle_complaint(self, trouble: str, message: str) -> None:
        if trouble in self._complained:
            self._complained.discard(trouble)
            log.info(message)
