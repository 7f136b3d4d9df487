"""kill -9 while a video is fetched: it goes on from where it was, and is kept once, whole."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from agent.disk.state_folder import StateFolder, part_of
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.results import NewResult
from agent.sandbox.server import Sandbox
from tests.analysed import analysed_session, link_of, mp4
from tests.conftest import REPOSITORY
from tests.factories import NOW_S, ready_entry
from tests.station import KEY, PATIENCE_S, until

POINTS = ("video-fetching", "video-arrived", "video-moved")
VIDEO = mp4(3_000_000)


def start(
    folder: StateFolder, sandbox: Sandbox, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    words = (str(folder.root), sandbox.base_url)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.crash.fetcher", *words],
        env=dict(environment or {}),
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
    )


def test_a_kill_at_any_step_or_in_mid_body_costs_only_the_rest(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    folder.root.mkdir()
    folder.prepare()
    with Sandbox(key=KEY, processing_s=0.0) as sandbox:
        session = analysed_session(sandbox, VIDEO)
        with open_as_owner(folder.root, now_s=NOW_S) as outbox:
            entry = ready_entry(outbox)
            outbox.entries.adopt_session(
                entry.id, session_id=session.session_id, server_title=None, now_s=NOW_S
            )
            told = NewResult(
                numbers={}, analysed_video_url=link_of(sandbox, session), document_bytes=0
            )
            assert outbox.results.record(entry.id, told, now_s=NOW_S)
            outbox.videos.want(entry.id, now_s=NOW_S)
        final = folder.analysed_video(entry.clip_code)

        sandbox.add_fault("slow:rate=1M@storage")
        killed = start(folder, sandbox)
        until(lambda: part_of(final).exists() and part_of(final).stat().st_size > 700_000)
        killed.kill()
        assert killed.wait() == -9
        kept = part_of(final).stat().st_size
        for point in POINTS:
            assert start(folder, sandbox, {"SPOTTER_CRASH_AT": point}).wait(PATIENCE_S) == -9, point
        assert start(folder, sandbox).wait(PATIENCE_S) == 0
        rest = [r.sent_bytes for r in sandbox.book.requests if r.status == 206]

    assert final.read_bytes() == VIDEO
    assert rest == [len(VIDEO) - kept]
    assert [path.name for path in folder.results.iterdir()] == [final.name]
    assert not list(folder.set_aside.iterdir())
    with Outbox.open(folder.root) as outbox:
        assert outbox.videos.state(entry.id) == "present"
