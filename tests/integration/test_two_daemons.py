"""A second daemon on the same state folder: turned away, whatever became of the lock's file."""

import subprocess

import pytest

from agent.sandbox.server import Sandbox
from tests.station import Station, delivered, until


@pytest.mark.parametrize("lock_is_removed", [pytest.param(False, marks=pytest.mark.soak), True])
def test_a_second_daemon_is_turned_away_and_the_upload_of_the_first_goes_on(
    station: Station, sandbox: Sandbox, lock_is_removed: bool
) -> None:
    sandbox.add_fault("slow:rate=300k")
    station.put_clip(size_bytes=1_500_000)
    with station.running():
        until(lambda: station.states() == ["uploading"])
        if lock_is_removed:  # as people do who take it for a stale one
            (station.state / "owner.lock").unlink()
        second = station.start(wait=False)
        try:
            assert second.wait(30) == 75
        except subprocess.TimeoutExpired:
            second.kill()
            second.wait()
            raise
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])
    assert len(sandbox.book.sessions) == 1
    assert "another spotter" in station.log.read_text()
