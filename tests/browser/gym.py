"""A gym for the browser tests: the real daemon and sandbox, and takes as if they had been filmed.

Takes are put into the outbox as the analysis would; from there on the daemon does what it does.
"""

import contextlib
import hashlib
import json
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import cv2

from agent.clock import read_clock
from agent.disk.state_folder import StateFolder
from agent.outbox.models import (
    Capture,
    CaptureEvidence,
    ClipFile,
    ClipSource,
    ClipTarget,
    Entry,
    FileFacts,
    NewEntry,
    Take,
    derive_clip_code,
)
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, Reason, Recipient
from agent.sandbox.server import Sandbox
from agent.settings import load_settings
from agent.station.assignments import (
    StationRules,
    assign_nobody,
    assign_person,
    set_rotate,
    station_rules,
)
from agent.station.check_in import CheckIn
from agent.synthetic import SceneCamera, Segment, Storyboard
from agent.synthetic.render import draw_frame
from agent.wakeup import wake
from tests.came_back import analysed
from tests.served_page import free_port
from tests.station import KEY, Daemon, Station, until

ADA, JOERG, ANNA = "someUserId123", "athlete-0002", "athlete-0004"
_SMALL = (320, 180)
_FPS = 6.0


# Two joints, a bone; the upper one goes from the left to the right in four seconds.
_SKELETON = {
    "schema": 1,
    "scale": 1000,
    "bones": [[0, 1]],
    "times_ms": list(range(0, 4001, 200)),
    "points": [[at // 4, 250, 500, 750] for at in range(0, 4001, 200)],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What a take looks like."""

    poster: bytes
    strip: bytes
    clip: bytes
    skeleton: str = json.dumps(_SKELETON)


@dataclass(slots=True)
class Gym:
    """One station with its page, and the API that it sends to."""

    station: Station
    sandbox: Sandbox
    outbox: Outbox
    daemon: Daemon
    taken: int = field(default=0)

    @property
    def address(self) -> str:
        """Where the page is."""
        listen = str(self.station.settings["web"]["listen"])
        return f"http://{listen}"

    @property
    def rules(self) -> StationRules:
        """What is done here where no coach has said otherwise."""
        return station_rules(load_settings(self.station.config))

    def put(self, key: str, *, mass_kg: float | None = None, idle_s: float | None = None) -> None:
        """Put somebody on the station, as the command line does; for so long without a take."""
        rules = self.rules if idle_s is None else replace(self.rules, idle_s=idle_s)
        wanted = replace(rules.default, barbell_mass_kg=mass_kg)
        assign_person(
            self.outbox, key, wanted, rules=rules, now=read_clock(), set_by="command line"
        )
        wake(self.folder.wake_socket)

    @property
    def folder(self) -> StateFolder:
        return StateFolder(self.station.state)

    def film(
        self,
        user_id: str | None = ADA,
        *,
        mass_kg: float = 60.0,
        exercise: str = "snatch",
        reps: int = 1,
        goes_in_s: float = 0.0,
        filmed_ago_s: float = 30.0,
        quality: tuple[str, ...] = (),
        reason: Reason = Reason.UNASSIGNED,
        shown: "Footage | None" = None,
    ) -> Entry:
        """Let a take be there as if it had just been filmed and cut."""
        shown = shown or small_footage()
        self.taken += 1
        now = read_clock()
        with self.outbox.transaction():  # or the daemon would look into it
            capture = self._capture(self.taken, quality, reps)
        code = derive_clip_code(capture.sha256, 1)
        clip = self.folder.clips / f"{code}.mp4"
        own = (12).to_bytes(4) + b"free" + self.taken.to_bytes(4)  # a box that no player shows
        clip.write_bytes(shown.clip + own)
        poster, strip = self.folder.pictures_of(code)
        self.folder.skeleton_of(code).write_text(shown.skeleton)
        poster.write_bytes(shown.poster)
        strip.write_bytes(shown.strip)
        known = user_id is not None
        entry = self.outbox.entries.create(
            NewEntry(
                clip_code=code,
                generation=0,
                sources=(ClipSource(capture_id=capture.id, take_number=1, start_s=0.0, end_s=5.5),),
                state=EntryState.READY if known else EntryState.HELD,
                reason=None if known else reason,
                due_at=now.utc_s + goes_in_s,
                clip=ClipFile(
                    stored_name=clip.name,
                    sha256=hashlib.sha256(clip.read_bytes()).hexdigest(),
                    size_bytes=clip.stat().st_size,
                    seconds=5.5,
                ),
                target=ClipTarget(
                    recipient=Recipient.ATHLETE if known else Recipient.UNKNOWN,
                    user_id=user_id,
                    activity="weightlifting",
                    exercise=exercise,
                    barbell_mass_kg=mass_kg,
                ),
                filmed_at=now.utc_s - filmed_ago_s,
            ),
            now_s=now.utc_s,
        )
        wake(self.folder.wake_socket)
        return entry

    def clear(self) -> None:
        """Let nobody be on the station and nothing wait."""
        now = read_clock()
        self.outbox.queue.clear()
        CheckIn(self.outbox, self.folder).dismiss()
        for group in self.outbox.groups.all():
            self.outbox.groups.remove(group.id, now_s=now.utc_s)
        set_rotate(self.outbox, on=False)
        assign_nobody(self.outbox, now=now, set_by="command line")
        for state in (EntryState.READY, EntryState.HELD):
            for entry in self.outbox.entries.in_states({state}):
                self.outbox.entries.move(entry, EntryState.DISCARDED, now_s=now.utc_s)
        for capture in self.outbox.captures.in_state(CaptureState.QUARANTINED):
            self.outbox.captures.move(capture, CaptureState.DISCARDED, now_s=now.utc_s)
        wake(self.folder.wake_socket)

    def stop(self) -> None:
        """End the daemon as systemd would."""
        self.daemon.send_signal(signal.SIGTERM)
        assert self.daemon.wait(12) == 0, self.station.log.read_text()[-3000:]

    def start(self) -> None:
        """Start it again."""
        self.daemon = self.station.start()

    def analyse(self, entry: Entry, **numbers: float) -> None:
        """Let a take be delivered, and its analysis be there, as if the station had looked."""
        until(lambda: self.state_of(entry) is EntryState.UPLOADED)
        analysed(self.outbox, entry, numbers)

    def state_of(self, entry: Entry) -> EntryState:
        """How far a take is by now."""
        found = self.outbox.entries.by_id(entry.id)
        assert found is not None
        return found.state

    def _capture(self, number: int, quality: tuple[str, ...], reps: int) -> Capture:
        now = read_clock()
        capture = self.outbox.captures.admit(
            sha256=hashlib.sha256(os.urandom(16)).hexdigest(),
            file_name=f"set-{number}.mp4",
            stored_name=f"set-{number}.mp4",
            facts=FileFacts(size_bytes=1000, mtime_ns=1, inode=number),
            evidence=CaptureEvidence(grew_until=now, appeared=now, mtime_s=now.utc_s),
            now_s=now.utc_s,
        )
        claimed = self.outbox.captures.move(capture, CaptureState.ANALYSING, now_s=now.utc_s)
        assert claimed is not None, "the daemon was quicker"
        take = Take(
            number=0, start_s=0.0, end_s=5.5, active_start_s=0.2, active_end_s=5.3, reps=reps
        )
        report = {
            "quality": [{"code": code, "at_s": None} for code in quality],
            "video": {"fps": _FPS},
        }
        self.outbox.takes.record(claimed, [take], report=json.dumps(report))
        moved = self.outbox.captures.move(claimed, CaptureState.ANALYSED, now_s=now.utc_s)
        assert moved is not None
        return moved


@contextlib.contextmanager
def open_gym(root: Path, **web: object) -> Iterator[Gym]:
    """Open a gym: weightlifting, nobody on the station."""
    with Sandbox(key=KEY, processing_s=0.0) as sandbox:
        station = Station(
            root,
            sandbox.base_url,
            settings={
                "station": {
                    **{"id": "p3", "name": "Platform 3", "user_id": None},
                    **{"activity": "weightlifting", "exercise": "snatch"},
                },
                "delivery": {"send_delay_s": 20, "backoff_base_s": 0.2},
                "web": {"listen": f"127.0.0.1:{free_port()}", **web},
            },
        )
        daemon = station.start()
        with Outbox.open(station.state) as outbox:
            gym = Gym(station, sandbox, outbox, daemon)
            try:
                until(lambda: outbox.roster.count() > 3)
                yield gym
            finally:
                gym.stop()


@cache
def small_footage(size: tuple[int, int] = _SMALL) -> Footage:
    """Return a snatch, small; drawn once."""
    width, height = size
    story = Storyboard([Segment("snatch")], width=width, height=height, fps=_FPS)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        SceneCamera(story).record(clip)
        content = clip.read_bytes()
    frames = [cv2.cvtColor(draw_frame(story, n), cv2.COLOR_RGB2BGR) for n in range(2, 32, 5)]
    strip = cv2.resize(cv2.hconcat(frames), (720, 720 * height // (len(frames) * width)))
    return Footage(poster=_jpeg(frames[3]), strip=_jpeg(strip), clip=content)


def _jpeg(image: object) -> bytes:
    done, encoded = cv2.imencode(".jpg", image)  # type: ignore[call-overload]  # an array
    assert done
    return bytes(encoded.tobytes())
