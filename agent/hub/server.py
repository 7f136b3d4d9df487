"""The broker: nats-server as a child process, with an account for each station.

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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.errors import BusyError, ConfigError
from agent.facility.broker import BrokerAccess
from agent.facility.keys import FacilityKey
from agent.facility.membership import (
    DESIRED,
    EVENTS_STREAM,
    STATES,
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
        register: which stations may come in.
        hub: the key of the only user who may do everything.
    """
    certificate, key = folder.certificate
    exports: list[dict[str, Any]] = []
    accounts: dict[str, Any] = {
        _HUB: {"jetstream": "enabled", "users": [{"nkey": hub.public}], "exports": exports}
    }
    members = [(name, "STATION", known.key) for name, known in register.stations.items()]
    guests = [(name, "INVITED", one.key) for name, one in register.invitations.items()]
    for station, kind, public in (*members, *guests):
        account = f"{kind}-{station}"
        subjects = Subjects(site=site.site, station=station)
        given = list(_rights(subjects)) if kind == "STATION" else [("service", subjects.join)]
        exports += [{way: subject, "accounts": [account]} for way, subject in given]
        accounts[account] = {
            "users": [{"nkey": public}],
            "imports": [{way: {"account": _HUB, "subject": subject}} for way, subject in given],
        }
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
        "accounts": accounts,
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def _rights(subjects: Subjects) -> Iterator[tuple[str, str]]:
    """Yield all that a station may do: each way with its subject."""
    wanted = f"$KV.{DESIRED}.{subjects.place}"
    yield "service", f"{subjects.events}.>"
    yield "service", subjects.state
    yield "service", subjects.last(f"KV_{STATES}", subjects.state)
    yield "service", subjects.last(EVENTS_STREAM, f"{subjects.events}.>")
    yield "service", subjects.last(f"KV_{DESIRED}", f"{wanted}.*")
    yield "stream", f"{wanted}.>"


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
