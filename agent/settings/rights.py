"""What to tell somebody who may not read the station's files: how to join those who may."""

import grp
import os
import pwd
from pathlib import Path


def how_to_read(path: Path) -> str:
    """Return what gives this user the right to read a file of the station."""
    try:
        user, group = pwd.getpwuid(os.geteuid()).pw_name, _group_of(path)
        folder = _group_of(path.parent)
    except (KeyError, OSError):  # a user or a group without a name
        return "use sudo"
    if _is_of_mine(folder) and folder.gr_gid != group.gr_gid:  # put there by root, in an edit
        return f"sudo chgrp {folder.gr_name} {path}; sudo chmod 640 {path}"
    if group.gr_gid == 0:  # nobody should join that one
        return "use sudo"
    if user in group.gr_mem:
        return f"you are in the group {group.gr_name} from your next login on: log in anew"
    return f"sudo adduser {user} {group.gr_name}, then log in anew; or use sudo"


def _is_of_mine(group: grp.struct_group) -> bool:
    return group.gr_gid != 0 and group.gr_gid in {os.getegid(), *os.getgroups()}


def _group_of(path: Path) -> grp.struct_group:
    """Return the group of a path, or of the nearest folder above it that can be looked at."""
    for place in (path, *path.parents):
        try:
            return grp.getgrgid(place.stat().st_gid)
        except PermissionError:
            continue
    raise FileNotFoundError(path)
