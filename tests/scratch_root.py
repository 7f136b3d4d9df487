"""A box to install on: this machine's own system, in a mount namespace whose changes vanish."""

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

_CHANGED = ("/etc", "/opt", "/var/lib", "/usr/lib", "/usr/local")
_SHIPPED = ("agent", "analysis", "config", "docs", "systemd")
_FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")


@dataclass(frozen=True, slots=True)
class ScratchRoot:
    """A mount namespace, held open by a process that sleeps in it."""

    process_id: int

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command as root in it; return what it says, and insist on its exit code."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.process_id), "--mount", *words],  # noqa: S607  # found by PATH, as people do
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
            cwd="/",
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "PYTHONPATH": sysconfig.get_path("purelib"),  # in the place of 530 MB of wheels
                "LANG": "C.UTF-8",
            },
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


@contextlib.contextmanager
def scratch_root(folder: Path) -> Iterator[ScratchRoot]:
    """Give a system on which anything may be changed, until the block ends."""
    layers = " ".join(
        f"&& mkdir -p {folder}/up{place} {folder}/work{place} && mount -t overlay overlay"
        f" -o lowerdir={place},upperdir={folder}/up{place},workdir={folder}/work{place} {place}"
        for place in _CHANGED
    )
    script = f"mount -t tmpfs tmpfs {folder} {layers} && echo ready && exec sleep infinity"
    folder.mkdir()
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],  # noqa: S607  # found by PATH, as people do
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout is not None and holder.stderr is not None  # both are pipes
            if holder.stdout.readline() != b"ready\n":
                told = f"no mount namespace with overlays: {holder.stderr.read().decode()}"
                (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
            yield ScratchRoot(holder.pid)
        finally:
            holder.kill()


def release(
    folder: Path, *, version: str, change: Callable[[Path], None] = lambda _folder: None
) -> Path:
    """Unpack a release of its own version, without git, with the agent's wheel and no others.

    Args:
        folder: where.
        version: as it calls itself.
        change: makes its source differ from this one.
    """
    folder.mkdir()
    for name in _SHIPPED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    for name in _FILES:
        shutil.copy(REPOSITORY / name, folder)
    (folder / "agent" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    change(folder)
    (folder / "requirements.lock").write_text("# nothing: the test brings what is needed\n")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", *words, "--wheel-dir", str(folder / "wheelhouse"), "."],
        cwd=folder,
        check=True,
    )
    return folder
