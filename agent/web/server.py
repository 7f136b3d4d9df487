"""The page's HTTP server, in a thread of the daemon, with connection limits.

Browsers take an address without a scheme for http: on a port with TLS, plain requests are led to
https.  Which of the two a connection speaks, its first byte tells: a TLS connection begins with a
record of the type handshake (RFC 8446, 5.1), and no HTTP request begins with that byte.
"""

import asyncio
import contextlib
import errno
import re
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import h11
import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.clock import Now
from agent.disk.state_folder import StateFolder
from agent.errors import ConfigError, plain_words
from agent.heartbeat import beat
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import PauseReporter
from agent.settings import Settings, WebSettings
from agent.stage import StageName, StopFlag
from agent.web.app import make_app, make_page
from agent.web.auth import read_pin, why_no_pin
from agent.web.context import DaemonSignals
from agent.web.routing import WebContext

if TYPE_CHECKING:  # it loads the cryptography, which a page without TLS does without
    from agent.web.tls import PageCertificate

_REQUEST_WITHIN_S = 10.0  # for the head of a request, or what is left of one answered, to come


class LimitedConnection(H11Protocol):
    """A connection of uvicorn's, under this limit."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn says less of the transport
        """Take a connection in."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes in; those of a request's head must be followed by the rest of it."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Note that a request has its answer; what is left of its body must come soon."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if not self._is_owed():
            self._stop_watching()
        elif self._limit is None and not self.transport.is_closing():
            self._limit = self.loop.call_later(_REQUEST_WITHIN_S, self._end)

    def _is_owed(self) -> bool:
        """Tell whether the other side has yet to say something before anything can be done."""
        if self.conn.their_state is h11.SEND_BODY:  # the body of what has its answer already
            return self.cycle is not None and self.cycle.response_complete
        return self.conn.their_state is h11.IDLE

    def _stop_watching(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _end(self) -> None:
        if self._is_owed() and not self.transport.is_closing():
            self.transport.abort()


_MOST = 96  # at once
_MOST_OF_ONE = 24  # of one address; a tablet with a full page of pictures uses six
_MOST_TURNED_AWAY = 64  # at a stretch: whoever is connected has a turn in between
_QUEUE = 64  # connections that wait to be accepted


class LimitedListener(socket.socket):
    """A socket that listens, and knows which of its connections are open."""

    def __init__(self, *given: int) -> None:
        """Make a socket of a family, kind and protocol."""
        super().__init__(*given)
        self._open: list[tuple[str, socket.socket]] = []  # from where, the latest last
        self.is_known: Callable[[str], bool] = lambda _address: False

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """Return the next connection for which there is a place.

        Raises:
            BlockingIOError: nobody waits, or enough were turned away for now.
        """
        for _ in range(_MOST_TURNED_AWAY):
            connection, address = super().accept()
            if self._lets_in(connection, str(address[0])):
                return connection, address
            connection.close()
        raise BlockingIOError

    def end_all(self) -> bool:
        """End every connection; return whether some are open still, not yet met by the server."""
        self._open = [(of, one) for of, one in self._open if one.fileno() >= 0]
        for _, connection in self._open:
            with contextlib.suppress(OSError):  # it may have gone by itself
                connection.shutdown(socket.SHUT_RDWR)
        return bool(self._open)

    def _lets_in(self, connection: socket.socket, address: str) -> bool:
        self._open = [(of, one) for of, one in self._open if one.fileno() >= 0]
        held = Counter(of for of, _ in self._open)
        if held[address] >= _MOST_OF_ONE:
            return False
        if len(self._open) >= _MOST and not self._makes_room(address, held):
            return False
        self._open.append((address, connection))
        return True

    def _makes_room(self, address: str, held: Counter[str]) -> bool:
        """End a connection for a new one: of strangers first, of who holds the most of them."""
        others = {of: number for of, number in held.items() if not self.is_known(of)}
        least = held[address] + 2  # so that two who hold much do not end each other in turns
        if self.is_known(address):
            others, least = (others, 1) if others else (dict(held), least)
        greediest = max(others, key=others.__getitem__, default=address)
        if held[greediest] < least:
            return False
        self._end_latest_of(greediest)
        return True

    def _end_latest_of(self, address: str) -> None:
        """End a connection: the server meets its end as if the other side had gone."""
        at = max(at for at, (of, _) in enumerate(self._open) if of == address)
        _, connection = self._open.pop(at)
        with contextlib.suppress(OSError):  # it may have gone by itself
            connection.shutdown(socket.SHUT_RDWR)


def listen_on(listen: str) -> LimitedListener:
    """Return a socket that listens on an address such as 127.0.0.1:8377.

    Raises:
        OSError: the address is taken or not this box's.
    """
    host, _, port = listen.rpartition(":")
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM
    )[0]
    listener = LimitedListener(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_QUEUE)
    except BaseException:
        listener.close()
        raise
    return listener


def why_refused(error: OSError) -> str:
    """Return the stable word for why an address cannot be listened at, as `port_taken`."""
    return "port_taken" if error.errno == errno.EADDRINUSE else "address_refused"


_AFTER_FAILURE_S = 30.0
_END_WITHIN_S = 2
_LET_END_S = 0.01
_TICK_S = 1.0  # the Date header is drawn again
_KEEP_ALIVE_S = 30
_CERTIFICATE_EVERY_S = 600.0  # it is checked
_LARGEST_HEAD = 16384

__all__ = ["DaemonSignals", "PageServer"]

log = structlog.get_logger(stage=StageName.PAGE)


class PageServer:
    """Serves the page until the daemon ends; whatever happens to it stays here."""

    name = StageName.PAGE

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        folder: StateFolder,
        *,
        signs: DaemonSignals,
        now: Now,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._now = now
        self._make_page = partial(make_page, settings, outbox, folder, signs=signs, now=now)
        self._stop = signs.stop
        self._waiting = PauseReporter(outbox.pauses, self.name, now=now)

    def step(self) -> float:
        """Serve until the daemon ends, or until the page fails: then it is tried again later."""
        listen = self._settings.web.listen
        try:
            certificate = self._certificate()
        except (OSError, ConfigError) as error:
            return self._is_not_open("not_open", plain_words(error))
        try:
            listener = listen_on(listen)
        except OSError as error:
            words = error.strerror or plain_words(error)
            return self._is_not_open(why_refused(error), words)
        with contextlib.closing(listener):
            try:
                page = self._make_page()
            except Exception as error:  # status and doctor name it; the supervisor judges it
                self._is_not_open("not_open", plain_words(error))
                raise
            self._waiting.end()
            listener.is_known = page.auth.is_known
            try:
                self._serve(page, listener, certificate)
            finally:
                page.database.close()
        return 0.0 if self._stop.is_set() else _AFTER_FAILURE_S

    def _is_not_open(self, reason: str, words: str) -> float:
        """Record why the page is not served; return after how long it is tried again."""
        self._waiting.begin(reason, f"{self._settings.web.listen}: {words}")
        return _AFTER_FAILURE_S

    def close(self) -> None:
        """Nothing is held: the server has ended with its step."""

    def _certificate(self) -> "PageCertificate | None":
        if self._settings.web.certificate is None:
            return None
        # Its cryptography takes 11 MiB, which a page without TLS does not need.
        from agent.web.tls import PageCertificate

        return PageCertificate(self._settings.web, self._folder, now=self._now)

    def _serve(
        self, page: WebContext, listener: LimitedListener, certificate: "PageCertificate | None"
    ) -> None:
        warn_without_pin(self._settings.web)
        log.info("page opened", listen=self._settings.web.listen, tls=certificate is not None)
        serve_app(make_app(page), listener, certificate, stop=self._stop)


def serve_app(
    app: Starlette,
    listener: LimitedListener,
    certificate: "PageCertificate | None",
    *,
    stop: StopFlag,
) -> None:
    """Serve an application until the request to end, or until it fails."""
    config = uvicorn.Config(
        app,
        http=LimitedConnection,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="critical",  # what a neighbour sends must not fill the log
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_END_WITHIN_S,
        h11_max_incomplete_event_size=_LARGEST_HEAD,
    )
    config.load()
    asyncio.run(_serve_on(listener, _Server(config, listener, stop, certificate)))


def warn_without_pin(settings: WebSettings) -> None:
    """Say that the PIN that was meant is not there: until it is, only paired devices come in."""
    if settings.pin_file is not None and read_pin(settings) is None:
        log.warning("pin not configured", file=str(settings.pin_file), detail=why_no_pin(settings))


async def _serve_on(listener: LimitedListener, server: uvicorn.Server) -> None:
    """Serve, and at the end let no connection be left, not even those that never shook hands."""
    await server.serve(sockets=[listener])
    for left in list(server.server_state.connections):
        if isinstance(left, LimitedConnection):
            left.transport.abort()  # a listener's, that is not read from meanwhile
    loop = asyncio.get_running_loop()
    latest_s = loop.time() + _END_WITHIN_S
    while listener.end_all() and loop.time() < latest_s:
        await asyncio.sleep(_LET_END_S)


class _Server(uvicorn.Server):
    """uvicorn's server, ended by the daemon's request."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: LimitedListener,
        stop: StopFlag,
        certificate: "PageCertificate | None",
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._stop = stop
        self._certificate = certificate
        self._acceptor: TlsAcceptor | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections; with TLS, not by uvicorn's own means."""
        if self._certificate is None:
            await super().startup(sockets)
            return
        await super().startup([])
        context = self._certificate.context
        self._acceptor = TlsAcceptor(self._listener, context, self._make_protocol)

    def _make_protocol(self) -> asyncio.Protocol:
        return LimitedConnection(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def main_loop(self) -> None:
        """Serve until the daemon ends; uvicorn's own loop would wake ten times a second."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        keeping = None if self._certificate is None else loop.create_task(_keep(self._certificate))
        with self._stop.notifying(partial(loop.call_soon_threadsafe, ended.set)):
            while not (await self.on_tick(0) or ended.is_set()):
                beat()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), _TICK_S)
        if keeping is not None:
            keeping.cancel()
        # What was accepted a moment ago becomes a connection of the server's before it closes:
        # afterwards asyncio refuses it, and nobody would close it.
        loop.remove_reader(self._listener)
        await asyncio.sleep(0)
        if self._acceptor is not None:
            await self._acceptor.close()


async def _keep(certificate: "PageCertificate") -> None:
    """Keep a certificate up; what goes wrong leaves the one before in its place."""
    while True:
        await asyncio.sleep(_CERTIFICATE_EVERY_S)
        try:
            await asyncio.to_thread(certificate.renew)
            certificate.take_over()  # here: the one that serves is no other thread's to change
        except (OSError, ConfigError) as error:
            log.warning("certificate renewal failed", error=str(error))


_HANDSHAKE = b"\x16"
_PLAIN_WITHIN_S = 10.0  # for the first byte, or for a plain request and its answer
_AFTER_SHORTAGE_S = 1.0  # of descriptors or memory, as asyncio's own server waits
_SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_AT_ONCE = 64  # connections are accepted before others have a turn
_PART_BYTES = 16384
_MOST_PARTS = 64  # read after the answer, such as of a form's body
# What a browser sends for a name or an address; anything else is not repeated to it.
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_TARGET = re.compile(rb"/[\x21-\x7e]*")
_HTTP_PORT = b":80"  # of a request that names none
_UPGRADE = "Upgrade: TLS/1.2, HTTP/1.1"  # RFC 9110, 15.5.22
_USE_HTTPS = "this page uses TLS: its address begins with https://"

ProtocolFactory = Callable[[], asyncio.Protocol]


class TlsAcceptor:
    """Hands over connections that speak TLS, and answers the others itself."""

    def __init__(
        self, listener: socket.socket, context: ssl.SSLContext, make_protocol: ProtocolFactory
    ) -> None:
        """Prepare to accept.

        Args:
            listener: listens; how many of its connections may be open is its own to limit.
            context: with the certificate, which may be exchanged meanwhile.
            make_protocol: makes what a TLS connection is handed over to.
        """
        self._listener = listener
        self._context = context
        self._make_protocol = make_protocol
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept)

    async def close(self) -> None:
        """Accept no more, and end the connections that were not handed over."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._listener)
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _SHORTAGE:
                    raise
                self._loop.remove_reader(self._listener)  # it would be called without pause
                self._again = self._loop.call_later(_AFTER_SHORTAGE_S, self._resume)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._open(connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _resume(self) -> None:
        self._again = None
        self._loop.add_reader(self._listener, self._accept)

    async def _open(self, connection: socket.socket) -> None:
        """Hand a connection over, or answer it; what the other side does ends nothing else."""
        first = b""
        try:
            async with asyncio.timeout(_PLAIN_WITHIN_S):
                first = await self._first_byte(connection)
                if first not in {b"", _HANDSHAKE}:
                    await self._answer(connection)
        except (OSError, TimeoutError):
            first = b""
        finally:
            if first != _HANDSHAKE:
                connection.close()
        if first == _HANDSHAKE:
            with contextlib.suppress(OSError, TimeoutError):  # the handshake fails, or lasts
                await self._loop.connect_accepted_socket(
                    self._make_protocol, connection, ssl=self._context
                )

    async def _first_byte(self, connection: socket.socket) -> bytes:
        """Return the first byte, which stays to be read; empty where the other side is gone."""
        readable = asyncio.Event()
        self._loop.add_reader(connection, readable.set)
        try:
            await readable.wait()
        finally:
            self._loop.remove_reader(connection)
        return connection.recv(1, socket.MSG_PEEK)

    async def _answer(self, connection: socket.socket) -> None:
        """Answer a plain request, and end the connection so that the answer arrives.

        Raises:
            OSError: the other side is gone.
        """
        request = await self._request(connection)
        await self._loop.sock_sendall(connection, answer_to(request))
        connection.shutdown(socket.SHUT_WR)
        # To close it with something unread would take the answer back (RFC 9112, 9.6).
        for _ in range(_MOST_PARTS):
            if not await self._loop.sock_recv(connection, _PART_BYTES):
                return

    async def _request(self, connection: socket.socket) -> h11.Request | None:
        """Read the head of a request; None where it is none, or too large."""
        reading = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)
        try:
            while (event := reading.next_event()) is h11.NEED_DATA:
                reading.receive_data(await self._loop.sock_recv(connection, _PART_BYTES))
        except h11.RemoteProtocolError:
            return None
        return event if isinstance(event, h11.Request) else None


def answer_to(request: h11.Request | None) -> bytes:
    """Return the whole answer to a plain HTTP request on a port that speaks TLS.

    Args:
        request: None: it could not be understood.
    """
    method = b"" if request is None else request.method
    place = None if request is None else _place(request)
    if place is None:
        return _response("400 Bad Request", _USE_HTTPS, with_body=method != b"HEAD")
    if method not in {b"GET", b"HEAD"}:  # what it sends went out unencrypted: not once more
        return _response("426 Upgrade Required", _USE_HTTPS, _UPGRADE, with_body=True)
    # Not for ever: without TLS, the page is at the same address again.
    status = "307 Temporary Redirect"
    return _response(status, _USE_HTTPS, f"Location: {place}", with_body=method != b"HEAD")


def _place(request: h11.Request) -> str | None:
    """Return the same address with https; None where the request names none that is plain."""
    hosts = [value for name, value in request.headers if name == b"host"]
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if found is None or not _TARGET.fullmatch(request.target):
        return None
    port = b"" if found[1] else _HTTP_PORT
    return (b"https://" + hosts[0] + port + request.target).decode("ascii")


def _response(status: str, words: str, *headers: str, with_body: bool) -> bytes:
    body = f"{words}\n"
    lines = [
        f"HTTP/1.1 {status}",
        *headers,
        "Content-Type: text/plain; charset=utf-8",
        "X-Content-Type-Options: nosniff",
        "Cache-Control: no-store",
        f"Content-Length: {len(body)}",
        "Connection: close, upgrade" if _UPGRADE in headers else "Connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + (body if with_body else "")).encode("ascii")
