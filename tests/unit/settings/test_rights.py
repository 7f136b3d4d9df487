"""What somebody is told who may not read the station's files."""

import grp
import os
import pwd
from pathlib import Path

import pytest

from agent.settings import load

_NAME, _GID = "spotter", 4711


def refused(*members: str, gid: int = _GID) -> object:
    """The group of the files, with these members."""
    return lambda _gid: grp.struct_group((_NAME, "x", gid, list(members)))


def test_a_stranger_is_told_to_join_and_a_new_member_to_log_in_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(grp, "getgrgid", refused())
    told = load.how_to_read(tmp_path)
    assert told == f"sudo adduser {me} {_NAME}, then log out and back in; or use sudo"

    monkeypatch.setattr(grp, "getgrgid", refused(me))
    assert "log out and back in" in load.how_to_read(tmp_path)
    assert load.how_to_read(tmp_path / "nowhere") == "use sudo"

    monkeypatch.setattr(grp, "getgrgid", refused(gid=0))
    assert load.how_to_read(tmp_path) == "use sudo"


def test_the_service_is_given_back_a_file_that_an_edit_took_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = {
        "station.toml": grp.struct_group(("root", "x", 0, [])),
        tmp_path.name: grp.struct_group((_NAME, "x", _GID, [])),
    }
    monkeypatch.setattr(load, "_group_of", lambda path: groups[path.name])
    monkeypatch.setattr(os, "getgroups", lambda: [_GID])
    edited = tmp_path / "station.toml"

    told = load.how_to_read(edited)

    assert told == f"sudo chgrp {_NAME} {edited}; sudo chmod 640 {edited}"


def test_a_file_in_a_folder_of_ones_own_is_edited_without_sudoedit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses there: "editing files in a writable directory is not permitted"."""
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert load.how_to_edit(tmp_path / "api-key") == f"sudoedit {tmp_path}/api-key"
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert load.how_to_edit(tmp_path / "api-key") == f"nano {tmp_path}/api-key"
    assert load.how_to_edit(Path("/nowhere/api-key")) == "sudoedit /nowhere/api-key"
