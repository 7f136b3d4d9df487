"""The demo cleans up after itself."""

import os
import subprocess
import sys
from pathlib import Path

from tests.station import until


def lock_in(folder: Path) -> str:
    """What the demo's daemon has written into its lock, once it has."""
    return "".join(path.read_text() for path in folder.glob("spotter-demo-*/state/owner.lock"))


def test_a_demo_that_is_ended_ends_everything_that_it_started(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with told.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "-m", "agent", "demo", "--keep"],
            stdout=out,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    until(lambda: lock_in(tmp_path), timeout_s=80)
    daemon = int(lock_in(tmp_path))
    assert Path(f"/proc/{daemon}").exists()

    demo.terminate()

    assert demo.wait(15) == 130
    assert not Path(f"/proc/{daemon}").exists()
    assert [path for path in tmp_path.iterdir() if path != told] == []
