"""A member of the group lays a trap in the state folder, and an administrator uses sudo."""

import json
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agent.outbox.outbox import Outbox
from agent.outbox.results import NewResult
from agent.sandbox.server import Sandbox
from tests.analysed import link_of, mp4
from tests.attack.users import GROUP, SERVICE, Town, environment
from tests.sessions import made_session
from tests.station import ATHLETE


def facts(path: Path) -> tuple[bytes, int, int]:
    found = path.lstat()
    return path.read_bytes(), found.st_mode, found.st_uid


@pytest.mark.parametrize(
    ("table", "form"),
    [
        ("entry", "absolute"),
        ("capture", "climbing"),
        pytest.param("entry", "climbing", marks=pytest.mark.soak),
        pytest.param("capture", "absolute", marks=pytest.mark.soak),
    ],
)
def test_a_path_in_a_row_lets_forget_remove_nothing_outside(
    place: Town, table: str, form: str
) -> None:
    precious = place.precious("precious.mp4")
    before = facts(precious)
    folder = place.state / ("clips" if table == "entry" else "captures")
    place.point(table, precious if form == "absolute" else os.path.relpath(precious, folder))

    place.sudo("forget", ATHLETE, "--yes")

    assert facts(precious) == before


def test_a_path_as_a_clip_code_lets_forget_remove_nothing_outside(place: Town) -> None:
    precious = place.precious("precious.jpg")
    before = facts(precious)
    place.point("entry", os.path.relpath(precious, place.state / "pictures")[:-4], "clip_code")

    place.sudo("forget", ATHLETE, "--yes")

    assert facts(precious) == before


@pytest.mark.parametrize("owner", ["root", "service"])
def test_a_path_in_a_row_lets_discard_overwrite_no_document(place: Town, owner: str) -> None:
    """The service's own too: a name is a name, whoever acts on it."""
    precious = place.precious("precious.json", b'{"my": "document"}')
    if owner == "service":
        precious.parent.chmod(0o755)
        os.chown(precious.parent, SERVICE, GROUP)
        os.chown(precious, SERVICE, GROUP)
    before = facts(precious)
    place.point("entry", precious.with_suffix(".mp4"))

    place.sudo("outbox", "discard", "e1")

    assert facts(precious) == before


@pytest.mark.parametrize(
    "trap",
    [
        *("ledger.jsonl.new", "outbox.db-journal", "captures"),
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("ledger.jsonl", "clips", "tmp")),
    ],
)
def test_a_link_that_is_laid_while_forget_asks_leads_root_nowhere(place: Town, trap: str) -> None:
    (clip,) = (place.state / "clips").glob("*.mp4")
    precious = place.precious(clip.name)
    others = [place.precious(clip.with_suffix(".json").name), place.precious("words.txt")]
    before = [facts(path) for path in (precious, *others)]
    asked = subprocess.Popen(
        place.command("forget", ATHLETE),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=environment(),
    )
    assert asked.stdin is not None and asked.stdout is not None
    told = b""
    while b"[y/N]" not in told:
        piece = os.read(asked.stdout.fileno(), 4096)
        assert piece, told
        told += piece

    is_folder = (place.state / trap).is_dir()
    place.member(
        "import os, sys\n"
        "trap, leads_to = sys.argv[1:]\n"
        "os.path.lexists(trap) and os.rename(trap, trap + '.away')\n"
        "os.symlink(leads_to, trap)\n",
        place.state / trap,
        precious.parent if is_folder else others[1],
    )
    asked.stdin.write(b"y\n")
    asked.stdin.close()
    asked.stdout.read()
    asked.stdout.close()
    asked.wait(60)

    assert [facts(path) for path in (precious, *others)] == before
    assert sorted(precious.parent.iterdir()) == sorted([precious, *others])


def test_what_root_asks_for_is_written_at_roots_own_place_and_all_else_is_the_owners(
    place: Town,
) -> None:
    """A key that root alone reads serves, though root's rights are given up before it is used."""
    own = place.precious("here").parent

    synced = place.sudo("athletes", "--sync", "--json")
    receipt = place.sudo("forget", ATHLETE, "--yes", "--receipt", str(own / "receipt.json"))
    table = place.sudo("export", "--csv", str(own / "takes.csv"))
    archive = place.sudo("support", "--out", str(own / "support.tar.gz"))
    place.sudo("doctor", "--json")

    told = [synced, receipt, table, archive]
    assert [done.returncode for done in told] == [0, 0, 0, 0], [done.stderr for done in told]
    assert json.loads((own / "receipt.json").read_text())["erasures"]
    assert {path.lstat().st_uid for path in own.iterdir()} == {0}
    foreign = [path for path in place.state.rglob("*") if path.lstat().st_uid != SERVICE]
    assert foreign == []


def test_root_runs_no_station_in_the_folder_of_another_user(place: Town) -> None:
    done = place.sudo("run")

    assert done.returncode == 1
    assert f"sudo -u '#{SERVICE}' spotter run" in done.stderr


def test_what_root_fetches_comes_to_roots_place_by_way_of_the_owner(
    place: Town, sandbox: Sandbox
) -> None:
    """A link in the place of the video shows nothing that the owner may not read."""
    video, own = mp4(200_000), place.precious("here").parent
    with Outbox.open(place.state) as outbox:
        entry = made_session(outbox, sandbox, 2, now_s=time.time() - 60)
        kept = sandbox.videos / "video.mp4"
        kept.write_bytes(video)
        session = sandbox.book.sessions[0]
        sandbox.book.remove(session.session_id)
        sandbox.book.add(replace(session, video_path=kept))
        told = NewResult(numbers={}, analysed_video_url=link_of(sandbox, session), document_bytes=0)
        assert outbox.results.record(entry.id, told, now_s=time.time())
    place.hand_over()

    fetched = place.sudo("session", entry.name, "--download", str(own / "videos"))

    assert fetched.returncode == 0, fetched.stderr
    got = own / "videos" / f"{entry.clip_code}-analysed.mp4"
    assert got.read_bytes() == video
    assert {path.lstat().st_uid for path in own.rglob("*")} == {0}
    assert list((place.state / "tmp").iterdir()) == []
    assert [path for path in place.state.rglob("*") if path.lstat().st_uid != SERVICE] == []

    secret = place.precious("secret", video)
    place.member(
        "import os, sqlite3, sys\n"
        "state, entry, secret = sys.argv[1:]\n"
        "os.symlink(secret, f'{state}/results/{entry}.mp4')\n"
        "db = sqlite3.connect(f'{state}/outbox.db')\n"
        "db.execute(\"UPDATE result SET video_state = 'present', video_bytes = 1\")\n"
        "db.commit()\n",
        *(place.state, entry.clip_code, secret),
    )
    got.unlink()
    refused = place.sudo("session", entry.name, "--download", str(own / "videos"))

    assert refused.returncode != 0 and not got.exists()
