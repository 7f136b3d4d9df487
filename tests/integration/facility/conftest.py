"""One hub for a module's tests, and stations that have joined it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.facility import Hub
from tests.station import Station

MakeStation = Callable[[str], Station]


@pytest.fixture(scope="module", autouse=True)
def alone() -> Iterator[None]:
    """Let this thread have an event loop although tests of the page left the browser's in it."""
    of_browser = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(of_browser)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def station(tmp_path: Path) -> MakeStation:
    """Makes a station that has not joined yet; nobody answers for the API."""

    def make(name: str) -> Station:
        (tmp_path / name).mkdir()
        told: dict[str, object] = {"id": name, "activity": "running", "user_id": "u1"}
        return Station(tmp_path / name, "http://127.0.0.1:9", {"station": told})

    return make
