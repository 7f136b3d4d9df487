"""A disk that refuses calls by chance, then none: everything flows again, without a restart."""

import errno
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from agent.disk.state_folder import StateFolder
from agent.outbox.database import OutboxDatabase
from agent.outbox.database_file import DATABASE_NAME
from agent.sandbox.server import Sandbox
from tests.refusing_disk import build
from tests.served_page import free_port, page_settings, served_page
from tests.station import Station, delivered, until
from tests.videos import film_run, name_of

WITHIN_S = 30.0  # of the last refusal
NOBODY = {"key": "nobody", "activity": "weightlifting"}
BUSY_S = 30.0  # more, on a machine that does other things as well


def film(station: Station, number: int) -> None:
    film_run(station.root / "film.mp4", seed=number).rename(station.capture / name_of(number))


def answer(listen: str, path: str) -> httpx.Response:
    return httpx.get(f"http://{listen}{path}", timeout=20)


def says_that_the_disk_refuses(listen: str) -> bool:
    said = answer(listen, "/healthz")
    return said.status_code == 503 and "disk access failed" in said.text


@pytest.mark.soak
@pytest.mark.parametrize(
    "error",
    [
        errno.EIO,
        errno.EDQUOT,
        pytest.param(errno.ENOSPC, marks=pytest.mark.soak),
        pytest.param(errno.EROFS, marks=pytest.mark.soak),
    ],
)
def test_refusals_at_every_stage_lose_nothing_and_double_nothing(
    tmp_path: Path, sandbox: Sandbox, error: int
) -> None:
    station = Station(tmp_path, sandbox.base_url)
    (tmp_path / "shim").mkdir()
    disk = build(tmp_path / "shim", folder=station.state)
    daemon = station.start(disk.environment)
    for number in range(1, 9):
        film(station, number)
        with disk.refusing(error, percent=(5, 20, 50, 90)[number % 4]):
            time.sleep(3.0)  # while it is taken in, analysed, cut or sent
        ended_s = time.monotonic()
        assert delivered(sandbox, number, timeout_s=WITHIN_S + BUSY_S), (
            station.spotter("outbox", "list") + station.log.read_text()[-4000:]
        )
        assert time.monotonic() - ended_s < WITHIN_S + BUSY_S
    until(lambda: station.states() == ["uploaded"] * 8)
    sent = Counter(session.video_sha256 for session in sandbox.book.sessions)
    assert len(sent) == 8 and set(sent.values()) == {1}
    assert daemon.poll() is None
    daemon.terminate()
    assert daemon.wait(12) == 0


@pytest.mark.parametrize(
    "error",
    [
        errno.EIO,
        pytest.param(errno.ENOSPC, marks=pytest.mark.soak),
        pytest.param(errno.EROFS, marks=pytest.mark.soak),
        pytest.param(errno.EDQUOT, marks=pytest.mark.soak),
    ],
)
def test_after_the_last_refusal_everything_flows_and_meanwhile_the_page_says_so(
    tmp_path: Path, sandbox: Sandbox, error: int
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    station = Station(tmp_path, sandbox.base_url, {"web": {"listen": listen}})
    (tmp_path / "shim").mkdir()
    disk = build(tmp_path / "shim", folder=station.state)
    daemon = station.start(disk.environment)
    film(station, 1)
    assert delivered(sandbox, 1)
    until(lambda: answer(listen, "/healthz").status_code == 200)

    with disk.refusing(error, percent=60):
        film(station, 2)
        film(station, 3)
        until(lambda: says_that_the_disk_refuses(listen))
        until(lambda: answer(listen, "/readyz").status_code == 503)
    ended_s = time.monotonic()

    assert delivered(sandbox, 3, timeout_s=WITHIN_S + BUSY_S), station.log.read_text()[-4000:]
    until(lambda: answer(listen, "/healthz").status_code == 200)
    until(lambda: answer(listen, "/readyz").status_code == 200)
    assert time.monotonic() - ended_s < WITHIN_S + BUSY_S
    until(lambda: station.states() == ["uploaded"] * 3)
    sent = Counter(session.video_sha256 for session in sandbox.book.sessions)
    assert len(sent) == 3 and set(sent.values()) == {1}
    assert "Traceback" not in station.log.read_text()
    assert daemon.poll() is None
    daemon.terminate()
    assert daemon.wait(12) == 0


def test_a_connection_that_could_only_read_is_given_up(tmp_path: Path) -> None:
    StateFolder(tmp_path).prepare()
    database = OutboxDatabase(tmp_path / DATABASE_NAME)
    database.change("INSERT INTO switch VALUES ('a', 'b')")
    with ThreadPoolExecutor(1) as stage:

        def connect_to_read() -> None:
            uri = f"{database.path.as_uri()}?mode=ro"
            database._local.connection = sqlite3.connect(uri, uri=True, isolation_level=None)

        stage.submit(connect_to_read).result()
        change = "UPDATE switch SET value = 'c' WHERE name = 'a'"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            stage.submit(database.change, change).result()
        assert stage.submit(database.change, change).result() == 1
    database.close()


def test_a_change_that_the_disk_refuses_says_that_it_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served_page(page_settings(tmp_path)) as page, page.client(page.session()) as client:

        def refuse(**_options: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        with monkeypatch.context() as refusing:
            refusing.setattr(page.outbox.database, "transaction", refuse)
            said = client.post("/assign", data=NOBODY)
        assert said.status_code == 503, said.text
        assert "Try again" in said.json()["say"]
        assert client.post("/assign", data=NOBODY).status_code < 400
