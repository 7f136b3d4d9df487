"""Checks of folders: existence, owner, permissions, file system."""

import grp
import os
import pwd
import shlex
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.disk.mounts import MountMemory, Mounts, mount_point_of, mounted_now
from agent.disk.space import READ_ONLY_REMEDY, is_read_only
from agent.doctor.check import CheckResult, StationUnderTest, broken, fine, warning
from agent.settings.load import how_to_read
from agent.text import counted, printable_file_name

STATE = "state folder"
_READ, _WRITE, _ENTER = 4, 2, 1
_ALL = _READ | _WRITE | _ENTER


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
            name=_name(uid), uid=uid, groups=frozenset({os.getegid(), *os.getgroups()})
        )
    try:
        known = pwd.getpwuid(uid)
    except KeyError:  # a user without a name, as of another system's disk
        return ServiceUser(name=_name(uid), uid=uid, groups=frozenset())
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
    return may(path.stat(), who, _READ) and may(path.parent.stat(), who, _ENTER)


def may_take(path: Path, who: ServiceUser) -> bool:
    """Tell whether a user may read a file and move it out of its folder.

    Raises:
        OSError: it is not there, or hidden from whoever asks.
    """
    return may(path.stat(), who, _READ) and may(path.parent.stat(), who, _ALL)


def how_to_give(path: Path, who: ServiceUser) -> str:
    """Return what lets a user take a file."""
    name = shlex.quote(str(path))
    return f"sudo chgrp {_group_of(who)} {name}; sudo chmod g+r {name}"


def check_folder(name: str, path: Path, who: ServiceUser) -> CheckResult:
    """See that a folder is there and that the daemon may use it."""
    make = f"sudo install -d -o {who.name} -g {_group_of(who)} -m 2770 {path}"
    try:
        found = path.stat()
    except FileNotFoundError:
        if name == STATE and _may_make(path, who):
            return fine(name, f"{path}: created at the first start")
        return broken(name, f"{path} is missing", make)
    except OSError as error:
        return broken(name, f"{path}: {error.strerror}", f"as {who.name}: ls -ld {path}")
    return _judge_folder(name, path, found, who, make=make)


def _judge_folder(
    name: str, path: Path, found: os.stat_result, who: ServiceUser, *, make: str
) -> CheckResult:
    if not stat.S_ISDIR(found.st_mode):
        return broken(name, f"{path} is not a folder", f"move it away, then {make}")
    if not may(found, who, _ALL):
        owner = f"{_name(found.st_uid)}:{_group(found.st_gid)}"
        return broken(
            name,
            f"{path} belongs to {owner} ({stat.filemode(found.st_mode)}): {who.name} cannot "
            "read and write there",
            make,
        )
    if is_read_only(path):
        return broken(name, f"{path} is read-only", READ_ONLY_REMEDY)
    if name == STATE and found.st_mode & stat.S_IRWXO:
        return warning(
            name, f"{path} is accessible to every user of this box", f"sudo chmod o-rwx {path}"
        )
    return fine(name, f"{path}, accessible to {who.name}")


def check_inside(root: Path, who: ServiceUser, *, capture: Path) -> CheckResult:
    """Look for files in the state folder that the daemon could not use, as root may leave them.

    Those in the capture folder, which may be inside it, belong to others until they are ingested.
    """
    foreign = [
        path
        for path in sorted(root.glob("*")) + sorted(root.glob("*/*"))[:10000]
        if path.parent != capture and _is_out_of_reach(path, root, who)
    ]
    if not foreign:
        return fine("stored files", f"all accessible to {who.name}")
    return broken(
        "stored files",
        f"{counted(len(foreign), 'is', 'are')} not {who.name}'s to use, as "
        f"{printable_file_name(foreign[0].name)}",
        f"sudo chown -R {who.name}:{_group_of(who)} {root}",
    )


def check_mounts(station: StationUnderTest, *, fstab: Path | None = None) -> CheckResult:
    """See that the folders are on the disks that are meant."""
    settings = station.settings
    mounts = Mounts(settings.disk.mounts, **({} if fstab is None else {"fstab": fstab}))
    capture = settings.paths.capture
    missing = mounts.missing_for(settings.paths.state, capture)
    if missing is None and capture.exists():
        missing = MountMemory(station.folder, capture).missing()
    if missing is not None:
        return broken(
            "mounts",
            f"{missing} is not mounted: Spotter waits for it and writes nothing there",
            f"sudo mount {missing}; if that is intended, remove {station.folder.root}/mounts.json",
        )
    return fine("mounts", f"{capture} is on {mount_point_of(capture.resolve(), mounted_now())}")


def check_folders(station: StationUnderTest) -> list[CheckResult]:
    """Carry out every check of this module."""
    paths = station.settings.paths
    who = service_user_of(paths.state)
    findings = [
        check_folder("capture folder", paths.capture, who),
        check_folder(STATE, paths.state, who),
    ]
    if paths.state.is_dir() and os.access(paths.state, os.R_OK | os.X_OK):
        findings.append(check_inside(paths.state, who, capture=paths.capture))
    archive = station.settings.capture.archive_dir
    if archive is not None and station.settings.capture.originals == "archive":
        findings.append(check_folder("archive folder", archive, who))
    return [*findings, check_mounts(station)]


def _may_make(path: Path, who: ServiceUser) -> bool:
    try:
        return may(path.parent.stat(), who, _ALL)
    except OSError:
        return False


def _is_out_of_reach(path: Path, root: Path, who: ServiceUser) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
        return False
    # Recordings keep the rights that their writer gave them: they are read, moved and removed.
    is_recording = stat.S_ISREG(found.st_mode) and path.parent != root
    wanted = _READ if is_recording else _ALL if stat.S_ISDIR(found.st_mode) else _READ | _WRITE
    return not may(found, who, wanted)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _group_of(who: ServiceUser) -> str:
    try:
        return _group(pwd.getpwuid(who.uid).pw_gid)
    except KeyError:
        return who.name


LEFT_OUT = "outbox, history, camera, notifications and service are not checked"


def may_look(state_folder: Path) -> bool:
    """Tell whether this user may read the state folder; one that is not there yet hides nothing."""
    try:
        state_folder.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return os.access(state_folder, os.R_OK | os.X_OK)


def check_rights(station: StationUnderTest) -> list[CheckResult]:
    """Say what gives this user the right to read; nothing where nothing is closed."""
    root = station.folder.root
    if may_look(root) or root.is_file():  # the check of folders reports a file
        return []
    lasting = how_to_read(root)
    return [
        broken(
            "permissions",
            f"this user may not read {root}: {LEFT_OUT}",
            "sudo spotter doctor" + ("" if lasting == "use sudo" else f"; permanently: {lasting}"),
        )
    ]
