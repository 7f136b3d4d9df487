"""The stage of analysed videos alone, in a process of its own that can be killed.

`python -m tests.crash.fetcher STATE BASE_URL`: goes on from what is on record until nothing is
wished for any more.
"""

import math
import sys
from pathlib import Path

from agent.api.client import ApiClient
from agent.api.downloads import Storage
from agent.bandwidth_schedule import parse_timetable
from agent.clock import Clock, read_clock
from agent.disk.space import DiskSpace
from agent.disk.state_folder import StateFolder
from agent.outbox.consistency import ConsistencyCheck
from agent.outbox.recovery import open_as_owner
from agent.results.videos import DownloadPace, VideoFetcher, VideoPolicy, VideoStage
from agent.stage import StopFlag, ignore_wake


def fetch(state: Path, base_url: str) -> None:
    """Go on until nothing is wished for."""
    folder = StateFolder(state)
    with (
        open_as_owner(state, now_s=read_clock().utc_s) as outbox,
        ApiClient(base_url, now=read_clock) as client,
    ):
        folder.empty_tmp()
        ConsistencyCheck(outbox, folder, now=read_clock).run()
        pace = DownloadPace(
            parse_timetable(""),
            outbox.entries,
            DiskSpace(state, min_free_mb=0),
            gives_way=False,
            clock=Clock(wait=StopFlag().wait),
        )
        fetcher = VideoFetcher(
            Storage(base_url, now=read_clock, check=ignore_wake),
            client,
            key=lambda: None,
            note_link=lambda _id, _link: None,
            most_bytes=1 << 30,
            now=read_clock,
        )
        stage = VideoStage(outbox, folder, fetcher, pace, policy=VideoPolicy(), now=read_clock)
        while not math.isinf(stage.step()):
            pass


if __name__ == "__main__":
    fetch(Path(sys.argv[1]), sys.argv[2])
