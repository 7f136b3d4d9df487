"""Damage to the state folder, met by the real daemon: loud, mended, nothing lost, nothing twice."""

import json
import os
from pathlib import Path

from agent.sandbox.server import Sandbox
from tests.station import ATHLETE, PATIENCE_S, Station, delivered, give, until
from tests.videos import film_run, name_of


def spoil(database: Path) -> None:
    """Overwrite a database and its log, as a dying card does."""
    for part in (database, database.with_name("outbox.db-wal")):
        if part.exists():
            part.write_bytes(os.urandom(part.stat().st_size))


def is_paused(station: Station) -> bool:
    """Whether nothing is sent any more: the first try was refused."""
    told = json.loads(station.spotter("status", "--json"))
    return told["api"]["paused"] is not None


def test_a_database_that_is_damaged_while_running_is_made_anew_by_the_next_start(
    station: Station, sandbox: Sandbox
) -> None:
    with station.running():
        film_run(station.capture / "one.mp4")
        assert delivered(sandbox, 1)
        until(lambda: station.states() == ["uploaded"])
    sandbox.add_fault("401*always")  # what comes next stays in the outbox
    daemon = station.start()
    film_run(station.capture / "two.mp4", seed=2)
    until(lambda: is_paused(station) and station.states() == ["uploaded", "ready"])
    three = film_run(station.root / "three.mp4", seed=3)  # filmed before nobody was there
    station.spotter("assign", "--nobody")
    discard = ["outbox", "discard", "e2", "--config", str(station.config)]
    until(lambda: give(discard).returncode == 0)  # not in the moment of a try to send it

    spoil(station.state / "outbox.db")
    three.rename(station.capture / "three.mp4")

    assert daemon.wait(PATIENCE_S) == 1
    said = station.log.read_text().splitlines()[-2:]
    assert "cannot be trusted" in said[0]
    assert "restart the daemon" in said[1]

    sandbox.plan.clear()
    with station.running():
        assert delivered(sandbox, 2)
        until(lambda: station.states() == ["uploaded", "discarded", "uploaded"])
        status = json.loads(station.spotter("status", "--json"))
        assert "rebuilt" in station.spotter("status")

    sent = {session.video_sha256: session.fields["user_id"] for session in sandbox.book.sessions}
    first, _discarded, last_one = station.entries()
    assert sent == {first["clip_sha256"]: ATHLETE, last_one["clip_sha256"]: ATHLETE}
    assert len(sandbox.book.sessions) == 2
    assert status["assignment"]["kind"] == "nobody"
    assert status["rebuilt"]["damaged_kept_as"].startswith("outbox.db.damaged-")
    assert "Traceback" not in station.log.read_text()


def test_a_database_that_is_deleted_while_running_is_made_anew_by_the_next_start(
    station: Station, sandbox: Sandbox
) -> None:
    daemon = station.start()
    film_run(station.capture / "one.mp4")
    assert delivered(sandbox, 1)
    until(lambda: station.states() == ["uploaded"])

    (station.state / "outbox.db").unlink()

    assert "restart the daemon" in station.spotter("status", code=1)
    film_run(station.capture / "two.mp4", seed=2)
    assert daemon.wait(PATIENCE_S) == 1
    with station.running():
        assert delivered(sandbox, 2)
        until(lambda: station.states() == ["uploaded", "uploaded"])
    assert len(sandbox.book.sessions) == 2


def test_clips_that_a_power_cut_tore_are_cut_again_and_delivered(
    station: Station, sandbox: Sandbox
) -> None:
    sandbox.add_fault("401*always")
    with station.running():
        for number in range(3):
            film_run(station.capture / name_of(number), seed=number + 1)
        until(lambda: station.states() == ["ready"] * 3)
    whole = {str(row["clip_code"]): row["clip_sha256"] for row in station.entries()}
    empty, short, zeroed = (station.state / "clips" / f"{code}.mp4" for code in whole)
    empty.write_bytes(b"")
    short.write_bytes(short.read_bytes()[:-500])
    with zeroed.open("r+b") as file:  # as long as before: only its hash tells
        file.seek(-700, os.SEEK_END)
        file.write(bytes(700))

    sandbox.plan.clear()
    with station.running():
        assert delivered(sandbox, 3)
        until(lambda: station.states() == ["uploaded"] * 3)

    sent = {session.title[1:11]: session.video_sha256 for session in sandbox.book.sessions}
    assert sent == whole
    assert "damaged" in station.log.read_text()


def test_files_of_deeply_nested_json_keep_no_start_and_no_command_from_going_on(
    station: Station, sandbox: Sandbox
) -> None:
    station.put_clip()
    for name in ("mounts.json", "recorders.json", "hub.json", "hub-allowance.json"):
        (station.state / name).write_bytes(b"[" * 20_000)  # within what Python reads of a file

    with station.running():
        assert delivered(sandbox, 1)
        checked = give(["doctor", "--config", str(station.config)])

    assert "hub.json: is damaged" in checked.stdout
    assert "crashed" not in station.log.read_text()
