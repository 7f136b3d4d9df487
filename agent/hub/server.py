"""The broker: nats-server as a child process, with an account for each station and worker.

Every station has an account of its own.  Rights on subjects alone would not do: the broker sends
its acknowledgements and answers to whatever subject a request names, with its own rights, and so a
station could have it write where the station may not.  Across accounts it answers into the
station's account, where nobody else is.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent.disk.state_folder import open_plain, rewriting
from agent.errors import BusyError, ConfigError
from agent.facility.broker import BrokerAccess
from agent.facility.keys import FacilityKey
from agent.facility.membership import (
    DESIRED,
    EVENTS_STREAM,
    NEXT_WORK,
    STATES,
    WORK_ACKNOWLEDGED,
    MemberKind,
    Membership,
    SiteSubjects,
    Subjects,
    split_address,
)
from agent.hub.folder import HubFolder, Register
from agent.hub.settings import SiteSettings
from agent.text import read_json

PROGRAM = "nats-server"
EVENTS_BYTES = 1 << 30  # most that is stored of events; the oldest give way
SITE_EVENTS_BYTES = 1 << 26  # of each site of a chain
_STORE_BYTES = EVENTS_BYTES + (1 << 28)
_MEMORY_BYTES = 1 << 27
_MOST_PAYLOAD = 1 << 18
_LOG_BYTES = 10_000_000
_HUB, _CHAIN = "HUB", "CHAIN"
_READY_WITHIN_S = 15.0
_LOOK_EVERY_S = 0.05
_END_WITHIN_S = 5.0
_MOST_LOG = 1 << 18  # bytes
_MOST_CONFIGURATION = 1 << 24  # bytes
# A file of a stream that could not be written, as in "critical write error: write /x/1.blk: no
# space left on device" and "failed to store a msg on stream 'HUB > EVENTS': write ...".
_NOT_STORED = re.compile(
    r"\[ERR\] .*(?:[Cc]ritical write error|failed to store a msg).*: \w+ /[^:]*: (.+)"
)


def configuration(
    site: SiteSettings,
    folder: HubFolder,
    register: Register,
    *,
    hub: FacilityKey,
    chain: tuple[Membership, FacilityKey] | None,
    broker: str = PROGRAM,
) -> str:
    """Return the broker's configuration, which it reads as JSON.

    Args:
        site: where it listens.
        folder: where its certificate and its store are.
        register: who may come in.
        hub: the key of the only user who may do everything.
        chain: to which the broker connects, and by which key.
        broker: its own name, which it tells everyone who connects.
    """
    certificate, key = folder.certificate
    tls = {
        "cert_file": str(certificate),
        "key_file": str(key),
        "handshake_first": True,
        "timeout": 5,
    }
    accounts = _accounts(site.site, register, hub)
    leafs: dict[str, Any] = {}
    if chain is not None:
        member, own = chain
        accounts[_CHAIN] = {"users": [{"nkey": own.public}]}
        leafs = _to_chain(member, own, tls)
    elif site.sites is not None:
        leafs = {"leafnodes": {"listen": site.sites, "tls": tls}}
    document = {
        "server_name": broker,
        "listen": site.listen,
        "logfile": str(folder.broker_log),
        "logfile_size_limit": _LOG_BYTES,
        "logfile_max_num": 3,
        "max_payload": _MOST_PAYLOAD,
        "ping_interval": "10s",
        "ping_max": 3,
        "tls": tls,
        "jetstream": {
            "store_dir": str(folder.store),
            "sync_interval": "always",  # else it acknowledges what a power cut takes
            "max_file_store": _STORE_BYTES + SITE_EVENTS_BYTES * len(register.sites),
            "max_memory_store": _MEMORY_BYTES,
        },
        "accounts": accounts,
        **leafs,
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def _to_chain(member: Membership, own: FacilityKey, tls: Mapping[str, object]) -> dict[str, Any]:
    """Return how the broker connects to the chain's, as a leaf with an account of its own.

    The account has nothing of the hub's: only what the hub itself publishes there can cross.  The
    server knows pinned keys in the table of those that connect to it, and heeds them for those that
    it connects to: the name in the certificate says nothing, its key everything.
    """
    remote = {
        "urls": [f"tls://{member.address}"],
        "account": _CHAIN,
        "nkey": own.seed,
        "tls": {"insecure": True, "handshake_first": True},
    }
    pinned = {**tls, "pinned_certs": [_key_digest(member.certificate)]}
    return {"leafnodes": {"reconnect": "2s", "tls": pinned, "remotes": [remote]}}


def _key_digest(certificate: str) -> str:
    """Return the SHA-256 of a certificate's public key, as the broker pins it."""
    try:
        public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except ValueError:
        raise ConfigError(
            "the certificate of the chain is damaged", hint="spotter hub leave, then join again"
        ) from None
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(public.public_bytes(*form)).hexdigest()


def _accounts(site: str, register: Register, hub: FacilityKey) -> dict[str, Any]:
    """Return every account, with what it gives others and what it has of them.

    What stands before the first hyphen of an account's name says whose it is.
    """
    exports: list[dict[str, Any]] = []
    accounts: dict[str, Any] = {
        _HUB: {
            "jetstream": "enabled",
            "users": [{"nkey": hub.public}],
            "exports": exports,
            "imports": [],
        }
    }
    workers = [f"WORKER-{name}" for name in register.workers]
    ask_station: list[dict[str, Any]] = []  # what a worker may ask stations for
    members = [
        (name, account, one.key)
        for kind, (joined, invited) in _ACCOUNTS.items()
        for account, table in ((joined, register.known(kind)), (invited, register.invited(kind)))
        for name, one in table.items()
    ]
    for name, kind, public in members:
        account, subjects = f"{kind}-{name}", Subjects(site=site, station=name)
        given = _RIGHTS[kind](subjects)
        exports += [{right.way: right.subject, "accounts": [account]} for right in given]
        accounts[account] = {
            "users": [{"nkey": public}],
            "imports": [right.imported(_HUB) for right in given],
        }
        if kind == "STATION":
            own = [_Right("service", subject) for subject in (subjects.fetch, subjects.done)]
            do = _Right("service", f"{subjects.do}.*")
            accounts[_HUB]["imports"].append(do.imported(account))
            ask_station += [right.imported(account) for right in own]
            accounts[account]["exports"] = [
                {right.way: right.subject, "accounts": workers} for right in own if workers
            ] + [{do.way: do.subject, "accounts": [_HUB]}]
    for account in workers:
        accounts[account]["imports"] += ask_station
    return accounts


@dataclass(frozen=True, slots=True)
class _Right:
    """One subject of another account's, and which way its messages go."""

    way: Literal["service", "stream"]
    subject: str
    known_as: str | None = None  # in the account that has the right; None: the same

    def imported(self, account: str) -> dict[str, Any]:
        """Return it as the account that has it says so."""
        told: dict[str, Any] = {self.way: {"account": account, "subject": self.subject}}
        return told if self.known_as is None else {**told, "to": self.known_as}


def _of_station(subjects: Subjects) -> list[_Right]:
    """Return all that a station may do at the hub."""
    wanted = f"$KV.{DESIRED}.{subjects.place}"
    return [
        _Right("service", f"{subjects.events}.>"),
        _Right("service", subjects.state),
        _Right("service", subjects.poster),
        _Right("service", subjects.last(f"KV_{STATES}", subjects.state)),
        _Right("service", subjects.last(f"KV_{STATES}", subjects.allowance)),
        _Right("service", subjects.last(EVENTS_STREAM, f"{subjects.events}.>")),
        _Right("service", subjects.last(f"KV_{DESIRED}", f"{wanted}.*")),
        _Right("stream", f"{wanted}.>"),
        _Right("service", subjects.offered, known_as=subjects.offer),
    ]


def _of_worker(subjects: Subjects) -> list[_Right]:
    """Return all that a worker may do at the hub: take work, and say what becomes of it."""
    services = (NEXT_WORK, WORK_ACKNOWLEDGED, subjects.working)
    return [_Right("service", subject) for subject in services]


def _of_site(subjects: Subjects) -> list[_Right]:
    """Return all that a site may do at its chain: add to its own stream, and see what is there."""
    own = SiteSubjects(site=subjects.station)
    return [
        _Right("service", own.events),
        _Right("service", own.stations, known_as=own.tell),
        _Right("service", own.stream_info, known_as=own.ask_info),
        _Right("service", own.stream_get, known_as=own.ask_event),
    ]


_ACCOUNTS = {
    MemberKind.STATION: ("STATION", "INVITED"),
    MemberKind.WORKER: ("WORKER", "GUEST"),
    MemberKind.SITE: ("SITE", "NEWSITE"),
}
_RIGHTS: dict[str, Callable[[Subjects], list[_Right]]] = {
    "STATION": _of_station,
    "WORKER": _of_worker,
    "SITE": _of_site,
    **{
        invited: partial(lambda kind, subjects: [_Right("service", subjects.join(kind))], kind)
        for kind, (_, invited) in _ACCOUNTS.items()
    },
}


def hub_access(listen: str, folder: HubFolder, key: FacilityKey) -> BrokerAccess:
    """Return how the hub itself reaches its broker: on this machine."""
    host, _, port = listen.rpartition(":")
    here = "127.0.0.1" if host in {"0.0.0.0", ""} else "[::1]" if host == "[::]" else host  # noqa: S104  # compared with
    certificate = folder.certificate[0].read_text("ascii")
    return BrokerAccess(address=f"{here}:{port}", certificate=certificate, key=key)


def broker_name(folder: HubFolder) -> str | None:
    """Return the name of the broker that the hub of a folder has started last; None: unknown."""
    try:
        with open_plain(folder.configuration) as file:
            name = read_json(file.read(_MOST_CONFIGURATION))["server_name"]
    except (OSError, ValueError, TypeError, KeyError):  # it has started none, or is writing it
        return None
    return str(name)


def find_server(site: SiteSettings) -> Path:
    """Return the nats-server to start.

    Raises:
        ConfigError: there is none.
    """
    beside = Path(sys.executable).with_name(PROGRAM)
    found = site.server or (beside if os.access(beside, os.X_OK) else None)
    if found is None:
        path = shutil.which(PROGRAM)
        found = None if path is None else Path(path)
    if found is None or not os.access(found, os.X_OK):
        raise ConfigError(
            f"{found or PROGRAM} is missing",
            hint="pip install 'spotter-agent[hub]', or set hub.server",
        )
    return found


def end_of_log(folder: HubFolder) -> str:
    """Return the end of what the broker has logged since it started."""
    with contextlib.suppress(OSError), open_plain(folder.broker_log) as file:
        file.seek(max(0, folder.broker_log.stat().st_size - _MOST_LOG))
        return file.read(_MOST_LOG).decode("utf-8", "replace")
    return ""


def storing_fault(logged: str) -> str | None:
    """Return why the broker stores nothing more; None where it has not said so.

    A stream of which one write has failed takes no message until the broker starts again, also
    when the disk has room again, and answers nobody who publishes (nats-server 2.15, filestore).

    Args:
        logged: by this run of the broker.
    """
    found = _NOT_STORED.findall(logged)
    return f"events cannot be stored: {found[-1].strip()}" if found else None


class BrokerProcess:
    """The child process; it ends with its parent, however that ends."""

    def __init__(self, program: Path, site: SiteSettings, folder: HubFolder) -> None:
        self._program = program
        self._site = site
        self._folder = folder
        # Never the same twice: it distinguishes this hub from another one with a copy of its keys.
        self._name = f"{PROGRAM}-{os.urandom(8).hex()}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(
        self,
        register: Register,
        *,
        hub: FacilityKey,
        chain: tuple[Membership, FacilityKey] | None,
    ) -> None:
        """Start the broker with what the register says, and wait until it listens.

        Raises:
            BusyError: it does not, with the reason in its own words.
        """
        place = self._folder.configuration
        told = configuration(
            self._site, self._folder, register, hub=hub, chain=chain, broker=self._name
        )
        with rewriting(place, 0o600) as file:
            file.write(told.encode())
        self._folder.broker_log.unlink(missing_ok=True)
        words = [str(self._program), "-c", str(place)]
        tied = shutil.which("setpriv")
        if tied is not None:
            words = [tied, "--pdeathsig", "TERM", *words]
        self._process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=_plain(os.environ),
        )
        await self._await_listening()

    async def wait(self) -> NoReturn:
        """Wait until the broker has ended without being told to.

        Raises:
            BusyError: it has.
        """
        assert self._process is not None  # just started
        code = await self._process.wait()
        await asyncio.sleep(_LOOK_EVERY_S)  # systemd ends both: then the hub ends it
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        raise BusyError(f"nats-server has ended {how}", hint=f"its log: {self._folder.broker_log}")

    async def stop(self) -> None:
        """End the broker."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _END_WITHIN_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _await_listening(self) -> None:
        assert self._process is not None  # just started
        loop = asyncio.get_running_loop()
        latest_s = loop.time() + _READY_WITHIN_S
        while self._process.returncode is None and loop.time() < latest_s:
            if "Server is ready" in self._told():
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        await self.stop()
        words = [line.split("] ", 2)[-1] for line in self._told().splitlines() if "[FTL]" in line]
        said = words[-1] if words else "it did not start"
        host, port = split_address(self._site.listen)
        if "address already in use" in said:
            raise BusyError(
                f"{host}:{port} is already in use by another program",
                hint=f"sudo ss -ltnp 'sport = :{port}' shows which; or set another hub.listen",
            )
        raise BusyError(
            f"nats-server at {host}:{port}: {said}", hint=f"its log: {self._folder.broker_log}"
        )

    def _told(self) -> str:
        try:
            return self._folder.broker_log.read_text("utf-8", "replace")
        except OSError:
            return ""


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the broker may see of the environment: no secrets of ours."""
    return {name: environ[name] for name in ("PATH", "HOME", "TZ", "LANG") if name in environ}
