"""The demo that is kept up, and ends with everything that it started."""

import re
import subprocess
import sys
from pathlib import Path

from tests.station import until


def test_a_kept_demo_goes_on_and_ends_with_its_daemon(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with told.open("wb") as out:
        demo = subprocess.Popen([sys.executable, "-m", "agent", "demo", "--keep"], stdout=out)
    until(lambda: "Ctrl-C ends it" in told.read_text(), timeout_s=80)
    capture = Path(re.findall(r"^ +(/.*capture)$", told.read_text(), flags=re.MULTILINE)[0])
    daemon = int((capture.parent / "state" / "owner.lock").read_text())
    assert Path(f"/proc/{daemon}").exists()

    demo.terminate()

    assert demo.wait(15) == 0
    assert not Path(f"/proc/{daemon}").exists()
