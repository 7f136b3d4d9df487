"""Checks of a facility's worker: its folder, its hub, its room, its service."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from agent.disk.space import DiskUsage, measure, megabytes
from agent.disk.state_folder import StateFolder, StateFolderLock, acting_as_owner
from agent.doctor.check import CheckResult, broken, fine, warning
from agent.doctor.folders import may_look
from agent.doctor.runner import Rounds
from agent.doctor.service import ask_systemd, judge_unit
from agent.errors import ConfigError, NotifyError
from agent.facility.broker import HubConnection, HubRefusesError
from agent.facility.joining import access_of
from agent.facility.keys import FacilityKey
from agent.facility.membership import Membership, read_membership, read_station_key

UNIT = "spotter-worker.service"
DEFAULT_STATE = Path("/var/lib/spotter-worker")
_LOW_BYTES = 4_000_000_000  # a long recording, and what is spared beside it


def worker_rounds(state: Path) -> Rounds:
    """Yield what is checked next, and what to call for its findings.

    Args:
        state: the worker's folder.
    """
    if not may_look(state):
        closed = [broken("hub", f"{state} may not be read", "sudo spotter worker --check")]
        yield "hub", lambda: closed
        return
    folder = StateFolder(state)
    yield "hub", lambda: list(_check_hub(folder))
    yield "service", lambda: [_check_service(folder)]
    if state.is_dir():
        yield "disk space", lambda: [judge_room(measure(state))]


def _check_hub(folder: StateFolder) -> Iterator[CheckResult]:
    told = f"{folder.root} belongs to no facility"
    nobody = broken("hub", told, "on the hub: spotter hub invite --worker NAME")
    if not folder.root.is_dir():
        yield nobody
        return
    try:
        with acting_as_owner(folder.root):
            member = read_membership(folder)
            if member is not None:
                yield _reached(member, FacilityKey(read_station_key(folder)))
                return
    except ConfigError as error:
        yield broken("hub", str(error), "join again: spotter hub invite --worker NAME, on the hub")
        return
    yield nobody


def _reached(member: Membership, key: FacilityKey) -> CheckResult:
    with closing(HubConnection(access_of(member, key))) as hub:
        try:
            hub.open()
        except HubRefusesError:
            told = f"the hub at {member.address} refuses this worker's key"
            return broken("hub", told, f"on the hub: spotter hub invite --worker {member.station}")
        except NotifyError as error:
            return warning("hub", f"{error}; it is tried again", "spotter hub doctor, at the hub")
    return fine("hub", f"{member.address} accepts it as {member.site}/{member.station}")


def _check_service(folder: StateFolder) -> CheckResult:
    runs = False
    if folder.root.is_dir():
        with acting_as_owner(folder.root):
            runs = StateFolderLock(folder).is_taken()
    told = ask_systemd(UNIT)
    is_there = told.get("LoadState", "not-found") != "not-found"
    if folder.root == DEFAULT_STATE and is_there:
        return judge_unit(UNIT, told, runs=runs, boot_s=time.clock_gettime(time.CLOCK_MONOTONIC))
    if runs:
        return fine("service", "running, without systemd")
    return broken("service", "not running", f"spotter worker --state {folder.root}")


def judge_room(room: DiskUsage) -> CheckResult:
    """Judge the room that is left for a recording."""
    told = f"{megabytes(room.free_bytes)} free of {megabytes(room.total_bytes)}"
    if room.free_bytes < _LOW_BYTES:
        return warning("disk space", f"{told}: too little for a long recording", "free disk space")
    return fine("disk space", told)
