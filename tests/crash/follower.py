"""The follow-up stage alone, in a process of its own that can be killed, by a clock that is played.

`python -m tests.crash.follower STATE BASE_URL CLOCK`: goes on from what is on record until there
is nothing left to ask about; the file CLOCK holds the time, for the sandbox too.
"""

import math
import sys
from pathlib import Path

from agent.api.client import ApiClient, ApiKey
from agent.clock import Instant
from agent.disk.space import DiskSpace
from agent.disk.state_folder import StateFolder
from agent.outbox.consistency import ConsistencyCheck
from agent.outbox.recovery import open_as_owner
from agent.results.follow_up import FollowUpPolicy, FollowUpRecorder, FollowUpStage, ResultStore
from tests.station import KEY


def follow(state: Path, base_url: str, clock: Path) -> None:
    """Go on until everything is known."""

    def now() -> Instant:
        return Instant(utc_s=float(clock.read_text()))

    folder = StateFolder(state)
    folder.prepare()
    with (
        open_as_owner(state, now_s=now().utc_s) as outbox,
        ApiClient(base_url, now=now) as client,
    ):
        folder.empty_tmp()
        ConsistencyCheck(outbox, folder, now=now).run()
        store = ResultStore(outbox, folder, DiskSpace(state, min_free_mb=0), now=now)
        policy = FollowUpPolicy()
        stage = FollowUpStage(
            outbox,
            client,
            FollowUpRecorder(outbox, store, policy, now=now),
            policy=policy,
            key=lambda: ApiKey(token=KEY, header="Authorization"),
            now=now,
        )
        while not math.isinf(wait_s := stage.step()):
            unfinished = clock.with_suffix(".new")
            unfinished.write_text(str(now().utc_s + wait_s))
            unfinished.replace(clock)


if __name__ == "__main__":
    follow(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
