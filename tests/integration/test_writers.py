"""Camera programs that write in every manner: nothing is taken in before it is complete."""

import hashlib
import subprocess
import sys

import pytest

from agent.sandbox.server import Sandbox
from tests.conftest import REPOSITORY
from tests.station import Station, delivered
from tests.videos import film_run, name_of
from tests.writers import MANNERS


def without(limit: str) -> tuple[str, ...]:
    """Give a command nothing of `limit`, in a user namespace where nobody else feels it."""
    script = f'echo 0 > /proc/sys/user/{limit} && exec "$@"'
    return ("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh")


def run_writers(station: Station) -> set[str]:
    """Let every writer write a film of its own at once; return the hashes of the films."""
    films, writers = set(), []
    for number, manner in enumerate(MANNERS):
        film = film_run(station.root / f"{manner}.mp4", seed=number)
        films.add(hashlib.sha256(film.read_bytes()).hexdigest())
        words = [manner, str(film), str(station.capture / name_of(number))]
        writers.append(
            subprocess.Popen([sys.executable, "-m", "tests.writers", *words], cwd=REPOSITORY)
        )
    assert [writer.wait(30) for writer in writers] == [0] * len(MANNERS)
    return films


def check_whole(station: Station, sandbox: Sandbox, films: set[str]) -> None:
    """What was taken in is what was filmed, whole, and each went out once."""
    assert delivered(sandbox, len(films)), station.log.read_text()[-3000:]
    taken_in = (path for path in (station.state / "captures").glob("*.mp4"))
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in taken_in} == films
    assert len(sandbox.book.sessions) == len(films)
    assert station.log.read_text().count("grown capture returned") == 0


def test_no_writer_is_cut_short(station: Station, sandbox: Sandbox) -> None:
    with station.running():
        check_whole(station, sandbox, run_writers(station))


@pytest.mark.parametrize(
    "limit",
    [
        "max_inotify_instances",
        pytest.param("max_inotify_watches", marks=pytest.mark.soak),
    ],
)
def test_no_writer_is_cut_short_where_no_events_come(
    station: Station, sandbox: Sandbox, limit: str
) -> None:
    if subprocess.run([*without(limit), "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a user namespace")
    daemon = station.start(under=without(limit))
    try:
        check_whole(station, sandbox, run_writers(station))
    finally:
        daemon.terminate()
        assert daemon.wait(12) == 0
    log = station.log.read_text()
    assert log.count("folder watch failed") == 1
    assert "Traceback" not in log
