"""A sandbox and a station that point at each other."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.outbox.database import OutboxDatabase
from agent.sandbox.server import Sandbox
from analysis.pose_model import PoseFinder
from tests.integration.plans import watch_plans
from tests.station import KEY, Station

_MEMORY = Path("/dev/shm")
_LEAST_FREE_BYTES = 1 << 30  # of which the tests use a hundredth
_IN_MEMORY = {"delivery", "outbox", "station"}  # tests of an outbox in their own process


@pytest.fixture
def tmp_path(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Of tests of an outbox a folder in memory, where there is plenty.

    Half of their time would be the disk's syncs.  What those are for, kills and power cuts, has
    tests of its own, and the long form uses the disk.
    """
    is_long = request.node.get_closest_marker("soak") is not None
    if is_long or request.path.parent.name not in _IN_MEMORY or not _is_roomy(_MEMORY):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _is_roomy(memory: Path) -> bool:
    if f" {memory} tmpfs " not in Path("/proc/mounts").read_text():
        return False
    found = os.statvfs(memory)
    return found.f_bavail * found.f_frsize > _LEAST_FREE_BYTES


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A stand-in API."""
    with Sandbox(key=KEY, processing_s=0.0) as running:
        yield running


@pytest.fixture
def station(tmp_path: Path, sandbox: Sandbox) -> Station:
    """A running athlete's station."""
    return Station(tmp_path, sandbox.base_url)


@pytest.fixture(scope="session")
def _warm_finder() -> Iterator[PoseFinder]:
    with PoseFinder() as warm:
        yield warm


@pytest.fixture
def finder(_warm_finder: PoseFinder) -> PoseFinder:
    """The pose model, made once, that has forgotten whom it saw before."""
    _warm_finder.begin()
    return _warm_finder


@pytest.fixture(autouse=True)
def _no_table_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every statement that any of these tests runs be explained first."""
    watch_plans(monkeypatch, OutboxDatabase)
