"""The state folder: who may use it, and files that lie at two places in it."""

import errno
import os
from pathlib import Path

import pytest

from agent.disk.state_folder import (
    StateFolder,
    StateFolderLock,
    give_to_owner_of,
    link_or_copy,
    write_new,
)
from agent.errors import ConfigError
from tests.disks import mounted


@pytest.mark.parametrize(
    ("group", "told"),
    [("spotter", "join its group: sudo adduser $(id -un) spotter"), ("root", "use sudo")],
)
def test_nobody_is_told_to_take_the_folder_from_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, told: str
) -> None:
    folder = StateFolder(tmp_path)
    folder.clips.write_text("in the way")
    monkeypatch.setattr(Path, "group", lambda _path: group)

    with pytest.raises(ConfigError, match=r"paths\.state") as caught:
        folder.prepare()

    assert told in str(caught.value.hint) and "chown" not in str(caught.value.hint)


@pytest.mark.parametrize("name", ["tmp", "clips", "outbox.db", "ledger.jsonl", "tmp/page-cert.pem"])
def test_root_follows_no_link_that_others_laid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder, theirs = StateFolder(tmp_path / "state"), tmp_path / "theirs"
    folder.prepare()
    theirs.mkdir()
    link = folder.root / name
    if link.is_dir():
        link.rmdir()
    link.symlink_to(theirs if "." not in name else theirs / "new")
    if os.geteuid() == 0:
        os.lchown(link, 12345, 12345)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    with pytest.raises(ConfigError, match="root does not follow"):
        folder.prepare()

    assert list(theirs.iterdir()) == []


def test_what_is_given_to_the_owner_is_the_link_not_what_it_leads_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda *_what, **how: given.append(how["follow_symlinks"]))

    give_to_owner_of(tmp_path, tmp_path)

    assert given == [False]


def test_a_file_is_written_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="link"):
        write_new(tmp_path / "link", b"words")

    assert not (tmp_path / "elsewhere").exists()


def test_a_second_place_for_a_file_costs_no_copy_where_a_link_can_be_made(tmp_path: Path) -> None:
    """Where none can, as of a recording of another user on most boxes, it is a copy."""
    source = tmp_path / "capture.mp4"
    source.write_bytes(b"film")

    link_or_copy(source, tmp_path / "clip.mp4")
    assert (tmp_path / "clip.mp4").samefile(source)

    with mounted(tmp_path / "other") as other:
        link_or_copy(source, other / "clip.mp4")
        assert (other / "clip.mp4").read_bytes() == b"film"
    with pytest.raises(FileExistsError):
        link_or_copy(source, tmp_path / "clip.mp4")


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives files away")
def test_who_owns_the_folder_runs_the_station_after_root_did(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    os.chown(folder.root, 12345, 12345)
    lock = StateFolderLock(folder)

    lock.take()
    lock.release()

    made = (tmp_path / "owner.lock").stat()
    assert (made.st_uid, made.st_gid) == (12345, 12345)


def test_a_folder_that_is_anothers_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root, to whom every folder is open, tests may run."""

    def refuse(path: Path, *_how: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(ConfigError, match=r"paths\.state: Permission denied: .*owner\.lock"):
        StateFolderLock(StateFolder(tmp_path)).take()
