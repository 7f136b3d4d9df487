"""The whole pipeline, offline: a synthetic athlete, the real daemon, the sandbox API.

Everything is real but the athlete and the API: the daemon is `spotter run`, and what is shown is
read from its outbox.  The camera program is a process that writes one growing file or, live,
`spotter record`, which an assignment arms.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from agent.camera_link import RecorderState
from agent.disk.state_folder import StateFolder
from agent.errors import AgentError
from agent.outbox.database import Row
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.results import Number
from agent.outbox.states import SENT, EntryState
from agent.sandbox.account import SandboxSession
from agent.sandbox.server import Sandbox
from agent.station.recorders import ask_for_recorders
from agent.synthetic import SceneCamera, storyboard

END_WITHIN_S = 10.0  # what `spotter run` promises
_NOBODYS = "/"  # only root writes there


def start_daemon(
    config: Path, *, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start `spotter run`, its log appended to a file."""
    return start_command(["run"], config, log=log, environment=environment)


def start_command(
    words: Sequence[str],
    config: Path,
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command of Spotter's that runs until it is ended, its log appended to a file."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            _command(words, config),
            stderr=stream,
            cwd=_NOBODYS,
            env={**_plain_environment(), **(environment or {})},
        )


def end_daemon(daemon: subprocess.Popen[bytes]) -> bool:
    """End a daemon as the service manager would; False if it did not end in time by itself."""
    daemon.send_signal(signal.SIGTERM)
    try:
        return daemon.wait(END_WITHIN_S) == 0
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
        return False


def run_command(
    words: Sequence[str], config: Path, *, told: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run another command of Spotter's on the same settings.

    Args:
        words: of the command.
        config: the settings.
        told: what its standard input says.
    """
    return subprocess.run(
        _command(words, config),
        input=told,
        capture_output=True,
        text=True,
        cwd=_NOBODYS,
        env=_plain_environment(),
        timeout=60,
        check=False,
    )


def _command(words: Sequence[str], config: Path) -> list[str]:
    return [sys.executable, "-I", "-m", "agent", *words, "--config", str(config.absolute())]


def _plain_environment() -> dict[str, str]:
    """Return the environment without a station's settings and without proxies."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SPOTTER_") and not name.lower().endswith("_proxy")
    }


ATHLETE = "someUserId123"
_KEY = "demo-key"
_PREFIX = "spotter-demo-"
_USUAL_PORT = 8377
_WITHIN_S = 75.0  # for everything after the recording
_LOOK_EVERY_S = 0.1

Tell = Callable[[str, float], None]  # stage, share done

STAGES = ("film", "take in", "analyse", "cut", "deliver", "analysed")
_SETTINGS = """\
[station]
id = "{station}"
name = "{name}"
activity = "weightlifting"
exercise = "snatch"
{athlete}
barbell_mass = 60

[paths]
capture = {capture}
state = {state}

[api]
base_url = "{base_url}"
key_file = {key_file}

[capture]
settle_s = 1.0
rescan_s = 5.0

[delivery]
send_delay_s = 0
reconcile_wait_s = 1

[results]
first_look_s = 1.5
longest_s = 30
video = "always"

[web]
listen = "{listen}"
"""
_RECORDER_SETTINGS = """\
[camera]
source = "test:"

[files]
capture = {capture}

[station]
socket = {socket}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What the demo came to."""

    session: SandboxSession
    numbers: Mapping[str, Number]  # what the API measured
    document: Path  # everything it printed
    video: Path  # the analysed one
    clip_code: str
    capture_seconds: float
    capture_bytes: int
    clip_seconds: float
    clip_bytes: int
    poster: Path
    clip: Path
    page: str | None  # the address of the coach's page, where it stays up


@dataclass(frozen=True, slots=True)
class DemoPlace:
    """Where the demo happens."""

    folder: Path

    @property
    def capture(self) -> Path:
        return self.folder / "capture"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def config(self) -> Path:
        return self.folder / "station.toml"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"


@contextlib.contextmanager
def demonstration(tell: Tell, *, keep: bool = False) -> Iterator[DemoResult]:
    """Run the demo; the station lives on until the context ends, with its page if it is kept.

    Raises:
        AgentError: the clip did not arrive in time; the daemon's log is in the message.
        KeyboardInterrupt: it was broken off; nothing is left of it.
    """
    with prepared_demo() as (place, sandbox):
        listen = free_address() if keep else ""
        write_station_settings(place, sandbox.base_url, listen)
        with _ended(start_daemon(place.config, log=place.log)) as daemon:
            _film(place.capture / "platform-1.mp4", tell)
            outcome = _follow(place, sandbox, daemon, tell)
            yield replace(outcome, page=f"http://{listen}" if keep else None)


@contextlib.contextmanager
def prepared_demo() -> Iterator[tuple[DemoPlace, Sandbox]]:
    """Make a place, and run the sandbox meanwhile; nothing is left where it is broken off."""
    _remove_earlier()
    place = DemoPlace(Path(tempfile.mkdtemp(prefix=_PREFIX)))
    place.capture.mkdir()
    with (
        _locked(place.folder),  # from the next demo
        _gone_if_broken_off(place),
        Sandbox(key=_KEY, processing_s=0.5) as sandbox,
    ):
        yield place, sandbox


def _remove_earlier() -> None:
    """Remove what earlier demos of this user have left for inspection, unless they still run."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _locked(folder):
            if folder.lstat().st_uid == os.geteuid():
                shutil.rmtree(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder of a demo.

    Raises:
        OSError: another process holds it, or it is no folder.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def _gone_if_broken_off(place: DemoPlace) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        shutil.rmtree(place.folder)
        raise


def write_station_settings(
    place: DemoPlace,
    base_url: str,
    listen: str,
    *,
    athlete: str | None = ATHLETE,
    station: tuple[str, str] = ("demo", "Demo platform"),
) -> None:
    """Write a station's settings and its API key.

    Args:
        place: where.
        base_url: of the API.
        listen: of its page; "": it has none.
        athlete: who is on it where nobody else was assigned.
        station: its id and its name.
    """
    key_file = place.folder / "api-key"
    key_file.touch(mode=0o600)
    key_file.write_text(_KEY, encoding="ascii")
    place.config.write_text(
        _SETTINGS.format(
            athlete="" if athlete is None else f'user_id = "{athlete}"',
            station=station[0],
            name=station[1],
            base_url=base_url,
            listen=listen,
            capture=json.dumps(str(place.capture)),
            state=json.dumps(str(place.state)),
            key_file=json.dumps(str(key_file)),
        ),
        encoding="utf-8",
    )


def free_address(port: int = _USUAL_PORT) -> str:
    """Return where a page can listen: at this port, or at any that is free."""
    for wanted in (port, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", wanted))
            return f"127.0.0.1:{probe.getsockname()[1]}"
    return ""


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Let a process run, and end it afterwards."""
    try:
        yield process
    finally:
        end_daemon(process)


def _film(path: Path, tell: Tell) -> None:
    """Let the camera program film, and report how far the file has grown."""
    story = storyboard.demo()
    SceneCamera(story).record(path, on_frame=lambda done: tell("film", done / story.frame_count))


def _follow(
    place: DemoPlace, sandbox: Sandbox, daemon: subprocess.Popen[bytes], tell: Tell
) -> DemoResult:
    """Report what becomes of the capture, until its analysed video is here."""
    latest_s = time.monotonic() + _WITHIN_S
    with Outbox.open(place.state) as outbox:
        while time.monotonic() < latest_s and daemon.poll() is None:
            rows = outbox.listing.rows(all_captures=True)
            _tell_stages(rows, outbox, tell)
            analysed = next((row for row in rows if row["state"] == "completed"), None)
            if analysed is not None and outbox.videos.present():
                return _outcome(place, sandbox, outbox, analysed)
            time.sleep(_LOOK_EVERY_S)
    raise _failed("the clip was not delivered and analysed", place)


def _failed(what: str, place: DemoPlace) -> AgentError:
    log = place.log.read_text(encoding="utf-8", errors="replace")
    return AgentError(
        f"{what}; the daemon said:\n{log[-3000:]}", hint=f"everything is in {place.folder}"
    )


def _tell_stages(rows: Sequence[Row], outbox: Outbox, tell: Tell) -> None:
    """Say how far the capture and its clip have come, by their states alone."""
    capture = next((row for row in rows if row["kind"] == "capture"), None)
    if capture is None:
        return
    tell("take in", 1.0)
    first = outbox.captures.by_id(1)
    if first is not None and outbox.takes.of(first):
        tell("analyse", 1.0)
    if any(row["kind"] == "entry" for row in rows):
        tell("cut", 1.0)
    if any(row["session_id"] is not None for row in rows):
        tell("deliver", 1.0)
    if any(row["state"] == "completed" for row in rows):
        tell("analysed", 1.0)


def _outcome(place: DemoPlace, sandbox: Sandbox, outbox: Outbox, row: Row) -> DemoResult:
    session = sandbox.book.find(str(row["session_id"]))
    assert session is not None  # the sandbox itself gave this id
    if session.video_sha256 != row["clip_sha256"]:
        raise AgentError("the API received another clip than was cut")
    folder, code = StateFolder(place.state), str(row["clip_code"])
    result = outbox.results.of_entry(int(str(row["id"]).removeprefix("e")))
    assert result is not None  # it is completed by that
    return DemoResult(
        session=session,
        numbers=result.numbers,
        document=folder.result_document(code),
        video=folder.analysed_video(code),
        clip_code=code,
        capture_seconds=float(str(row["capture_seconds"])),
        capture_bytes=int(str(row["capture_bytes"])),
        clip_seconds=float(str(row["clip_seconds"])),
        clip_bytes=int(str(row["clip_bytes"])),
        poster=folder.pictures / f"{code}.jpg",
        clip=folder.clips / f"{code}.mp4",
        page=None,
    )


class LiveStep(StrEnum):
    """What happens on a live station, in the order in which it does."""

    WATCHING = "watching"  # the camera sends; its pictures stay in memory
    RECORDING = "recording"  # an assignment has armed the recorder
    ON_CARD = "on_card"  # a take is on the page
    HELD = "held"  # it waits for a person there
    DELIVERED = "delivered"
    ANALYSED = "analysed"


_LATEST = 8  # takes
_RECORDER_STEPS = {
    RecorderState.WATCHING: LiveStep.WATCHING,
    RecorderState.RECORDING: LiveStep.RECORDING,
}


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One step, and of a take its clip code and the seconds since its movement ended."""

    step: LiveStep
    clip_code: str = ""
    after_s: float = 0.0
    reason: str = ""  # why a take is held


@contextlib.contextmanager
def live_demonstration() -> Iterator["LiveStation"]:
    """Run a whole station on this machine: sandbox, daemon with page, and recorder.

    Raises:
        KeyboardInterrupt: it was ended; nothing is left of it.
    """
    with prepared_demo() as (place, sandbox):
        listen = free_address()
        write_station_settings(place, sandbox.base_url, listen, athlete=None)
        with (
            _ended(start_daemon(place.config, log=place.log)) as daemon,
            _ended(_start_recorder(place)) as recorder,
        ):
            yield LiveStation(place, f"http://{listen}", (daemon, recorder))


def _start_recorder(place: DemoPlace) -> subprocess.Popen[bytes]:
    """Start the real recorder on the drawn athlete, its log beside the daemon's."""
    config = place.folder / "recorder-main.toml"
    settings = _RECORDER_SETTINGS.format(
        capture=json.dumps(str(place.capture)),
        socket=json.dumps(str(StateFolder(place.state).recorder_socket)),
    )
    config.write_text(settings, encoding="utf-8")
    return start_command(["record"], config, log=place.folder / "recorder.log")


class LiveStation:
    """A station that runs: what happens on it, and its assignment."""

    def __init__(
        self, place: DemoPlace, page: str, processes: Sequence[subprocess.Popen[bytes]]
    ) -> None:
        self.page = page
        self.config = place.config
        self.folder = place.folder
        self._place = place
        self._processes = processes
        self._is_up = False

    def pairing_link(self) -> str:
        """Return a link that pairs one device with the page."""
        return str(json.loads(self._said("pair", "--json"))["address"])

    def assign(self) -> None:
        """Put the athlete on the station, as a coach does on the page."""
        self._said("assign", ATHLETE)

    def events(self, *, within_s: float | None = None) -> Iterator[LiveEvent]:
        """Yield what happens, each step once.

        Args:
            within_s: how long to wait for the next step; None: without end.

        Raises:
            AgentError: nothing happened in time, or daemon or recorder ended.
        """
        known: set[tuple[LiveStep, str]] = set()
        latest_s = time.monotonic() + (within_s or float("inf"))
        while all(process.poll() is None for process in self._processes):
            for event in self._look():
                if (event.step, event.clip_code) not in known:
                    known.add((event.step, event.clip_code))
                    yield event
                    latest_s = time.monotonic() + (within_s or float("inf"))
            if time.monotonic() > latest_s:
                raise _failed("nothing more happened", self._place)
            time.sleep(_LOOK_EVERY_S)
        raise _failed("daemon or recorder ended", self._place)

    def _look(self) -> Iterator[LiveEvent]:
        """Yield what has happened by now."""
        for sight in ask_for_recorders(StateFolder(self._place.state).recorder_socket):
            if sight.report.state in _RECORDER_STEPS:
                self._is_up = True
                yield LiveEvent(_RECORDER_STEPS[sight.report.state])
        if self._is_up:
            with Outbox.open(self._place.state) as outbox:
                yield from _take_events(outbox)

    def _said(self, *words: str) -> str:
        done = run_command(words, self.config)
        if done.returncode:
            raise _failed(done.stderr.strip(), self._place)
        return done.stdout


def _take_events(outbox: Outbox) -> Iterator[LiveEvent]:
    """Yield how far each of the latest takes has come, the oldest first."""
    clips = outbox.gallery.latest(most=_LATEST) + outbox.gallery.needing(most=_LATEST)
    for entry in sorted((clip.entry for clip in clips), key=lambda entry: entry.id):
        steps = [LiveStep.HELD if entry.state is EntryState.HELD else LiveStep.ON_CARD]
        if entry.state in SENT:
            steps.append(LiveStep.DELIVERED)
        if entry.state is EntryState.COMPLETED:
            steps.append(LiveStep.ANALYSED)
        for step in steps:
            reason = (entry.reason or "") if step is LiveStep.HELD else ""
            yield LiveEvent(step, entry.clip_code, _since_effort_s(outbox, entry), reason)


def _since_effort_s(outbox: Outbox, entry: Entry) -> float:
    """Return how long ago the movement of a take ended, by the clock of its recorder."""
    source, capture = outbox.entries.sources(entry.id)[-1]
    took = [take for take in outbox.takes.of(capture) if take.number == source.take_number]
    sidecar = capture.evidence.sidecar
    if sidecar is None or not took:
        return 0.0
    return time.time() - sidecar.start.utc_s - took[0].active_end_s
