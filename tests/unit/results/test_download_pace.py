"""How fast videos come in."""

from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

import pytest

from agent.api.downloads import DownloadProgress
from agent.bandwidth_schedule import parse_timetable
from agent.clock import Clock, Instant
from agent.disk.space import DiskSpace
from agent.outbox.outbox import Outbox
from agent.results.videos import DownloadPace, NoRoomError
from tests.factories import NOW_S


@dataclass
class PlayedClock:
    """A clock that moves when somebody waits."""

    now_s: float = NOW_S
    waits: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds


def fetched_in_s(outbox: Outbox, schedule: str, *, size_bytes: int) -> float:
    clock = PlayedClock()
    pace = DownloadPace(
        parse_timetable(schedule, zone=UTC),
        outbox.entries,
        DiskSpace(outbox.database.path.parent, min_free_mb=0),
        gives_way=False,
        clock=Clock(
            now=lambda: Instant(utc_s=clock.now_s),
            monotonic=lambda: clock.now_s,
            wait=clock.wait,
        ),
    )
    for have_bytes in range(0, size_bytes + 1, 50_000):
        pace(
            DownloadProgress(
                part_bytes=50_000 if have_bytes else 0,
                have_bytes=have_bytes,
                total_bytes=size_bytes,
                can_resume=True,
            )
        )
    assert all(wait <= 0.2 for wait in clock.waits), "the daemon may end at any moment"
    return clock.now_s - NOW_S


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [("", 0.0), ("Mon-Sat = off, else unlimited", 0.0), ("500kB/s", 10.0), ("100kB/s", 50.0)],
)
def test_a_cap_of_the_timetable_holds_for_what_comes_in(
    tmp_path: Path, schedule: str, seconds: float
) -> None:
    with Outbox.open(tmp_path) as outbox:
        took_s = fetched_in_s(outbox, schedule, size_bytes=5_000_000)

    assert took_s == pytest.approx(seconds, abs=0.5)


def test_what_finds_no_room_does_not_begin(tmp_path: Path) -> None:
    with Outbox.open(tmp_path) as outbox, pytest.raises(NoRoomError, match="the disk lacks"):
        fetched_in_s(outbox, "", size_bytes=1 << 60)
