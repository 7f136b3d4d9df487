"""What the user that the daemon runs as may do with files of others, and what gives it the right.

Whoever asks may be somebody else: a member of the group, or root, whom nothing is refused.
"""

import grp
import os
import pwd
import shlex
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

READ, WRITE, ENTER = 4, 2, 1
ALL = READ | WRITE | ENTER


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUser:
    """Whose rights count: the user that the daemon runs as."""

    name: str
    uid: int
    groups: frozenset[int]


def service_user_of(state_folder: Path) -> ServiceUser:
    """Return the owner of the state folder, whom the daemon runs as; this user where there is none.

    Whoever else asks, the rights that count are the daemon's, and nothing is to be taken from it.
    """
    uid = os.geteuid()
    with suppress(OSError):
        uid = state_folder.stat().st_uid
    if uid == os.geteuid():
        return ServiceUser(
            name=name_of_user(uid), uid=uid, groups=frozenset({os.getegid(), *os.getgroups()})
        )
    return user_of(uid)


def user_of(uid: int) -> ServiceUser:
    """Return a user with the groups that the system lists for it."""
    try:
        known = pwd.getpwuid(uid)
    except KeyError:  # a user without a name, as of another system's disk
        return ServiceUser(name=name_of_user(uid), uid=uid, groups=frozenset())
    groups = os.getgrouplist(known.pw_name, known.pw_gid)
    return ServiceUser(name=known.pw_name, uid=uid, groups=frozenset(groups))


def may(found: os.stat_result, who: ServiceUser, wanted: int) -> bool:
    """Tell whether a user has rights (4 read, 2 write, 1 enter), as the mode says."""
    if who.uid == 0:
        return True
    mode = found.st_mode
    if found.st_uid == who.uid:
        return (mode >> 6) & wanted == wanted
    if found.st_gid in who.groups:
        return (mode >> 3) & wanted == wanted
    return mode & wanted == wanted


def may_read(path: Path, who: ServiceUser) -> bool:
    """Tell whether a user may read a file.

    Raises:
        OSError: it is not there, or hidden from whoever asks.
    """
    return _has(path, who, READ) and _has(path.parent, who, ENTER)


def may_take(path: Path, who: ServiceUser) -> bool:
    """Tell whether a user may read a file and move it out of its folder.

    Raises:
        OSError: it is not there, or hidden from whoever asks.
    """
    return FolderRights(path.parent, who).may_take(path.name, path.stat())


def may_list(folder: Path, who: ServiceUser) -> bool:
    """Tell whether a user may see what is in a folder.

    Raises:
        OSError: it is not there, or hidden from whoever asks.
    """
    return _has(folder, who, READ | ENTER)


def may_empty(folder: Path, who: ServiceUser) -> bool:
    """Tell whether a user may enter a folder and move files out of it.

    Raises:
        OSError: it is not there, or hidden from whoever asks.
    """
    return _has(folder, who, ALL)


def _has(path: Path, who: ServiceUser, wanted: int) -> bool:
    """Tell whether a user has rights.

    Raises:
        OSError: it is not there, or hidden from whoever asks.
    """
    return _grants(path, path.stat(), who, wanted)


def _grants(path: Path | str, found: os.stat_result, who: ServiceUser, wanted: int) -> bool:
    """Tell whether a user has rights; the system, which knows access lists, is asked if it can be.

    Args:
        path: where it is.
        found: what is there.
        who: the user.
        wanted: the rights.
    """
    if who.uid == os.geteuid():
        return os.access(path, wanted, effective_ids=True)
    return may(found, who, wanted)


class FolderRights:
    """What a user may do with the files of one folder, for asking about many of them."""

    def __init__(self, folder: Path, who: ServiceUser) -> None:
        """Look at the folder.

        Raises:
            OSError: it is not there, or hidden from whoever asks.
        """
        found = folder.stat()
        self._who, self._folder = who, f"{folder}"
        self._may_empty = _grants(folder, found, who, ALL)
        self._owners = {0, found.st_uid} if found.st_mode & stat.S_ISVTX else None

    def may_take(self, name: str, found: os.stat_result) -> bool:
        """Tell whether the user may read a file, which is no link, and move it out."""
        return (
            self._may_empty
            and not self.keeps(found)
            and _grants(f"{self._folder}/{name}", found, self._who, READ)
        )

    def keeps(self, found: os.stat_result) -> bool:
        """Tell whether a file stays in the folder because that is sticky, as `/tmp` is."""
        return self._owners is not None and self._who.uid not in self._owners | {found.st_uid}


def how_to_give(path: Path, who: ServiceUser) -> str:
    """Return what lets a user read a file."""
    name = shlex.quote(str(path))
    return f"sudo chgrp {group_of(who)} {name}; sudo chmod g+r {name}"


def how_to_let_take(path: Path, who: ServiceUser) -> str:
    """Return what lets a user read a file, or a folder's files, and move them out.

    Raises:
        OSError: it is not there, or hidden from whoever asks.
    """
    needed = []
    if path.is_dir():
        needed.append(_how_to_empty(path, who))
    else:
        if not _has(path, who, READ):
            needed.append(how_to_give(path, who))
        if not may_empty(path.parent, who):
            needed.append(_how_to_empty(path.parent, who))
        if FolderRights(path.parent, who).keeps(path.lstat()):
            needed.append(f"sudo chmod -t {shlex.quote(str(path.parent))}")
    return "; ".join(needed)


def _how_to_empty(folder: Path, who: ServiceUser) -> str:
    name = shlex.quote(str(folder))
    return f"sudo chgrp {group_of(who)} {name}; sudo chmod g+rwxs {name}"


def name_of_user(uid: int) -> str:
    """Return a user's name, or the number of one without."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def name_of_group(gid: int) -> str:
    """Return a group's name, or the number of one without."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def group_of(who: ServiceUser) -> str:
    """Return the name of a user's own group."""
    try:
        return name_of_group(pwd.getpwuid(who.uid).pw_gid)
    except KeyError:
        return who.name
