"""The camera's user acts in its own folder, at full speed, while recordings are taken in."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.clock import read_clock
from agent.disk.state_folder import StateFolder
from agent.errors import AgentError
from agent.intake.admission import Admission
from agent.intake.folder import CaptureFolder, UnsettledError
from agent.outbox.outbox import Outbox
from tests.attack.users import CAMERA, GROUP, as_user, need_users
from tests.conftest import REPOSITORY
from tests.factories import evidence
from tests.hardened import directives
from tests.station import PATIENCE_S

ROUNDS = 600
ENOUGH_S = 90  # a machine with one core and much else to do still stores something within it

# A folder and a link change places (renameat2, RENAME_EXCHANGE) as fast as the system allows.
SWAPPING = """
import ctypes, os, random, sys, time
libc, content = ctypes.CDLL(None), sys.argv[1].encode()
os.mkdir("today")
os.symlink(sys.argv[2], "link")
print("begun", flush=True)
number = 0
while not os.path.exists(".stop"):
    number += 1
    with open("today/.new", "wb") as file:
        file.write(content or b"recording %d" % number * 1000)
    os.rename("today/.new", "today/" + sys.argv[3])
    for rest_s in (0, 0, 0, 0, 0.001, 0.004, 0.016):
        for _ in range(2):
            time.sleep(rest_s * random.random())
            libc.renameat2(-100, b"today", -100, b"link", 2)
"""

# A camera program that uses one name for every recording, mostly without a rest.
ROTATING = """
import os, time
print("begun", flush=True)
number = 0
while not os.path.exists(".stop"):
    number += 1
    with open("next.part", "wb") as file:
        file.write(b"recording %d" % number * 20_000)
    os.rename("next.part", "now.mp4")
    if number % 20 == 0:
        time.sleep(0.02)
"""


class Gate:
    """A station's intake, with every right there is, and a capture folder of the camera's."""

    def __init__(self, root: Path, outbox: Outbox) -> None:
        self.root = root
        self.outbox = outbox
        self.folder = StateFolder(root / "state")
        self.capture = root / "capture"
        self.capture.mkdir()
        os.chown(self.capture, CAMERA, GROUP)
        self.admission = Admission(outbox, self.folder, now=read_clock, capture=self.capture)
        self._scanned = CaptureFolder(self.capture, suffixes=frozenset({".mp4"}), now=read_clock)

    def take_in(self, rounds: int, *, until: Callable[[], object] = lambda: True) -> None:
        """Look and take in what is seen, at least so many times, and until that holds."""
        deadline = time.monotonic() + ENOUGH_S
        while rounds > 0 or not until():
            assert time.monotonic() < deadline, f"{rounds} rounds to go, stored {self.stored()}"
            rounds -= 1
            self._take_in_once()

    def _take_in_once(self) -> None:
        seen = []
        with contextlib.suppress(OSError):
            seen = list(self._scanned.scan())
        for path, facts in seen:
            with contextlib.suppress(AgentError, UnsettledError, OSError):
                self.admission.admit(path, expected=facts, evidence=evidence())
        with contextlib.suppress(AgentError, UnsettledError, OSError):
            self.admission.resume()

    def stored(self) -> list[Path]:
        return sorted(self.folder.captures.glob("*.mp4"))

    def wrong_hashes(self) -> list[str]:
        return [
            path.name
            for path in self.stored()
            if hashlib.sha256(path.read_bytes()).hexdigest() != path.stem
        ]

    @contextmanager
    def camera(self, code: str, *arguments: object) -> Iterator[None]:
        """Let the camera's user act meanwhile."""
        words = [sys.executable, "-I", "-c", code, *map(str, arguments)]
        with subprocess.Popen(
            as_user(CAMERA, GROUP, words=words), cwd=self.capture, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            try:
                yield
            finally:
                (self.capture / ".stop").touch()
            assert process.wait(PATIENCE_S) == 0


@pytest.fixture
def gate() -> Iterator[Gate]:
    """An intake beside the folder of the camera's user."""
    need_users()
    root = Path(tempfile.mkdtemp(prefix="spotter-attack-"))
    root.chmod(0o755)
    try:
        StateFolder(root / "state").prepare()
        with Outbox.open(root / "state") as outbox:
            yield Gate(root, outbox)
    finally:
        shutil.rmtree(root)


def test_a_folder_that_is_swapped_for_a_link_takes_nothing_from_elsewhere(gate: Gate) -> None:
    elsewhere = gate.root / "elsewhere"
    elsewhere.mkdir(0o700)
    precious = elsewhere / "set.mp4"
    precious.write_bytes(b"root's own")

    with gate.camera(SWAPPING, "", elsewhere, "set.mp4"):
        gate.take_in(ROUNDS, until=gate.stored)

    assert [path.name for path in elsewhere.iterdir()] == ["set.mp4"]
    assert precious.read_bytes() == b"root's own"
    assert gate.stored() and gate.wrong_hashes() == []


def test_a_link_to_what_is_stored_already_costs_no_recording(gate: Gate) -> None:
    """A copy of a recording that is known is removed: never by way of a link to the recording."""
    content = b"the only copy" * 100
    (gate.capture / "first.mp4").write_bytes(content)
    gate.take_in(1)
    (stored,) = gate.stored()

    with gate.camera(SWAPPING, content.decode(), gate.folder.captures, stored.name):
        gate.take_in(ROUNDS)

    assert gate.stored() == [stored] and stored.read_bytes() == content


def test_a_name_that_is_used_for_every_recording_stores_none_under_anothers_hash(
    gate: Gate,
) -> None:
    with gate.camera(ROTATING):
        gate.take_in(ROUNDS, until=gate.stored)

    assert gate.stored() and gate.wrong_hashes() == []


def test_in_its_unit_the_camera_sees_nothing_of_what_is_kept_but_its_folder() -> None:
    """The unit's own lines are carried out in a mount namespace."""
    need_users()
    unit = directives(REPOSITORY / "systemd" / "spotter-recorder@.service")
    (hidden,) = [value.partition(":")[0] for name, value in unit if name == "TemporaryFileSystem"]
    (bound,) = [value.lstrip("-") for name, value in unit if name == "BindPaths"]
    closed = [value.lstrip("-") for name, value in unit if name == "InaccessiblePaths"]
    assert (hidden, closed) == ("/var/lib", ["/etc/spotter"])
    script = """
    set -e
    umask 000
    mount -t tmpfs tmpfs /var/lib
    mkdir -p "$2" "$(dirname "$2")/clips"
    echo secret > "$(dirname "$2")/page-secret"
    kept=$(mktemp -d); mount --bind "$2" "$kept"
    mount -t tmpfs tmpfs "$1"
    mkdir -p "$2"; mount --move "$kept" "$2"; rmdir "$kept"
    mount -o remount,ro "$1"
    shift 2
    exec "$@"
    """
    code = (
        "import os\n"
        "for folder, folders, files in os.walk('/var/lib'): print(folder, *files)\n"
        f"open('{bound}/recording.mp4', 'w').close()\n"
    )
    words = as_user(CAMERA, GROUP, words=[sys.executable, "-I", "-c", code])
    done = subprocess.run(
        ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, "sh", hidden, bound, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["/var/lib", "/var/lib/spotter", bound]
