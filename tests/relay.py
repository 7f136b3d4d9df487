"""A thin or broken line: a TCP relay to a real server, which can be slow, deaf or silent."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal

_SMALL_BUFFER_BYTES = 16 * 1024  # what a reader does not take must be seen at once
_PART_BYTES = 16 * 1024


class Relay(AbstractContextManager["Relay"]):
    """Listens on loopback and hands everything on; its faults meet uploads, or every request."""

    def __init__(self, upstream_port: int) -> None:
        self.rate_bytes_s: float | None = None  # of what clients send; 0: nothing is read
        self.answers: Literal["pass", "withhold", "trickle"] = "pass"
        self.everything = False  # whether the faults meet more than uploads
        self.uploads = 0  # begun
        self.on_upload: Callable[[], None] = lambda: None  # when one begins to arrive
        self._upstream_port = upstream_port
        self._over = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        self.arrivals: list[tuple[float, int]] = []  # (monotonic time, bytes) of uploads

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def heal(self) -> None:
        """Let everything through from now on."""
        self.rate_bytes_s, self.answers = None, "pass"

    def __enter__(self) -> "Relay":
        self._run(self._accept)
        return self

    def __exit__(self, *_ended: object) -> None:
        self._over.set()
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for one in (self._listener, *self._sockets):
            one.close()

    def _run(self, target: object, *args: object) -> None:
        assert callable(target)
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._over.is_set():
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream_port))
                self._sockets += [client, server]
                self._run(self._hand_on, client, server)

    def _hand_on(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            first = client.recv(_PART_BYTES, socket.MSG_PEEK)
            is_upload = first.startswith(b"POST")
            if is_upload:
                self.uploads += 1
                self.on_upload()
            meets = is_upload or self.everything
            self._run(self._answer, server, client, self.answers if meets else "pass")
            self._pump(client, server, is_upload=is_upload)

    def _pump(self, client: socket.socket, server: socket.socket, *, is_upload: bool) -> None:
        while not self._over.is_set():
            rate = self.rate_bytes_s if is_upload or self.everything else None
            if rate == 0:
                self._over.wait(0.05)
                continue
            part = client.recv(_PART_BYTES)
            if not part:
                server.shutdown(socket.SHUT_WR)
                return
            if is_upload:
                self.arrivals.append((time.monotonic(), len(part)))
            server.sendall(part)
            if rate is not None:
                self._over.wait(len(part) / rate)

    def _answer(self, server: socket.socket, client: socket.socket, how: str) -> None:
        with contextlib.suppress(OSError):
            while part := server.recv(_PART_BYTES):
                if how == "pass":
                    client.sendall(part)
                elif how == "trickle":
                    for sign in part:
                        client.sendall(bytes([sign]))
                        if self._over.wait(0.05):
                            return
            if how != "withhold":
                client.shutdown(socket.SHUT_RDWR)
