"""kill -9 at every step of sending a clip again: the right session once, the wrong one gone."""

import sqlite3
from contextlib import closing

from agent.outbox.database_file import DATABASE_NAME
from agent.sandbox.server import Sandbox
from tests.station import PATIENCE_S, Station, delivered, until

POINTS = (
    "resend-linked",
    "resend-entered",
    "after-answer",
    "resend-delivered",
    "resend-deleted",
)


def restart_the_box(station: Station) -> None:
    """Let what can be undone be of an earlier boot: nothing is left to wait for."""
    with closing(sqlite3.connect(station.state / DATABASE_NAME)) as outbox:
        outbox.execute("UPDATE undoable SET boot_id = 'earlier'")
        outbox.commit()


def test_a_kill_at_any_step_sends_it_anew_once(station: Station, sandbox: Sandbox) -> None:
    station.put_clip()
    with station.running():
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])
    station.spotter("outbox", "resend", "e1", "--user-id", "athlete-0002")
    restart_the_box(station)

    for point in POINTS:
        daemon = station.start({"SPOTTER_CRASH_AT": point})
        assert daemon.wait(PATIENCE_S) == -9, f"{point} was never passed"

    with station.running():
        until(lambda: station.states() == ["discarded", "uploaded"])
        until(lambda: len(sandbox.book.sessions) == 1)
    assert [session.user_id for session in sandbox.book.sessions] == ["athlete-0002"]
    codes = {f"{row['clip_code']}.mp4" for row in station.entries()}
    assert {path.name for path in (station.state / "clips").glob("*.mp4")} == codes
