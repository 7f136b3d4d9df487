"""What all tests share."""

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.installed import Installed, install_once

hypothesis.settings.register_profile("spotter", deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("spotter")

# As on a station: else each of some hundred processes would compile the agent anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

REPOSITORY = Path(__file__).parents[1]
InZone = Callable[[str], None]
VIDEOS = REPOSITORY.parent / "shared" / "videos"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Let two tests share a core: those that run a daemon wait half of their time."""
    return 2 * len(os.sched_getaffinity(0))


# These wait more than they compute: begun first, they leave no worker alone at the end.
_FIRST = {"test_recording_times", "test_installer", "test_installed", "test_readme"}


def pytest_configure() -> None:
    """Collect the tests without looking for garbage among them."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take long."""
    items.sort(key=lambda item: item.path.stem not in _FIRST)


def pytest_collection_finish() -> None:
    """Let no later search for garbage visit the thousands of collected tests."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine reaches a test, nor what another test left of its own."""
    os.umask(0o022)  # the daemon's own, which a test in this process may have set, is stricter
    for name in list(os.environ):
        if name.startswith("SPOTTER_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Spotter's wheel in an environment of its own, made once for all processes of this run."""
    base = tmp_path_factory.getbasetemp()
    return install_once(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture
def in_zone() -> Iterator[InZone]:
    """Let the box stand in another zone, as TZ names it."""
    with pytest.MonkeyPatch.context() as patch:

        def move(zone: str) -> None:
            patch.setenv("TZ", zone)
            time.tzset()

        yield move
    time.tzset()


@pytest.fixture
def real_video() -> Path:
    """A man jogs on a treadmill for 12 s, and never leaves the frame."""
    path = VIDEOS / "run_treadmill_side_a.mp4"
    if not path.exists():
        pytest.skip(f"the real clips are not here: {path}")
    return path
