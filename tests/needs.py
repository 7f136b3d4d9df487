"""Programs of the system that tests need: asked for clearly, and never missing unnoticed."""

import os
from pathlib import Path

import pytest


def need(path: Path, package: str) -> Path:
    """Return a path that must exist; where it does not, say which package brings it.

    In CI a missing program is a failure: a skipped test there would hide one.
    """
    if not path.exists():
        told = f"{path} is missing: apt install {package}"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    return path
