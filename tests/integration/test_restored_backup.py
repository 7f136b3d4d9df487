"""A state folder that comes back from a backup: what was sent since then is not sent again."""

import shutil
from pathlib import Path

from agent.disk.state_folder import LEDGER_NAME
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.outbox import Outbox
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


def test_the_same_recordings_from_the_card_after_a_restored_backup_are_looked_up(
    station: Station, sandbox: Sandbox, tmp_path: Path
) -> None:
    backup, card = tmp_path / "backup", tmp_path / "card"
    card.mkdir()
    with station.running():
        film_run(station.root / "film.mp4", seed=1).rename(station.capture / name_of(1))
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])
    shutil.copytree(station.state, backup)
    with station.running():
        for number in (2, 3, 4):
            film = film_run(station.root / "film.mp4", seed=number)
            shutil.copy2(film, card / name_of(number))
            film.rename(station.capture / name_of(number))
        assert delivered(sandbox, 4)
        until(lambda: station.states() == ["uploaded"] * 4)
    film_run(card / name_of(5), seed=5)

    restore(station, backup)
    with station.running():
        for recording in sorted(card.iterdir()):
            shutil.copy2(recording, station.root / "copy.mp4")
            (station.root / "copy.mp4").rename(station.capture / recording.name)
        until(lambda: station.states() == ["uploaded"] * 5)

    sent = {session.video_sha256 for session in sandbox.book.sessions}
    assert len(sandbox.book.sessions) == len(sent) == 5
    (station.state / DATABASE_NAME).unlink()  # it is remembered beside the database, too
    with station.running(), Outbox.open(station.state) as outbox:
        row = outbox.database.row("SELECT lost_at FROM ledger_mark WHERE id = 1")
        assert row is not None and row["lost_at"] is not None


def test_older_records_that_are_copied_over_the_newer_ones_are_noticed(
    station: Station, sandbox: Sandbox, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    records = (DATABASE_NAME, LEDGER_NAME)
    film = film_run(station.root / "film.mp4", seed=1)
    card = shutil.copy2(film, tmp_path / "card.mp4")
    with station.running():
        until(lambda: (station.state / LEDGER_NAME).exists())
    for name in records:
        shutil.copy2(station.state / name, backup)
    with station.running():
        film.rename(station.capture / name_of(1))
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])

    for name in records:  # as cp does: into the same files
        (station.state / name).write_bytes((backup / name).read_bytes())
    for place in ("captures", "clips"):
        for file in (station.state / place).iterdir():
            file.unlink()
    with station.running():
        shutil.copy2(card, station.root / "copy.mp4")
        (station.root / "copy.mp4").rename(station.capture / name_of(1))
        until(lambda: station.states() == ["uploaded"])

    assert len(sandbox.book.sessions) == 1
