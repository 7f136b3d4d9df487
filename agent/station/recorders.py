"""The station's end of the recorders' socket: orders go out, reports come in.

Each recorder of the station connects, reports once a second, and gets an order once a second and
whenever somebody has said something.  What is known of a recorder outlives its connection: one that
is silent is lost, unless it said good-bye.  A command asks the daemon over the same socket.
"""

import hmac
import json
import os
import re
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from agent.camera_link import (
    CAMERA_NAME,
    LOST_AFTER_S,
    CameraChoice,
    FilmingOrder,
    LineReader,
    OrderReason,
    PictureKind,
    RecorderReport,
    RecorderState,
    RecorderTrouble,
    StillPicture,
    as_line,
)
from agent.clock import Instant, Now
from agent.disk.state_folder import StateFolder, write_durably
from agent.errors import BusyError
from agent.outbox.assignments import AssignmentLayer
from agent.outbox.outbox import Outbox
from agent.stage import StageName, Wake, ignore_wake
from agent.station.attribution import present_of
from agent.text import read_json
from agent.wakeup import short_path

_POLL_S = 0.4  # while a recorder is there; its loss shows by then
_NOBODY_POLL_S = 1.0
_LOOKED_AT_POLL_S = 0.05  # while somebody watches a live picture
_LOOKED_AT_S = 3.0  # after it was asked for
_HOLDS_S = 600.0  # an order outlives a daemon that is restarted, or updated
_MOST_LINKS = 16
_RECEIVED_BYTES = 1 << 18
_ANSWER_S = 5.0
_SEND_S = 0.5
_STARTS_S = 1.0  # a recorder that starts with the daemon tries once a second to reach it

_NAME = re.compile(CAMERA_NAME)
_ENABLED = Path("/etc/systemd/system/multi-user.target.wants")

log = structlog.get_logger(stage=StageName.RECORDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderSight:
    """One recorder, as the daemon knows it."""

    report: RecorderReport
    silent_s: float  # since its last report

    @property
    def is_silent(self) -> bool:
        """Whether the recorder itself is gone."""
        return self.silent_s > LOST_AFTER_S

    @property
    def fault(self) -> str | None:
        """What is wrong, in words; None where nothing is."""
        if self.is_silent:
            return f"its recorder {self.report.camera} is not running"
        state = self.report.state
        if state in (RecorderState.CAMERA_LOST, RecorderState.NOT_STORED):
            return self.report.error or str(state)
        return None

    @property
    def trouble(self) -> RecorderTrouble | None:
        """The kind of what is wrong; None where nothing is, or an older recorder does not say."""
        return RecorderTrouble.NOT_RUNNING if self.is_silent else self.report.trouble


class RecorderMemory:
    """Which recorders are to be there when the daemon starts again.

    One is expected that has reported and not said good-bye, for it crashed; where systemd runs the
    station, one that has reported and is enabled, whatever it said before the box was shut down.
    """

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self._names: set[str] = set()
        with suppress(OSError, ValueError, TypeError):
            told = read_json(folder.recorders.read_text(encoding="utf-8"))
            self._names = {name for name in told if _NAME.fullmatch(name)}

    def expected(self) -> list[str]:
        """Return the names of those that are to be there, in order."""
        is_system = self._folder.is_system
        return sorted(name for name in self._names if not is_system or _is_enabled(name))

    def add(self, name: str) -> None:
        """Take note of one that reports."""
        if name not in self._names and _NAME.fullmatch(name) and len(self._names) < _MOST_LINKS:
            self._write(self._names | {name})

    def drop(self, name: str) -> None:
        """Take note of a good-bye."""
        if name in self._names and not (self._folder.is_system and _is_enabled(name)):
            self._write(self._names - {name})

    def _write(self, names: set[str]) -> None:
        self._names = names
        with suppress(OSError):  # on a full disk it is known until the next start
            content = json.dumps(sorted(names)).encode()
            write_durably(self._folder.recorders, content, tmp=self._folder.tmp)


def _is_enabled(name: str) -> bool:
    return os.path.lexists(_ENABLED / f"spotter-recorder@{name}.service")


class RecorderBoard:
    """What is known of the station's recorders; read by every thread, written by one."""

    def __init__(
        self, memory: RecorderMemory, *, now_s: float, on_moved: Wake = ignore_wake
    ) -> None:
        """Prepare to hear; who is expected and does not report is missed like one that reported.

        Args:
            memory: of earlier runs.
            now_s: Unix time.
            on_moved: called when something moves in a file that grows.
        """
        self._on_moved = on_moved
        self._monotonic = time.monotonic
        self._memory = memory
        self._known: dict[str, tuple[RecorderReport, float]] = {
            name: (
                RecorderReport(camera=name, state=RecorderState.CONNECTING, since_s=now_s),
                self._monotonic() + _STARTS_S,
            )
            for name in memory.expected()
        }

    def hear(self, report: RecorderReport) -> None:
        """Take a report in."""
        self._memory.add(report.camera)
        before, _ = self._known.get(report.camera, (None, 0.0))
        self._known = {**self._known, report.camera: (report, self._monotonic())}
        if report.moved and (before is None or not before.moved):
            self._on_moved()

    def forget(self, camera: str) -> None:
        """Forget a recorder that ended because somebody wanted it to."""
        self._memory.drop(camera)
        self._known = {name: told for name, told in self._known.items() if name != camera}

    def sights(self) -> tuple[RecorderSight, ...]:
        """Return every recorder that reported or is expected, in order of their names."""
        now_s = self._monotonic()
        return tuple(
            RecorderSight(report=report, silent_s=max(0.0, now_s - heard_s))
            for _, (report, heard_s) in sorted(self._known.items())
        )


def order_for(outbox: Outbox, *, now: Instant) -> FilmingOrder:
    """Return what the station wants of its recorders at this moment."""
    present = present_of(outbox, now=now)
    stop = present.filming_stopped_at(now)
    if stop is not None:
        until = None if stop.lasts_s is None else _ahead(stop.starts, stop.lasts_s, now)
        return FilmingOrder(reason=OrderReason.STOPPED, said=now, until=until)
    said = present.at(now).assignment
    if said is None:
        return FilmingOrder(reason=OrderReason.UNASSIGNED, said=now, until=None)
    until = now.shifted(_HOLDS_S)
    if said.layer is AssignmentLayer.COACH and said.lasts_s is not None:
        ends = _ahead(said.starts, said.lasts_s, now)
        until = min(until, ends, key=lambda moment: moment.utc_s)
    return FilmingOrder(reason=OrderReason.ASSIGNED, said=now, until=until)


def _ahead(starts: Instant, lasts_s: float, now: Instant) -> Instant:
    """Return when something ends, on the clock of now."""
    return now.shifted(max(0.0, lasts_s - starts.elapsed_s(now)))


@dataclass(slots=True)
class _Link:
    """One connection."""

    socket: socket.socket
    lines: LineReader
    is_trusted: bool  # it may hear the camera's password
    camera: str | None = None  # None: no recorder, or none that has reported
    choice: str | None = None  # as it reported


class RecorderStage:
    """Serves the socket of the recorders."""

    name = StageName.RECORDER

    def __init__(
        self,
        outbox: Outbox,
        board: RecorderBoard,
        path: Path,
        *,
        now: Now,
        choice: Callable[[], CameraChoice | None] = lambda: None,
        token: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Prepare to serve.

        Args:
            outbox: says who is on the station.
            board: gets what recorders report.
            path: of the socket.
            now: the station's clock.
            choice: returns the camera that was chosen on the page.
            token: returns what a recorder of another user must show to hear that.
        """
        self._choice = choice
        self._token = token
        self._outbox = outbox
        self._board = board
        self._path = path
        self._now = now
        self._listener: socket.socket | None = None
        self._links: list[_Link] = []
        self._asked: dict[int, tuple[_Link, _Link]] = {}  # who waits for a picture of whom
        self._stills = 0
        self._asked_s = self._ordered_s = float("-inf")  # monotonic

    def step(self) -> float:
        """Read every recorder's report, and send each what is wanted."""
        if not self._is_listening():
            return _NOBODY_POLL_S
        self._accept()
        for link in self._links[:]:
            self._receive(link)
        now_s = time.monotonic()
        is_looked_at = now_s - self._asked_s < _LOOKED_AT_S
        if not is_looked_at or now_s - self._ordered_s >= _POLL_S / 2:
            self._ordered_s = now_s
            self._give_orders()
        if is_looked_at:
            return _LOOKED_AT_POLL_S
        return _POLL_S if self._links else _NOBODY_POLL_S

    def _give_orders(self) -> None:
        recorders = [link for link in self._links if link.camera is not None]
        if recorders:
            order = as_line({"order": order_for(self._outbox, now=self._now()).message()})
            for link in recorders:
                self._send(link, order)
        takers = [link for link in recorders if link.is_trusted and link.choice is not None]
        choice = self._choice() if takers else None
        for link in takers:
            if choice is not None and choice.id != link.choice:
                self._send(link, as_line({"camera": choice.message()}))

    def close(self) -> None:
        """Let go of the socket."""
        for link in self._links[:]:
            self._drop(link)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            with suppress(OSError):
                self._path.unlink()

    def _is_listening(self) -> bool:
        """Listen, if that is possible: without systemd there may be no place for the socket."""
        if self._listener is not None:
            return True
        if not self._path.parent.is_dir():
            return False
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if self._path.is_socket():
                self._path.unlink()
            with short_path(self._path) as short:
                listener.bind(short)
            self._path.chmod(0o660)  # the group spotter, which the recorders are of
            listener.listen(_MOST_LINKS)
        except OSError as error:
            listener.close()
            log.warning("recorder socket failed", path=str(self._path), error=error.strerror)
            return False
        self._listener = listener
        return True

    def _accept(self) -> None:
        assert self._listener is not None  # asked by the caller
        with suppress(BlockingIOError):
            while True:
                accepted, _ = self._listener.accept()
                accepted.setblocking(False)
                if len(self._links) >= _MOST_LINKS:
                    accepted.close()
                else:
                    self._links.append(_Link(accepted, LineReader(), _is_mine(accepted)))

    def _receive(self, link: _Link) -> None:
        try:
            while received := link.socket.recv(_RECEIVED_BYTES):
                for message in link.lines.take(received):
                    self._hear(link, message)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            pass
        self._drop(link)

    def _hear(self, link: _Link, message: dict[str, Any]) -> None:
        if "ask" in message:
            self._answer_question(link, message)
            return
        if isinstance(message.get("token"), str):
            self._hear_token(link, message["token"])
            return
        if isinstance(message.get("still"), dict):
            asker, recorder = self._asked.get(message["still"].get("id"), (None, None))
            if asker is not None and recorder is link:
                del self._asked[message["still"]["id"]]
                self._send(asker, as_line(message))
            return
        if message.get("bye") is True and link.camera is not None:
            self._board.forget(link.camera)
            link.camera = None
            return
        report = RecorderReport.of_message(message.get("report") or {})
        if report is not None:
            if link.camera is None:
                log.info("recorder connected", camera=report.camera)
            link.camera, link.choice = report.camera, report.choice
            self._board.hear(self._unless_ambiguous(link, report))

    def _unless_ambiguous(self, link: _Link, report: RecorderReport) -> RecorderReport:
        """Return a report, or what is wrong where two recorders go by the same name.

        What one says would hide what the other does not, and the state would change with each.
        """
        if not any(one.camera == report.camera for one in self._links if one is not link):
            return report
        return replace(
            report,
            state=RecorderState.NOT_STORED,
            trouble=RecorderTrouble.NOT_WRITABLE,
            error=f"two recorders are named {report.camera}: end one, or give each a camera.name "
            "of its own",
        )

    def _answer_question(self, link: _Link, message: dict[str, Any]) -> None:
        if message["ask"] == "recorders":
            told = [
                {"report": sight.report.message(), "silent_s": sight.silent_s}
                for sight in self._board.sights()
            ]
            self._send(link, as_line({"recorders": told}))
        elif message["ask"] == "still":
            self._ask_for_still(link, str(message.get("camera")), str(message.get("kind")))

    def _hear_token(self, link: _Link, given: str) -> None:
        token = self._token()
        if token is not None and hmac.compare_digest(given.encode(), token.encode()):
            link.is_trusted = True

    def _ask_for_still(self, link: _Link, camera: str, kind: str) -> None:
        recorder = next((one for one in self._links if one.camera == camera), None)
        if recorder is None:
            self._refuse_still(link, f"no recorder films a camera called {camera}")
            return
        if kind == PictureKind.LIVE:
            self._asked_s = time.monotonic()
        self._stills += 1
        self._asked[self._stills] = link, recorder
        self._send(recorder, as_line({"still": self._stills, "kind": kind}))

    def _refuse_still(self, asker: _Link, error: str) -> None:
        self._send(asker, as_line({"still": {"error": error}}))

    def _send(self, link: _Link, line: bytes) -> None:
        """Send a line; who does not read is let go, and connects again."""
        try:
            link.socket.settimeout(_SEND_S)  # a picture is larger than the socket's buffer
            link.socket.sendall(line)
            link.socket.setblocking(False)
        except OSError:
            with suppress(OSError):  # closed
                link.socket.setblocking(False)
            self._receive(link)  # it may have ended just now, and its good-bye came before that
            self._drop(link)

    def _drop(self, link: _Link) -> None:
        if link in self._links:
            self._links.remove(link)
            waiting = [asker for asker, recorder in self._asked.values() if recorder is link]
            self._asked = {id_: pair for id_, pair in self._asked.items() if link not in pair}
            link.socket.close()
            for asker in waiting:
                self._refuse_still(asker, f"the recorder {link.camera} has gone")
            if link.camera is not None:
                log.info("recorder disconnected", camera=link.camera)


def _is_mine(link: socket.socket) -> bool:
    """Tell whether a process of this very user is at the other end."""
    packed = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", packed)
    return bool(uid == os.geteuid())


def ask_for_recorders(path: Path) -> tuple[RecorderSight, ...]:
    """Return what a running daemon knows of its recorders; nothing where none runs."""
    with suppress(ValueError, KeyError, TypeError):
        return _sights((_answer(path, {"ask": "recorders"}) or {"recorders": ()})["recorders"])
    return ()


def ask_for_still(
    path: Path,
    camera: str,
    *,
    kind: PictureKind = PictureKind.FINE,
    within_s: float = _ANSWER_S,
) -> StillPicture:
    """Return what a camera sees at this moment.

    Args:
        path: of the daemon's socket.
        camera: its name.
        kind: what it is for.
        within_s: an answer must come.

    Raises:
        BusyError: no daemon, no such recorder, or no picture now.
    """
    question: dict[str, object] = {"ask": "still", "camera": camera, "kind": kind}
    answer = _answer(path, question, within_s=within_s)
    if answer is None:
        raise BusyError(
            "the daemon does not answer", hint="does it run?  spotter status says how to start it"
        )
    told = answer.get("still")
    picture = StillPicture.of_message(told) if isinstance(told, dict) else None
    if picture is None:
        error = told.get("error") if isinstance(told, dict) else None
        raise BusyError(str(error or "there is no picture"), hint="spotter camera")
    return picture


def _answer(
    path: Path, question: dict[str, object], *, within_s: float = _ANSWER_S
) -> dict[str, Any] | None:
    """Ask a running daemon something; None where none answers."""
    with (
        suppress(OSError, ValueError),
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link,
    ):
        link.settimeout(within_s)
        with short_path(path) as short:
            link.connect(short)
        link.sendall(as_line(question))
        lines = LineReader()
        while received := link.recv(_RECEIVED_BYTES):
            for message in lines.take(received):
                return message
    return None


def _sights(told: Sequence[Any]) -> tuple[RecorderSight, ...]:
    found = [(RecorderReport.of_message(one["report"]), float(one["silent_s"])) for one in told]
    return tuple(
        RecorderSight(report=report, silent_s=silent_s)
        for report, silent_s in found
        if report is not None
    )
