"""A lane in this process, on a real outbox, against the sandbox, with a clock of its own."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

import pytest

from agent.api.client import ApiClient
from agent.api.transfer import Timeouts
from agent.bandwidth_schedule import UplinkShare, parse_timetable
from agent.clock import Clock, Instant
from agent.delivery.circuit_breaker import KeyPolicy
from agent.delivery.stage import DeliveryEvents, DeliveryPolicy, DeliveryStage
from agent.disk.state_folder import StateFolder
from agent.outbox.models import ClipTarget, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import LaneState
from agent.outbox.states import EntryState, Recipient
from agent.retry import Backoff
from agent.sandbox.server import Sandbox
from tests.factories import NOW_S, waiting_clip
from tests.station import ATHLETE, KEY

WAIT_S = 120.0
SLOW_S = 1800.0  # between two looks after a time-out
LARGE = 20_000_000  # bytes: no socket buffer holds it
IMPATIENT = Timeouts(stall_s=3, answer_s=3)  # where nothing is answered: a busy machine is slow
_MOST_STEPS = 1000  # a lane that never rests is a fault


@dataclass(slots=True)
class World:
    """A lane and everything around it."""

    outbox: Outbox
    folder: StateFolder
    client: ApiClient
    host: str
    key: str | None = KEY
    settings: KeyPolicy = field(default_factory=KeyPolicy)
    clock_s: float = NOW_S
    schedule: str = ""
    smaller_if_too_large: bool = False
    wait: Callable[[float], None] = field(default=time.sleep)
    recuts_asked: list[float] = field(default_factory=list)  # when the analysis was woken
    lane: DeliveryStage = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def now(self) -> Instant:
        return Instant(utc_s=self.clock_s)

    def start(self) -> None:
        """Make the lane again, as a start of the daemon does."""
        self.lane = DeliveryStage(
            self.outbox,
            self.folder,
            self.client,
            policy=DeliveryPolicy(
                host=self.host,
                key=self.settings,
                read_key=lambda: self.key,
                capture_folder=self.folder.root,
                timetable=parse_timetable(self.schedule, zone=UTC),
                share=UplinkShare(),
                backoff=Backoff(base_s=5.0, longest_s=3600.0),
                reconcile_wait_s=WAIT_S,
                smaller_if_too_large=self.smaller_if_too_large,
            ),
            clock=Clock(now=self.now, monotonic=lambda: self.clock_s, wait=self.wait),
            events=DeliveryEvents(on_recut=lambda: self.recuts_asked.append(self.clock_s)),
        )

    def renew_key(self, sandbox: Sandbox, key: str, *, role: str = "admin") -> None:
        """Let the account have another key, and the station too."""
        sandbox.replace_key(key, role=role)
        self.key = key

    def add(
        self,
        number: int = 1,
        *,
        activity: str = "running",
        exercise: str | None = None,
        user_id: str | None = ATHLETE,
        size_bytes: int = 200_000,
        recipient: Recipient = Recipient.ATHLETE,
        mass_kg: float | None = None,
    ) -> Entry:
        """Put a clip into the outbox, file and all."""
        target = ClipTarget(
            recipient=recipient,
            user_id=user_id,
            activity=activity,
            exercise=exercise,
            barbell_mass_kg=mass_kg,
        )
        return waiting_clip(
            self.outbox,
            self.folder,
            number,
            target=target,
            size_bytes=size_bytes,
            now_s=self.clock_s,
        )

    def run(self, seconds: float = 0.0) -> None:
        """Let the lane work until it has nothing due for so many seconds of its clock."""
        latest_s = self.clock_s + seconds
        for _ in range(_MOST_STEPS):
            wait_s = self.lane.step()
            if wait_s > 0 and self.clock_s + wait_s > latest_s:
                self.clock_s = latest_s
                return
            self.clock_s += wait_s
        raise AssertionError("the lane does not come to rest")

    def entry(self, number: int = 1) -> Entry:
        found = self.outbox.entries.by_id(number)
        assert found is not None
        return found

    def check_delivered_once(self, sandbox: Sandbox, count: int) -> None:
        """By the API's own books: so many clips, each once, each as it was cut."""
        sent = sorted(session.video_sha256 for session in sandbox.book.sessions)
        delivered = self.outbox.entries.in_states({EntryState.UPLOADED})
        assert sent == sorted(entry.clip_sha256 for entry in delivered)
        assert len(sent) == len(set(sent)) == count
        ids = {session.session_id for session in sandbox.book.sessions}
        assert ids == {entry.session_id for entry in delivered}

    def check_fresh_clip_flows(self) -> None:
        """Whatever was: the next clip is delivered."""
        fresh = self.add(90)
        self.run(3700)
        assert self.entry(fresh.id).state == EntryState.UPLOADED

    def states(self) -> list[str]:
        return [str(e.state) for e in self.outbox.entries.in_states(set(EntryState))]

    @property
    def lane_state(self) -> LaneState:
        return self.outbox.lanes.get(self.host)


@pytest.fixture
def timeouts() -> Timeouts:
    """The agent's own; a test that must wait for them says shorter ones."""
    return Timeouts()


@pytest.fixture
def world(tmp_path: Path, sandbox: Sandbox, timeouts: Timeouts) -> Iterator[World]:
    """A lane to the sandbox, with an empty outbox."""
    folder = StateFolder(tmp_path)
    folder.prepare()
    with (
        Outbox.open(tmp_path) as outbox,
        ApiClient(sandbox.base_url, now=lambda: Instant(utc_s=NOW_S), timeouts=timeouts) as client,
    ):
        made = World(outbox=outbox, folder=folder, client=client, host="sandbox")
        yield made
        made.outbox.close()  # a test may have opened another


@contextlib.contextmanager
def way_to(world: World, base_url: str, *, ca_file: Path | None = None) -> Iterator[World]:
    """The same outbox, with a lane to another address."""

    def now() -> Instant:
        return Instant(utc_s=NOW_S, trusted=False)

    with ApiClient(base_url, now=now, timeouts=Timeouts(), ca_file=ca_file) as client:
        yield dataclasses.replace(world, client=client)
