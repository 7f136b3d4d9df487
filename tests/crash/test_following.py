"""kill -9 while sessions are followed: none is missed, and what is kept is whole."""

import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.results import read_head, read_session
from agent.sandbox.server import Sandbox
from tests.conftest import REPOSITORY
from tests.factories import NOW_S
from tests.sessions import made_session
from tests.station import KEY, PATIENCE_S

POINTS = (
    *("looked-at-list", "result-written", "result-recorded", "looked-at-session"),
    "result-written:2",
)


class Followed:
    """Sessions at a sandbox, and a follower that can be killed."""

    def __init__(self, root: Path, sandbox: Sandbox, count: int) -> None:
        self.folder, self.clock, self.sandbox = StateFolder(root / "state"), root / "clock", sandbox
        self.clock.write_text(str(NOW_S))
        sandbox.clock = lambda: float(self.clock.read_text())
        self.folder.root.mkdir()
        self.folder.prepare()
        with open_as_owner(self.folder.root, now_s=NOW_S) as outbox:
            for number in range(1, count + 1):
                made_session(outbox, sandbox, number, now_s=NOW_S)

    def start(self, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        words = (str(self.folder.root), self.sandbox.base_url, str(self.clock))
        return subprocess.Popen(
            [sys.executable, "-m", "tests.crash.follower", *words],
            env=dict(environment or {}),
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
        )

    def check(self, count: int) -> None:
        """Everything is completed, every file is as its row says, and the API was left in peace."""
        with Outbox.open(self.folder.root) as outbox:
            assert outbox.follow_ups.counts() == {"completed": count}
            assert outbox.listing.counts()["entries"] == {"completed": count}
            for number in range(1, count + 1):
                entry, result = outbox.entries.by_id(number), outbox.results.of_entry(number)
                assert entry is not None and result is not None
                path = self.folder.result_document(entry.clip_code)
                head, told = read_head(path), read_session(path)
                assert head is not None and told is not None
                assert head.numbers == result.numbers and result.numbers
                assert (result.document_state, head.whole) == ("present", True)
                assert result.document_bytes == path.stat().st_size
                assert result.analysed_video_url
        assert len(list(self.folder.results.iterdir())) == count
        assert not list(self.folder.tmp.iterdir()) and not list(self.folder.set_aside.iterdir())
        minutes = (float(self.clock.read_text()) - NOW_S) / 60
        assert len(self.sandbox.book.requests) <= 3 * minutes + 1


def test_a_kill_at_any_step_misses_no_result(tmp_path: Path) -> None:
    with Sandbox(key=KEY, processing_s=(5.0, 600.0)) as sandbox:
        sandbox.processing.seed(3)
        followed = Followed(tmp_path, sandbox, 8)
        for point in POINTS:
            assert followed.start({"SPOTTER_CRASH_AT": point}).wait(PATIENCE_S) == -9, point

        assert followed.start().wait(PATIENCE_S) == 0
        followed.check(8)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_hundred_sessions_and_five_kills_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(5)
    with Sandbox(key=KEY, processing_s=(5.0, 3600.0)) as sandbox:
        sandbox.processing.seed(5)
        followed = Followed(tmp_path, sandbox, 100)
        for _ in range(5):
            reached = len(sandbox.book.requests) + chance.randrange(1, 25)
            follower = followed.start()
            assert sandbox.book.wait_for(lambda b, n=reached: len(b.requests) >= n, 60)  # type: ignore[misc]  # bound now
            follower.kill()
            assert follower.wait() == -9

        assert followed.start().wait(600) == 0
        followed.check(100)
