"""Members of the group and users who are in no group of the station's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolderLock
from tests.attack.users import GROUP, MEMBER, SERVICE, Town, as_user, environment, run_as
from tests.planted import plant
from tests.station import PATIENCE_S

STRANGER = 64104

_LOOK = """
import os, sys
opened = []
for folder, folders, files in os.walk(sys.argv[1]):
    for name in files:
        try:
            open(os.path.join(folder, name), "rb").close()
        except OSError:
            continue
        opened.append(os.path.join(folder, name))
print(*opened, sep=chr(10))
"""


def test_a_stranger_reads_and_writes_nothing_of_the_station(place: Town) -> None:
    """The settings, which name no secret, are all that is open to every user of the box."""
    place.sudo("status")

    told = run_as(STRANGER, STRANGER, code=_LOOK, arguments=[place.root])
    assert told.split() == [str(place.station.config)]

    for name in ("outbox.db", "clips/planted.mp4"):
        with pytest.raises(AssertionError, match="PermissionError"):
            run_as(
                STRANGER,
                STRANGER,
                code="import sys; open(sys.argv[1], 'a')",
                arguments=[place.state / name],
            )


def test_a_stranger_is_told_what_to_do_and_nothing_that_is_not_so(place: Town) -> None:
    place.state.chmod(0o700)

    def told(*words: str) -> str:
        named = str(place.station.config)
        command = [sys.executable, "-I", "-m", "agent", *words, "--config", named]
        done = subprocess.run(
            as_user(STRANGER, STRANGER, words=command),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=environment(),
            timeout=PATIENCE_S,
        )
        assert done.returncode != 0 and "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    examined = told("doctor")
    assert "this user may not read" in examined and "sudo spotter doctor" in examined
    assert "cannot be examined" not in examined and "is ignored" not in examined
    asked = told("camera")
    assert "Permission denied" in asked and "no recorder" not in asked
    for words in (["backup", "/tmp/none.tar"], ["status"], ["assign", "ada"], ["outbox", "list"]):
        assert "use sudo" in told(*words)


def test_a_member_reads_recordings_and_steers_but_not_the_key_of_root_alone(place: Town) -> None:
    told = run_as(MEMBER, GROUP, code=_LOOK, arguments=[place.root])
    assert any(line.endswith(".mp4") for line in told.split())
    assert str(place.station.key_file) not in told

    words = [sys.executable, "-I", "-m", "agent", "outbox", "discard", "e1"]
    done = subprocess.run(
        as_user(MEMBER, GROUP, words=[*words, "--config", place.station.config]),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=environment(),
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert place.station.states() == ["discarded"]


def test_a_reader_of_the_folder_does_not_keep_the_daemon_from_starting(place: Town) -> None:
    """As a camera program outside of its unit would be: it may read the lock, and not write it."""
    lock = place.state / "owner.lock"
    lock.write_text("1")
    os.chown(lock, SERVICE, GROUP)
    lock.chmod(0o640)
    holding = (
        "import fcntl, os, sys\n"
        "for path in sys.argv[1:]:\n"
        "    fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    words: list[str | Path] = [sys.executable, "-I", "-c", holding, lock, place.state]
    with subprocess.Popen(
        as_user(MEMBER, GROUP, words=words), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"

        daemon = StateFolderLock(place.folder)
        daemon.take()

        daemon.release()
        holder.stdin.close()
        assert holder.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("below", [".", "tmp"])
def test_what_a_member_plants_runs_neither_as_root_nor_as_the_service(
    place: Town, below: str
) -> None:
    folder = place.state / below
    hostile = {**environment(), "PYTHONPATH": str(folder), "HOME": str(folder)}
    plant(folder)
    for path in (*folder.glob("*.py"), *folder.glob(".local/**/*")):
        os.chown(path, MEMBER, GROUP)

    agent: list[str | Path] = [sys.executable, "-I", "-m", "agent", "outbox", "list"]
    words = [*agent, "--config", place.station.config]
    for command in (as_user(0, words=words), as_user(SERVICE, GROUP, words=words)):
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=hostile,
            timeout=90,
        )
        assert done.returncode == 0, done.stderr

    assert not Path(folder, "imported").exists()
