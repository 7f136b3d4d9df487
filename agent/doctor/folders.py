"""Checks of folders: existence, owner, permissions, file system."""

import os
import sqlite3
import stat
from pathlib import Path

from agent.disk.capture_lock import find_conflict
from agent.disk.mounts import MountMemory, Mounts, mount_point_of, mounted_now
from agent.disk.rights import (
    ALL,
    READ,
    WRITE,
    ServiceUser,
    group_of,
    may,
    name_of_group,
    name_of_user,
    service_user_of,
)
from agent.disk.space import READ_ONLY_REMEDY, is_read_only
from agent.doctor.check import CheckResult, StationUnderTest, broken, fine, warning
from agent.errors import AgentError
from agent.outbox.consistency import opened_as_it_is
from agent.outbox.pauses import FOLDER_IN_USE
from agent.settings.load import how_to_read
from agent.text import counted, printable_file_name

STATE = "state folder"


def check_folder(name: str, path: Path, who: ServiceUser) -> CheckResult:
    """See that a folder is there and that the daemon may use it."""
    make = f"sudo install -d -o {who.name} -g {group_of(who)} -m 2770 {path}"
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
    if not may(found, who, ALL):
        owner = f"{name_of_user(found.st_uid)}:{name_of_group(found.st_gid)}"
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
        f"sudo chown -R {who.name}:{group_of(who)} {root}",
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


def check_others(station: StationUnderTest) -> list[CheckResult]:
    """Report another daemon that has the capture folder; one of this station's own is none."""
    if not may_look(station.folder.root):  # it could be this station's own daemon
        return []
    if station.runs and not _waits_for_another(station):
        return []
    capture = station.settings.paths.capture
    conflict = find_conflict(capture)
    if conflict is None:
        return []
    remedy = station.setting("[paths] capture, a folder of its own")
    return [broken("capture folder", conflict.found(capture), remedy)]


def _waits_for_another(station: StationUnderTest) -> bool:
    try:
        with opened_as_it_is(station.folder.root) as outbox:
            pauses = [] if outbox is None else outbox.pauses.all()
            return any(pause.reason == FOLDER_IN_USE for pause in pauses)
    except (sqlite3.Error, AgentError):
        return False  # said by the check of the outbox


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
    return [*findings, *check_others(station), check_mounts(station)]


def _may_make(path: Path, who: ServiceUser) -> bool:
    try:
        return may(path.parent.stat(), who, ALL)
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
    wanted = READ if is_recording else ALL if stat.S_ISDIR(found.st_mode) else READ | WRITE
    return not may(found, who, wanted)


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
