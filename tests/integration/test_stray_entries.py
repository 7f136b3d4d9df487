"""Strange entries in the state folder: left alone or quarantined, and a start goes on."""

import json
import os
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
BUSY_S = 40.0  # more, on a machine that does other things as well


@pytest.fixture
def waiting(station: Station) -> Iterator[Station]:
    """A station where one clip was delivered and one waits."""
    with station.running():
        film_run(station.root / "film.mp4", seed=1).rename(station.capture / name_of(1))
        assert delivered_one(station)
        station.key_file.write_text("")
        film_run(station.root / "film.mp4", seed=2).rename(station.capture / name_of(2))
        until(lambda: station.states() == ["uploaded", "ready"])
    station.key_file.write_text(KEY)
    yield station
    release(station.state)


def delivered_one(station: Station) -> bool:
    until(lambda: station.states() == ["uploaded"])
    return True


def flows(station: Station, sandbox: Sandbox) -> None:
    """The next start comes soon, and what waits and what comes is delivered once."""
    began_s = time.monotonic()
    with station.running() as daemon:
        assert daemon.poll() is None, station.log.read_text()[-3000:]
        assert time.monotonic() - began_s < START_WITHIN_S + BUSY_S
        film_run(station.root / "film.mp4", seed=3).rename(station.capture / name_of(3))
        assert delivered(sandbox, 3), station.log.read_text()[-3000:]
        until(lambda: station.states() == ["uploaded"] * 3)
    assert len({session.video_sha256 for session in sandbox.book.sessions}) == 3
    assert len(sandbox.book.sessions) == 3
    assert "Traceback" not in station.log.read_text()


def contents(root: Path) -> list[bytes]:
    """What all plain files hold, but for those that hold nothing."""
    found = []
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            if path.is_file() and not path.is_symlink() and path.stat().st_size < HUGE_BYTES:
                found.append(path.read_bytes())
    return found


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
    "name",
    ["outbox.db-wal", "outbox.db-shm", LEDGER_NAME, "owner.lock", "wake.sock", "reserve"],
)
@pytest.mark.parametrize(
    "kind",
    [
        "pipe",
        pytest.param("folder", marks=pytest.mark.soak),
        pytest.param("link", marks=pytest.mark.soak),
    ],
)
def test_what_has_the_name_of_a_record_and_is_none_is_taken_out_of_the_way(
    waiting: Station, sandbox: Sandbox, name: str, kind: str
) -> None:
    path = waiting.state / name
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
        (path / "inside").write_text("inside")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path.name)

    flows(waiting, sandbox)


@pytest.mark.parametrize("change", ["touched", "damaged", "gone", "shorter", "overwritten"])
def test_an_original_that_is_touched_or_damaged_discards_no_intact_clip(
    waiting: Station, sandbox: Sandbox, change: str
) -> None:
    captures = {path: path.stat().st_mtime for path in (waiting.state / "captures").glob("*.mp4")}
    original = max(captures, key=captures.__getitem__)
    content = bytearray(original.read_bytes())
    if change == "touched":
        os.utime(original)
    elif change == "gone":
        original.unlink()
    elif change == "shorter":
        original.write_bytes(content[: len(content) // 2])
    elif change == "damaged":
        content[len(content) // 2] ^= 1
        original.write_bytes(content)
    else:
        original.write_bytes(os.urandom(len(content) + 100))

    with waiting.running():
        if change == "overwritten":
            until(lambda: waiting.states() == ["uploaded", "held"])
            waiting.spotter("outbox", "release", "e2")
        assert delivered(sandbox, 2), waiting.log.read_text()[-3000:]
        until(lambda: waiting.states() == ["uploaded"] * 2)
    assert json.loads(waiting.spotter("status", "--json"))
