"""What somebody is told who may not read the station's files."""

import grp
import os
import pwd
from pathlib import Path

import pytest

from agent.settings import rights

_GROUP = grp.getgrgid(os.getgid())


def refused(*members: str) -> object:
    """The group of the files, with these members."""
    return lambda _gid: grp.struct_group((_GROUP.gr_name, "x", _GROUP.gr_gid, list(members)))


def test_a_stranger_is_told_to_join_and_a_new_member_to_log_in_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(grp, "getgrgid", refused())
    told = rights.how_to_read(tmp_path)
    assert told == f"sudo adduser {me} {_GROUP.gr_name}, then log in anew; or use sudo"

    monkeypatch.setattr(grp, "getgrgid", refused(me))
    assert "log in anew" in rights.how_to_read(tmp_path)
    assert rights.how_to_read(tmp_path / "nowhere") == "use sudo"
