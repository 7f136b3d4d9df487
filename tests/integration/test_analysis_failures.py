"""When the analysis itself fails: the file's fault or the box's."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from agent.sandbox.server import Sandbox
from tests.station import Station, child_of, delivered, until
from tests.videos import film_run


def reads_a_capture(process_id: int | None) -> bool:
    """Whether a process has a capture open."""
    if process_id is None:
        return False
    opened = Path(f"/proc/{process_id}/fd")
    with contextlib.suppress(OSError):
        return any("/captures/" in str(fd.readlink()) for fd in opened.iterdir())
    return False


@pytest.mark.parametrize(("policy", "state"), [("hold", "held"), ("upload_whole", "uploaded")])
def test_a_file_on_which_the_analysis_dies_is_kept_whole(
    tmp_path: Path, sandbox: Sandbox, policy: str, state: str
) -> None:
    station = Station(
        tmp_path, sandbox.base_url, {"analysis": {"on_analysis_failure": policy, "poster": False}}
    )
    film_run(station.capture / "long.mp4", seconds=12)
    original = (station.capture / "long.mp4").read_bytes()
    daemon = station.start()
    until(lambda: [row["state"] for row in station.rows()] == ["analysing"])
    until(lambda: reads_a_capture(child_of(daemon.pid)))  # the box itself is measured before

    pid = child_of(daemon.pid)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    until(lambda: station.states() == [state])
    daemon.terminate()
    assert daemon.wait(12) == 0
    (entry,) = station.entries()
    assert entry["reason"] == ("analysis_failed" if policy == "hold" else None)
    clip = station.state / "clips" / f"{entry['clip_code']}.mp4"
    assert clip.read_bytes() == original
    assert len(sandbox.book.sessions) == (0 if policy == "hold" else 1)


def test_a_box_that_cannot_analyse_keeps_everything_and_says_so(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    model = tmp_path / "broken.task"
    model.write_bytes(b"not a model")
    station = Station(
        tmp_path, sandbox.base_url, {"analysis": {"model": str(model), "poster": False}}
    )
    film_run(station.capture / "one.mp4")

    with station.running():
        until(lambda: "analysis postponed" in station.log.read_text())
        until(lambda: [row["state"] for row in station.rows()] == ["captured"])

    mended = Station(tmp_path, sandbox.base_url)
    with mended.running():
        assert delivered(sandbox, 1)
