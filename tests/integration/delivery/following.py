"""Sessions at the sandbox, and the stage that follows them by a clock of its own."""

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agent.api.client import ApiKey
from agent.disk.space import DiskSpace
from agent.outbox.models import Entry
from agent.outbox.results import FollowUp, Result
from agent.results.follow_up import (
    FollowUpPolicy,
    FollowUpRecorder,
    FollowUpStage,
    ResultStore,
    Share,
)
from agent.sandbox.server import Sandbox
from tests.integration.delivery.conftest import World
from tests.sessions import made_session
from tests.station import KEY


@dataclass
class Following:
    """Sessions at the sandbox, and the stage that follows them by a clock of its own."""

    world: World
    sandbox: Sandbox
    policy: FollowUpPolicy = field(default_factory=FollowUpPolicy)
    is_open: bool = True
    rang: int = 0
    share: Share = field(default=lambda: 1.0)

    def __post_init__(self) -> None:
        self.sandbox.clock = lambda: self.world.clock_s
        self.start()

    def start(self) -> None:
        """Make the stage again, as a start of the daemon does."""
        space = DiskSpace(self.world.folder.root, min_free_mb=0)
        recorder = FollowUpRecorder(
            self.world.outbox,
            ResultStore(self.world.outbox, self.world.folder, space, now=self.world.now),
            self.policy,
            now=self.world.now,
            wake_next=self._ring,
            share=lambda: self.share(),
        )
        self.stage = FollowUpStage(
            self.world.outbox,
            self.world.client,
            recorder,
            policy=self.policy,
            key=lambda: ApiKey(token=KEY, header="Authorization") if self.is_open else None,
            now=self.world.now,
        )

    def _ring(self) -> None:
        self.rang += 1

    def deliver(self, number: int = 1) -> Entry:
        """Let a clip have become a session, as an upload or a look-up leaves it."""
        return made_session(self.world.outbox, self.sandbox, number, now_s=self.world.clock_s)

    def run(self, seconds: float = math.inf) -> None:
        """Let the stage work for so long by its clock, or until there is nothing left to do."""
        latest_s = self.world.clock_s + seconds
        for _ in range(10_000):
            wait_s = self.stage.step()
            if self.world.clock_s + wait_s > latest_s or math.isinf(wait_s):
                self.world.clock_s = self.world.clock_s if math.isinf(seconds) else latest_s
                return
            self.world.clock_s += wait_s
        raise AssertionError("the stage does not come to rest")

    def follow_up(self, number: int = 1) -> FollowUp:
        found = self.world.outbox.follow_ups.of_entry(number)
        assert found is not None
        return found

    def result(self, number: int = 1) -> Result:
        found = self.world.outbox.results.of_entry(number)
        assert found is not None
        return found

    def document(self, number: int = 1) -> Path:
        return self.world.folder.result_document(self.world.entry(number).clip_code)

    def asked(self) -> Counter[str]:
        """How often each kind of address was asked."""
        kinds = {"session-management": "list", "weightlifting": "one"}
        paths = [request.path for request in self.sandbox.book.requests]
        return Counter(
            "link" if "analyzed-video" in path else kinds[path.split("/")[1]] for path in paths
        )
