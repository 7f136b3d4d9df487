"""The broker: nats-server as a child process, with an account for each station and worker.

Every station has an account of its own.  Rights on subjects alone would not do: the broker sends
its acknowledgements and answers to whatever subject a request names, with its own rights, and so a
station could have it write where the station may not.  Across accounts it answers into the
station's account, where nobody else is.
"""

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agent.errors import BusyError, ConfigError
from agent.facility.broker import BrokerAccess
from agent.facility.keys import FacilityKey
from agent.facility.membership import (
    DESIRED,
    EVENTS_STREAM,
    NEXT_WORK,
    STATES,
    WORK_ACKNOWLEDGED,
    Subjects,
    split_address,
)
from agent.hub.folder import HubFolder, Register
from agent.hub.settings import SiteSettings

PROGRAM = "nats-server"
EVENTS_BYTES = 1 << 30  # most that is stored of events; the oldest give way
_STORE_BYTES = EVENTS_BYTES + (1 << 28)
_MEMORY_BYTES = 1 << 27
_MOST_PAYLOAD = 1 << 18
_LOG_BYTES = 10_000_000
_HUB = "HUB"
_READY_WITHIN_S = 15.0
_LOOK_EVERY_S = 0.05
_END_WITHIN_S = 5.0


def configuration(
    site: SiteSettings, folder: HubFolder, register: Register, *, hub: FacilityKey
) -> str:
    """Return the broker's configuration, which it reads as JSON.

    Args:
        site: where it listens.
        folder: where its certificate and its store are.
        register: who may come in.
        hub: the key of the only user who may do everything.
    """
    certificate, key = folder.certificate
    document = {
        "server_name": "spotter-hub",
        "listen": site.listen,
        "logfile": str(folder.broker_log),
        "logfile_size_limit": _LOG_BYTES,
        "logfile_max_num": 3,
        "max_payload": _MOST_PAYLOAD,
        "ping_interval": "10s",
        "ping_max": 3,
        "tls": {
            "cert_file": str(certificate),
            "key_file": str(key),
            "handshake_first": True,
            "timeout": 5,
        },
        "jetstream": {
            "store_dir": str(folder.store),
            "sync_interval": "always",  # else it acknowledges what a power cut takes
            "max_file_store": _STORE_BYTES,
            "max_memory_store": _MEMORY_BYTES,
        },
        "accounts": _accounts(site.site, register, hub),
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


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
    members = [(n, "STATION", known.key) for n, known in register.stations.items()]
    members += [(n, "INVITED", one.key) for n, one in register.invitations.items()]
    members += [(n, "WORKER", known.key) for n, known in register.workers.items()]
    members += [(n, "GUEST", one.key) for n, one in register.worker_invitations.items()]
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


def _of_worker(_subjects: Subjects) -> list[_Right]:
    """Return all that a worker may do at the hub: take work, and say what becomes of it."""
    return [_Right("service", NEXT_WORK), _Right("service", WORK_ACKNOWLEDGED)]


_RIGHTS: dict[str, Callable[[Subjects], list[_Right]]] = {
    "STATION": _of_station,
    "INVITED": lambda subjects: [_Right("service", subjects.join)],
    "WORKER": _of_worker,
    "GUEST": lambda subjects: [_Right("service", subjects.join_as_worker)],
}


def hub_access(listen: str, folder: HubFolder, key: FacilityKey) -> BrokerAccess:
    """Return how the hub itself reaches its broker: on this machine."""
    host, _, port = listen.rpartition(":")
    here = "127.0.0.1" if host in {"0.0.0.0", ""} else "[::1]" if host == "[::]" else host  # noqa: S104  # compared with
    certificate = folder.certificate[0].read_text("ascii")
    return BrokerAccess(address=f"{here}:{port}", certificate=certificate, key=key)


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


class BrokerProcess:
    """The child process; it ends with its parent, however that ends."""

    def __init__(self, program: Path, site: SiteSettings, folder: HubFolder) -> None:
        self._program = program
        self._site = site
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, register: Register, *, hub: FacilityKey) -> None:
        """Start the broker with what the register says, and wait until it listens.

        Raises:
            BusyError: it does not, with the reason in its own words.
        """
        place = self._folder.configuration
        place.write_text(configuration(self._site, self._folder, register, hub=hub), "utf-8")
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

    async def wait(self) -> None:
        """Return when the broker has ended."""
        if self._process is not None:
            await self._process.wait()

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
        raise BusyError(f"nats-server at {host}:{port}: {said}", hint=f"{self._folder.broker_log}")

    def _told(self) -> str:
        try:
            return self._folder.broker_log.read_text("utf-8", "replace")
        except OSError:
            return ""


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the broker may see of the environment: no secrets of ours."""
    return {name: environ[name] for name in ("PATH", "HOME", "TZ", "LANG") if name in environ}
