"""The stage of analysed videos alone, in a process of its own that can be killed.

`python -m tests.crash.fetcher STATE BASE_URL`: goes on from what is on record until nothing is
wished for any more.
"""

import math
import sys
from pathlib import Path

from agent.api.client import ApiClient
from agent.api.storage import Storage
from agent.clock import read_clock
from agent.delivery.download_pace import DownloadPace
from agent.delivery.fetching import VideoFetcher
from agent.delivery.videos import VideoPolicy, VideoStage
from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.space import Space
from agent.outbox.repair.recovery import open_as_owner
from agent.outbox.repair.start import Repair
from agent.stage import StopFlag, ignore_wake
from agent.timetable import parse_timetable


def fetch(state: Path, base_url: str) -> None:
    """Go on until nothing is wished for."""
    folder = StateFolder(state)
    with (
        open_as_owner(state, now_s=read_clock().utc_s) as outbox,
        ApiClient(base_url, now=read_clock) as client,
    ):
        folder.empty_tmp()
        Repair(outbox, folder, now=read_clock).run()
        pace = DownloadPace(
            parse_timetable(""),
            outbox.entries,
            Space(state, min_free_mb=0),
            gives_way=False,
            now=read_clock,
            wait=StopFlag().wait,
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
