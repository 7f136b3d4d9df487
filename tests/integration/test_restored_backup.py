"""A state folder that comes back from a backup: what was sent since then is not sent again."""

import shutil
from pathlib import Path

from agent.outbox.disk.folders import LEDGER_NAME
from agent.outbox.health import DATABASE_NAME
from agent.sandbox.server import Sandbox
from tests.station import KEY, Station, delivered, until
from tests.videos import film_run, name_of


def restore(station: Station, backup: Path) -> None:
    shutil.rmtree(station.state)
    shutil.copytree(backup, station.state)


def test_what_was_sent_since_the_backup_is_found_and_what_was_not_goes(
    station: Station, sandbox: Sandbox, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    station.key_file.write_text("")
    film_run(station.root / "film.mp4", seed=1).rename(station.capture / name_of(1))
    film_run(station.root / "film.mp4", seed=2).rename(station.capture / name_of(2))
    with station.running():
        until(lambda: station.states() == ["ready", "ready"])
    shutil.copytree(station.state, backup)
    station.spotter("outbox", "hold", "e2")
    station.key_file.write_text(KEY)
    with station.running():
        assert delivered(sandbox, 1)
        until(lambda: "uploaded" in station.states())

    restore(station, backup)
    with station.running():
        until(lambda: station.states() == ["uploaded", "uploaded"])

    sent = {session.video_sha256 for session in sandbox.book.sessions}
    assert len(sandbox.book.sessions) == len(sent) == 2


def test_a_database_alone_that_comes_back_is_no_better(
    station: Station, sandbox: Sandbox, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    station.key_file.write_text("")
    film_run(station.root / "film.mp4", seed=1).rename(station.capture / name_of(1))
    with station.running():
        until(lambda: station.states() == ["ready"])
    records = (DATABASE_NAME, LEDGER_NAME)
    backup.mkdir()
    for name in records:
        shutil.copy2(station.state / name, backup)
    station.key_file.write_text(KEY)
    with station.running():
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])

    for name in records:  # as rsync does: the files that are the same stay
        shutil.copy2(backup / name, station.state / "new")
        (station.state / "new").replace(station.state / name)
    for sidecar in (station.state / "clips").glob("*.json"):
        sidecar.unlink()
    with station.running():
        until(lambda: station.states() == ["uploaded"])

    assert len(sandbox.book.sessions) == 1
