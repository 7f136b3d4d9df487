"""What tests need of the system: asked for clearly, and never missing unnoticed."""

import os
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest


def need(path: Path, package: str) -> Path:
    """Return a path that must exist; where it does not, say which package brings it."""
    if not path.exists():
        do_without(f"{path} is missing: apt install {package}")
    return path


def need_user_namespaces(bubblewrap: Path) -> None:
    """Go on where the kernel lets bubblewrap make a user namespace: not in a chroot."""
    words = [str(bubblewrap), "--unshare-user", "--ro-bind", "/", "/", "true"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        do_without(f"this system lets nobody make a user namespace: {done.stderr.strip()}")


def do_without(told: str) -> NoReturn:
    """Skip a test; in CI it fails: a skipped one there would hide a fault."""
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)
