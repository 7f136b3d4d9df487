"""The sandbox server on loopback."""

import contextlib
import signal
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from http.server import ThreadingHTTPServer
from pathlib import Path

from agent.sandbox.account import SandboxAccount, SandboxKey, Span
from agent.sandbox.api import ApiRequestHandler
from agent.sandbox.faults import PlannedFault
from agent.sandbox.http import RESET_ON_CLOSE, RequestHandler
from agent.sandbox.storage_host import StorageRequestHandler
from agent.text import counted

# Leaf keys that everybody knows, for localhost alone; the authority's own key was thrown away.
CERTIFICATES = Path(__file__).parent / "certificates"


def _refuse_vain(faults: Sequence[str]) -> None:
    """Refuse faults that could not happen without TLS.

    Raises:
        ValueError: there is one.
    """
    for fault in faults:
        if fault.startswith("tls-"):
            raise ValueError(f"{fault!r} happens with --tls alone")


class Sandbox(SandboxAccount, AbstractContextManager["Sandbox"]):
    """A stand-in for the API; use it as a context manager."""

    def __init__(
        self,
        *,
        port: int = 0,
        key: str = "sandbox-key",
        processing_s: float | Span = 2.0,
        faults: Sequence[str] = (),
        keep_dir: Path | None = None,
        tls: bool = False,
    ) -> None:
        """Prepare a server; it listens from `start` on.

        Args:
            port: 0 takes any free one.
            key: the first key that is accepted, an admin's.
            processing_s: until a session's analysed video is there, or a span to draw that from.
            faults: what goes wrong, as `faults.parse_fault` reads it.
            keep_dir: where received videos stay; None for a folder that goes with the server.
            tls: speak TLS, with a certificate that only `certificates/ca.pem` vouches for.
        """
        _refuse_vain([] if tls else faults)
        self._own_folder = None if keep_dir else tempfile.TemporaryDirectory(prefix="sandbox-")
        videos = keep_dir or Path(self._own_folder.name if self._own_folder else ".")
        videos.mkdir(parents=True, exist_ok=True)
        super().__init__(SandboxKey(token=key, role="admin"), videos, processing_s, faults=faults)
        self.tls = tls
        self._api = _Server(("127.0.0.1", port), self, ApiRequestHandler)
        self._storage = _Server(("127.0.0.1", 0), self, StorageRequestHandler)
        self.port = int(self._api.server_address[1])  # the one it listens on
        self._storage_port = int(self._storage.server_address[1])
        self.storage_url = f"{self._scheme}://127.0.0.1:{self._storage_port}"
        self._threads: list[threading.Thread] = []

    @property
    def base_url(self) -> str:
        """What a station's `api.base_url` must be."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """What a station's `api.ca_file` must be where this server speaks TLS."""
        return CERTIFICATES / "ca.pem"

    def start(self) -> "Sandbox":
        """Listen."""
        for server in (self._api, self._storage):
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            self._threads.append(thread)
            thread.start()
        return self

    def stop(self) -> None:
        """End every connection and the server."""
        self.go_away()
        if self._own_folder is not None:
            self._own_folder.cleanup()

    def go_away(self) -> None:
        """Listen no more: connections are refused from now on, and those that are open end."""
        self.stopping.set()
        if self._threads:
            for server in (self._api, self._storage):
                server.shutdown()
            for thread in self._threads:
                thread.join()
            self._threads.clear()
        for server in (self._api, self._storage):
            server.end_connections()
            server.server_close()

    def come_back(self) -> None:
        """Listen again, at the same addresses and with the same books."""
        self.stopping = threading.Event()
        self._api = _Server(("127.0.0.1", self.port), self, ApiRequestHandler)
        self._storage = _Server(("127.0.0.1", self._storage_port), self, StorageRequestHandler)
        self.start()

    @property
    def _scheme(self) -> str:
        return "https" if self.tls else "http"

    def __enter__(self) -> "Sandbox":
        return self.start()

    def __exit__(self, *_ended: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    """The listening socket and the living connections."""

    daemon_threads = False  # server_close waits for the exchanges
    allow_reuse_address = True
    request_queue_size = 64
    _RECEIVE_BUFFER_BYTES = 1 << 20  # some systems let it grow to 32 MB: what is not read is there

    def __init__(
        self, address: tuple[str, int], account: Sandbox, exchange: type[RequestHandler]
    ) -> None:
        self.account = account
        self._exchange = exchange
        self._living: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, exchange)

    def server_activate(self) -> None:
        self.socket.setsockopt(  # connections inherit it
            socket.SOL_SOCKET, socket.SO_RCVBUF, self._RECEIVE_BUFFER_BYTES
        )
        super().server_activate()

    def process_request_thread(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)  # this is a TCP server
        fault = None if self._exchange.is_storage else self.account.plan.take("connection")
        with self._lock:
            self._living.add(request)
        try:
            with contextlib.closing(self._opened(request, fault)) as opened:
                super().process_request_thread(opened, client_address)
        except OSError:  # a handshake that the client did not like
            self.shutdown_request(request)
        finally:
            with self._lock:
                self._living.discard(request)

    def _opened(self, request: socket.socket, fault: PlannedFault | None) -> socket.socket:
        """Return a connection as it is spoken on, or break it as a fault says."""
        if fault is not None and fault.what == "drop":
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            raise ConnectionResetError
        if not self.account.tls:
            return request
        name = "good" if fault is None else fault.what.removeprefix("tls-")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATES / f"{name}.pem")
        request.settimeout(ApiRequestHandler.timeout)
        opened = context.wrap_socket(request, server_side=True)
        with self._lock:
            self._living.add(opened)
        return opened

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet about clients that went away."""

    def end_connections(self) -> None:
        """Shut every living connection down, so that its thread ends."""
        with self._lock:
            for living in self._living:
                with contextlib.suppress(OSError):
                    living.shutdown(socket.SHUT_RDWR)


def serve(sandbox: Sandbox, echo: Callable[[str], None]) -> None:
    """Run a sandbox until SIGINT or SIGTERM, telling what it receives."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    sandbox.book.on_change = echo
    with sandbox:
        keys = ", ".join(sandbox.tokens)
        echo(f"sandbox API at {sandbox.base_url}, keys: {keys}; videos at {sandbox.storage_url}")
        echo("point a station at it:")
        echo(
            f"  export SPOTTER_API__BASE_URL={sandbox.base_url}"
            f" SPOTTER_API__KEY={sandbox.tokens[0]}"
        )
        if sandbox.tls:
            echo(f"  export SPOTTER_API__CA_FILE={sandbox.ca_file}")
        echo("Ctrl-C ends it")
        ended.wait()
        sessions = len(sandbox.book.sessions)
        asked = counted(len(sandbox.book.requests), "request")
        echo(f"ended: {counted(sessions, 'session')} made, {asked}")
