"""systemd: readiness, watchdog, status text, and the unit's own name.

Source: sd_notify(3).  Lines go as datagrams to the socket that $NOTIFY_SOCKET names; where it
names none, nothing is sent.
"""

import contextlib
import os
import shlex
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from agent.heartbeat import Heartbeats
from agent.outbox.outbox import Outbox
from agent.outbox.states import TO_BE_SENT, CaptureState, EntryState
from agent.settings.load import DEFAULT_PATH, find_config
from agent.stage import StageName
from agent.text import counted

_SEND_WITHIN_S = 1.0
_START_TICK_S = 5.0
_LAST_LOOK_S = 5.0  # at the end; SQLite crashes where a connection is closed under a query
_START_MORE_S = 30.0  # asked for repeatedly, while the start makes progress
_TICK_S = 30.0  # where no watchdog asks for more
_LONGEST_STATUS = 240

log = structlog.get_logger(stage=StageName.DAEMON)


class NotifySocket:
    """The service manager that supervises the daemon; nobody, where there is no socket."""

    def __init__(self, address: str | None = None, *, watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s  # it must hear from us within this time; None: never

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "NotifySocket":
        """Return the service manager that an environment names."""
        address = environ.get("NOTIFY_SOCKET")
        if not address:
            return cls()
        usec, process = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        is_ours = usec.isdigit() and int(usec) > 0 and process in {"", str(os.getpid())}
        return cls(address, watchdog_s=int(usec) / 1e6 if is_ours else None)

    @property
    def listens(self) -> bool:
        """Whether anybody listens."""
        return self._address is not None

    def tell(self, *lines: str) -> None:
        """Send lines such as READY=1; a service manager that does not listen is no error."""
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address[:1] == "@" else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.settimeout(_SEND_WITHIN_S)
            sender.sendto("\n".join(lines).encode(), address)

    def tell_ready(self) -> None:
        """Say that the daemon runs, or runs again after a reload."""
        self.tell("READY=1")

    def tell_reloading(self) -> None:
        """Say that the settings are being read again."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def tell_stopping(self) -> None:
        """Say that the daemon ends."""
        self.tell("STOPPING=1", "STATUS=ending")


class SystemdNotifier:
    """Notifies the service manager repeatedly, as long as every stage makes progress."""

    def __init__(self, manager: NotifySocket, heartbeats: Heartbeats) -> None:
        """Prepare to notify `manager`, as long as every heartbeat is on time."""
        self.manager = manager
        self._heartbeats = heartbeats
        self.describe: Callable[[], str] = lambda: "starting"  # what the daemon does, in a line
        self._told = ""
        self._complained: list[str] = []
        self._is_starting = True
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="systemd-notifier", daemon=True)

    def __enter__(self) -> "SystemdNotifier":
        if self.manager.listens:
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    def end(self) -> None:
        """Notify no more; wait for a check of the outbox, which is closed next."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_LAST_LOOK_S)

    def has_started(self) -> None:
        """Say that the start is over."""
        self._is_starting = False
        self.manager.tell_ready()
        self._tell_status()

    def look(self) -> None:
        """Check once whether every stage makes progress, and notify."""
        stuck = self._heartbeats.stuck()
        if stuck != self._complained and stuck:
            log.error("stages stalled", stages=",".join(stuck))
        self._complained = stuck
        if stuck:
            self.say(f"no progress in {', '.join(stuck)}")
            return
        if self._is_starting:
            self.manager.tell(f"EXTEND_TIMEOUT_USEC={_START_MORE_S * 1e6:.0f}")
            return
        self.manager.tell("WATCHDOG=1")
        self._tell_status()

    def _watch(self) -> None:
        while not self._over.wait(self._every_s()):
            self.look()

    def _every_s(self) -> float:
        half_s = _TICK_S if self.manager.watchdog_s is None else self.manager.watchdog_s / 2
        return min(half_s, _START_TICK_S) if self._is_starting else half_s

    def _tell_status(self) -> None:
        refusals = self._heartbeats.refusals()
        if refusals:
            self.say(f"disk access failed: {'; '.join(f'{k}: {v}' for k, v in refusals.items())}")
            return
        try:
            words = self.describe()
        except Exception as error:  # noqa: BLE001  # a busy database must not stop the feeding
            log.debug("status line skipped", error=str(error))
            return
        self.say(words)

    def say(self, words: str) -> None:
        """Report the status, where it is another one."""
        if words != self._told:
            self._told = words
            self.manager.tell("STATUS=" + " ".join(words.split())[:_LONGEST_STATUS])


SYSTEMD = Path("/run/systemd/system")  # is there where systemd runs the box
# Where the installer puts them, and where the package does.
_UNITS = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"))
_BY_HAND = "spotter run"


def unit_of(config: Path) -> str:
    """Return the unit that runs a station: the plain one, or that of a box with several."""
    plain = config.name == "station.toml"
    return "spotter.service" if plain else f"spotter@{config.stem}.service"


def start_command(config: Path, *, systemd: Path = SYSTEMD, units: Sequence[Path] = _UNITS) -> str:
    """Return how a person starts the daemon of a station on this box."""
    unit = unit_of(config)
    file = "spotter@.service" if "@" in unit else unit
    is_of_unit = systemd.is_dir() and config.parent == DEFAULT_PATH.parent
    if is_of_unit and any((folder / file).exists() for folder in units):
        return f"sudo systemctl start {unit.removesuffix('.service')}"
    return with_config(_BY_HAND, config)


def with_config(command: str, config: Path) -> str:
    """Return a command for a station, with --config where it would find another one without it."""
    is_found = config == find_config(None, os.environ)
    return command if is_found else f"{command} --config {shlex.quote(str(config))}"


def describe_station(outbox: Outbox, host: str) -> str:
    """Return what is under way, what waits and for what, without a name in it."""
    counts = outbox.listing.counts()
    words = _work(counts["captures"], counts["entries"]) or ["watching"]
    words += _left_to_people(counts["entries"])
    lane = outbox.lanes.get(host)
    if lane.paused_reason is not None:
        words.append(f"uploads paused: {_spelt(lane.paused_reason)}")
    words += [f"{pause.part} paused: {_spelt(pause.reason)}" for pause in outbox.pauses.all()]
    return "; ".join(words)


def _work(captures: Mapping[str, int], entries: Mapping[str, int]) -> list[str]:
    words = []
    if captures.get(CaptureState.ANALYSING):
        words.append("analysing a capture")
    if entries.get(EntryState.UPLOADING):
        words.append("uploading a clip")
    if waiting := sum(entries.get(state, 0) for state in TO_BE_SENT):
        words.append(f"{counted(waiting, 'clip')} to upload")
    if ahead := captures.get(CaptureState.CAPTURED, 0):
        words.append(f"{counted(ahead, 'capture')} to analyse")
    return words


def _left_to_people(entries: Mapping[str, int]) -> list[str]:
    words = []
    if held := entries.get(EntryState.HELD):
        words.append(f"{held} held for review")
    if dead := entries.get(EntryState.DEAD):
        words.append(f"{dead} rejected")
    return words


def _spelt(reason: str) -> str:
    return reason.replace("_", " ")
