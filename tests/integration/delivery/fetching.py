"""Analysed videos at the sandbox, and the stage that fetches them by a clock of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC

from agent.api.client import ApiKey
from agent.api.downloads import DownloadProgress, Storage
from agent.api.transfer import Timeouts
from agent.bandwidth_schedule import parse_timetable
from agent.clock import Clock
from agent.disk.space import DiskSpace
from agent.outbox.models import Entry
from agent.outbox.results import NewResult, Result
from agent.results.videos import DownloadPace, VideoFetcher, VideoPolicy, VideoStage
from agent.sandbox.server import Sandbox
from tests.analysed import analysed_session, link_of, mp4
from tests.factories import ready_entry
from tests.integration.delivery.conftest import World
from tests.station import KEY

VIDEO = mp4(600_000)


class HookedPace(DownloadPace):
    """A pace on which a test looks on."""

    hook: Callable[[DownloadProgress], None] = staticmethod(lambda _progress: None)

    def __call__(self, progress: DownloadProgress) -> None:
        """Tell the test, then keep the pace."""
        self.hook(progress)
        super().__call__(progress)


@dataclass
class Fetching:
    """Videos that can be wished for, and the stage that fetches them."""

    world: World
    sandbox: Sandbox
    policy: VideoPolicy = field(default_factory=VideoPolicy)
    schedule: str = ""
    min_free_mb: float = 0.0
    is_open: bool = True

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Make the stage again, as a start of the daemon does."""
        world = self.world
        self.space = DiskSpace(world.folder.root, min_free_mb=self.min_free_mb)
        self.pace = HookedPace(
            parse_timetable(self.schedule, zone=UTC),
            world.outbox.entries,
            self.space,
            gives_way=self.policy.when == "always",
            clock=Clock(now=world.now, monotonic=lambda: world.clock_s, wait=lambda _seconds: None),
        )
        fetcher = VideoFetcher(
            Storage(
                self.sandbox.base_url,
                now=world.now,
                timeouts=Timeouts(),
                check=lambda: None,
            ),
            world.client,
            key=lambda: ApiKey(token=KEY, header="Authorization") if self.is_open else None,
            note_link=lambda id_, link: world.outbox.results.note_link(
                id_, link, now_s=world.clock_s
            ),
            most_bytes=2_000_000,
            now=world.now,
        )
        self.stage = VideoStage(
            world.outbox, world.folder, fetcher, self.pace, policy=self.policy, now=world.now
        )

    def analysed(self, number: int = 1, *, link: str | None = None) -> Entry:
        """Let a clip's analysis be there."""
        outbox = self.world.outbox
        session = analysed_session(self.sandbox, VIDEO, activity="weightlifting")
        adopted = outbox.entries.adopt_session(
            ready_entry(outbox, number).id,
            session_id=session.session_id,
            server_title=None,
            now_s=self.world.clock_s,
        )
        assert adopted is not None
        told = link_of(self.sandbox, session) if link is None else link
        new = NewResult(numbers={}, analysed_video_url=told, document_bytes=0)
        assert outbox.results.record(adopted.id, new, now_s=self.world.clock_s)
        return adopted

    def wished(self, number: int = 1, *, link: str | None = None) -> Entry:
        """Let somebody wish for a clip's analysed video."""
        entry = self.analysed(number, link=link)
        assert self.world.outbox.videos.want(entry.id, now_s=self.world.clock_s) == "wanted"
        return entry

    def run(self, seconds: float = 0.0) -> float:
        """Let the stage work until it has nothing due for so many seconds of its clock."""
        latest_s = self.world.clock_s + seconds
        for _ in range(100):
            wait_s = self.stage.step()
            if wait_s > 0 and self.world.clock_s + wait_s > latest_s:
                return wait_s
            self.world.clock_s += wait_s
        raise AssertionError("the stage does not come to rest")

    def result(self, number: int = 1) -> Result:
        found = self.world.outbox.results.of_entry(number)
        assert found is not None
        return found

    def content(self, number: int = 1) -> bytes:
        return self.world.folder.analysed_video(self.world.entry(number).clip_code).read_bytes()

    @property
    def names(self) -> list[str]:
        """What lies in the folder of results."""
        return sorted(path.suffix for path in self.world.folder.results.iterdir())
