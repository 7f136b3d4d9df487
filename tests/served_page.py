"""A page for tests: the real server in a thread, on a real outbox."""

import contextlib
import secrets
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from agent.clock import read_clock
from agent.disk.state_folder import OF_SESSIONS, StateFolder, load_secret
from agent.outbox.devices import Role
from agent.outbox.outbox import Outbox
from agent.settings import Settings
from agent.stage import StopFlag
from agent.web.auth import LoginSession, Signer
from agent.web.server import DaemonSignals, PageServer
from tests.station import until

PIN = "482913"
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # made once: it costs more than a request


@dataclass(slots=True)
class ServedPage:
    """A page that is up."""

    settings: Settings
    folder: StateFolder
    outbox: Outbox
    filming: threading.Event  # set while a capture is being written
    thread: threading.Thread  # in which it is served
    stuck: list[str] = field(default_factory=list)  # parts that make no progress

    @property
    def origin(self) -> str:
        return f"http://{self.settings.web.listen}"

    @property
    def signer(self) -> Signer:
        return Signer(
            load_secret(self.folder, OF_SESSIONS), lasts_days=self.settings.web.session_days
        )

    def wake_ups(self) -> int:
        """How often its thread has waited for something so far."""
        status = Path(f"/proc/self/task/{self.thread.native_id}/status").read_text()
        return int(status.rpartition("nonvoluntary")[0].split()[-1])

    def session(
        self, role: Role = Role.COACH, *, age_s: float = 0.0, device_id: str | None = None
    ) -> LoginSession:
        """A device's session; the device is let in unless it is named."""
        now_s = read_clock().utc_s
        if device_id is None:
            device_id = secrets.token_hex(8).translate(str.maketrans("0189", "abcd"))
            token = secrets.token_hex(8)
            self.outbox.devices.offer(token, role=role, name="", now_s=now_s, lasts_s=60)
            assert self.outbox.devices.pair(token, device_id=device_id, now_s=now_s)
        return LoginSession(device_id=device_id, role=role, issued_at=int(now_s - age_s))

    def client(self, session: LoginSession | None = None, **headers: str) -> httpx.Client:
        """A browser's stand-in, with a session's cookie and its CSRF token."""
        given = {"origin": self.origin, "accept": "application/json", **headers}
        cookies = {}
        if session is not None:
            cookies["spotter"] = self.signer.cookie(session)
            given["x-csrf-token"] = self.signer.csrf_token(session)
        return httpx.Client(
            base_url=self.origin, headers=given, cookies=cookies, timeout=20, verify=_NO_TLS
        )


def page_settings(root: Path, **tables: Mapping[str, object]) -> Settings:
    """Settings of a weightlifting station whose page has a PIN."""
    (root / "capture").mkdir(parents=True, exist_ok=True)
    given: dict[str, dict[str, object]] = {
        "station": {
            **{"id": "p3", "name": "Platform 3"},
            **{"activity": "weightlifting", "exercise": "snatch"},
        },
        "paths": {"capture": str(root / "capture"), "state": str(root / "state")},
        "api": {"base_url": "http://127.0.0.1:9"},
        "web": {"listen": f"127.0.0.1:{free_port()}", "pin": PIN},
    }
    for name, values in tables.items():
        given[name] = {**given.get(name, {}), **values}
    return Settings.model_validate(given)


@contextlib.contextmanager
def served_page(settings: Settings) -> Iterator[ServedPage]:
    """Serve a page meanwhile."""
    folder = StateFolder(settings.paths.state)
    folder.prepare()
    load_secret(folder, OF_SESSIONS)  # before the server and its clients would both make it
    stop, filming = StopFlag(), threading.Event()
    stuck: list[str] = []
    with Outbox.open(folder.root) as outbox:
        signs = DaemonSignals(
            is_filming=filming.is_set, wake=lambda: None, stop=stop, stuck=lambda: stuck
        )
        server = PageServer(settings, outbox, folder, signs=signs, now=read_clock)
        thread = threading.Thread(target=server.step)
        thread.start()
        try:
            host, _, port = settings.web.listen.rpartition(":")
            until(lambda: is_open(host, int(port)))
            yield ServedPage(settings, folder, outbox, filming, thread, stuck)
        finally:
            stop.set()
            thread.join(60)
        assert not thread.is_alive()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def is_open(host: str, port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0
