"""The environment of a drill: its own station, the sandbox, and the real daemon."""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from agent.clock import read_clock
from agent.demo import end_daemon, run_command, start_daemon
from agent.disk.state_folder import StateFolder
from agent.outbox.models import Capture, ClipTarget, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import LaneState
from agent.outbox.states import CaptureState, EntryState, Recipient
from agent.sandbox.server import Sandbox
from agent.station import clip_actions, manual_takes
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
        manual_takes.add_take(self.outbox, capture, start_s=start_s, end_s=end_s, now_s=now_s)
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
        released = clip_actions.release(self.outbox, chosen, said=said, station=said, now_s=now_s)
        wake(self._state.wake_socket)
        return released

    def entry(self, entry: Entry) -> Entry:
        """Return an entry as it stands now."""
        found = self.outbox.entries.by_id(entry.id)
        assert found is not None  # rows are never deleted
        return found

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
