"""An upload takes no more memory than its parts, however large the clip."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

_MOST_GROWTH_KIB = 16 * 1024


def grown_kib(size_bytes: int) -> int:
    """By how much one upload makes a process grow that has uploaded before."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.bench.upload", str(size_bytes)],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    ).stdout
    return int(told)


def test_a_large_clip_makes_the_uploader_grow_by_less_than_16_mb() -> None:
    assert grown_kib(256 << 20) < _MOST_GROWTH_KIB


@pytest.mark.soak
def test_two_gigabytes_make_the_uploader_grow_by_less_than_16_mb() -> None:
    assert grown_kib(2 << 30) < _MOST_GROWTH_KIB
