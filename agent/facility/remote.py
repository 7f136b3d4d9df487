"""Commands of the hub that a station carries out: doctor, retry, support bundle, pairing link.

The hub signs each request.  The station runs its own command line as a process of its own and keeps
the result: the same request again, as after a lost answer, only asks for it.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field

from agent.clock import Now
from agent.disk.state_folder import StateFolder
from agent.errors import RequestError
from agent.facility.keys import HubDocument
from agent.facility.membership import Membership
from agent.facility.work import PART_BYTES, accepted, refused, request
from agent.stage import StageName
from agent.text import printable

RemoteCommand = Literal["doctor", "retry", "support", "pair"]
COMMANDS: tuple[RemoteCommand, ...] = ("doctor", "retry", "support", "pair")
WALL = "wall"  # argument of pair
HOLDS_S = 600.0  # a request, from when it was signed
LASTS_S = 300.0  # a command, at most
MOST_RESULT_BYTES = 4 << 20
_CLOCK_OFF_S = 60.0
_KEPT = 8  # results
_COMPLAINT = "complaint"

log = structlog.get_logger(stage=StageName.HUB)


class RemoteRequest(HubDocument):
    """A command that one station is to carry out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    KIND = "command"
    MOST_BYTES = 65_536

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    command: RemoteCommand
    arguments: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,39}$")], ...],
        Field(max_length=20),
    ] = ()
    part: Annotated[int, Field(ge=0, le=1000)] | None = None  # of the result; None: how it stands
    issued_at: float  # Unix time


class RemoteState(BaseModel):
    """How a request stands."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: Literal["running", "done"]
    code: Annotated[int, Field(ge=0, le=255)] = 0
    size: Annotated[int, Field(ge=0, le=MOST_RESULT_BYTES)] = 0
    sha256: Annotated[str, Field(max_length=64)] = ""
    complaint: Annotated[str, Field(max_length=1000)] = ""  # what the command wrote as an error


@dataclass(slots=True, kw_only=True)
class _Job:
    """A command that runs, or has ended."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    out: BinaryIO  # in memory: a pairing link never reaches the disk
    began_s: float  # monotonic
    state: RemoteState = field(default_factory=lambda: RemoteState(state="running"))
    result: bytes = b""


class CommandRunner:
    """Carries out what the hub asks for, one command at a time."""

    def __init__(self, folder: StateFolder, member: Membership, *, now: Now) -> None:
        """Prepare; nothing runs yet.

        Args:
            folder: the station's state folder.
            member: what the station knows of its facility.
            now: the station's clock.
        """
        self._folder = folder
        self._member = member
        self._now = now
        self._jobs: dict[str, _Job] = {}

    def handle(self, content: bytes) -> bytes:
        """Answer a request; it raises nothing."""
        try:
            asked = self._read(content)
            job = self._jobs.get(asked.id)
            if job is None:
                job = self._begin(asked)
            self._look(job)
        except (RequestError, OSError) as error:
            log.warning("command rejected", reason=str(error))
            return refused(str(error))
        if asked.part is None:
            return accepted(request(job.state))
        return accepted(job.result[asked.part * PART_BYTES : (asked.part + 1) * PART_BYTES])

    def close(self) -> None:
        """End what runs."""
        for job in self._jobs.values():
            _end(job)
            job.out.close()

    def _read(self, content: bytes) -> RemoteRequest:
        """Return a request that is the hub's, for this station, and of now.

        Raises:
            RequestError: it is not.
        """
        asked = RemoteRequest.of_hub(content, self._member)
        now = self._now()
        age_s = now.utc_s - asked.issued_at
        if now.trusted and not -_CLOCK_OFF_S <= age_s <= HOLDS_S + _CLOCK_OFF_S:
            raise RequestError(f"by this station's clock the command is {age_s:.0f} s old")
        return asked

    def _begin(self, asked: RemoteRequest) -> _Job:
        """Start a command.

        Raises:
            RequestError: another one runs, or this one has been forgotten.
            OSError: it cannot be started.
        """
        if asked.part is not None:
            raise RequestError("the station has started again meanwhile; give the command again")
        for job in self._jobs.values():
            self._look(job)
            if job.state.state == "running":
                raise RequestError("another command of the hub's is running")
        place = self._folder.tmp / f"hub-{asked.id}"
        place.mkdir(mode=0o700)
        words = [sys.executable, "-I", "-m", "agent", *_words(asked, place)]
        with contextlib.ExitStack() as undo, (place / _COMPLAINT).open("wb") as complaint:
            out = undo.enter_context(os.fdopen(os.memfd_create("result"), "w+b", buffering=0))
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=complaint,
                env=_environment(os.environ),
                start_new_session=True,
            )
            undo.pop_all()
        log.info("command started", command=asked.command, id=asked.id)
        job = _Job(folder=place, process=process, out=out, began_s=time.monotonic())
        self._jobs[asked.id] = job
        for old in list(self._jobs)[:-_KEPT]:
            del self._jobs[old]
        return job

    def _look(self, job: _Job) -> None:
        """Take the result of a command that has ended."""
        if job.state.state == "done":
            return
        if job.process.poll() is None:
            if time.monotonic() - job.began_s <= LASTS_S:
                return
            _end(job)
        bundle = job.folder / "support.tar.gz"
        if bundle.exists():
            job.result = _start_of(bundle)
        else:
            job.result = os.pread(job.out.fileno(), MOST_RESULT_BYTES, 0)
        job.out.close()
        complaint = _start_of(job.folder / _COMPLAINT)[-900:].decode("utf-8", "replace")
        job.state = RemoteState(
            state="done",
            code=min(255, abs(job.process.returncode or 0)),
            size=len(job.result),
            sha256=sha256(job.result).hexdigest(),
            complaint=printable("; ".join(_lines(complaint)), 900),
        )
        log.info("command ended", code=job.state.code)
        shutil.rmtree(job.folder, ignore_errors=True)


def _words(asked: RemoteRequest, place: Path) -> list[str]:
    """Return the station's own command; its settings are those of the daemon."""
    if asked.command == "support":
        return ["support", "--out", str(place / "support.tar.gz")]
    if asked.command == "retry":
        return ["outbox", "retry", *asked.arguments, "--json"]
    if asked.command == "pair":
        wall = ["--wall"] if asked.arguments == (WALL,) else []
        return ["pair", *wall, "--network", "--name", f"hub {asked.site}", "--json"]
    return ["doctor", "--json"]


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the daemon's own, without what is between it and systemd."""
    left_out = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}
    return {name: value for name, value in environ.items() if name not in left_out}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _start_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_RESULT_BYTES)
    except OSError as error:
        return json.dumps({"error": str(error)}).encode()


def _end(job: _Job) -> None:
    if job.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.process.pid, signal.SIGKILL)
        job.process.wait()
