"""A station as it is installed, with real users about it: its service, a member, a camera, root."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.sandbox.server import Sandbox
from tests.conftest import REPOSITORY
from tests.station import Station

SERVICE, MEMBER, CAMERA, GROUP = 64101, 64102, 64103, 64110

_SECONDS = 90.0
_NAMES = {"TMPDIR", "PYTHONPATH", "HOME"}

# Other users may not enter root's home, where the interpreter may be: a mount namespace shows them
# that folder alone.
_OPENED = """
set -e
umask 022
mount --make-rprivate /
for place in "$1" "$2"; do
    closed=/$(echo "$place" | cut -d/ -f2)
    [ $(( 0$(stat -c %a "$closed") & 1 )) -eq 0 ] || continue
    kept=$(mktemp -d)
    mount --bind "$place" "$kept"
    mount -t tmpfs -o mode=755 tmpfs "$closed"
    mkdir -p "$place"
    mount --move "$kept" "$place"
    rmdir "$kept"
done
shift 2
exec "$@"
"""


def as_user(uid: int, *groups: int, words: Sequence[str | Path]) -> list[str]:
    """Return a command that runs another as a user of these groups alone."""
    told = [str(word) for word in words]
    opened = [
        "unshare",
        "--mount",
        "/bin/sh",
        "-c",
        _OPENED,
        "sh",
        sys.base_prefix,
        str(REPOSITORY),
    ]
    if uid == 0:
        return [*opened, *told]
    first, *_ = groups
    listed = ",".join(map(str, groups))
    rights = ["--reuid", str(uid), "--regid", str(first), "--groups", listed]
    return [*opened, "setpriv", *rights, "--bounding-set=-all", *told]


def need_users() -> None:
    """Skip where no other user can be had, and say why."""
    if os.geteuid() != 0:
        pytest.skip("root alone can start processes as the service, a member and a camera")
    if hindrance := _hindrance():
        pytest.skip(f"another user cannot run this interpreter here: {hindrance}")


@cache
def _hindrance() -> str:
    """Return what keeps another user from importing the agent; empty: nothing."""
    words = as_user(SERVICE, GROUP, words=[sys.executable, "-I", "-c", "import agent"])
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_SECONDS)
    return f"{done.returncode} {done.stderr.strip()[-200:]}" if done.returncode else ""


@dataclass(frozen=True, slots=True)
class Town:
    """One station of the service's, in a place where every user may pass."""

    station: Station

    @property
    def root(self) -> Path:
        return self.station.root

    @property
    def state(self) -> Path:
        return self.station.state

    @property
    def folder(self) -> StateFolder:
        return StateFolder(self.state)

    def hand_over(self) -> None:
        """Give all of the state to the service and its group, as the installer does."""
        for path in (self.state, *self.state.rglob("*")):
            os.lchown(path, SERVICE, GROUP)
            path.chmod(0o2770 if path.is_dir() else 0o660)

    def sudo(self, *words: str, answer: str = "") -> "subprocess.CompletedProcess[str]":
        """Give a command as an administrator does."""
        return subprocess.run(
            self.command(*words),
            input=answer,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=environment(),
            timeout=_SECONDS,
        )

    def command(self, *words: str) -> list[str]:
        """Return the command that an administrator gives."""
        agent = [sys.executable, "-I", "-m", "agent"]
        return as_user(0, words=[*agent, *words, "--config", self.station.config])

    def member(self, code: str, *arguments: object) -> str:
        """Let a member of the group run Python; return what it prints."""
        return run_as(MEMBER, GROUP, code=code, arguments=arguments)

    def point(self, table: str, name: str | Path, column: str = "stored_name") -> None:
        """Let a member write another name into every row of a table."""
        self.member(
            "import sqlite3, sys\n"
            "db = sqlite3.connect(sys.argv[1])\n"
            "db.execute('UPDATE %s SET %s = ?' % tuple(sys.argv[2:4]), sys.argv[4:])\n"
            "db.commit()\n",
            *(self.state / "outbox.db", table, column, name),
        )

    def precious(self, name: str, content: bytes = b"root's own") -> Path:
        """Make a file of root's in a folder of root's that nobody else enters."""
        folder = self.root / "root's"
        folder.mkdir(exist_ok=True, mode=0o700)
        path = folder / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path


def run_as(uid: int, *groups: int, code: str, arguments: Sequence[object] = ()) -> str:
    """Run Python as a user, and insist that it ends well; return what it prints."""
    words = [sys.executable, "-I", "-c", code, *map(str, arguments)]
    done = subprocess.run(
        as_user(uid, *groups, words=words),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment() -> dict[str, str]:
    """Return this process's variables but those that lead to folders of other users."""
    return {name: value for name, value in os.environ.items() if name not in _NAMES}


@contextmanager
def town(sandbox: Sandbox, clips: int = 1) -> Iterator[Town]:
    """Yield a station of the service's with some clips that wait, and a key of root's alone."""
    root = Path(tempfile.mkdtemp(prefix="spotter-attack-"))
    root.chmod(0o755)
    try:
        station = Station(root, sandbox.base_url)
        for number in range(1, clips + 1):
            station.put_clip(number)
        station.key_file.chmod(0o600)
        found = Town(station)
        found.hand_over()
        yield found
    finally:
        shutil.rmtree(root)
