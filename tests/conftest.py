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

# As on a station: else each of some hundred processes would compile the agent again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# As the analysis has it, which runs in these processes, too: more threads would only spin.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

REPOSITORY = Path(__file__).parents[1]
InZone = Callable[[str], None]
VIDEOS = REPOSITORY.parent / "shared" / "videos"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Let three tests share a core: those that run a daemon wait most of their time."""
    return 3 * len(os.sched_getaffinity(0))


# The files that take longest: begun first, they leave no worker alone at the end.
_FIRST = (
    *("test_same_moment", "test_kills", "test_forgetting", "test_installed"),
    *("test_recording_times", "test_restored_backup", "test_recording_paused", "test_installer"),
    *("test_readme", "test_service_manager", "test_mounts", "test_hours_and_order"),
    *("test_damaged_state", "test_full_disk", "test_clocks", "test_disk_refuses"),
)


def pytest_configure() -> None:
    """Collect the tests without looking for garbage among them."""
    gc.disable()


@pytest.hookimpl(trylast=True)  # without those that are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, each in the stretch of another worker.

    Workers get equal stretches of the list at first, and take from each other's ends later.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    longest: list[list[pytest.Item]] = [[] for _ in range(workers)]
    others: list[pytest.Item] = []
    for item in items:
        name = item.path.stem
        (longest[_FIRST.index(name) % workers] if name in _FIRST else others).append(item)
    share = -(-len(items) // workers)
    items.clear()
    for stretch in longest:
        more = max(0, share - len(stretch))
        items += stretch + others[:more]
        del others[:more]
    items += others


def pytest_collection_finish() -> None:
    """Let no search for garbage visit the thousands of collected tests."""
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
