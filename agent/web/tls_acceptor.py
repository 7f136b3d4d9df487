"""Accepts the connections of a page with TLS, and redirects plain HTTP requests to https.

Browsers take an address without a scheme for http.  Which of the two a connection speaks, its first
byte tells: a TLS connection begins with a record of the type handshake (RFC 8446, 5.1), and no HTTP
request begins with that byte.
"""

import asyncio
import contextlib
import errno
import re
import socket
import ssl
from collections.abc import Callable

import h11

_HANDSHAKE = b"\x16"
_WITHIN_S = 10.0  # for the first byte, or for a plain request and its answer
_AFTER_SHORTAGE_S = 1.0  # of descriptors or memory, as asyncio's own server waits
_SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_AT_ONCE = 64  # connections are accepted before others have a turn
_LARGEST_HEAD = 16384
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
            async with asyncio.timeout(_WITHIN_S):
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
