"""A station's backup while it runs, and a new box that goes on from it."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from tests.station import KEY, Station, delivered, give, until
from tests.videos import film_run, name_of


def new_box(old: Station, root: Path) -> Station:
    """Another box, with the same settings but for its folders."""
    return Station(root, old.base_url, old.settings)


def restored(box: Station, archive: Path, *more: str, code: int = 0) -> str:
    done = give(["restore", str(archive), *more, "--config", str(box.config)])
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_new_box_sends_what_the_old_one_had_not_and_nothing_twice(
    station: Station, sandbox: Sandbox, tmp_path: Path
) -> None:
    archive, small = tmp_path / "backup.tar", tmp_path / "small.tar"
    station.key_file.write_text("")
    with station.running():
        for number in (1, 2):
            film_run(station.root / "film.mp4", seed=number).rename(
                station.capture / name_of(number)
            )
        until(lambda: station.states() == ["ready", "ready"])
        given = ["--without-videos", "--config", str(station.config)]
        assert "2 clips not delivered yet" in give(["backup", str(small), *given]).stderr
        station.spotter("backup", str(archive))
        assert archive.stat().st_mode & 0o077 == 0
        assert not list((station.state / "tmp").iterdir())
        station.spotter("outbox", "hold", "e2")
        held = tmp_path / "held.tar"
        assert "2 clips not delivered yet" in give(["backup", str(held), *given]).stderr
        station.key_file.write_text(KEY)
        assert delivered(sandbox, 1)
        until(lambda: "uploaded" in station.states())

    box = new_box(station, tmp_path / "new")
    told = restored(box, archive)
    assert "settings kept" in told and "Do not start the old box" in told
    assert box.states() == ["ready", "ready"]
    with box.running():
        until(lambda: box.states() == ["uploaded", "uploaded"])
    sent = {session.video_sha256 for session in sandbox.book.sessions}
    assert len(sandbox.book.sessions) == len(sent) == 2
    assert "outbox copy detected" in box.log.read_text()

    with box.running():
        restored(box, archive, code=75)  # a daemon runs on it
    assert "holds a station's records already" in restored(box, archive, code=1)
    assert box.states() == ["uploaded", "uploaded"]


def test_a_box_that_was_just_set_up_takes_the_settings_and_the_records(
    station: Station, tmp_path: Path
) -> None:
    station.put_clip()
    archive = tmp_path / "backup.tar"
    station.spotter("assign", "--guest", "Ann")
    station.spotter("cards", "link", "0004711", "guest:1")
    (station.state / "reference.jpg").write_bytes(b"a picture")
    station.spotter("backup", str(archive))
    told = json.loads(station.spotter("backup", str(tmp_path / "b.tar"), "--json"))
    assert told["unsent"] == 1 and told["videos"] is True
    assert "is there already" in station.spotter("backup", str(archive), code=1)
    inside = station.state / "captures" / "backup.tar"
    assert "choose a file elsewhere" in station.spotter("backup", str(inside), code=1)
    assert not list(inside.parent.glob("*backup.tar*"))
    nowhere = tmp_path / "nowhere" / "b.tar"
    assert f"{nowhere}: No such file" in station.spotter("backup", str(nowhere), code=1)

    shutil.move(station.state, tmp_path / "lost")
    shutil.move(station.config, tmp_path / "lost.toml")
    Outbox.open(prepared(station.state)).database.close()
    told_of_new = restored(station, archive)
    assert f"settings restored: {station.config}" in told_of_new
    assert station.config.read_text() == (tmp_path / "lost.toml").read_text()
    assert station.states() == ["ready"]
    station.spotter("tap", "0004711")
    assert (station.state / "reference.jpg").read_bytes() == b"a picture"
    (clip,) = (station.state / "clips").glob("*.mp4")
    assert clip.read_bytes() == next((tmp_path / "lost" / "clips").glob("*.mp4")).read_bytes()
    assert {path.name for path in (station.state / "set-aside").iterdir()} >= {"outbox.db"}


def test_of_a_clone_only_the_settings_are_taken(station: Station, tmp_path: Path) -> None:
    station.put_clip()
    archive = tmp_path / "backup.tar"
    station.spotter("backup", str(archive))
    shutil.move(station.state, tmp_path / "lost")
    station.config.unlink()
    restored(station, archive, "--settings-only")
    assert station.config.exists() and not station.state.exists()


def prepared(folder: Path) -> Path:
    """Make a state folder."""
    StateFolder(folder).prepare()
    return folder


def rewrite(archive: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> None:
    """Change what an archive holds, member by member."""
    with tarfile.open(archive) as file:
        members = []
        for entry in file.getmembers():
            content = file.extractfile(entry)
            assert content is not None
            members.append(change(entry.name, content.read()))
    with tarfile.open(archive, "w") as file:
        for name, changed in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(changed)
            file.addfile(entry, io.BytesIO(changed))


def flip(name: str, content: bytes) -> tuple[str, bytes]:
    if not name.endswith("outbox.db"):
        return name, content
    return name, content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


def elsewhere(name: str, content: bytes) -> tuple[str, bytes]:
    """Let a file of the archive lead out of the state folder."""
    target = "state/clips/../../../evil.mp4"
    if name == "manifest.json":
        told = json.loads(content)
        told["files"] = {
            target if known.endswith(".mp4") else known: of for known, of in told["files"].items()
        }
        return name, json.dumps(told).encode()
    return (target if name.endswith(".mp4") else name), content


def cut_short(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: rewrite(path, flip), "the backup is damaged"),
        (lambda path: rewrite(path, elsewhere), "what is not a station's"),
        (cut_short, "not a whole backup"),
        (lambda path: path.write_text("no archive"), "no backup"),
        (lambda path: path.unlink(), "No such file"),
    ],
    ids=["a flipped bit", "a path that leads out", "cut short", "no archive", "missing"],
)
def test_of_a_backup_that_is_not_as_it_was_written_nothing_is_restored(
    station: Station, tmp_path: Path, damage: Callable[[Path], object], says: str
) -> None:
    station.put_clip()
    archive = tmp_path / "backup.tar"
    station.spotter("backup", str(archive))
    damage(archive)
    box = new_box(station, tmp_path / "new" / "box")
    assert says in restored(box, archive, code=1)
    assert not list(tmp_path.rglob("evil.mp4"))
    assert not (box.state / "outbox.db").exists()
    assert not [path for path in box.state.rglob("*") if path.suffix == ".mp4"]
