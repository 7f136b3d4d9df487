"""Telling the service manager how the daemon fares: systemd's notify protocol.

Source: sd_notify(3).  Lines go as datagrams to the socket that $NOTIFY_SOCKET names; where it
names none, nothing is told.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping

import structlog

from agent.pulse import Pulses
from agent.stage import StageName

_SEND_WITHIN_S = 1.0
_START_TICK_S = 5.0
_START_MORE_S = 30.0  # asked for again and again, while the start makes progress
_TICK_S = 30.0  # where no watchdog asks for more
_LONGEST_STATUS = 240

log = structlog.get_logger(stage=StageName.DAEMON)


class ServiceManager:
    """Whoever started the daemon and looks after it; nobody, where there is no socket."""

    def __init__(self, address: str | None = None, *, watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s  # it must hear from us within this time; None: never

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "ServiceManager":
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


class Watchman:
    """Tells the service manager again and again that all goes on, as long as all goes on."""

    def __init__(self, manager: ServiceManager, pulses: Pulses) -> None:
        """Prepare to tell `manager`, as long as everything goes on that has a pulse."""
        self.manager = manager
        self._pulses = pulses
        self.describe: Callable[[], str] = lambda: "starting"  # what the daemon does, in a line
        self._told = ""
        self._complained: list[str] = []
        self._is_starting = True
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchman", daemon=True)

    def __enter__(self) -> "Watchman":
        if self.manager.listens:
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()

    def has_started(self) -> None:
        """Say that the start is over."""
        self._is_starting = False
        self.manager.tell_ready()
        self._tell_status()

    def look(self) -> None:
        """Look once whether everything goes on, and tell."""
        stuck = self._pulses.stuck()
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
        refusals = self._pulses.refusals()
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
        """Tell the status, where it is another one."""
        if words != self._told:
            self._told = words
            self.manager.tell("STATUS=" + " ".join(words.split())[:_LONGEST_STATUS])
