"""Strange entries in the state folder: left alone or quarantined, and a start goes on."""

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.disk.state_folder import LEDGER_NAME
from agent.sandbox.server import Sandbox
from tests.station import KEY, Station, delivered, until
from tests.strays import HUGE_BYTES, KINDS, put_all, release
from tests.videos import film_run, name_of

START_WITHIN_S = 20.0
RECORDS = ("outbox.db-wal", "outbox.db-shm", LEDGER_NAME, "owner.lock", "wake.sock", "reserve")
BUSY_S = 40.0  # more, on a machine that does other things as well


def film(station: Station, number: int) -> Path:
    """Let a film come; return where its original will be."""
    path = film_run(station.root / "film.mp4", seed=number)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    path.rename(station.capture / name_of(number))
    return station.state / "captures" / f"{sha256}.mp4"


def let_wait(station: Station, count: int) -> list[Path]:
    """Let one clip be delivered and so many wait; return the originals of those that wait."""
    with station.running():
        film(station, 1)
        until(lambda: station.states() == ["uploaded"])
        station.key_file.write_text("")
        originals = [film(station, number) for number in range(2, count + 2)]
        until(lambda: sorted(map(str, station.states())) == ["ready"] * count + ["uploaded"])
    station.key_file.write_text(KEY)
    return originals


@pytest.fixture
def waiting(station: Station) -> Iterator[Station]:
    """A station where one clip was delivered and one waits."""
    let_wait(station, 1)
    yield station
    release(station.state)


def flows(station: Station, sandbox: Sandbox, *, number: int = 3) -> None:
    """The next start comes soon, and what waits and what comes is delivered once."""
    began_s = time.monotonic()
    with station.running() as daemon:
        assert daemon.poll() is None, station.log.read_text()[-3000:]
        assert time.monotonic() - began_s < START_WITHIN_S + BUSY_S
        film(station, number)
        assert delivered(sandbox, number), station.log.read_text()[-3000:]
        until(lambda: station.states() == ["uploaded"] * number)
    assert len({session.video_sha256 for session in sandbox.book.sessions}) == number
    assert len(sandbox.book.sessions) == number
    assert "Traceback" not in station.log.read_text()


def contents(root: Path) -> list[bytes]:
    """What all plain files hold, but for those that hold nothing."""
    found = []
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            if path.is_file() and not path.is_symlink() and path.stat().st_size < HUGE_BYTES:
                found.append(read_closed(path))
    return found


def read_closed(path: Path) -> bytes:
    """Read a file of our own that may be closed even to its owner, and leave it so."""
    mode = path.stat().st_mode
    if mode & stat.S_IRUSR:
        return path.read_bytes()
    path.chmod(stat.S_IRUSR)
    content = path.read_bytes()
    path.chmod(mode)
    return content


def test_one_of_each_kind_in_every_folder_keeps_no_start_from_going_on(
    waiting: Station, sandbox: Sandbox
) -> None:
    made = put_all(waiting.state)
    assert len(KINDS) >= 28 and len(made) > 28 * 5
    in_tmp = waiting.state / "tmp"
    precious = [b"stray", b"inside", b"not what its name says", b"\xff\xfe{"]
    before = {
        content: contents(waiting.state).count(content) - contents(in_tmp).count(content)
        for content in precious
    }

    flows(waiting, sandbox)

    after = contents(waiting.state)
    assert {content: after.count(content) for content in precious} == {
        content: count + sum(c == content for c in contents(in_tmp))
        for content, count in before.items()
    }
    log = waiting.log.read_text()
    assert "quarantined" in log and log.count("holiday.mp4") < 30
    lines = log.count("level=warning")
    with waiting.running():  # said once: what is left alone alone is said again
        pass
    assert waiting.log.read_text().count("level=warning") - lines < 20


@pytest.mark.parametrize(
    "kind",
    [
        "pipe",
        pytest.param("folder", marks=pytest.mark.soak),
        pytest.param("link", marks=pytest.mark.soak),
    ],
)
def test_what_has_the_name_of_a_record_and_is_none_is_taken_out_of_the_way(
    waiting: Station, sandbox: Sandbox, kind: str
) -> None:
    for number, name in enumerate(RECORDS, start=3):
        path = waiting.state / name
        path.unlink(missing_ok=True)
        if kind == "folder":
            path.mkdir()
            (path / "inside").write_text("inside")
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(path.name)

        flows(waiting, sandbox, number=number)


def test_originals_that_are_touched_or_damaged_discard_no_intact_clip(
    station: Station, sandbox: Sandbox
) -> None:
    touched, gone, shorter, damaged, overwritten = let_wait(station, 5)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    os.utime(touched)
    gone.unlink()
    shorter.write_bytes(shorter.read_bytes()[: shorter.stat().st_size // 2])
    damaged.write_bytes(content)
    overwritten.write_bytes(os.urandom(overwritten.stat().st_size + 100))

    with station.running():
        until(lambda: sorted(map(str, station.states())) == ["held"] + ["uploaded"] * 5)
        (held,) = (entry for entry in station.entries() if entry["state"] == "held")
        assert held["capture"] == name_of(6)
        station.spotter("outbox", "release", str(held["id"]))
        assert delivered(sandbox, 6), station.log.read_text()[-3000:]
        until(lambda: station.states() == ["uploaded"] * 6)
    assert json.loads(station.spotter("status", "--json"))
