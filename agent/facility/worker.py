"""A worker: takes captures from the site's queue, and analyses them as their stations would.

It has no settings of a station, no key of the API and no names: an offer says where a capture is
and what is looked for.  The file is fetched from its station in parts, and removed afterwards.
"""

import contextlib
import hashlib
import json
import shutil
import time
from pathlib import Path
from typing import IO

import structlog
from pydantic import ValidationError

from agent import __version__
from agent.clipping.analysis_process import AnalysisProcess, ChildLimits
from agent.disk.state_folder import StateFolder
from agent.errors import AnalysisError, NotifyError
from agent.facility.broker import HubConnection, PulledMessage
from agent.facility.joining import access_of
from agent.facility.keys import FacilityKey
from agent.facility.membership import NEXT_WORK, Membership, Subjects, read_station_key
from agent.facility.work import (
    LONGEST_JOB_S,
    PART_BYTES,
    SIGN_EVERY_S,
    DoneRequest,
    FetchRequest,
    Offer,
    OfferedFile,
    WorkRefusedError,
    granted,
    packed,
    parts_of,
    request,
)
from agent.failpoints import crash_point
from agent.retry import Backoff, BackoffTimer
from agent.stage import ShutdownRequested, StageName, StopFlag

_PULL_S = 2.0
_BACKOFF = Backoff(base_s=0.5, longest_s=15.0)
_STATION_WITHIN_S = 20.0  # for a station whose broker starts again
_AGAIN_S = 0.5
_IN_PROGRESS, _DONE, _NOT_HERE = b"+WPI", b"+ACK", b"-NAK"
_FOR_ANOTHER = b'-NAK {"delay": 2000000000}'  # nanoseconds
_SHOW_EVERY_S = 4.0
_SPARE_BYTES = 200_000_000  # of the disk, beside a capture

log = structlog.get_logger(stage=StageName.WORKERS)


class AnalysisWorker:
    """One worker, which does one thing after another."""

    def __init__(
        self, folder: StateFolder, member: Membership, *, limits: ChildLimits, stop: StopFlag
    ) -> None:
        """Prepare to work.

        Args:
            folder: the worker's, which has joined.
            member: what it knows of the facility.
            limits: of the analysis.
            stop: set when it is to end.
        """
        key = FacilityKey(read_station_key(folder))
        self._site = member.site
        self._name = member.station
        self._tmp = folder.tmp
        self._stop = stop
        self._connection = HubConnection(access_of(member, key))
        self._job: _Job | None = None
        self._finished, self._shown_s = 0, -_SHOW_EVERY_S
        self._child = AnalysisProcess(limits=limits, check=self._check)
        self._timer = BackoffTimer(_BACKOFF)

    def run(self) -> None:
        """Work until it is asked to end."""
        shutil.rmtree(self._tmp, ignore_errors=True)  # what a kill has left
        self._tmp.mkdir(parents=True)
        log.info("worker started", worker=self._name, site=self._site)
        try:
            while True:
                self._stop.check()
                self._work()
        except ShutdownRequested:
            log.info("worker stopped")
        finally:
            self._child.close()
            self._connection.close()
            shutil.rmtree(self._tmp, ignore_errors=True)

    def _work(self) -> None:
        """Do the next job; one that comes while there is no connection waits for it."""
        try:
            if not self._connection.is_open:
                self._connection.open()
                log.info("worker connected")
            self._show()
            message = self._connection.pull(NEXT_WORK, wait_s=_PULL_S)
        except NotifyError as error:
            if self._timer.failures == 0:
                log.warning("worker disconnected", error=str(error))
            self._stop.wait(self._timer.note_failure())
            return
        self._timer.note_success()
        if message is None:
            self._child.close()  # and its memory
            return
        offer = _offer_of(message)
        if offer is None:
            self._tell(message, _FOR_ANOTHER)
            return
        # By its subject, which the broker has set, and not by what a station claims to be.
        subjects = Subjects(site=self._site, station=message.subject.rpartition(".")[2])
        self._do(_Job(self._connection, message, offer, subjects, stop=self._stop))

    def _do(self, job: "_Job") -> None:
        self._job, began_s = job, time.monotonic()
        with contextlib.ExitStack() as cleared:
            try:
                self._tell(job.message, _IN_PROGRESS)
                path = job.fetch("capture", self._tmp, cleared)
                options = job.offer.analysis_options
                if job.offer.reference is not None:
                    options["reference"] = str(job.fetch("reference", self._tmp, cleared))
                report, skeleton = self._find(path, options, cleared)
                job.deliver(packed(job.offer, report, skeleton))
            except WorkRefusedError as refusal:
                log.info("job dropped", station=job.station, reason=str(refusal))
            except AnalysisError as error:
                log.warning("job failed", station=job.station, error=str(error))
                job.give_up(str(error))
            except (NotifyError, OSError) as error:  # another worker gets it, or its station
                log.warning("job failed", station=job.station, error=str(error))
                return
            except ShutdownRequested:
                self._tell(job.message, _NOT_HERE)
                raise
            else:
                self._finished += 1
                took_s = round(time.monotonic() - began_s, 1)
                log.info("job finished", station=job.station, seconds=took_s)
            finally:
                self._job = None
        self._tell(job.message, _DONE)

    def _find(
        self, path: Path, options: dict[str, object], cleared: contextlib.ExitStack
    ) -> tuple[dict[str, object], str | None]:
        skeleton = path.with_suffix(".skeleton")
        cleared.callback(skeleton.unlink, missing_ok=True)
        report = self._child.ask(
            "inspect", path=str(path), options=options, plot=None, skeleton=str(skeleton)
        )
        return dict(report), skeleton.read_text("utf-8") if skeleton.exists() else None

    def _check(self) -> None:
        """Give a sign of the work where that is due; ends it where nobody wants it any more."""
        self._stop.check()
        if self._job is not None:
            self._job.give_sign()
            with contextlib.suppress(NotifyError):  # its own signs connect again
                self._show()

    def _show(self) -> None:
        """Say, where that is due, what it does.

        Raises:
            NotifyError: the connection is lost.
        """
        if not self._connection.is_open or time.monotonic() - self._shown_s < _SHOW_EVERY_S:
            return
        self._shown_s = time.monotonic()
        station = None if self._job is None else self._job.station
        told = {"version": __version__, "station": station, "finished": self._finished}
        subject = Subjects(site=self._site, station=self._name).working
        self._connection.send(subject, json.dumps(told).encode())

    def _tell(self, message: PulledMessage, word: bytes) -> None:
        with contextlib.suppress(NotifyError):  # the queue gives it to another one
            self._connection.send(message.acknowledge, word)


def _offer_of(message: PulledMessage) -> Offer | None:
    """Return what a message offers; None where this worker cannot do it."""
    try:
        offer = Offer.model_validate_json(message.body)
    except ValidationError:
        log.warning("job dropped", station=message.subject, reason="the offer cannot be read")
        return None
    if offer.version != __version__:
        reason = f"the station has version {offer.version}, this worker {__version__}"
        log.warning("job dropped", station=message.subject, reason=reason)
        return None
    return offer


class _Job:
    """One offer, and what its station is asked for and sent."""

    def __init__(
        self,
        connection: HubConnection,
        message: PulledMessage,
        offer: Offer,
        subjects: Subjects,
        *,
        stop: StopFlag,
    ) -> None:
        self._connection = connection
        self.message = message
        self.offer = offer
        self._subjects = subjects
        self._stop = stop
        self._began_s = self._signed_s = time.monotonic()

    @property
    def station(self) -> str:
        """Whose it is."""
        return self._subjects.station

    def fetch(self, kind: str, folder: Path, cleared: contextlib.ExitStack) -> Path:
        """Bring a file here; it is removed when the job is over.

        Raises:
            WorkRefusedError: the station does not give it, or it is not what was offered.
            NotifyError: the station cannot be reached.
            OSError: the disk refused.
        """
        wanted = self.offer.capture if kind == "capture" else self.offer.reference
        assert wanted is not None  # it was checked before
        if shutil.disk_usage(folder).free < wanted.size + _SPARE_BYTES:
            raise OSError(f"no room for {wanted.size} bytes")
        path = folder / f"{kind}{wanted.suffix}"
        cleared.callback(path.unlink, missing_ok=True)
        with path.open("wb") as file:
            digest = self._copy(kind, wanted, file)
        if digest != wanted.sha256:
            raise WorkRefusedError("the file is not the one that was offered")
        crash_point("worker-fetched")
        return path

    def _copy(self, kind: str, wanted: OfferedFile, file: IO[bytes]) -> str:
        digest, offset = hashlib.sha256(), 0
        while offset < wanted.size:
            part = self._ask_for(kind, offset)
            if len(part) != min(PART_BYTES, wanted.size - offset):
                raise WorkRefusedError("the station sends another size than it offered")
            file.write(part)
            digest.update(part)
            offset += len(part)
            self._keep_offer()
        return digest.hexdigest()

    def _ask_for(self, kind: str, offset: int) -> bytes:
        asked = FetchRequest.model_validate(
            {"token": self.offer.token, "file": kind, "offset": offset}
        )
        return granted(self._insistently(self._subjects.fetch, request(asked)))

    def deliver(self, content: bytes) -> None:
        """Give the station its findings.

        Raises:
            WorkRefusedError: it does not take them.
            NotifyError: it cannot be reached.
        """
        parts = parts_of(content)
        for number, part in enumerate(parts):
            head = DoneRequest(token=self.offer.token, part=number, parts=len(parts))
            granted(self._insistently(self._subjects.done, request(head, part)))

    def give_up(self, why: str) -> None:
        """Notify the station that there will be no findings; it would also notice without that."""
        head = DoneRequest(token=self.offer.token, failed=why[:300])
        with contextlib.suppress(NotifyError):
            self._connection.ask(self._subjects.done, request(head))

    def give_sign(self) -> None:
        """Notify queue and station, where that is due, that the work is under way.

        Raises:
            WorkRefusedError: the station does not want it any more, or it takes too long.
        """
        self._end_late()
        if time.monotonic() - self._signed_s < SIGN_EVERY_S:
            return
        self._signed_s = time.monotonic()
        with contextlib.suppress(NotifyError):  # it comes back, or the station does it itself
            if not self._connection.is_open:
                self._connection.open()
            self._connection.send(self.message.acknowledge, _IN_PROGRESS)
            asked = FetchRequest(
                token=self.offer.token, file="capture", offset=self.offer.capture.size
            )
            granted(self._connection.ask(self._subjects.fetch, request(asked)))

    def _keep_offer(self) -> None:
        """Notify the queue, where that is due, that the offer is in hand.

        Raises:
            WorkRefusedError: it takes too long, as with a station that answers slowly on purpose.
        """
        self._end_late()
        if time.monotonic() - self._signed_s >= SIGN_EVERY_S:
            self._signed_s = time.monotonic()
            with contextlib.suppress(NotifyError):
                self._connection.send(self.message.acknowledge, _IN_PROGRESS)

    def _end_late(self) -> None:
        """End a job that its station has taken back by now, or never meant.

        Raises:
            WorkRefusedError: it takes too long.
        """
        if time.monotonic() - self._began_s > LONGEST_JOB_S:
            raise WorkRefusedError(f"it took more than {LONGEST_JOB_S / 60:.0f} min")

    def _insistently(self, subject: str, asked: bytes) -> bytes:
        """Return an answer of the station's, over a broker that starts again meanwhile.

        Raises:
            NotifyError: there was none in time.
        """
        latest_s = time.monotonic() + _STATION_WITHIN_S
        while True:
            try:
                if not self._connection.is_open:
                    self._connection.open()
                return self._connection.ask(subject, asked)
            except NotifyError:
                if time.monotonic() > latest_s:
                    raise
            self._stop.wait(_AGAIN_S)
