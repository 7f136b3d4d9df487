"""An outbox, a webhook's receiver, and channels on clocks of our own."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.notifications.message import StationReport
from agent.notifications.stage import Feed, NotificationStage, Receiver
from agent.notifications.webhook import Webhook
from agent.outbox.outbox import Outbox
from agent.retry import Backoff
from agent.settings.model import EVENTS
from tests.factories import admitted, instant, new_entry
from tests.receiver import Receiver as WebReceiver

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
STATION = "p3"


@dataclass
class PlayedClock:
    """A monotonic clock that only we move."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Workbench:
    """Channels on one outbox."""

    outbox: Outbox
    clock: PlayedClock = field(default_factory=PlayedClock)
    count: int = 0

    def channel(
        self,
        receiver: Receiver,
        *,
        name: str = "webhook",
        look: Callable[[], StationReport] | None = None,
    ) -> NotificationStage:
        """A channel that goes on from where its cursor is."""
        return NotificationStage(
            self.outbox,
            receiver,
            Feed(self.outbox, name, station=STATION, wanted=EVENTS),
            look=look,
            clock=Clock(now=instant, monotonic=self.clock),
            backoff=Backoff(base_s=2.0, longest_s=300.0),
        )

    def take(self) -> str:
        """Make a clip and return its code."""
        self.count += 1
        new = new_entry(admitted(self.outbox, self.count))
        return self.outbox.entries.create(new, now_s=instant(self.count).utc_s).clip_code

    def turn(self, channel: NotificationStage, *, steps: int = 1) -> None:
        """Let a channel step, each time after any backoff."""
        for _ in range(steps):
            channel.step()
            self.clock.now_s += 301


def webhook(url: str, *, timeout_s: float = 5.0) -> Webhook:
    return Webhook(
        url,
        read_secret=lambda: SECRET,
        ca_file=None,
        timeout_s=timeout_s,
        now=instant,
        check=lambda: None,
    )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with Outbox.open(tmp_path) as outbox:
        outbox.channels.keep(["webhook", "mqtt"])
        yield Workbench(outbox)


@pytest.fixture
def receiver() -> Iterator[WebReceiver]:
    with WebReceiver() as running:
        yield running


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox.open(tmp_path) as opened:
        yield opened
