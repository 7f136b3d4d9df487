"""Fault-injection self-tests on the real box, against the sandbox, in a scratch folder.

Each scenario runs the real daemon as a station of its own, and says what must hold.
"""

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.clock import read_clock
from agent.demo import end_daemon, run_command, start_daemon
from agent.disk.state_folder import StateFolder
from agent.errors import AgentError
from agent.failpoints import VARIABLE
from agent.outbox.models import Capture, ClipTarget, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import LaneState
from agent.outbox.states import SENT, CaptureState, EntryState, Reason, Recipient
from agent.sandbox.server import Sandbox
from agent.station import clip_actions
from agent.station.assignments import StationRules
from agent.synthetic import SceneCamera, Segment, Storyboard
from agent.wakeup import wake

TAKE_S = 1.6
_SMALL_S, _LARGE_S = 0.5, 4.0  # lengths of the clips that are cut by hand
_SMALL, _LARGE = 28, 4


def film_take(path: Path, *, seed: int) -> Path:
    """Film somebody who runs; another seed makes another file."""
    story = Storyboard(
        [Segment("run", TAKE_S)], width=160, height=240, fps=15, seed=seed, noise=2.0
    )
    SceneCamera(story).record(path)
    return path


def film_hall(path: Path) -> list[tuple[float, float]]:
    """Film an empty hall by a noisy camera; return the bounds of clips to be cut of it."""
    seconds = _LARGE * _LARGE_S + _SMALL * _SMALL_S
    story = Storyboard([Segment("nobody", seconds)], width=480, height=270, fps=12, noise=20.0)
    SceneCamera(story, keyframe_every_s=_SMALL_S).record(path)
    starts = [number * _LARGE_S for number in range(_LARGE)]
    bounds = [(start_s, start_s + _LARGE_S) for start_s in starts]
    for number in range(_SMALL):
        start_s = _LARGE * _LARGE_S + number * _SMALL_S
        bounds.append((start_s, start_s + _SMALL_S))
    return bounds


ATHLETE, OTHER_ATHLETE = "someUserId123", "athlete-0002"  # both are in the sandbox's account
_FIRST_KEY = "drill-key"
_LOOK_EVERY_S = 0.03
_WITHIN_S = 60.0  # a slow box may do other things as well
_RUNNING = 'event="daemon started"'
_SETTINGS = """\
[station]
id = "drill"
activity = "running"

[paths]
capture = {capture}
state = {state}

[api]
base_url = {base_url}
key_file = {key_file}
ca_file = {ca_file}
connect_timeout_s = 3
answer_timeout_s = 2

[capture]
settle_s = 0.5
rescan_s = 1

[analysis]
poster = false

[delivery]
send_delay_s = 0
reconcile_wait_s = 1
backoff_base_s = 0.3

[web]
listen = ""
"""


class ScenarioFailed(Exception):
    """A promise was not kept; the text says which."""


class DrillEnvironment:
    """The folder, the stand-in API, and the daemon that is put through it."""

    def __init__(self, folder: Path, sandbox: Sandbox, outbox: Outbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.outbox = outbox
        self.capture = folder / "capture"
        self.key_file = folder / "api-key"
        self.config = folder / "station.toml"
        self.log = folder / "daemon.log"
        self.daemon: subprocess.Popen[bytes] | None = None
        self._state = StateFolder(folder / "state")

    def prepare(self) -> None:
        """Write the settings and start the daemon."""
        self.capture.mkdir()
        self.key_file.write_text(_FIRST_KEY, encoding="ascii")
        places = {
            "capture": self.capture,
            "state": self._state.root,
            "base_url": self.sandbox.base_url,
            "key_file": self.key_file,
            "ca_file": self.sandbox.ca_file,
        }
        told = {name: json.dumps(str(place)) for name, place in places.items()}
        self.config.write_text(_SETTINGS.format(**told), encoding="utf-8")
        self.start()
        self._cut_clips()

    def _cut_clips(self) -> None:
        """Lay clips up for the rehearsals: cut by hand from one film, held for nobody's sake."""
        bounds = film_hall(self.folder / "hall.mp4")
        (self.folder / "hall.mp4").rename(self.capture / "hall.mp4")
        looked_into = {CaptureState.SKIPPED, CaptureState.ANALYSED}

        def hall() -> Capture | None:
            found = self.outbox.captures.by_id(1)
            return found if found is not None and found.state in looked_into else None

        self.until(lambda: hall() is not None, "the first film is analysed")
        capture = hall()
        assert capture is not None  # waited for above
        *most, (start_s, end_s) = bounds
        for one in most:
            self.outbox.takes.add_by_hand(capture, start_s=one[0], end_s=one[1])
        now_s = read_clock().utc_s
        clip_actions.add_take(self.outbox, capture, start_s=start_s, end_s=end_s, now_s=now_s)
        wake(self._state.wake_socket)
        self.until(
            lambda: len(self.outbox.entries.in_states({EntryState.HELD})) == len(bounds),
            "the clips are cut",
        )

    def mend(self) -> None:
        """Undo what a rehearsal may have left behind, above all one that was broken off."""
        self.sandbox.clear_faults()
        self.key_file.write_text(self.sandbox.tokens[0], encoding="ascii")
        if self.daemon is None or self.daemon.poll() is not None:
            self.start()

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start the daemon and wait until it runs."""
        before = self._log_text().count(_RUNNING)
        daemon = start_daemon(self.config, log=self.log, environment=environment)
        self.daemon = daemon
        self.until(
            lambda: daemon.poll() is not None or self._log_text().count(_RUNNING) > before,
            "the daemon starts",
        )

    def end(self) -> bool:
        """End the daemon by SIGTERM; False if it did not end within ten seconds."""
        daemon, self.daemon = self.daemon, None
        return daemon is None or end_daemon(daemon)

    def kill(self) -> None:
        """End the daemon as a power cut would, but for what the disk holds."""
        assert self.daemon is not None  # a fault that kills has one running
        self.daemon.kill()
        self.daemon.wait()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Spotter's on this station."""
        return run_command(words, self.config)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something holds.

        Raises:
            ScenarioFailed: it did not in time.
        """
        latest_s = time.monotonic() + _WITHIN_S
        while not condition():
            if time.monotonic() > latest_s:
                raise ScenarioFailed(f"not within {_WITHIN_S:.0f} s: {what}")
            time.sleep(_LOOK_EVERY_S)

    def release(self, *, large: bool = False, user_id: str = ATHLETE) -> Entry:
        """Send one of the clips that are held ready for the drill."""
        now_s = read_clock().utc_s
        held = self.outbox.entries.in_states({EntryState.HELD})
        waiting = [entry for entry in held if entry.user_id is None]
        if not waiting:
            raise ScenarioFailed("the drill has run out of clips")
        chosen = (max if large else min)(waiting, key=lambda entry: entry.clip_bytes)
        said = ClipTarget(recipient=Recipient.ATHLETE, user_id=user_id, activity=chosen.activity)
        released = clip_actions.release(
            self.outbox, chosen, said=said, rules=StationRules(default=said), now_s=now_s
        )
        wake(self._state.wake_socket)
        return released

    def entry(self, entry: Entry) -> Entry:
        """Return an entry as it stands now."""
        return self.outbox.entries.existing(entry.id)

    @property
    def lane(self) -> LaneState:
        """The way to the sandbox as it stands now."""
        return self.outbox.lanes.get(f"127.0.0.1:{self.sandbox.port}")

    def until_state(self, entry: Entry, state: EntryState) -> None:
        """Wait until a clip is in a state."""
        self.until(lambda: self.entry(entry).state is state, f"{entry.name} is {state}")

    def until_paused(self, reason: str) -> None:
        """Wait until the lane is paused for a reason."""
        self.until(lambda: self.lane.paused_reason == reason, f"uploads pause: {reason}")

    def check_once(self, *entries: Entry) -> None:
        """Wait until clips are delivered, and insist that the API has each of them once."""
        for entry in entries:
            self.until_state(entry, EntryState.UPLOADED)
            hold(self.sessions_of(entry) == [self.entry(entry).session_id], "it is there once")

    def sessions_of(self, entry: Entry) -> list[str]:
        """Return the sessions that the API made of a clip, by the content it received."""
        return [
            session.session_id
            for session in self.sandbox.book.sessions
            if session.video_sha256 == entry.clip_sha256
        ]

    def _log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


def hold(condition: bool, what: str) -> None:
    """Insist on a promise."""
    if not condition:
        raise ScenarioFailed(f"not so: {what}")


@contextlib.contextmanager
def drill_ground(folder: Path) -> Iterator[DrillEnvironment]:
    """Set everything up in an empty folder, and end the daemon afterwards."""
    state = StateFolder(folder / "state")
    state.prepare()
    with (
        Sandbox(key=_FIRST_KEY, processing_s=0.0, tls=True) as sandbox,
        Outbox.open(state.root) as outbox,
    ):
        drill = DrillEnvironment(folder, sandbox, outbox)
        try:
            drill.prepare()
            yield drill
        finally:
            drill.end()


Run = Callable[[DrillEnvironment], None]


class Scenario(NamedTuple):
    """One fault: what is done, what must hold, and how both are done."""

    name: str
    done: str
    holds: str
    run: Run


REHEARSALS: list[Scenario] = []


def _rehearsal(done: str) -> Callable[[Run], Run]:
    """Enter a rehearsal; its docstring says what must hold."""

    def enter(run: Run) -> Run:
        REHEARSALS.append(Scenario(run.__name__, done, (run.__doc__ or "").rstrip("."), run))
        return run

    return enter


@_rehearsal("a take is filmed")
def good_day(drill: DrillEnvironment) -> None:
    """Found, cut and delivered under the athlete on the station."""
    hold(drill.command("assign", OTHER_ATHLETE).returncode == 0, "the athlete is assigned")
    time.sleep(TAKE_S)  # what is filmed now began after that
    film_take(drill.folder / "film.mp4", seed=2).rename(drill.capture / "take.mp4")
    made = drill.sandbox.book.wait_for(lambda book: len(book.sessions) == 1, 60.0)
    hold(made, "a session is created")
    (session,) = drill.sandbox.book.sessions
    hold(session.user_id == OTHER_ATHLETE, "it is the athlete's")


@_rehearsal("a non-video file, and a truncated video")
def broken_files(drill: DrillEnvironment) -> None:
    """Set aside with the reason."""
    (drill.capture / "notes.mp4").write_text("not a video", encoding="ascii")
    content = film_take(drill.folder / "film.mp4", seed=3).read_bytes()
    (drill.capture / "cut-short.mp4").write_bytes(content[: len(content) // 2])
    drill.until(
        lambda: drill.outbox.listing.counts()["captures"].get("quarantined") == 2,
        "both are quarantined",
    )
    drill.check_once(drill.release())


@_rehearsal("the connection breaks in the middle of a clip")
def connection_cut(drill: DrillEnvironment) -> None:
    """Sent again, delivered once."""
    drill.sandbox.add_fault("cut:at=50")
    drill.check_once(drill.release(large=True))


@_rehearsal("the connection is reset")
def connection_reset(drill: DrillEnvironment) -> None:
    """Sent again, delivered once."""
    drill.sandbox.add_fault("reset:at=20")
    drill.check_once(drill.release())


@_rehearsal("the response is lost, the session was created")
def answer_lost(drill: DrillEnvironment) -> None:
    """Found in the list, not sent twice."""
    drill.sandbox.add_fault("lost-answer")
    entry = drill.release()
    drill.check_once(entry)
    hold(drill.entry(entry).attempts == 1, "it was uploaded once")


@_rehearsal("503 after the whole clip, no session")
def server_error(drill: DrillEnvironment) -> None:
    """Looked up twice, then sent again."""
    drill.sandbox.add_fault("503")
    entry = drill.release()
    drill.check_once(entry)
    hold(drill.entry(entry).attempts == 2, "it was uploaded twice, made once")


@_rehearsal("the server never responds")
def no_answer(drill: DrillEnvironment) -> None:
    """Given up, looked up, delivered once."""
    drill.sandbox.add_fault("silent")
    drill.check_once(drill.release())


@_rehearsal("the list hides the session")
def list_hides(drill: DrillEnvironment) -> None:
    """Held for a person, not sent twice; found when it is back."""
    drill.sandbox.add_fault("lost-answer")
    drill.sandbox.add_fault("hide-list*always")
    entry = drill.release()
    drill.until_state(entry, EntryState.HELD)
    hold(drill.entry(entry).reason == Reason.OUTCOME_UNKNOWN, "it is held as unknown")
    drill.sandbox.clear_faults()
    hold(drill.command("outbox", "retry", entry.name).returncode == 0, "retry looks again")
    drill.check_once(entry)


@_rehearsal("the server makes two sessions of one clip")
def made_twice(drill: DrillEnvironment) -> None:
    """One adopted, the other reported."""
    drill.sandbox.add_fault("twice:lost")
    entry = drill.release()
    drill.until_state(entry, EntryState.UPLOADED)
    told = drill.entry(entry)
    known = {told.session_id, *(r.removeprefix("second_session:") for r in told.remarks)}
    hold(known >= set(drill.sessions_of(entry)), "both are on record")


@_rehearsal("429 asks for 2 s")
def asked_to_wait(drill: DrillEnvironment) -> None:
    """The lane waits, then continues."""
    drill.sandbox.add_fault("429:retry-after=2")
    entry = drill.release()
    drill.until_paused("server_asks_to_wait")
    began_s = time.monotonic()
    drill.check_once(entry)
    hold(time.monotonic() - began_s > 1.5, "it waited")


@_rehearsal("413 while the clip is under way")
def too_large(drill: DrillEnvironment) -> None:
    """That clip is dead with its size, the next flows."""
    drill.sandbox.add_fault("413:early")
    entry = drill.release(large=True)
    drill.until_state(entry, EntryState.DEAD)
    hold("MB" in str(drill.entry(entry).detail), "its size is shown")
    drill.check_once(drill.release())


@_rehearsal("422 for one clip of three")
def one_refused(drill: DrillEnvironment) -> None:
    """One dead in the server's words, two delivered; revived."""
    drill.sandbox.add_fault("422:error=an odd video")
    entry, *others = drill.release(), drill.release(), drill.release()
    drill.until_state(entry, EntryState.DEAD)
    hold("an odd video" in str(drill.entry(entry).detail), "the server's words are kept")
    drill.check_once(*others)
    hold(drill.command("outbox", "retry", entry.name).returncode == 0, "retry revives it")
    drill.check_once(entry)


@_rehearsal("403 for one athlete")
def athlete_refused(drill: DrillEnvironment) -> None:
    """That athlete's clip is held, the other's delivered."""
    drill.sandbox.add_fault(f"403:user={OTHER_ATHLETE}*always")
    entry, other = drill.release(user_id=OTHER_ATHLETE), drill.release()
    drill.check_once(other)
    drill.until_state(entry, EntryState.HELD)
    drill.sandbox.clear_faults()
    hold(drill.command("outbox", "retry", entry.name).returncode == 0, "retry sends it")
    drill.check_once(entry)


@_rehearsal("the key is revoked, later renewed in its file")
def key_renewed(drill: DrillEnvironment) -> None:
    """No clip dead, no restart needed."""
    drill.sandbox.replace_key("renewed-key")
    entries = [drill.release(), drill.release()]
    drill.until_paused("key")
    for entry in entries:
        drill.until_state(entry, EntryState.READY)
    drill.key_file.write_text("renewed-key", encoding="ascii")
    drill.check_once(*entries)


@_rehearsal("a captive portal responds to everything")
def captive_portal(drill: DrillEnvironment) -> None:
    """The lane pauses, and no clip is lost to it."""
    drill.sandbox.add_fault("html@any*always")
    entry, other = drill.release(), drill.release()
    drill.until_paused("not_our_api")
    drill.until(lambda: drill.lane.probes > 1, "it keeps asking")
    hold(drill.outbox.listing.counts()["entries"].get("uploading") is None, "nothing is sent")
    drill.sandbox.clear_faults()
    drill.check_once(entry, other)


@_rehearsal("a strange certificate")
def strange_certificate(drill: DrillEnvironment) -> None:
    """The lane pauses and names it; the key is shown to nobody."""
    drill.sandbox.add_fault("tls-unknown-ca*always")
    asked = len(drill.sandbox.book.requests)
    entry = drill.release()
    drill.until_paused("tls")
    hold("unknown authority" in str(drill.lane.paused_detail), "the alert names the fault")
    hold(len(drill.sandbox.book.requests) == asked, "nothing was said to it")
    hold(drill.entry(entry).failures == 0, "nothing counts against the clip")
    drill.sandbox.clear_faults()
    drill.check_once(entry)


@_rehearsal("the API is down, connections are refused")
def api_gone(drill: DrillEnvironment) -> None:
    """The lane pauses and heals alone."""
    drill.sandbox.go_away()
    try:
        entry = drill.release()
        drill.until_paused("network")
        hold(drill.entry(entry).failures == 0, "nothing counts against the clip")
    finally:
        drill.sandbox.come_back()
    drill.check_once(entry)


@_rehearsal("kill -9 in the middle of an upload")
def killed_in_upload(drill: DrillEnvironment) -> None:
    """The next start delivers it once."""
    drill.sandbox.add_fault("slow:rate=300k")
    entry = drill.release(large=True)
    drill.until_state(entry, EntryState.UPLOADING)
    drill.kill()
    drill.sandbox.clear_faults()
    drill.start()
    drill.check_once(entry)


@_rehearsal("kill -9 after the session was created, before it is recorded")
def killed_before_record(drill: DrillEnvironment) -> None:
    """Not sent twice."""
    drill.end()
    drill.start({VARIABLE: "after-answer"})
    entry = drill.release()
    daemon = drill.daemon
    assert daemon is not None  # started above
    drill.until(lambda: daemon.poll() is not None, "the daemon dies")
    drill.start()
    drill.check_once(entry)


@_rehearsal("SIGTERM in the middle of an upload")
def ended_in_upload(drill: DrillEnvironment) -> None:
    """Ends within 10 s, the next start delivers once."""
    drill.sandbox.add_fault("slow:rate=300k")
    entry = drill.release(large=True)
    drill.until_state(entry, EntryState.UPLOADING)
    hold(drill.end(), "it ends within 10 s")
    drill.sandbox.clear_faults()
    drill.start()
    drill.check_once(entry)


@_rehearsal("a second daemon on the same folder")
def second_daemon(drill: DrillEnvironment) -> None:
    """It ends at once with 75, the first is undisturbed."""
    hold(drill.command("run").returncode == 75, "it exits with 75")
    drill.check_once(drill.release())


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """One line of the card."""

    scenario: Scenario
    seconds: float
    detail: str | None  # why it did not hold; None: it held


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReport:
    """What the drill came to."""

    lines: tuple[ScenarioResult, ...]
    seconds: float
    folder: Path | None  # kept, with the daemon's log, where something did not hold

    @property
    def held(self) -> bool:
        """Whether everything held."""
        return all(line.detail is None for line in self.lines)


Tell = Callable[[Scenario], None]
Enter = Callable[[ScenarioResult], None]

_LAY_UP = Scenario(
    "set_up", "a station is set up and records", "The daemon runs, clips are ready", lambda _: None
)


def run_drill(
    begin: Tell, enter: Enter, *, rehearsals: Sequence[Scenario] = REHEARSALS
) -> DrillReport:
    """Rehearse faults in a scratch folder.

    Args:
        begin: called with what begins.
        enter: called with how it ended.
        rehearsals: which ones.

    Raises:
        KeyboardInterrupt: it was broken off; nothing is left of it.
    """
    began_s = time.monotonic()
    lines: list[ScenarioResult] = []
    folder = Path(tempfile.mkdtemp(prefix="spotter-drill-"))

    def note(line: ScenarioResult) -> None:
        lines.append(line)
        enter(line)

    try:
        begin(_LAY_UP)
        with drill_ground(folder) as drill:
            note(_line(_LAY_UP, began_s))
            for rehearsal in (*rehearsals, _AFTERWARDS):
                begin(rehearsal)
                note(_rehearse(rehearsal, drill))
    except (ScenarioFailed, AgentError, OSError) as error:
        note(_line(_LAY_UP, began_s, str(error)))
    except KeyboardInterrupt:  # nothing came out that somebody would have to examine
        shutil.rmtree(folder)
        raise
    kept = None if all(line.detail is None for line in lines) else folder
    if kept is None:
        shutil.rmtree(folder)
    return DrillReport(lines=tuple(lines), seconds=time.monotonic() - began_s, folder=kept)


def _rehearse(rehearsal: Scenario, drill: DrillEnvironment) -> ScenarioResult:
    began_s = time.monotonic()
    try:
        rehearsal.run(drill)
    except (ScenarioFailed, AgentError, OSError, subprocess.TimeoutExpired) as error:
        return _line(rehearsal, began_s, str(error))
    finally:
        drill.mend()
    return _line(rehearsal, began_s)


def _line(scenario: Scenario, began_s: float, detail: str | None = None) -> ScenarioResult:
    return ScenarioResult(scenario=scenario, seconds=time.monotonic() - began_s, detail=detail)


def _audit(drill: DrillEnvironment) -> None:
    """Compare the books of both sides."""
    delivered = Counter(entry.clip_sha256 for entry in drill.outbox.entries.in_states(SENT))
    received = Counter(session.video_sha256 for session in drill.sandbox.book.sessions)
    by_the_server = sum(
        len(entry.remarks)
        for entry in drill.outbox.entries.in_states(SENT)
        if any(remark.startswith("second_session:") for remark in entry.remarks)
    )
    hold(set(delivered) == set(received), "what was delivered is what was received")
    doubled = received.total() - len(received)
    hold(doubled == by_the_server, f"{doubled} duplicated, {by_the_server} of them by the server")
    waiting = drill.outbox.listing.counts()["entries"]
    hold(not {"ready", "uploading", "uncertain"} & set(waiting), "nothing is waiting")


_AFTERWARDS = Scenario(
    "books", "the records of both sides are compared", "Every clip once, none lost", _audit
)
