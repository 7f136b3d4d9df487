"""A sandbox and a station that point at each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.outbox.database import OutboxDatabase
from agent.sandbox.server import Sandbox
from analysis.pose_model import PoseFinder
from tests.integration.plans import watch_plans
from tests.station import KEY, Station


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
