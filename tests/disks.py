"""Small file systems to fill up, and mounts to take away."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextlib.contextmanager
def mounted(place: Path, *options: str) -> Iterator[Path]:
    """Mount a file system of its own in memory, and take it away afterwards."""
    place.mkdir(parents=True, exist_ok=True)
    mount(place, *options)
    try:
        yield place
    finally:
        unmount(place)


def mount(place: Path, *options: str) -> None:
    """Mount a file system in memory at a folder."""
    words = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")


def mount_again(place: Path, options: str) -> None:
    """Change how a file system is mounted, as to ro."""
    words = ["mount", "-o", f"remount,{options}", str(place)]
    subprocess.run(words, check=True)


def unmount(place: Path) -> None:
    """Take a mount away, whoever still uses it."""
    if os.path.ismount(place):
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # noqa: S607  # found on every Linux


def fill(place: Path) -> Path:
    """Fill a file system to its last byte, as a camera does that never stops."""
    filler = place / "filler.bin"
    fd = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (1 << 20, 1 << 12, 1):
            _write_until_full(fd, b"x" * size)
    finally:
        os.close(fd)
    return filler


def _write_until_full(fd: int, part: bytes) -> None:
    try:
        while os.write(fd, part):
            pass
    except OSError as error:
        if error.errno not in _FULL:
            raise
