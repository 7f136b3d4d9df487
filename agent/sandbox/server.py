"""The sandbox server on loopback, and the storage host that its video links lead to.

The storage host knows no keys, and refuses requests with one: the link alone opens a file, and only
for a while.  Like the big ones it serves ranges, and answers in XML where it refuses.
"""

import contextlib
import gzip
import hashlib
import re
import signal
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from http.server import ThreadingHTTPServer
from pathlib import Path

from agent.sandbox.account import SandboxAccount, SandboxKey, Span, fault_of_link
from agent.sandbox.api import ApiRequestHandler
from agent.sandbox.faults import NO_FAULT, PlannedFault
from agent.sandbox.http import (
    RESET_ON_CLOSE,
    ConnectionClosed,
    FaultyRequestHandler,
    Refused,
    RequestHandler,
)
from agent.text import counted

_MEDIA = re.compile(r"/media/(?P<session_id>[A-Za-z0-9]+)/(video|analyzed)\.mp4")
_RANGE = re.compile(r"bytes=(\d+)-")
_PART_BYTES = 64 * 1024
_HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42"  # what a video begins with
_IN_MID_BODY = frozenset({"cut", "reset", "stall"})  # of the answer: the request has no body
_VIDEO = {"Content-Type": "video/mp4"}


class StorageRequestHandler(FaultyRequestHandler):
    """One exchange with the storage host."""

    is_storage = True

    def serve(self) -> None:
        """Hand a video out, or break it as a fault says."""
        if self.key_and_form()[0] is not None:
            raise Refused("InvalidArgument: only one way to be let in, and the link is it", 400)
        media = _MEDIA.fullmatch(self.plain_path)
        if media is None or self.command != "GET":
            raise Refused("NoSuchKey", 404)
        why_not = fault_of_link(
            self.plain_path, self.query, secret=self.account.link_secret, now_s=time.time()
        )
        if why_not is not None:
            raise Refused(f"AccessDenied: {why_not}", 403)
        fault = self.fault_at("storage")
        if fault.what in _IN_MID_BODY or not (self._play_body(fault) or self.play_instead(fault)):
            self._send_video(self._find(media["session_id"]), fault)

    def refuse(self, refusal: Refused) -> None:
        """Say no, as a storage service does."""
        document = f'<?xml version="1.0"?><Error><Code>{refusal}</Code></Error>'
        self.answer_raw(refusal.status, document.encode(), {"Content-Type": "application/xml"})

    def _find(self, session_id: str) -> Path:
        session = self.account.book.find(session_id)
        if session is None or session.video_path is None or not session.video_path.exists():
            raise Refused("NoSuchKey", 404)
        return session.video_path

    def _send_video(self, path: Path, fault: PlannedFault) -> None:
        what = fault.what
        size = path.stat().st_size
        tag = f'"{time.monotonic_ns()}"' if what == "changed" else _tag(path, size)
        start = 0 if what == "no-ranges" else self._range_start(tag)
        headers = {**_VIDEO, "ETag": tag}
        if what != "no-ranges":
            headers["Accept-Ranges"] = "bytes"
        if start is not None and start >= size:
            self.answer_raw(416, b"", {"Content-Range": f"bytes */{size}"})
            return
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        length = size - (start or 0)
        more = int(fault.number("n", 1000)) if what == "wrong-length" else 0
        status = 206 if start else 200
        self.send_stream(status, _file(path, start or 0), headers, length + more, fault)

    def _range_start(self, tag: str) -> int | None:
        """Return from where on a client wants the file; None: it says nothing, or of another."""
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or self.headers.get("If-Range", tag) != tag:
            return None
        return int(match[1])

    def _play_body(self, fault: PlannedFault) -> bool:
        """Answer with something that is no such video; False where the fault is another."""
        if fault.what == "huge":
            size = int(fault.number("n", 1e12))
            self.send_stream(200, _nothing(size), _VIDEO, size)
        elif fault.what == "endless":
            self.send_stream(200, _nothing(None), _VIDEO, None)
        elif fault.what == "disguised":
            page = b"<html><body>Please sign in." + b" " * 100_000
            self.send_stream(200, [page], _VIDEO, len(page))
        elif fault.what == "packed":
            packed = gzip.compress(_HEAD + bytes(int(fault.number("n", 1e7))))
            headers = {**_VIDEO, "Content-Encoding": "gzip"}
            self.send_stream(200, [packed], headers, len(packed))
        else:
            return False
        return True

    def send_stream(
        self,
        status: int,
        parts: Iterable[bytes],
        headers: dict[str, str],
        length: int | None,
        fault: PlannedFault = NO_FAULT,
    ) -> None:
        """Send a body of any length, or of none announced, as a fault would have it sent."""
        self.begin_answer(status, {**headers, "Connection": "close"}, length)
        stop_at = self.stop_at(fault, length or 0)
        rate = fault.number("rate", 64e3) if fault.what == "slow" else None
        try:
            for part in parts:
                rest = None if stop_at is None else stop_at - self.sent_bytes
                self.send_part(part[:rest])
                if rest is not None and len(part) >= rest:
                    self.break_off(fault)
                if self.stopping.wait(0.0 if rate is None else len(part) / rate):
                    break
        except OSError:  # the client went away: that is its right
            raise ConnectionClosed from None
        finally:
            self.close_connection = True


@cache
def _tag(path: Path, size: int) -> str:
    return f'"{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}-{size}"'


def _file(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as video:
        video.seek(start)
        while part := video.read(_PART_BYTES):
            yield part


def _nothing(size: int | None) -> Iterator[bytes]:
    """Yield what begins like a video and continues with nothing, up to a size or for ever."""
    yield _HEAD
    left = None if size is None else size - len(_HEAD)
    while left is None or left > 0:
        part = bytes(_PART_BYTES if left is None else min(left, _PART_BYTES))
        left = None if left is None else left - len(part)
        yield part


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
        fault = NO_FAULT
        if not self._exchange.is_storage:
            fault = self.account.plan.take("connection") or NO_FAULT
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

    def _opened(self, request: socket.socket, fault: PlannedFault) -> socket.socket:
        """Return a connection as it is spoken on, or break it as a fault says."""
        if fault.what == "drop":
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            raise ConnectionResetError
        if not self.account.tls:
            return request
        name = fault.what.removeprefix("tls-") or "good"
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
    """Run a sandbox until SIGINT or SIGTERM, printing what it receives."""
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
